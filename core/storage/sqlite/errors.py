"""Errors of SQLite and of the system translated into ``QueueError``s that say what to do."""

from __future__ import annotations

import errno
import os
import re
import sqlite3

from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseMoved,
    DatabaseReadOnly,
    DiskFull,
    Interrupted,
    NotOurDatabase,
    QueueError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

#: The message about a full disk; ``path`` is the database.
FULL = (
    "the disk of {path} is full; nothing was changed; make room, also with 'queuectl purge --all' and then"
    " 'queuectl prune --trash'"
)
#: With less than this left, in bytes, SQLite failed for want of room: it grows its files in such pieces.
_LEAST_ROOM = 64 * 1024

_MESSAGES: tuple[tuple[str, type[QueueError], str], ...] = (
    ("disk is full", DiskFull, FULL),
    ("database is locked", DatabaseBusy, "another program holds {path} locked; nothing was changed; try again"),
    ("readonly", DatabaseReadOnly, "{path} cannot be written; check its owner and permissions"),
    ("not a database", NotOurDatabase, "{path} is not an SQLite database; it was not touched"),
    ("malformed", DatabaseCorrupt, "{path} is damaged ({error}); run 'queuectl doctor', restore a backup"),
    ("corrupt", DatabaseCorrupt, "{path} is damaged ({error}); run 'queuectl doctor', restore a backup"),
    ("unable to open", DatabaseError, "{path} cannot be opened; check that it exists and who may read it"),
    ("disk i/o error", DatabaseError, "reading or writing {path} failed ({error}); nothing was acknowledged"),
)


# What SQLite says of a statement that does not fit the tables: nothing that passes, so nothing to try again.
_MISFIT = re.compile(r"no such (table|column|index|trigger)|has no column named|no query solution")


class translating_errors:  # noqa: N801  (it reads as a verb: with translating_errors(path))
    """Raise errors of SQLite and of the system as ``QueueError``s, but for a job's name that exists already."""

    # no generator: a worker enters this at every step, and a class costs half
    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
            ours = _of_sqlite(self._path, error)
            if ours is not None:
                raise ours from error
        elif isinstance(error, OSError):
            raise _of_system(self._path, error) from error


def _of_sqlite(path: str, error: sqlite3.Error | UnicodeDecodeError) -> QueueError | None:
    text = str(error).lower()
    if isinstance(error, sqlite3.IntegrityError):
        if "jobs.name" in text:
            return None  # the one rule that a sound database may break
        if str(error).startswith(DatabaseMoved.MARK):
            return DatabaseMoved(str(error).removeprefix(DatabaseMoved.MARK))
        what = f"holds rows that break its rules ({error}); nothing was changed; run 'queuectl doctor'"
        return DatabaseCorrupt(f"{path} {what}")
    if isinstance(error, UnicodeDecodeError):
        # SQLite quotes the schema in its messages, and what it quotes is damaged
        return DatabaseCorrupt(f"{path} is damaged ({error}); run 'queuectl doctor', restore a backup")
    if text == "interrupted":
        return Interrupted(f"reading {path} was given up")
    for fragment, kind, message in _MESSAGES:
        if fragment in text:
            cause = _cause(path) if kind is DatabaseError else None
            return cause or kind(message.format(path=path, error=error))
    if _MISFIT.search(text):
        return DatabaseCorrupt(f"{path} does not have the tables it should ({error}); run 'queuectl doctor'")
    return DatabaseError(f"{path}: {error}")


def _cause(path: str) -> QueueError | None:
    """Return the error for what keeps SQLite from a file (descriptors, rights, room, a limit), ``None`` if unknown.

    SQLite itself says only that it could not open, read or write.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        if os.path.exists(path) and not os.access(path, os.R_OK):
            return _of_system(path, PermissionError(errno.EACCES, "", path))
        is_full = is_disk_full(path)
    except OSError as error:
        return _of_system(path, error)
    return DiskFull(FULL.format(path=path)) if is_full else _too_long(path)


def is_disk_full(path: str) -> bool:
    """Return whether the disk of a file has no room for this user's next piece of a log, or for another file.

    Raises ``OSError`` when the system does not say it.
    """
    room = os.statvfs(os.path.dirname(path))
    # some of it is for root alone
    blocks, files = (room.f_bfree, room.f_ffree) if os.geteuid() == 0 else (room.f_bavail, room.f_favail)
    return blocks * room.f_frsize < _LEAST_ROOM or bool(room.f_files and not files)


def _too_long(path: str) -> DatabaseError | None:
    """Return the error for a limit of this process on file sizes that database or log reached, else ``None``."""
    import resource  # only here: most programs never need it

    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most == resource.RLIM_INFINITY:
        return None
    sizes = [os.stat(name).st_size for name in (path, f"{path}-wal") if os.path.exists(name)]
    if most - max(sizes, default=0) >= _LEAST_ROOM:
        return None
    return DatabaseError(
        f"{path} or its log may not grow: this process may write no file of more than {most} bytes; nothing was"
        " acknowledged; raise the limit (ulimit -f)"
    )


def _of_system(path: str, error: OSError) -> QueueError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(FULL.format(path=path))
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return DatabaseError(
            f"{path} cannot be opened: this process or the system has too many files open; nothing was changed;"
            " close some or raise the limit (ulimit -n)"
        )
    if isinstance(error, PermissionError):
        return DatabaseReadOnly(f"{error.filename or path}: permission denied; check owner and permissions")
    return DatabaseError(f"{error.filename or path}: {error.strerror or error}")
