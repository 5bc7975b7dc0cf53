"""A worker thread inside a command, which starts it when no worker is alive to run or stop its job."""

from __future__ import annotations

from types import TracebackType

from core.execution.worker import StopMode, Worker
from core.model import State
from core.queue import Queue
from core.rules.serving_workers import serving_workers


class EmbeddedWorker:
    """A worker in a thread; leaving the ``with`` block detaches it, and commands that still run wait for adoption."""

    def __init__(self, queue: Queue, *, slots: int = 0, queues: tuple[str, ...] = ()) -> None:
        self._queue = queue
        self._slots = slots
        self._queues = queues
        self._worker: Worker | None = None

    def __enter__(self) -> EmbeddedWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()

    def detach(self) -> None:
        """Stop the worker, if it was started, and leave its commands to the next one."""
        if self._worker is not None:
            self._worker.stop(StopMode.DETACH)
            self._worker.join(5.0)

    @property
    def is_working(self) -> bool:
        """Whether ``start`` was called."""
        return self._worker is not None

    def start(self) -> None:
        """Start the thread; the second call does nothing."""
        if self._worker is None:
            self._worker = Worker(self._queue, slots=self._slots, queues=self._queues)
            self._worker.start()


def has_living_worker(queue: Queue, queue_name: str) -> bool:
    """Return whether a living worker serves a queue."""
    return bool(serving_workers(queue.workers(), queue_name))


def is_orphaned(queue: Queue, job_id: int) -> bool:
    """Return whether a job is running and the worker of its newest attempt is dead."""
    if queue.job(job_id).state is not State.RUNNING:
        return False
    alive = {worker.id for worker in queue.workers() if worker.is_alive}
    return queue.output(job_id).attempt.worker_id not in alive
