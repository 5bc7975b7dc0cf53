"""The marks of a move on a queue: who writes to it meets an error that says where it has gone."""

from __future__ import annotations

import sqlite3

from core.errors import DatabaseMoved
from core.storage.sqlite.file import Database
from core.storage.transfer_words import refusal


def refusal_of(db: Database) -> DatabaseMoved | None:
    """Return the error that others meet who write to a queue; ``None`` while it is no part of a move."""
    with db.read() as connection:
        marks = marks_in(connection)
    return refusal(*marks[0], db.path) if marks else None


def marks_in(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return ``(role, address)`` of a queue that is part of a move, the role ``from`` or ``to``; empty otherwise."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'moves'").fetchone() is None:
        return []
    return connection.execute("SELECT role, address FROM moves").fetchall()
