"""What becomes of a command whose worker may have died. Pure."""

from __future__ import annotations

from enum import Enum

from core.model import Presence


class Fate(Enum):
    """What becomes of the command of an open attempt, by ``fate_of``.

    ``WATCHED``: its worker sees to it. ``RUNNING``, ``ENDED``, ``LOST``: another worker adopts it, and watches it,
    records its end, or records that there is none. The others: it may run under a worker that lives, and is left alone
    until the files are back or a user cancels it.
    """

    WATCHED = "watched"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    WORKER_ELSEWHERE = "worker elsewhere"
    WORKER_HIDDEN = "worker hidden"
    RUN_FILE_GONE = "run file gone"

    @property
    def is_in_doubt(self) -> bool:
        """Whether the worker or the command may live: no file says that it is dead."""
        return self in (Fate.WORKER_ELSEWHERE, Fate.WORKER_HIDDEN, Fate.RUN_FILE_GONE)


def fate_of(
    owner: Presence,
    *,
    must_have_file: bool = False,
    is_locked: bool | None = None,
    has_ended: bool = False,
    has_processes: bool = False,
) -> Fate:
    """Return what becomes of the command of an open attempt, from what is seen of its worker and its run file.

    ``must_have_file``: its run file was made, and since the system was started; that it is missing proves nothing then.
    ``is_locked``: the lock of that file is held, ``None`` without a file. ``has_ended``: an exit status is in the file.
    ``has_processes``: its session has living members. What is in the file is only asked for if the worker is dead.
    """
    if owner is Presence.ALIVE:
        return Fate.WATCHED
    if owner is Presence.ELSEWHERE:
        return Fate.WORKER_ELSEWHERE
    if owner is Presence.HIDDEN:
        return Fate.WORKER_HIDDEN
    if has_ended:
        return Fate.ENDED
    if is_locked or has_processes:
        return Fate.RUNNING
    return Fate.RUN_FILE_GONE if is_locked is None and must_have_file else Fate.LOST
