"""The hooks of a database, and what their jobs are given."""

from __future__ import annotations

from core.errors import HookNotFound
from core.rules.environment import Captured
from core.rules.hook_events import COLUMNS, Hook, NewHook, hook_of
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.environments import environment_id
from core.storage.postgres.hook_jobs import GATHERING

_HOOKS = f"SELECT {COLUMNS}, ({GATHERING.format(hook='hooks.gathering')}) FROM hooks ORDER BY id"


class Hooks:
    """The hooks of one database; see ``core.storage.work_contract.Hooks``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def add(self, hook: NewHook, captured: Captured) -> int:
        """Store a hook; return its id."""
        now = self._db.now_ms()

        def work(connection: Connection) -> int:
            row = connection.execute(
                "INSERT INTO hooks (event, queue, command, window_ms, cwd, environment_id, added_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
                (hook.event.value, *hook[1:], environment_id(connection, captured), now),
            ).fetchone()
            assert row is not None
            return int(row[0])

        return self._db.transact(work)

    def hooks(self) -> list[Hook]:
        """Return the hooks, the oldest first."""
        return [hook_of(row) for row in self._db.query(_HOOKS, (self._db.now_ms(),))]

    def remove(self, hook_id: int) -> None:
        """Remove a hook."""

        def work(connection: Connection) -> None:
            if connection.execute("DELETE FROM hooks WHERE id = %s", (hook_id,)).rowcount != 1:
                raise HookNotFound(hook_id)

        self._db.transact(work)

    def lines(self, job_id: int) -> list[str]:
        """Return what the job of a hook is given, in the order of the attempts."""
        found = self._db.query("SELECT line FROM hook_events WHERE hook_job_id = %s ORDER BY attempt_id", (job_id,))
        return [row[0] for row in found]
