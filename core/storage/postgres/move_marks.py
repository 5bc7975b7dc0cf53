"""The marks of a move on a queue: who writes to it meets an error that says where it has gone."""

from __future__ import annotations

from core.errors import DatabaseMoved
from core.storage.postgres.connection import Connection, Connections
from core.storage.transfer_words import refusal


def refusal_of(db: Connections) -> DatabaseMoved | None:
    """Return the error that others meet who write to a queue; ``None`` while it is no part of a move."""
    with db.read() as connection:
        marks = marks_in(connection)
    return refusal(*marks[0], db.address) if marks else None


def marks_in(connection: Connection) -> list[tuple[str, str]]:
    """Return ``(role, address)`` of a queue that is part of a move, the role ``from`` or ``to``; empty otherwise."""
    if connection.execute("SELECT to_regclass('queuectl.moves') IS NULL").fetchone() == (True,):
        return []
    return connection.execute("SELECT role, address FROM moves").fetchall()
