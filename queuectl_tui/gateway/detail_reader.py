"""Reads the ``JobDetail`` of the one job that the detail and output panes show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.errors import JobNotFound, OutputUnavailable
from core.model import Attempt, Dependency, Event, Job, State, Waiting
from core.queue import Queue
from core.rules.comparison import Comparison
from core.wording import ending_words
from queuectl_tui.gateway.found_reader import FoundReader
from queuectl_tui.snapshot import JobDetail, Readable, Snapshot

#: What a job waits for is read while that is no more than a user would edit.
_MOST_EDGES = 100


class DetailRequest(NamedTuple):
    """Which job's detail and which attempt's output are shown; no number means the newest attempt.

    ``is_compared`` shows the output as it differs from that of the attempt before, if there is one. With
    ``has_tree`` the tree of the jobs that wait for each other is read, too. ``sought`` is the text or ``/regex/`` whose
    lines in its outputs are read, "" for none.
    """

    job_id: int
    number: int | None = None
    is_compared: bool = False
    has_tree: bool = False
    sought: str = ""


class ComparedOutput:
    """An attempt's output compared with that of the attempt before, as bytes with colours."""

    path: str | None = None

    def __init__(self, comparison: Comparison) -> None:
        # not the attempt's own id: a view that shows its output has another one to show, from the start
        self.attempt = comparison.after._replace(id=-comparison.after.id)
        endings = [ending_words(attempt) or "running" for attempt in (comparison.before, comparison.after)]
        self._data = comparison.text(endings, is_coloured=True).encode("utf-8", "replace")

    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class DetailReader:
    """Reads a ``JobDetail``; what cannot have changed since the last reading is not read again.

    ``is_stale`` says that another job is requested than was read last. ``found`` has what a filter found in the job's
    outputs, of a long one step by step.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._request: DetailRequest | None = None
        self._environment: tuple[int, dict[str, str | None]] = (0, {})
        self._waits: tuple[tuple[object, ...] | None, Waiting | None] = (None, None)
        self._edges: tuple[tuple[object, ...], tuple[Dependency, ...]] = ((), ())
        self._compared: tuple[tuple[object, ...], ComparedOutput] | None = None
        self.found = FoundReader(queue)
        self.is_stale = False

    def show(self, request: DetailRequest | None) -> None:
        """Make ``read`` return this job's detail from now on; ``None`` for none."""
        self._request = request
        self.is_stale = True

    def read(self, old: JobDetail | None, fresh: Snapshot | None = None) -> JobDetail | None:
        """Return the detail of the job that was asked for, ``None`` if it is gone; ``old`` itself if nothing changed.

        ``fresh`` is what was just read in the same transaction: the job mostly stands in one of its lists.
        """
        self.is_stale = False
        request, queue = self._request, self._queue
        if request is None:
            self.found.give_up()
            return None
        panes = fresh.panes.values() if fresh is not None else ()
        job = next((row.job for data in panes for row in data.rows if row.job.id == request.job_id), None)
        try:
            job = job or queue.watched([queue.job(request.job_id)])[0]
        except JobNotFound:
            return None
        attempts = queue.attempts(job.id)
        number = request.number if request.number is not None else (attempts[-1].number if attempts else None)
        output, compared_with = self._output(job, attempts, number)
        waiting = self._waiting(job, fresh)
        if self._environment[0] != job.id:
            self._environment = (job.id, queue.environment(job.id))
        history = tuple(queue.history(job.id))
        tree = queue.tree(job.id) if request.has_tree else None
        environment = self._environment[1]
        canary = queue.canaries([job.id]).get(job.id) if job.state is State.DEAD else None
        detail = JobDetail(
            job, tuple(attempts), history, waiting, number, output, environment, compared_with, tree, canary,
            self._unmet_edges(job, history), self.found.look(job.id, attempts, request.sought),
        )  # fmt: skip
        is_same = old is not None and detail._replace(output=old.output) == old
        is_same = is_same and (compared_with is None or (old is not None and old.output is output))
        # the same object means that there is nothing to paint
        return old if is_same else detail

    def _output(self, job: Job, attempts: Sequence[Attempt], number: int | None) -> tuple[Readable | None, int | None]:
        """Return the output to show, and which attempt it is compared with, if that was asked for and can be."""
        if not attempts or number is None:
            return None, None
        try:
            if self._request is not None and self._request.is_compared and number > 1:
                return self._comparison(job, number), number - 1
            return self._queue.output(job.id, number), None
        except OutputUnavailable:
            return None, None

    def _comparison(self, job: Job, number: int) -> ComparedOutput:
        """Return an attempt compared with the one before; worked out again only when an output has grown."""
        outputs = [self._queue.output(job.id, each) for each in (number - 1, number)]
        key = (job.id, *(part for output in outputs for part in (output.attempt, output.size())))
        if self._compared is None or self._compared[0] != key:
            self._compared = (key, ComparedOutput(self._queue.compare_outputs(job.id, number)))
        return self._compared[1]

    def _unmet_edges(self, job: Job, history: tuple[Event, ...]) -> tuple[Dependency, ...] | None:
        """Return by what a pending job waits, ``None`` for too much to edit.

        Read again when the job or its history moved on: an edit of its edges alone changes no field of the job.
        """
        if job.state is not State.PENDING or job.blocks <= job.is_held:
            return ()
        if job.blocks > _MOST_EDGES:
            return None
        if self._edges[0] != (job, history):
            unmet = tuple(edge for edge in self._queue.edges_of([job.id]) if not edge.is_met)
            self._edges = ((job, history), unmet)
        return self._edges[1]

    def _waiting(self, job: Job, fresh: Snapshot | None) -> Waiting | None:
        """Return why a pending job does not run; asked again only when something that can be the reason has changed."""
        if job.state is not State.PENDING:
            return None
        question: tuple[object, ...] | None = None  # there is none when the time or a full queue can change the answer
        if fresh is not None and job.run_at is None:
            question = (job, fresh.is_paused, fresh.queues, fresh.workers)
            if any(queue.name == job.queue and queue.limit is not None for queue in fresh.queues):
                question = None
        if question is None or question != self._waits[0]:
            self._waits = (question, self._queue.waiting(job.id))
        return self._waits[1]
