"""Why a job that somebody looks out for is not running, said when there is something to say."""

from __future__ import annotations

from core.cli.session import Session
from core.errors import JobNotFound
from core.model import Phase, Waiting
from core.queue import Queue
from core.text import clean_line

#: How often the reason is looked at, in seconds: a person reads it, and it costs more than a look at the job.
_LOOK_S = 0.5


def say_why(session: Session, job_id: int, waiting: Waiting | None) -> None:
    """Say why a job is not running."""
    reason = waiting.reason if waiting else "it is about to"
    session.note(f"queuectl: job {job_id} is not running: {clean_line(reason)}")


class Holding:
    """Says what holds a job back, a pause or a limit: once, and again when the reason has become another."""

    def __init__(self, session: Session, queue: Queue) -> None:
        self._session = session
        self._queue = queue
        self._said: str | None = None
        self._next_s = 0.0

    def look(self, job_id: int) -> None:
        """Say why the job is held, if it is; a loop may ask at each of its turns."""
        if self._session.monotonic_s() < self._next_s:
            return
        self._next_s = self._session.monotonic_s() + _LOOK_S
        try:
            waiting = self._queue.waiting(job_id)
        except JobNotFound:  # removed since; whoever waits for it finds out
            return
        if waiting is None or waiting.phase is not Phase.HELD:
            self._said = None
            return
        # the jobs that use up a limit follow one another; that is no other reason
        reason = waiting.reason.partition(" used by ")[0]
        if reason != self._said:
            self._said = reason
            say_why(self._session, job_id, waiting)
