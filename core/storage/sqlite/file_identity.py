"""Whether a database file may be used at its path: it must have one name, one spool, and a trusted owner.

SQLite's log and the spool lie beside a name. A file with two names has two of each, and every job would run twice.
"""

from __future__ import annotations

import contextlib
import os
import stat

from core.errors import DatabaseError
from core.locks import create_private
from core.spool import Spool


def check_owner(path: str, status: os.stat_result) -> None:
    """Raise ``DatabaseError`` for another user's file in a directory open to all: its jobs would run as this user."""
    if status.st_uid in (0, os.geteuid()):
        return
    if os.stat(os.path.dirname(path)).st_mode & stat.S_IWOTH:
        raise DatabaseError(
            f"{path} belongs to user {status.st_uid}, in a directory that all users may write to; it was not touched:"
            " use a database in a directory of your own"
        )


def check_name(path: str, status: os.stat_result) -> None:
    """Raise ``DatabaseError`` for a path where a file is mounted by itself, or that is its second name (a hard link).

    Of several names the one counts whose spool says so: see ``claim_spool``.
    """
    if _is_mounted_alone(path):
        raise DatabaseError(
            f"{path} is mounted by itself, without its log and its locks, and every job could run twice;"
            " mount its directory instead (docker run -v DIRECTORY:/data)"
        )
    if status.st_nlink > 1 and _written_identity(path) != _identity(path, status):
        raise DatabaseError(
            f"{path} is one of {status.st_nlink} names of one file (hard links), each with a log and locks of its own,"
            f" and every job could run twice; find the others with 'find / -xdev -samefile {path}', use the first, and"
            " remove the rest"
        )


def claim_spool(path: str, status: os.stat_result) -> None:
    """Write into the spool that it belongs to the file at a path, unless it says so or the file has two names."""
    identity = _identity(path, status)
    if status.st_nlink > 1 or _written_identity(path) == identity:
        return
    with contextlib.suppress(OSError):  # a full disk, or a spool of another user's: only hard links need it
        descriptor = create_private(Spool(path + ".spool").identity, os.O_WRONLY, is_new=False)
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, identity)
        finally:
            os.close(descriptor)


def _identity(path: str, status: os.stat_result) -> bytes:
    """Return the inode numbers of file and spool as text; a copy of both, also one made of hard links, has others."""
    try:
        return b"%d %d\n" % (status.st_ino, os.lstat(Spool(path + ".spool").root).st_ino)
    except OSError:
        return b"no spool\n"


def _written_identity(path: str) -> bytes | None:
    try:
        descriptor = os.open(Spool(path + ".spool").identity, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 64)
    finally:
        os.close(descriptor)


def _is_mounted_alone(path: str) -> bool:
    """Return whether the file is on another mount than its directory, where the system says so (Linux).

    A list of all mounts may be long; the two descriptors name theirs. ``O_PATH`` opens nothing that closing could
    unlock.
    """
    if not hasattr(os, "O_PATH"):
        return False
    try:
        return _mount_of(path) != _mount_of(os.path.dirname(path))
    except OSError:
        return False  # no /proc


def _mount_of(path: str) -> bytes:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb", buffering=0) as info:
            return next((line for line in info.read(4096).splitlines() if line.startswith(b"mnt_id:")), b"")
    finally:
        os.close(descriptor)
