"""Writes that are not about jobs: pause flags and limits of queues, and settings."""

from __future__ import annotations

from core.errors import QueueNotFound
from core.storage.sqlite.file import Database


def set_all_paused(db: Database, is_paused: bool) -> None:
    """Pause or resume everything."""
    with db.write(is_news=True) as connection:
        connection.execute(
            "INSERT INTO facts (key, value) VALUES ('is_paused', :v) ON CONFLICT DO UPDATE SET value = :v",
            {"v": int(is_paused)},
        )


def set_paused(db: Database, name: str, is_paused: bool) -> None:
    """Pause or resume one queue; raise ``QueueNotFound`` on resuming one that has no jobs, pause flag or limit."""
    with db.write(is_news=True) as connection:
        known = connection.execute(
            "SELECT 1 FROM counts WHERE queue = :q AND n > 0 UNION ALL SELECT 1 FROM queues WHERE name = :q",
            {"q": name},
        ).fetchone()
        if known is None and not is_paused:
            raise QueueNotFound(name)
        connection.execute(
            "INSERT INTO queues (name, is_paused) VALUES (:q, :v) ON CONFLICT DO UPDATE SET is_paused = :v",
            {"q": name, "v": int(is_paused)},
        )
        _forget_if_plain(db, name)


def set_limit(db: Database, name: str, limit: int | None) -> None:
    """Limit how many of a queue's jobs run at once, over all workers; ``None`` lifts it."""
    with db.write(is_news=True) as connection:
        connection.execute(
            "INSERT INTO queues (name, running_limit) VALUES (:q, :v) ON CONFLICT DO UPDATE SET running_limit = :v",
            {"q": name, "v": limit},
        )
        _forget_if_plain(db, name)


def _forget_if_plain(db: Database, name: str) -> None:
    db.connection().execute("DELETE FROM queues WHERE name = ? AND is_paused = 0 AND running_limit IS NULL", (name,))


def stored_settings(db: Database) -> dict[str, str]:
    """Return the settings that were set, as text."""
    with db.read() as connection:
        return dict(connection.execute("SELECT key, value FROM settings").fetchall())


def set_setting(db: Database, key: str, text: str | None) -> None:
    """Store a setting's text, or with ``None`` forget it."""
    with db.write(is_news=True) as connection:
        if text is None:
            connection.execute("DELETE FROM settings WHERE key = ?", (key,))
        else:
            connection.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (key, text),
            )
