"""The settings that were set, as text by key; what a text means, and what holds without one, is for ``core.rules``."""

from __future__ import annotations

from core.storage.postgres.connection import Connection, Connections


class StoredSettings:
    """The settings of one database; see ``core.storage.contract.StoredSettings``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def stored(self) -> dict[str, str]:
        """Return the settings that were set, as text."""
        return dict(self._db.query("SELECT key, value FROM settings"))

    def set(self, key: str, text: str | None) -> None:
        """Store a setting's text, or with ``None`` forget it."""

        def work(connection: Connection) -> None:
            if text is None:
                connection.execute("DELETE FROM settings WHERE key = %s", (key,))
            else:
                connection.execute(
                    "INSERT INTO settings (key, value) VALUES (%s, %s)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (key, text),
                )

        self._db.transact(work, wakes_workers=True)
