"""Errors of the server and of the connection to it translated into ``QueueError``s that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

import psycopg
from psycopg import errors

from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseMissing,
    DatabaseMoved,
    DatabaseReadOnly,
    DiskFull,
    Interrupted,
    QueueError,
    UsageError,
)
from core.text import clean_line

#: The state of the error that our own triggers raise while a queue is moved, and once it was.
MOVED_STATE = "QMOVE"
#: What is said of a pooler that lets no one have a session with settings of its own.
POOLER = "{address} is that of a pooler which drops the settings of a session; give the address of the server itself"
#: What ends a transaction that may as well be done again: nothing of it was written.
REPEATABLE = (errors.DeadlockDetected, errors.SerializationFailure)

_MESSAGES: tuple[tuple[type[psycopg.Error], type[QueueError], str], ...] = (
    (errors.QueryCanceled, DatabaseBusy, "the server of {address} ended a statement ({reason}); try again"),
    (errors.LockNotAvailable, DatabaseBusy, "another program holds {address} locked; nothing was changed; try again"),
    (errors.DiskFull, DiskFull, "the disk of the server of {address} is full; nothing was changed; make room there"),
    (errors.ReadOnlySqlTransaction, DatabaseReadOnly, "{address} is open read-only; nothing was changed"),
    (
        errors.InsufficientPrivilege,
        DatabaseReadOnly,
        "{address}: {reason}; let an owner of the database run 'queuectl init', or ask for the role queuectl_work",
    ),
    (errors.UndefinedTable, DatabaseMissing, "no queue in {address}; make one with: queuectl init '{address}'"),
    (errors.InvalidSchemaName, DatabaseMissing, "no queue in {address}; make one with: queuectl init '{address}'"),
    (
        errors.IntegrityError,
        DatabaseCorrupt,
        "{address} holds rows that break its rules ({reason}); run 'queuectl doctor'",
    ),
)

# What a server says that lets no one in at the moment, but will: it starts, recovers, or ends to start again.
_STARTING = "the database system is (starting up|shutting down|in recovery mode|not (yet )?accepting connections)"

# Why a server let no user in: psycopg has no code of that, only the server's words.
_REFUSED_CONNECTIONS: tuple[tuple[str, type[QueueError], str], ...] = (
    (
        "password authentication failed|no password supplied",
        DatabaseError,
        "{address}: the server refused the password; see ~/.pgpass or PGPASSWORD",
    ),
    ('role ".*" does not exist', DatabaseError, "{address}: the server has no such user; make it with 'createuser'"),
    (
        'database ".*" does not exist',
        DatabaseMissing,
        "the server has no such database: {address}; make it with 'createdb', or pass another --db",
    ),
    (
        "no pg_hba.conf entry",
        DatabaseError,
        "{address}: the server lets this user not in from here; its pg_hba.conf says who may",
    ),
    (
        "too many clients|remaining connection slots",
        DatabaseBusy,
        "{address}: the server takes no more connections now; try again",
    ),
    (
        "session is read-only",
        DatabaseReadOnly,
        "{address} can only be read: it is a replica, or default_transaction_read_only is set for this user",
    ),
    ("unsupported startup parameter", DatabaseError, POOLER),
    (_STARTING, DatabaseBusy, "{address}: the server takes no connections yet, it starts or recovers; try again"),
)


class translating_errors(AbstractContextManager[None]):  # noqa: N801  (it reads as a verb)
    """Raise errors of psycopg in a ``with`` block as ``QueueError``s; ``address`` is named in them.

    ``may_give_up`` says whether a statement that was ended may be a read that was given up.
    """

    def __init__(self, address: str, may_give_up: Callable[[], bool] = lambda: False) -> None:
        self._address = address
        self._may_give_up = may_give_up

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, psycopg.Error):
            raise translated(self._address, error, may_give_up=self._may_give_up()) from error


def is_starting_in_words(error: psycopg.Error) -> bool:
    """Return whether a connection failed as the server starts, recovers or ends, by its words if they are English."""
    return re.search(_STARTING, str(error)) is not None


def is_refused_in_words(error: psycopg.Error) -> bool:
    """Return whether a connection failed for a reason with an error of its own, by its words if they are English."""
    return any(re.search(pattern, str(error)) for pattern, _, _ in _REFUSED_CONNECTIONS)


def translated(address: str, error: psycopg.Error, *, may_give_up: bool = False) -> QueueError:
    """Return the error to raise for one of psycopg's; ``may_give_up`` for one of a read that can be given up."""
    if may_give_up and isinstance(error, errors.QueryCanceled):
        return Interrupted(f"reading {address} was given up")
    reason = clean_line(str(error.diag.message_primary or error).strip().splitlines()[0] if str(error) else repr(error))
    if error.sqlstate == MOVED_STATE:
        return DatabaseMoved(reason.removeprefix(DatabaseMoved.MARK))
    for kind, ours, message in _MESSAGES:
        if isinstance(error, kind):
            return ours(message.format(address=address, reason=reason))
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return UsageError(f"{address} is no URL that PostgreSQL's library reads; it has percent-encoded words")
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        for pattern, ours, message in _REFUSED_CONNECTIONS:
            if re.search(pattern, str(error)):
                return ours(message.format(address=address))
        return DatabaseError(f"no answer from the server of {address} ({reason}); is it up, is the address right?")
    return DatabaseError(f"{address}: {reason}")
