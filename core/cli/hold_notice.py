"""Print on stderr, at most twice a second, why an awaited job is held; repeat only when the reason changes."""

from __future__ import annotations

import re

from core.cli.context import Session
from core.errors import JobNotFound
from core.model import Phase, Waiting
from core.queue import Queue
from core.text import clean_line

#: The shortest time between two looks at the reason, in seconds: it costs more than reading the job.
_LOOK_S = 0.5


class HoldNotice:
    """The notes about one awaited job after another: a pause, a limit, a job that it needs, the lack of a worker.

    Each reason is noted once.
    """

    def __init__(self, session: Session, queue: Queue) -> None:
        self._session = session
        self._queue = queue
        self._noted: str | None = None
        self._next_s = 0.0

    def say_first(self, job_id: int) -> None:
        """Note why a pending job is not running, also if it only waits for its turn or its time."""
        waiting = self._queue.waiting(job_id)
        if waiting is not None:
            self._note(job_id, waiting)

    def look(self, job_id: int) -> None:
        """Note why the job is held, if it is; cheap enough for every turn of a polling loop."""
        if self._session.monotonic_s() < self._next_s:
            return
        self._next_s = self._session.monotonic_s() + _LOOK_S
        try:
            waiting = self._queue.waiting(job_id)
        except JobNotFound:  # removed since; the caller meets the same error
            return
        if waiting is None or not (waiting.is_stuck or waiting.phase in (Phase.HELD, Phase.BLOCKED)):
            self._noted = None
        elif _lasting(waiting) != self._noted:
            self._note(job_id, waiting)

    def _note(self, job_id: int, waiting: Waiting) -> None:
        self._noted = _lasting(waiting)
        self._session.note(f"queuectl: job {job_id} is not running: {clean_line(waiting.reason)}")


def _lasting(waiting: Waiting) -> str:
    """Return a reason without the jobs that use up a limit: these change while the reason stays the same."""
    return re.sub(": jobs? [^;]*", "", waiting.reason)
