"""The worker inside this process: started, resized and stopped on behalf of the dashboard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from core.errors import QueueError, may_pass
from core.queue import Queue
from queuectl_tui.gateway.worker_reports import WorkerReports
from queuectl_tui.messages import WorkerEnded, WorkerReported
from queuectl_tui.troubles import WAITING_RESULTS

if TYPE_CHECKING:
    from core.execution.events import WorkerEvent
    from core.execution.worker import Worker

#: How long to wait before a start that failed is tried again, in seconds.
RETRY_START_S = 1.0
#: More slots than this are never asked for by key.
MAX_SLOTS = 256

#: What becomes of running jobs: they go on without this process, are waited for, or are stopped.
Leaving = Literal["leave", "wait", "stop"]


class WorkerHost:
    """Owns at most one worker; without one (``--no-worker``, read-only) every question has the empty answer.

    The worker is loaded and registered on a thread of its own: the first picture need not wait for it, nor for the
    write lock that registering needs.
    """

    def __init__(
        self, queue: Queue, slots: int, post: Callable[[Message], object], on_event: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._has_worker = slots > 0
        self._post = post
        self._on_event = on_event
        self._worker: Worker | None = None
        self._starting: threading.Thread | None = None
        self._leaving: Leaving | None = None
        self._must_end = threading.Event()
        self._start_error = ""
        self._is_end_reported = False
        self._reports = WorkerReports()

    def start(self) -> None:
        """Load and start the worker on a thread of its own; returns at once."""
        if self._has_worker:
            self._starting = threading.Thread(target=self._begin, name="queuectl-worker-start", daemon=True)
            self._starting.start()

    def _begin(self) -> None:
        while not self._was_asked_to_end() and not self._try_to_begin():
            self._must_end.wait(RETRY_START_S)
        if self._was_asked_to_end():  # while it was being registered
            self.stop(self._leaving or "leave")
        self._on_event()

    def _try_to_begin(self) -> bool:
        """Start the worker; return whether there is no sense in another try."""
        from core.execution.worker import Worker

        worker = Worker(self._queue, slots=self._slots, on_event=self._on_worker_event)
        try:
            worker.start()
        except (QueueError, OSError) as error:
            if isinstance(error, QueueError) and not may_pass(error):
                self._is_end_reported, self._start_error = True, ""
                self._post(WorkerEnded(f"could not start: {error}"))
                return True
            if not self._start_error:
                text = f"The worker could not start yet, it is tried again: {error}"
                self._post(WorkerReported(text, "error", is_of_storage=True))
            self._start_error = f"could not start yet, it is tried again: {error}"
            return False
        self._worker, self._start_error = worker, ""
        return True

    def _was_asked_to_end(self) -> bool:
        return self._leaving is not None

    def wake(self) -> None:
        """Make the worker look at the database now."""
        if self._worker is not None:
            self._worker.wake()

    @property
    def worker_id(self) -> int | None:
        """Return the id of the worker in this process while it runs."""
        worker = self._worker
        return worker.id if worker is not None and worker.is_alive else None

    @property
    def slots(self) -> int | None:
        """Return how many jobs this process runs at once; ``None`` without a worker."""
        return self._slots if self._has_worker else None

    @property
    def running_count(self) -> int:
        """Return how many jobs this process runs now."""
        return self._worker.running_count if self._worker is not None and self._worker.is_alive else 0

    @property
    def trouble(self) -> str | None:
        """Return what keeps the worker from recording or starting jobs, in one line, for as long as it lasts."""
        worker = self._worker
        if worker is None or not worker.is_alive or worker.trouble is None:
            return self._start_error or None
        waiting = worker.unrecorded_count
        results = f"; {waiting:,} {'result waits' if waiting == 1 else 'results wait'} {WAITING_RESULTS}"
        return worker.trouble + (results if waiting else "")

    def resize(self, change: int) -> None:
        """Change the number of slots, within 0 to ``MAX_SLOTS``."""
        self._slots = min(MAX_SLOTS, max(0, self._slots + change))
        if self._worker is not None:
            self._worker.slots = self._slots

    def stop(self, leaving: Leaving) -> None:
        """Ask the worker to end and to leave, wait for, or stop its jobs; may be called again with a stronger wish."""
        from core.execution.worker import StopMode

        self._leaving = leaving
        self._must_end.set()
        modes = {"leave": StopMode.DETACH, "wait": StopMode.DRAIN, "stop": StopMode.NOW}
        if self._worker is not None and self._worker.is_alive:
            self._worker.stop(modes[leaving])

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Return whether no worker runs (any more); wait up to ``timeout_s`` seconds for that."""
        if self._starting is not None and self._starting.is_alive():
            self._starting.join(timeout_s)
        if self._starting is not None and self._starting.is_alive():
            return False
        worker = self._worker
        return worker is None or not worker.is_alive or worker.join(timeout_s)

    def check(self) -> None:
        """Post ``WorkerEnded``, once, if the worker ended by an error."""
        worker = self._worker
        if worker is not None and not self._is_end_reported and worker.error is not None:
            self._is_end_reported = True
            self._post(WorkerEnded(f"has ended: {worker.error}. Its jobs go on; start again to take them over"))

    def _on_worker_event(self, event: WorkerEvent) -> None:
        report = self._reports.report_of(event)
        if report is not None:
            self._post(report)
        self._on_event()
