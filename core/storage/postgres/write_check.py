"""Whether a database on a server could be written at the moment, found out without writing to it."""

from __future__ import annotations

import contextlib

import psycopg
from psycopg import errors, pq

from core.errors import DatabaseBusy, DatabaseReadOnly, QueueError
from core.storage.postgres.connection import Connections
from core.storage.postgres.errors import translating_errors
from core.storage.postgres.move_marks import refusal_of

#: For how long a lock that another session holds is waited for before it counts, in seconds.
LOCK_PATIENCE_S = 0.25

# an ending writes to all of these
_TABLES = ("attempts", "counts", "jobs", "ready", "running")
_RIGHTS = (
    "SELECT pg_is_in_recovery(),"
    " (SELECT bool_and(has_table_privilege(to_regclass('queuectl.' || name), 'INSERT'))"
    " FROM unnest(%s::text[]) AS name)"
)


def write_error(db: Connections, patience_s: float) -> QueueError | None:
    """Return the error that a write to the database would meet now; ``None`` if none is to be seen.

    Looks at the connection, rights, a move and locks of whole tables, in this order; a lock counts that is held
    for ``patience_s`` seconds. A database that was asked to be read-only only has to answer.
    """
    try:
        is_replica, has_rights = db.query(_RIGHTS, (list(_TABLES),))[0]
        if db.is_read_only:
            return None
        if is_replica:
            return DatabaseReadOnly(f"{db.address} is a replica; use the address of the primary")
        if not has_rights:
            return DatabaseReadOnly(f"{db.address}: this user may not write; ask for the role queuectl_work")
        moved = refusal_of(db)
        if moved is not None:
            return moved
        _try_locks(db, patience_s)
    except QueueError as error:
        return error
    return None


def _try_locks(db: Connections, patience_s: float) -> None:
    """Raise ``DatabaseBusy`` if another session keeps writers off a table; skipped while this thread reads a moment."""
    connection = db.connection()
    if connection.info.transaction_status != pq.TransactionStatus.IDLE:
        return
    with translating_errors(db.address):
        try:
            connection.execute(f"BEGIN; SET LOCAL lock_timeout = {max(1, round(patience_s * 1000))}")
            connection.execute(f"LOCK TABLE {', '.join(_TABLES)} IN ROW EXCLUSIVE MODE")
        except errors.LockNotAvailable as error:
            raise DatabaseBusy(
                f"another session holds tables of {db.address} locked; nothing is recorded until it lets go"
            ) from error
        finally:
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")
