"""The settings that were set, as text by key; what a text means, and what holds without one, is for ``core.rules``."""

from __future__ import annotations

from core.storage.sqlite.file import Database


class StoredSettings:
    """The settings of one database; see ``core.storage.contract.StoredSettings``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def stored(self) -> dict[str, str]:
        """Return the settings that were set, as text."""
        with self._db.read() as connection:
            return dict(connection.execute("SELECT key, value FROM settings").fetchall())

    def set(self, key: str, text: str | None) -> None:
        """Store a setting's text, or with ``None`` forget it."""
        with self._db.write(wakes_workers=True) as connection:
            if text is None:
                connection.execute("DELETE FROM settings WHERE key = ?", (key,))
            else:
                connection.execute(
                    "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                    (key, text),
                )
