"""The hooks of a database, and what their jobs are given."""

from __future__ import annotations

from core.errors import HookNotFound
from core.rules.environment import Captured
from core.rules.hook_events import COLUMNS, Hook, NewHook, hook_of
from core.storage.sqlite.environments import environment_id
from core.storage.sqlite.file import Database
from core.storage.sqlite.hook_jobs import GATHERING

_HOOKS = f"SELECT {COLUMNS}, ({GATHERING.format(hook='hooks.')}) FROM hooks ORDER BY id"


class Hooks:
    """The hooks of one database; see ``core.storage.work_contract.Hooks``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, hook: NewHook, captured: Captured) -> int:
        """Store a hook; return its id."""
        with self._db.write() as connection:
            cursor = connection.execute(
                "INSERT INTO hooks (event, queue, command, window_ms, cwd, environment_id, added_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (hook.event.value, *hook[1:], environment_id(connection, captured), self._db.now_ms()),
            )
            return int(cursor.lastrowid or 0)

    def hooks(self) -> list[Hook]:
        """Return the hooks, the oldest first."""
        with self._db.read() as connection:
            return [hook_of(row) for row in connection.execute(_HOOKS, {"now": self._db.now_ms()}).fetchall()]

    def remove(self, hook_id: int) -> None:
        """Remove a hook."""
        with self._db.write() as connection:
            if connection.execute("DELETE FROM hooks WHERE id = ?", (hook_id,)).rowcount != 1:
                raise HookNotFound(hook_id)

    def lines(self, job_id: int) -> list[str]:
        """Return what the job of a hook is given, in the order of the attempts."""
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT line FROM hook_events WHERE hook_job_id = ? ORDER BY attempt_id", (job_id,)
            ).fetchall()
        return [row[0] for row in found]
