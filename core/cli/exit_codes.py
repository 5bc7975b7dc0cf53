"""The exit codes of ``queuectl`` itself, one for each kind of error. Those of jobs are worded in ``core.wording``."""

from __future__ import annotations

from core.errors import JobNotFound, QueueError, Refused, UsageError
from core.interrupt import INTERRUPTED

__all__ = [
    "DONE",
    "INTERRUPTED",
    "MEANINGS",
    "NOT_COMPLETED",
    "NO_SUCH_JOB",
    "REFUSED",
    "TIMED_OUT",
    "WRONG_USAGE",
    "Refused",
    "exit_code_of",
]

DONE = 0
REFUSED = 1
WRONG_USAGE = 2
NOT_COMPLETED = 3
NO_SUCH_JOB = 4
TIMED_OUT = 124

MEANINGS = {
    DONE: "done",
    REFUSED: "refused, failed or nothing there to act on (a list may be empty: 0)",
    WRONG_USAGE: "wrong usage",
    NOT_COMPLETED: "an awaited job did not complete",
    NO_SUCH_JOB: "no such job",
    TIMED_OUT: "wait timed out",
    INTERRUPTED: "interrupted",
}

#: The first class that fits decides; every other error of the queue is ``REFUSED``.
_CODES: tuple[tuple[type[QueueError], int], ...] = ((UsageError, WRONG_USAGE), (JobNotFound, NO_SUCH_JOB))


def exit_code_of(error: QueueError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), REFUSED)
