"""The reserve: a file that takes up room in the spool, to be given back when a full disk leaves none for a purge."""

from __future__ import annotations

import contextlib
import os

from core.locks import create_private

#: How much is set aside, in bytes, where there is room; else a quarter of what is free.
RESERVE_BYTES = 4 << 20
_SHARE = 4
#: With less than this to set aside, in bytes, none is: it would not do for one transaction.
_LEAST_BYTES = 64 << 10


def keep(path: str, *, share: int = _SHARE) -> bool:
    """Set the reserve at ``path`` aside, or make it larger, as the room allows; return whether it is whole.

    It gets up to 1 / ``share`` of the free room.
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
    """Give the reserve at ``path`` back to the disk, if there is one."""
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
