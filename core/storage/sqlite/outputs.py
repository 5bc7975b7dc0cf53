"""Outputs that moved into the database, and which ended attempts keep theirs in a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from core.model import SearchedOutput
from core.storage.sqlite.file import Database


class Outputs:
    """The outputs in one database; see ``core.storage.contract.Outputs``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def shared(self) -> None:
        """``None``: all who read are on the host with the files."""

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

    def search(self, pattern: str, *, after: int, before: int, limit: int) -> list[SearchedOutput]:
        """Return what of the newest outputs between two ids matches; see ``core.storage.contract.Outputs``."""
        return self._searched(
            f"SELECT {_SEARCHED} FROM attempts WHERE id > :after AND id < :before ORDER BY id DESC LIMIT :limit",
            {"pattern": pattern, "after": after, "before": before, "limit": limit},
        )

    def search_again(self, pattern: str, attempt_ids: Sequence[int]) -> list[SearchedOutput]:
        """Return what of these attempts' outputs matches."""
        return self._searched(
            f"SELECT {_SEARCHED} FROM attempts WHERE id IN (SELECT value FROM json_each(:ids))",
            {"pattern": pattern, "ids": json.dumps(list(attempt_ids))},
        )

    def _searched(self, sql: str, parameters: dict[str, object]) -> list[SearchedOutput]:
        with self._db.read() as connection:
            found = connection.execute(sql, parameters).fetchall()
        return [SearchedOutput(row[0], row[1], bool(row[2]), bool(row[3])) for row in found]


_SEARCHED = "id, job_id, ended_at IS NULL, printed(:pattern, id, output)"


def kept_in_files(connection: sqlite3.Connection) -> list[int]:
    """Return the ids of the ended attempts whose output is not in the database."""
    found = connection.execute("SELECT id FROM attempts WHERE ended_at IS NOT NULL AND output IS NULL").fetchall()
    return [row[0] for row in found]
