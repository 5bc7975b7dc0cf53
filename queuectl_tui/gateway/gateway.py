"""What the dashboard asks of the queue: every method returns at once, what came of it is posted as messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from textual.message import Message

from core.model import Act, Job, Key, NewJob, State, View
from core.queue import Progress, Queue
from core.rules.states import Verb, undoable_moves
from queuectl_tui.gateway.detail_reader import DetailRequest
from queuectl_tui.gateway.host import WorkerHost
from queuectl_tui.gateway.reader import Reader
from queuectl_tui.gateway.window import Wanted, next_sort
from queuectl_tui.gateway.writer import Write, Writer
from queuectl_tui.messages import JobEnqueued, RangeRead, SnapshotTaken, UndoOffered
from queuectl_tui.snapshot import Pane, Snapshot

__all__ = ["DetailRequest", "Gateway", "Selected", "Wanted", "next_sort"]

#: What a verb acts on: job ids, or all jobs of a view.
Selected = list[int] | View

#: Of how many running jobs a cancel looks whether a worker watches them.
_MANY = 1000

#: How an act is told: past tense of the verb.
_PAST = {
    "replay": "Replayed",
    "retry": "Retried",
    "cancel": "Cancelled",
    "kill": "Killed",
    "purge": "Purged",
    "restore": "Restored",
    "edit": "Edited",
}
_CAN_UNDO = frozenset(verb.value for verb in Verb if undoable_moves(verb))


class Gateway:
    """Joins the reader, the writer and the worker of one database for one dashboard.

    All methods return at once; what came of them is posted as messages to whoever was named in ``connect``.
    """

    def __init__(self, queue: Queue, *, slots: int = 1, reader: Reader | None = None) -> None:
        self._queue = queue
        self._target: Callable[[Message], bool] | None = None
        self._reader = reader or Reader(queue)
        self._writer = Writer(self._post, self._committed)
        self._host = WorkerHost(queue, 0 if queue.is_read_only else slots, self._post, self._reader.wake)
        self._is_open = False

    @property
    def display_name(self) -> str:
        """Return the short name of the database."""
        return self._queue.display_name

    @property
    def is_read_only(self) -> bool:
        """Tell whether nothing may be written."""
        return self._queue.is_read_only

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
        """Say where messages go, and start the threads."""
        self._target = post
        if not self._is_open:
            self._is_open = True
            self._reader.start(lambda: self._post(SnapshotTaken()))
            self._writer.start()
            self._host.start()

    def close(self) -> None:
        """End the threads; the worker is left alone (stop it first) and whatever it runs goes on."""
        self._target = None
        if self._is_open:
            self._is_open = False
            self._writer.stop()
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
        """Read again soon."""
        self._reader.wake()

    def show_view(self, pane: Pane, view: View) -> None:
        """Show another selection or order in a pane."""
        self._reader.show_view(pane, view)

    def want(self, pane: Pane, wanted: Wanted) -> None:
        """Show other rows of a pane."""
        self._reader.want(pane, wanted)

    def hold(self, pane: Pane, key: Key | None) -> None:
        """Keep the pane's window at the row of this key while others come and go; ``None`` stays at the top."""
        self._reader.hold(pane, key)

    def show_detail(self, request: DetailRequest | None) -> None:
        """Show this job's detail and output."""
        self._reader.show_detail(request)

    def read_range(self, pane: Pane, start: int, length: int) -> None:
        """Read the ids of rows that are not loaded; ``RangeRead`` brings them."""

        def tell(ids: list[int]) -> None:
            self._post(RangeRead(pane, start, ids))

        self._reader.read_range(pane, start, length, tell)

    # --- writing

    def enqueue(self, job: NewJob) -> int:
        """Add a job; return the ticket that ``ActDone`` or ``ActRefused`` will carry."""

        def add(_: Progress) -> None:
            self._post(JobEnqueued(self._queue.add(job)))

        return self._writer.submit(Write("enqueue", add, lambda _: ""))

    def retry(self, jobs: Selected) -> int:
        """Replay finished jobs, make delayed ones due now; return the ticket as ``enqueue`` does."""
        return self._act("retry", lambda progress: self._queue.retry(jobs, progress=progress))

    def cancel(self, jobs: Selected, *, kill: bool = False) -> int:
        """Cancel waiting jobs and ask the workers to stop running ones, politely or at once; return the ticket."""
        verb = "kill" if kill else "cancel"

        def cancel(progress: Progress) -> Act:
            return self._queue.cancel(jobs, kill=kill, progress=progress)

        return self._writer.submit(Write(verb, cancel, lambda act: self._said_of_cancel(verb, act, jobs)))

    def _said_of_cancel(self, verb: str, act: Act | None, jobs: Selected) -> str:
        """Return the line that tells what a cancel did, and what it can only do once a worker comes."""
        left = [job.unwatched for job in self._left_of(jobs)]
        stopping = [unwatched for unwatched in left if unwatched is not None and unwatched.is_stopping]
        ended = sum(unwatched.has_ended for unwatched in stopping)
        late = len(stopping) - ended
        if act is None or not act.count or not stopping:
            return said_of(verb, act)
        coming = "will be cancelled when a worker comes: no living one watches"
        over = "ended already; a worker records how, once one is alive."
        if late >= act.count:
            return f"{_jobs(late)} {coming} {'it' if late == 1 else 'them'}."
        if ended >= act.count:
            return f"{_jobs(ended)} {over}"
        said = [f"{late:,} of them {coming} them."] if late else []
        said += [f"{ended:,} of them {over}"] if ended else []
        return " ".join([said_of(verb, act), *said])

    def _left_of(self, jobs: Selected) -> list[Job]:
        """Return those of the selected jobs that still run, with what is known of the unwatched ones."""
        running = (State.RUNNING,)
        if not isinstance(jobs, View):
            found = self._queue.jobs(View(states=running), limit=_MANY)
            return self._queue.watched([job for job in found if job.id in jobs])
        if jobs.states and State.RUNNING not in jobs.states:
            return []
        return self._queue.watched(self._queue.jobs(View(states=running, terms=jobs.terms), limit=_MANY))

    def purge(self, jobs: Selected) -> int:
        """Remove finished jobs from sight; return the ticket as ``enqueue`` does."""
        return self._act("purge", lambda progress: self._queue.purge(jobs, progress=progress))

    def edit(self, job_id: int, fields: dict[str, Any], *, then_retry: bool) -> int:
        """Change a job's settings and, if asked, try it again; return the ticket as ``enqueue`` does."""
        return self._act("edit", lambda _: self._queue.edit(job_id, then_retry=then_retry, **fields))

    def offer_undo(self) -> None:
        """Look what the last act is, whoever did it; ``UndoOffered`` brings it."""

        def look(_: Progress) -> None:
            self._post(UndoOffered(self._queue.last_act()))

        self._writer.submit(Write("undo", look, lambda _: ""))

    def undo(self, act_id: int) -> None:
        """Undo an act."""
        self._writer.submit(Write("undo", lambda progress: self._queue.undo(act_id, progress=progress), undone))

    def pause(self, lane: str | None, is_paused: bool) -> None:
        """Pause or resume a lane; ``None`` means everything."""

        def turn(_: Progress) -> None:
            if is_paused:
                self._queue.pause(lane)
            else:
                self._queue.resume(lane)

        what = "Everything" if lane is None else f"Queue {lane}"
        said = f"{what} paused; running jobs go on." if is_paused else f"{what} resumed."
        self._writer.submit(Write("pause", turn, lambda _: said))

    def stop_worker(self, worker_id: int) -> None:
        """Ask a worker, here or elsewhere, to finish what runs and end."""

        def ask(_: Progress) -> None:
            self._queue.stop_worker(worker_id)

        self._writer.submit(Write("stop worker", ask, lambda _: f"Worker {worker_id} was asked to stop."))

    def resize(self, change: int) -> None:
        """Run more or fewer jobs at once in this process."""
        self._host.resize(change)
        self._reader.wake()

    def _act(self, verb: str, do: Callable[[Progress], Act]) -> int:
        return self._writer.submit(Write(verb, do, lambda act: said_of(verb, act)))


def said_of(verb: str, act: Act | None) -> str:
    """Return the line that tells a person what an act did, and how to take it back."""
    if act is None:
        return ""
    if act.count == 0:
        return f"Nothing to {verb}: {act.skipped:,} skipped." if act.skipped else f"Nothing to {verb}."
    skipped = f", {act.skipped:,} skipped" if act.skipped else ""
    undo = " z undoes it." if verb in _CAN_UNDO and act.id else ""
    return f"{_told(act, verb)}{skipped}.{undo}"


def undone(act: Act | None) -> str:
    """Return the line that tells what was taken back."""
    if act is None:
        return ""
    skipped = f", {act.skipped:,} had moved on" if act.skipped else ""
    return f"Undone: {act.verb.removeprefix('undo ')} of {_jobs(act.count)}{skipped}."


def _told(act: Act, verb: str) -> str:
    return f"{_PAST.get(verb, verb.capitalize())} {_jobs(act.count)}"


def _jobs(number: int) -> str:
    return f"{number:,} {'job' if number == 1 else 'jobs'}"
