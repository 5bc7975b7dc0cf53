"""The reserve: a file in the spool that is deleted when a full disk leaves no room for a purge."""

from __future__ import annotations

import contextlib
import os

from core.locks import create_private

#: The size of the reserve, in bytes, where there is room; else it is a quarter of what is free.
RESERVE_BYTES = 4 << 20
_SHARE = 4
#: The smallest reserve, in bytes: less would not do for one transaction.
_LEAST_BYTES = 64 << 10


def keep(path: str, *, share: int = _SHARE) -> bool:
    """Create the reserve at ``path``, or enlarge it, as the room allows; return whether it has ``RESERVE_BYTES``.

    It gets at most 1 / ``share`` of the free room.
    """
    size = _size(path)
    if size >= RESERVE_BYTES:
        return True
    try:
        room = os.statvfs(os.path.dirname(path))
        wanted = min(RESERVE_BYTES, (room.f_bavail * room.f_frsize + size) // share // _LEAST_BYTES * _LEAST_BYTES)
        # a little more each time that there is a little more room would be work for nothing
        if wanted >= max(_LEAST_BYTES, min(2 * size, RESERVE_BYTES)):
            _set_aside(path, wanted)
    except OSError:
        return False
    return wanted == RESERVE_BYTES


def release(path: str) -> None:
    """Delete the reserve at ``path``, if there is one."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _set_aside(path: str, size: int) -> None:
    descriptor = create_private(path, os.O_RDWR, is_new=False)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.pwrite(descriptor, bytes(size), 0)
    except OSError:
        os.unlink(path)  # half a reserve would look whole
        raise
    finally:
        os.close(descriptor)
