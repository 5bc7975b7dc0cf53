"""Reads the ``JobDetail`` of the one job that the detail and output panes show."""

from __future__ import annotations

from typing import NamedTuple

from core.errors import JobNotFound, OutputUnavailable
from core.model import Job, State, Waiting
from core.queue import Queue
from queuectl_tui.snapshot import JobDetail, Snapshot


class DetailRequest(NamedTuple):
    """Which job's detail and which attempt's output are shown; no number means the newest attempt."""

    job_id: int
    number: int | None = None


class DetailReader:
    """Reads a ``JobDetail``; what cannot have changed since the last reading is not read again.

    ``is_stale`` says that another job is requested than was read last.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._request: DetailRequest | None = None
        self._environment: tuple[int, dict[str, str | None]] = (0, {})
        self._waits: tuple[tuple[object, ...] | None, Waiting | None] = (None, None)
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
            return None
        panes = fresh.panes.values() if fresh is not None else ()
        job = next((row.job for data in panes for row in data.rows if row.job.id == request.job_id), None)
        try:
            job = job or queue.watched([queue.job(request.job_id)])[0]
        except JobNotFound:
            return None
        attempts = queue.attempts(job.id)
        number = request.number if request.number is not None else (attempts[-1].number if attempts else None)
        output = None
        if attempts:
            try:
                output = queue.output(job.id, number)
            except OutputUnavailable:
                output = None
        waiting = self._waiting(job, fresh)
        if self._environment[0] != job.id:
            self._environment = (job.id, queue.environment(job.id))
        history = tuple(queue.history(job.id))
        detail = JobDetail(job, tuple(attempts), history, waiting, number, output, self._environment[1])
        # the same object means that there is nothing to paint
        return old if old is not None and detail._replace(output=old.output) == old else detail

    def _waiting(self, job: Job, fresh: Snapshot | None) -> Waiting | None:
        """Return why a pending job does not run; asked again only when something that can be the reason has changed."""
        if job.state is not State.PENDING:
            return None
        question: tuple[object, ...] | None = None  # there is none when the time or a full queue can change the answer
        if fresh is not None and job.run_at is None:
            question = (job, fresh.is_paused, fresh.lanes, fresh.workers)
            if any(lane.name == job.queue and lane.limit is not None for lane in fresh.lanes):
                question = None
        if question is None or question != self._waits[0]:
            self._waits = (question, self._queue.waiting(job.id))
        return self._waits[1]
