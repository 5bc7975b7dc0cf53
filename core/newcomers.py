"""Which processes have come into the world since a moment (Linux): whether a command left any behind.

The kernel gives out process numbers one after another and tells the newest (the last word of ``/proc/loadavg``). So all
that a command started, however deep, has a number between the newest one before it and the newest one after it, and a
look at those few is exact: a process that starts another and ends before it is looked at has a child with a number
further on, which is looked at later.
"""

from __future__ import annotations

import functools
import os

#: With more numbers given out than this (a long command, a busy machine) nothing is looked at: a new shell costs less.
_MOST = 200


def newest() -> int:
    """Return the newest process number, 0 where the system does not tell."""
    if not _tells(os.getpid()):
        return 0
    try:
        descriptor = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(descriptor, 128).rsplit(b" ", 1)[1])
    except (OSError, ValueError, IndexError):
        return 0
    finally:
        os.close(descriptor)


@functools.lru_cache(maxsize=1)
def _tells(pid: int) -> bool:
    """Tell whether ``/proc`` is the kernel's own, and speaks of the numbers that this process, ``pid``, sees."""
    try:
        return os.readlink("/proc/self") == str(pid) and os.stat("/proc/loadavg").st_dev == os.stat("/proc/self").st_dev
    except OSError:
        return False


def has_left_any(since: int, *, leader: int, run_path: str, descriptor: int, has_forked: bool) -> bool:
    """Tell whether a command may have left a process behind, or whether that cannot be told.

    Its processes came after the number ``since``; they are those in the group of ``leader``, but for the leader, and
    those that hold the file at ``run_path`` as their ``descriptor``. ``has_forked`` says that there was one at least.
    """
    seen, last = since, newest()
    if since <= 0 or last < since + has_forked:
        return True  # a system that does not tell, or the numbers began again
    try:
        run = os.stat(run_path)
        while seen < last <= since + _MOST:
            if any(_is_left(pid, leader, run, descriptor) for pid in range(seen + 1, last + 1)):
                return True
            seen, last = last, newest()
    except OSError:
        return True  # a process is somebody else's, who may be one that we started
    return last != seen


def _is_left(pid: int, leader: int, run: os.stat_result, descriptor: int) -> bool:
    try:
        if pid == leader or os.getpgid(pid) == leader:
            return pid != leader
        return os.path.samestat(run, os.stat(f"/proc/{pid}/fd/{descriptor}"))
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return _is_hidden(pid)


def _is_hidden(pid: int) -> bool:
    """Tell whether a process is alive and not to be seen (``/proc`` may be told to hide those of others)."""
    try:
        return not os.path.exists(f"/proc/{pid}") and os.getpgid(pid) >= 0
    except ProcessLookupError:
        return False
