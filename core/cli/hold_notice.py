"""Why a job that somebody looks out for is not running, said when there is something to say."""

from __future__ import annotations

import re

from core.cli.context import Session
from core.errors import JobNotFound
from core.model import Phase, Waiting
from core.queue import Queue
from core.text import clean_line

#: How often the reason is looked at, in seconds: a person reads it, and it costs more than a look at the job.
_LOOK_S = 0.5


class HoldNotice:
    """Says what holds a job back, a pause, a limit or the lack of a worker: once, and again for another reason."""

    def __init__(self, session: Session, queue: Queue) -> None:
        self._session = session
        self._queue = queue
        self._said: str | None = None
        self._next_s = 0.0

    def say_first(self, job_id: int) -> None:
        """Say why a pending job is not running, also if it only waits for its turn or its time."""
        waiting = self._queue.waiting(job_id)
        if waiting is not None:
            self._say(job_id, waiting)

    def look(self, job_id: int) -> None:
        """Say why the job is held, if it is; a loop may ask at each of its turns."""
        if self._session.monotonic_s() < self._next_s:
            return
        self._next_s = self._session.monotonic_s() + _LOOK_S
        try:
            waiting = self._queue.waiting(job_id)
        except JobNotFound:  # removed since; whoever waits for it finds out
            return
        if waiting is None or not (waiting.is_stuck or waiting.phase is Phase.HELD):
            self._said = None
        elif _lasting(waiting) != self._said:
            self._say(job_id, waiting)

    def _say(self, job_id: int, waiting: Waiting) -> None:
        self._said = _lasting(waiting)
        self._session.note(f"queuectl: job {job_id} is not running: {clean_line(waiting.reason)}")


def _lasting(waiting: Waiting) -> str:
    """Return a reason without the jobs that use up a limit: they follow one another, and it is still that reason."""
    return re.sub(": jobs? [^;]*", "", waiting.reason)
