"""Whether a database could be written at the moment, found out without writing to it."""

from __future__ import annotations

import contextlib
import os

from core.errors import DatabaseBusy, DatabaseReadOnly, DiskFull, QueueError
from core.storage.sqlite.errors import FULL, is_disk_full
from core.storage.sqlite.file import Database
from core.storage.sqlite.move_marks import refusal_of

#: For how long a lock that another program holds is waited for before it counts, in seconds.
LOCK_PATIENCE_S = 0.25


def write_error(db: Database, patience_s: float) -> QueueError | None:
    """Return the error that a write to the database would meet now; ``None`` if none is to be seen.

    Looks at rights, a move, room and locks, in this order. A lock counts that is held for ``patience_s`` seconds while
    nothing is committed; this waits as long. A database that was asked to be read-only is only asked for room.
    """
    is_only_read = db.is_read_only and not db.lacks_rights
    error = (None if is_only_read else _right(db) or refusal_of(db)) or _room(db)
    if error is not None or is_only_read:
        return error
    if db.lacks_rights:
        return DatabaseReadOnly(f"{db.path} could not be written when it was opened; it can be now: start again")
    version = db.data_version()
    try:
        db.try_locks(patience_s)
    except DatabaseBusy:
        if db.data_version() != version:
            return None  # others write, one after the other
        return DatabaseBusy(f"another program holds {db.path} locked; nothing is recorded until it ends or lets go")
    except QueueError as refused:
        return refused
    return None


def _right(db: Database) -> QueueError | None:
    # SQLite makes its log in the directory
    named = ((db.path, db.path), (os.path.dirname(db.path), f"the directory of {db.path}"), (db.spool.root,) * 2)
    for path, name in named:
        try:
            if os.statvfs(path).f_flag & os.ST_RDONLY:
                return DatabaseReadOnly(f"{name} cannot be written: its file system is read-only; mount it read-write")
        except FileNotFoundError:
            continue  # who reads or writes will say so
        if not os.access(path, os.W_OK):
            return DatabaseReadOnly(f"{name} cannot be written; check its owner and permissions")
    return None


def _room(db: Database) -> QueueError | None:
    with contextlib.suppress(OSError):
        if is_disk_full(db.path):
            return DiskFull(FULL.format(path=db.path).replace("; nothing was changed", ""))
    return None
