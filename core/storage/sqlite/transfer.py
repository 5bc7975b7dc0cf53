"""A whole queue read from and written to the file, part by part; and the marks of a move, which keep others off.

The marks are a table and triggers, which only a database has that is part of a move: no other pays for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from core.errors import DatabaseMoved, DatabaseReadOnly, Refused
from core.storage.sqlite.file import Database
from core.storage.sqlite.move_marks import marks_in
from core.storage.transfer import DEPENDENCIES, FACTS, JOBS, SEQUENCES, Part, Record, TransferState
from core.storage.transfer_words import refusal

_NAMES = ("acts", "attempts", "jobs", "workers")
_FACTS = (
    "SELECT key, value FROM facts WHERE value <> 0 AND (key IN ('is_paused', 'totals_until') OR key GLOB 'total_*')"
)
_SEQUENCES = (
    "SELECT column1 AS name, COALESCE((SELECT seq FROM sqlite_sequence AS s WHERE s.name = column1), 0) AS last"
    f" FROM (VALUES {', '.join(f'({name!r})' for name in _NAMES)})"
)
# "due_at" of a delayed job is later where its time had gone by when it was added
_EXPRESSIONS = {"due_at": "COALESCE(run_at, due_at) AS due_at"}
_RELATIONS = {FACTS.name: f"({_FACTS})", SEQUENCES.name: f"({_SEQUENCES})"}

_COUNT_BLOCKS = (
    "UPDATE jobs SET blocks = is_held + (SELECT count(*) FROM dependencies WHERE job_id = jobs.id AND is_met = 0)"
    " WHERE id = ?"
)

# What adds jobs, runs them, acts on them, or changes what holds for them.
_SET = ("queues", "resources", "schedules", "settings")
_GUARDED = (
    *((table, "INSERT") for table in ("jobs", "attempts", "workers", "acts", "environments", "hooks", *_SET)),
    *((table, "UPDATE") for table in ("jobs", *_SET)),
    *((table, "DELETE") for table in ("hooks", *_SET)),
)
_MARKS = "CREATE TABLE IF NOT EXISTS moves (role TEXT PRIMARY KEY, address TEXT NOT NULL, at INTEGER NOT NULL) STRICT"
_STATE = (
    "SELECT EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM attempts) OR EXISTS (SELECT 1 FROM acts)"
    " OR EXISTS (SELECT 1 FROM environments), (SELECT count(*) FROM attempts WHERE ended_at IS NULL)"
)


class Transfer:
    """The whole of one database; see ``core.storage.transfer.Transfer``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def state(self) -> TransferState:
        """Return which part in a move this queue has."""
        with self._db.read() as connection:
            marks = dict(marks_in(connection))
            is_used, open_attempts = connection.execute(_STATE).fetchone()
        return TransferState(marks.get("to"), marks.get("from"), bool(is_used), open_attempts)

    def check_rights(self) -> None:
        """Raise ``DatabaseReadOnly`` for a file that cannot be written."""
        if self._db.is_read_only:
            raise DatabaseReadOnly(f"{self._db.path} cannot be written, so it cannot be marked as moved")

    def read(self, part: Part, after: Record | None, until: Record | None, limit: int) -> list[Record]:
        """Return up to ``limit`` rows of a part behind one key, up to another and with it, by key."""
        key = ", ".join(part.columns[: part.key_length])
        marks = ", ".join("?" * part.key_length)
        bounds = [f"({key}) {sign} ({marks})" for sign, bound in ((">", after), ("<=", until)) if bound is not None]
        expressions = _EXPRESSIONS if part.name == JOBS.name else {}
        columns = ", ".join(expressions.get(name, name) for name in part.columns)
        statement = (
            f"SELECT {columns} FROM {_RELATIONS.get(part.name, part.name)}"
            f" WHERE {' AND '.join(bounds) or 'true'} ORDER BY {key} LIMIT ?"
        )
        with self._db.read() as connection:
            found = connection.execute(statement, (*(after or ()), *(until or ()), limit)).fetchall()
        return [tuple(row) for row in found]

    def write(self, part: Part, records: Sequence[Record], gone: Sequence[Record]) -> None:
        """Store these rows in place of those with their keys, and remove those whose keys are ``gone``."""
        with self._db.write() as connection:
            connection.execute("INSERT INTO facts (key, value) VALUES ('is_mover', 1)")
            if part.name == SEQUENCES.name:
                _set_sequences(connection, records)
            else:
                _remove(connection, part, gone)
                if part.name == JOBS.name:
                    # a name may have gone from one job to another since it was copied
                    names = [(record[1], record[0]) for record in records if record[1] is not None]
                    connection.executemany("UPDATE jobs SET name = NULL WHERE name = ? AND id <> ?", names)
                connection.executemany(_upsert(part), records)
                if part.name in (JOBS.name, DEPENDENCIES.name):
                    ids = dict.fromkeys(record[0] for record in (*records, *gone))
                    connection.executemany(_COUNT_BLOCKS, [(job_id,) for job_id in ids])
            connection.execute("DELETE FROM facts WHERE key = 'is_mover'")

    def derive(self, enqueued: int) -> None:
        """Do nothing: counts follow each row, and how many were ever enqueued is their last number."""

    def begin(self, source: str) -> None:
        """Mark this queue as being filled; until ``finish`` it refuses all others."""
        error = refusal("from", source, self._db.path)
        with self._db.write() as connection:
            _mark(connection, "from", source, error, self._db.now_ms())

    def finish(self) -> None:
        """Let others use this queue, which is filled."""
        with self._db.write(wakes_workers=True) as connection:
            for table, event in _GUARDED:
                connection.execute(f"DROP TRIGGER IF EXISTS moved_{table}_{event.lower()}")
            connection.execute("DROP TABLE IF EXISTS moves")

    def hand_over(self, target: str, last_look: Callable[[], None]) -> None:
        """Call ``last_look`` while no other can write, then mark this queue as moved to ``target``."""
        error = refusal("to", target, self._db.path)
        with self._db.write() as connection:
            _refuse_again(connection, self._db.path)
            last_look()
            _mark(connection, "to", target, error, self._db.now_ms())


