"""What each tool does, in the calling thread: arguments of an agent in, text out, ``QueueError`` for a refusal.

By no tool can an agent purge, prune, edit or undo anything, change settings, or act on all jobs of a kind: what acts on
jobs needs their numbers or names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.errors import NameTaken, QueueError, Refused, UsageError
from core.model import OPEN_STATES, Job, JobRef, NewJob, Sort, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter, parse_state
from core.rules.units import parse_duration
from queuectl_mcp import answers

MAX_JOBS = 50
LIST_DEFAULT, LIST_MAX = 20, 100
LINES_DEFAULT, LINES_MAX = 50, 1000
BYTES_DEFAULT, BYTES_MAX = 8 * 1024, 32 * 1024
WAIT_DEFAULT_S, WAIT_MAX_S = 45.0, 50.0
LABEL = "mcp"


class Awaited(NamedTuple):
    """How a wait stands: its answer so far, and how many jobs are still to finish."""

    text: str
    open: int


class Tools:
    """The tools on one queue; with ``only`` they act on jobs of that queue alone, and see all."""

    def __init__(self, queue: Queue, *, only: str | None = None) -> None:
        self._queue = queue
        self._only = only

    # --- reading

    def status(self) -> str:
        """Return how things stand."""
        queue = self._queue
        with queue.snapshot():
            counts = queue.counts()
            return answers.standing(counts, queue.queues(counts), queue.is_paused(), queue.workers())

    def list(self, state: str | None, queue: str | None, grep: str | None, after: JobRef | None, limit: int) -> str:
        """Return jobs, the newest first, a line each, and where the next page begins."""
        _check_range(limit, "limit", 1, LIST_MAX)
        states = tuple(dict.fromkeys(parse_state(word.strip()) for word in state.split(","))) if state else ()
        terms = (*parse_filter(grep or ""), *([] if queue is None else [Term("queue", queue)]))
        view = View(states, terms, Sort.ID, is_reversed=True)
        key = None if after is None else self._queue.key_of(view, self._queue.job(after))
        rows = self._queue.rows(view, after=key, limit=limit + 1)
        jobs = self._queue.watched([row.job for row in rows[:limit]])
        if not jobs:
            return "no such jobs"
        now = self._queue.now()
        lines = [answers.LIST_TITLE, *(answers.job_line(job, now) for job in jobs)]
        return "\n".join([*lines, *([f"next: after={jobs[-1].id}"] if len(rows) > limit else [])])

    def show(self, job: JobRef) -> str:
        """Return all about a job but the values of its variables."""
        queue = self._queue
        (found,) = queue.watched([queue.job(job)])
        attempts, waiting = queue.attempts(found.id), queue.waiting(found.id)
        return answers.job_text(found, attempts, waiting, sorted(found.env), queue.now())

    def logs(self, job: JobRef, attempt: int | None, lines: int, most: int, offset: int | None) -> str:
        """Return the end of an attempt's output, or up to ``most`` bytes from ``offset``; one bounded read."""
        _check_range(lines, "lines", 1, LINES_MAX)
        _check_range(most, "bytes", 1, BYTES_MAX)
        output = self._queue.output(job, attempt)
        total = output.size()
        if offset is not None:
            _check_range(offset, "offset", 0, total)
        begin = max(0, total - most) if offset is None else offset
        read = output.read(begin, most)
        first, last = _whole_characters(read, is_first=begin == 0, is_last=begin + len(read) >= total)
        data = read[first:last]
        if offset is None:
            data = b"\n".join(data.split(b"\n")[-lines - data.endswith(b"\n") :])
        start = begin + last - len(data)
        return answers.output_text(output.attempt.number, start, data, total)

    def look(self, jobs: Sequence[JobRef]) -> Awaited:
        """Return how jobs that are waited for stand, a line each."""
        _check_jobs(jobs)
        queue = self._queue
        found = [queue.job(reference) for reference in dict.fromkeys(jobs)]
        workers = queue.workers()
        is_open = {job.id: job.state in OPEN_STATES for job in found}
        notes = {
            answers.without_worker(workers, job.queue)
            for job in found
            if is_open[job.id] and job.state is State.PENDING
        }
        now = self._queue.now()
        lines = [answers.LIST_TITLE, *(answers.job_line(job, now) for job in found)]
        return Awaited("".join(sorted(notes)) + "\n".join(lines), sum(is_open.values()))

    # --- acting

    def enqueue(self, job: NewJob, timeout: str | None) -> str:
        """Add a job; one of this name, command and directory that is there already is what was asked for."""
        cwd = job.cwd or ""
        if not os.path.isabs(cwd) or not os.path.isdir(cwd):
            raise UsageError(f"cwd {cwd!r} is not the absolute path of a directory that exists")
        if self._only is not None and job.queue != self._only:
            raise Refused(f"this server adds jobs to queue {self._only} alone, not to {job.queue}")
        timeout_s = None if timeout is None else parse_duration(timeout, "timeout")
        try:
            job_id = self._queue.add(job._replace(timeout_s=timeout_s))
        except NameTaken:
            found = self._queue.job(job.name or "")
            if (found.command, found.cwd) != (job.command, cwd):
                raise
            return f"nothing was added: job {found.id} is this one already, {found.state.value}"
        return f"job {job_id} was added\n{answers.without_worker(self._queue.workers(), job.queue)}".rstrip()

    def cancel(self, jobs: Sequence[JobRef], is_kill: bool) -> str:
        """Cancel jobs; those that run are asked to stop."""
        return self._act(jobs, lambda job: self._queue.cancel(job.id, kill=is_kill), _cancelled)

    def retry(self, jobs: Sequence[JobRef]) -> str:
        """Try jobs again now."""
        done = self._act(jobs, lambda job: self._queue.retry(job.id), lambda job: "will be tried again")
        queues = sorted({self._queue.job(reference).queue for reference in jobs})
        return (
            done + "\n" + "".join(answers.without_worker(self._queue.workers(), queue) for queue in queues)
        ).rstrip()

    def _act(self, jobs: Sequence[JobRef], act: Callable[[Job], object], done: Callable[[Job], str]) -> str:
        """Act on each of the jobs; raise when none of them allowed it, or when one is not to be acted on."""
        _check_jobs(jobs)
        found = [self._queue.job(reference) for reference in dict.fromkeys(jobs)]
        foreign = [job for job in found if self._only is not None and job.queue != self._only]
        if foreign:
            named = ", ".join(str(job.id) for job in foreign)
            raise Refused(f"this server acts on jobs of queue {self._only} alone, not on {named}; nothing was changed")
        lines, failed = [], []
        for job in found:
            try:
                act(job)
                lines.append(f"job {job.id} {done(job)}")
            except QueueError as error:
                failed.append(str(error))
        if not lines:
            raise Refused("; ".join(failed))
        return "\n".join([*lines, *failed])


def _cancelled(job: Job) -> str:
    return "was asked to stop" if job.state is State.RUNNING else "is cancelled"


def _check_jobs(jobs: Sequence[JobRef]) -> None:
    if not 1 <= len(jobs) <= MAX_JOBS:
        raise UsageError(f"jobs are 1 to {MAX_JOBS} numbers or names, not {len(jobs)}")


def _check_range(number: int, what: str, low: int, high: int) -> None:
    if not low <= number <= high:
        raise UsageError(f"{what} is a number from {low} to {high}, not {number}")


def _whole_characters(data: bytes, *, is_first: bool, is_last: bool) -> tuple[int, int]:
    """Return from where to where bytes of UTF-8 hold no part of a character that goes on before or behind them.

    Bytes that are no UTF-8 are kept but for at most three at either end.
    """
    end = len(data)
    start = 0 if is_first else next((at for at in range(min(4, end)) if data[at] & 0xC0 != 0x80), 0)
    if is_last:
        return start, end
    for at in range(end - 1, max(start - 1, end - 4), -1):
        if data[at] >= 0xC0:  # the first byte of a character, which says how many there are
            length = 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4
            return start, end if at + length <= end else at
        if data[at] < 0x80:
            break
    return start, end
