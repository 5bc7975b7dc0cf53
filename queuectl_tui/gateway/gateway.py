"""The dashboard's way to the queue: every method returns at once, results are posted as messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from textual.message import Message

from core.model import Act, NewJob, State
from core.queue import Queue
from core.rules.job_input import MAX_LIMIT
from core.rules.operations import Progress
from core.wording import count
from queuectl_tui.gateway.detail_reader import DetailRequest
from queuectl_tui.gateway.host import WorkerHost
from queuectl_tui.gateway.output_follower import OutputFollower
from queuectl_tui.gateway.plan_orders import PlanOrders
from queuectl_tui.gateway.reader import Reader
from queuectl_tui.gateway.results import Selected, result_of, result_of_canary, result_of_cancel, result_of_undo
from queuectl_tui.gateway.window import Wanted
from queuectl_tui.gateway.writer import Write, Writer
from queuectl_tui.messages import JobEnqueued, OutputsFollowed, RangeRead, SearchRefused, SnapshotTaken, UndoOffered
from queuectl_tui.snapshot import Pane, Snapshot

__all__ = ["DetailRequest", "Gateway", "Selected", "Wanted"]


class _Yielded(Exception):
    """The reading of last words stopped between two parts, for another write; ``done`` were read and kept."""

    def __init__(self, done: int) -> None:
        super().__init__(done)
        self.done = done


class Gateway:
    """Joins the reader, the writer and the worker of one database for one dashboard.

    All methods return at once; results are posted as messages through the ``post`` given to ``connect``.
    ``follower`` has the lines of all running outputs; ``OutputsFollowed`` says that some wait. ``plan`` has the orders
    about schedules and resources.
    """

    def __init__(self, queue: Queue, *, slots: int = 1, reader: Reader | None = None) -> None:
        self._queue = queue
        self._target: Callable[[Message], bool] | None = None
        self._reader = reader or Reader(queue)
        self.follower = OutputFollower(queue, lambda: self._post(OutputsFollowed()))
        self._writer = Writer(self._post, self._committed)
        self.plan = PlanOrders(queue, self._writer)
        self._host = WorkerHost(queue, 0 if queue.is_read_only else slots, self._post, self._reader.wake)
        self._is_open = False

    @property
    def display_name(self) -> str:
        """Return the short name of the database."""
        return self._queue.display_name

    @property
    def database_path(self) -> str:
        """Return the path of the database."""
        return self._queue.path

    @property
    def is_read_only(self) -> bool:
        """Return whether writes are refused."""
        return self._queue.is_read_only

    @property
    def reader(self) -> Reader:
        """Return what reads the snapshots: which rows, detail and groups they have is asked of it."""
        return self._reader

    @property
    def host(self) -> WorkerHost:
        """Return the worker of this process."""
        return self._host

    def shorten(self, text: str) -> str:
        """Return an error's message with the database's short name in place of its path, which may fill the line."""
        return text.replace(self._queue.path, self._queue.display_name)

    def now(self) -> datetime:
        """Return the time by the queue's clock, in UTC."""
        return self._queue.now()

    def connect(self, post: Callable[[Message], bool]) -> None:
        """Start the threads; ``post`` is called on them with each message and returns whether it was accepted."""
        self._target = post
        if not self._is_open:
            self._is_open = True
            self._reader.start(lambda: self._post(SnapshotTaken()), lambda reason: self._post(SearchRefused(reason)))
            self._writer.start()
            self._host.start()

    def close(self) -> None:
        """End the threads; the worker is left alone (stop it first) and whatever it runs goes on."""
        self._target = None
        if self._is_open:
            self._is_open = False
            self._writer.stop()
            self.follower.stop()
            self._reader.stop()

    def _post(self, message: Message) -> bool:
        return self._target(message) if self._target is not None else False

    def _committed(self) -> None:
        self._reader.wake()
        self._host.wake()

    # --- reading

    def take(self) -> Snapshot:
        """Return the newest snapshot; the reader makes the next one only after this."""
        return self._reader.take()._replace(own_worker_id=self._host.worker_id)

    def refresh(self) -> None:
        """Make the reader look at the database now."""
        self._reader.wake()

    def read_range(self, pane: Pane, start: int, length: int) -> None:
        """Read the ids of rows that are not loaded; ``RangeRead`` brings them."""
        self._reader.read_range(pane, start, length, lambda ids: self._post(RangeRead(pane, start, ids)))

    # --- writing

    def enqueue(self, job: NewJob) -> int:
        """Add a job; return the ticket that ``ActDone`` or ``ActRefused`` will carry."""

        def add(_: Progress) -> None:
            self._post(JobEnqueued(self._queue.add(job)))

        return self._writer.submit(Write("enqueue", add))

    def retry(
        self, jobs: Selected, *, is_replay: bool = False, with_dependents: bool = False, is_canary: bool = False
    ) -> int:
        """Replay finished jobs, make delayed ones due now; return the ticket as ``enqueue`` does.

        With ``is_replay`` all of them are finished ones, and the act is called a replay; ``with_dependents`` does it to
        all that hang on them, too. With ``is_canary`` one of them is replayed, and the others once it completes.
        """
        if is_canary:
            return self._writer.submit(Write("canary", lambda _: self._queue.canary(jobs), result_of_canary))
        if is_replay:
            return self._act("replay", lambda progress: self._queue.replay(jobs, progress=progress))

        def retry(progress: Progress) -> Act:
            return self._queue.retry(jobs, with_dependents=with_dependents, progress=progress)

        return self._act("retry", retry)

    def cancel(self, jobs: Selected, *, kill: bool = False) -> int:
        """Cancel waiting jobs and ask the workers to stop running ones, politely or at once; return the ticket."""
        verb = "kill" if kill else "cancel"

        def cancel(progress: Progress) -> Act:
            return self._queue.cancel(jobs, kill=kill, progress=progress)

        return self._writer.submit(Write(verb, cancel, lambda act: result_of_cancel(self._queue, verb, act, jobs)))

    def set_held(self, jobs: Selected, is_held: bool) -> int:
        """Keep waiting jobs from being run, or release held ones; return the ticket as ``enqueue`` does."""
        if is_held:
            return self._act("hold", lambda progress: self._queue.hold(jobs, progress=progress))
        return self._act("release", lambda progress: self._queue.release(jobs, progress=progress))

    def purge(self, jobs: Selected) -> int:
        """Remove finished jobs from sight; return the ticket as ``enqueue`` does."""
        return self._act("purge", lambda progress: self._queue.purge(jobs, progress=progress))

    def edit(self, job_id: int, fields: dict[str, Any], *, then_retry: bool) -> int:
        """Change a job's settings and, if asked, try it again; return the ticket as ``enqueue`` does."""
        return self._act("edit", lambda _: self._queue.edit(job_id, then_retry=then_retry, **fields))

    def read_last_words(self, total: int) -> None:
        """Read what ``total`` dead jobs died of whose last words are not known; other writes go first."""

        def read(progress: Progress) -> None:
            def report(done: int, _: int) -> None:
                progress(done, total)
                if self._writer.is_awaited:
                    raise _Yielded(done)

            try:
                self._queue.read_last_words(progress=report)
            except _Yielded as yielded:
                self.read_last_words(max(0, total - yielded.done))

        self._writer.submit(Write("read outputs", read))

    def offer_undo(self) -> None:
        """Read which act an undo would undo, also one of another process; ``UndoOffered`` brings it."""

        def look(_: Progress) -> None:
            self._post(UndoOffered(self._queue.last_act()))

        self._writer.submit(Write("undo", look))

    def undo(self, act_id: int) -> None:
        """Undo an act."""
        self._writer.submit(Write("undo", lambda progress: self._queue.undo(act_id, progress=progress), result_of_undo))

    def pause(self, queue: str | None, is_paused: bool) -> None:
        """Pause or resume a queue; ``None`` means everything."""

        def switch(_: Progress) -> None:
            if is_paused:
                self._queue.pause(queue)
            else:
                self._queue.resume(queue)

        what = "Everything" if queue is None else f"Queue {queue}"
        result = f"{what} paused; running jobs go on." if is_paused else f"{what} resumed."
        self._writer.submit(Write("pause", switch, result))

    def change_limit(self, name: str, change: int | None) -> None:
        """Let ``change`` more jobs of a queue run at once, or fewer; ``None`` lifts the limit.

        Where there is none so far, it is as many as run now. The limit in force is read when it is changed, so that
        quick presses add up.
        """

        def set_limit(_: Progress) -> str:
            if change is None:
                self._queue.limit(name, None)
                return f"Queue {name}: no limit."
            queue = next((queue for queue in self._queue.queues() if queue.name == name), None)
            if queue is None or queue.limit is None:
                limit = max(1, 0 if queue is None else queue.counts.get(State.RUNNING, 0))
            else:
                limit = min(max(0, queue.limit + change), MAX_LIMIT)
            self._queue.limit(name, limit)
            return f"Queue {name}: at most {count(limit, 'job')} at once."

        self._writer.submit(Write("limit", set_limit))

    def stop_worker(self, worker_id: int, *, now: bool = False) -> None:
        """Ask a worker, here or elsewhere, to finish what runs and end, or to end what runs ``now``."""

        def ask(_: Progress) -> None:
            self._queue.stop_worker(worker_id, now=now)

        self._writer.submit(Write("stop worker", ask, f"Worker {worker_id} was asked to stop{' now' if now else ''}."))

    def resize(self, change: int) -> None:
        """Let this process run ``change`` more jobs at once, or fewer."""
        self._host.resize(change)
        self._reader.wake()

    def _act(self, verb: str, do: Callable[[Progress], Act]) -> int:
        return self._writer.submit(Write(verb, do, lambda act: result_of(verb, act)))
