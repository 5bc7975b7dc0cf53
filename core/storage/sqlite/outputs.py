"""Outputs that moved into the database, and which ended attempts keep theirs in a file."""

from __future__ import annotations

import sqlite3

from core.storage.sqlite.file import Database


class Outputs:
    """The outputs in one database; see ``core.storage.contract.Outputs``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def stored(self, attempt_id: int) -> tuple[bool, bytes | None]:
        """Return whether an attempt has ended, and its output if that moved into the database."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT ended_at IS NOT NULL, output FROM attempts WHERE id = ?", (attempt_id,)
            ).fetchone()
        return (True, None) if row is None else (bool(row[0]), row[1])

    def kept_in_files(self) -> list[int]:
        """Return the ids of the ended attempts whose output was too long for the database."""
        with self._db.read() as connection:
            return kept_in_files(connection)


def kept_in_files(connection: sqlite3.Connection) -> list[int]:
    """Return the ids of the ended attempts whose output is not in the database."""
    found = connection.execute("SELECT id FROM attempts WHERE ended_at IS NOT NULL AND output IS NULL").fetchall()
    return [row[0] for row in found]