def _refuse_again(connection: sqlite3.Connection, own: str) -> None:
    """Raise ``Refused`` if another process was faster to move this queue."""
    if marks_in(connection):
        raise Refused(str(refusal(*marks_in(connection)[0], own)))


def _mark(connection: sqlite3.Connection, role: str, address: str, error: DatabaseMoved, now: int) -> None:
    connection.execute(_MARKS)
    connection.execute("INSERT INTO moves (role, address, at) VALUES (?, ?, ?)", (role, address, now))
    literal = "'" + f"{DatabaseMoved.MARK}{error}".replace("'", "''") + "'"
    for table, event in _GUARDED:
        connection.execute(
            f"CREATE TRIGGER moved_{table}_{event.lower()} BEFORE {event} ON {table}"
            " WHEN NOT EXISTS (SELECT 1 FROM facts WHERE key = 'is_mover')"
            f" BEGIN SELECT RAISE(ABORT, {literal}); END"
        )


def _upsert(part: Part) -> str:
    key, rest = part.columns[: part.key_length], part.columns[part.key_length :]
    return (
        f"INSERT INTO {part.name} ({', '.join(part.columns)}) VALUES ({', '.join('?' * len(part.columns))})"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}"
    )


def _remove(connection: sqlite3.Connection, part: Part, gone: Iterable[Record]) -> None:
    if part.name == FACTS.name:  # some are always there
        connection.executemany("UPDATE facts SET value = 0 WHERE key = ?", gone)
        return
    terms = " AND ".join(f"{name} = ?" for name in part.columns[: part.key_length])
    connection.executemany(f"DELETE FROM {part.name} WHERE {terms}", gone)


def _set_sequences(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    for name, last in records:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
