"""Whether a draining worker has jobs left to wait for: those it may run, or may have to run again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from core.rules.needs import is_out_of_reach
from core.storage.sqlite.capacities import capacities
from core.storage.sqlite.file import Database
from core.storage.sqlite.lanes import lanes

# a pause, and a limit of 0, hold until a user lifts them
_OPEN = (
    "NOT EXISTS (SELECT 1 FROM queues WHERE name = {queue} AND (is_paused = 1 OR running_limit = 0))"
    " AND (:is_any OR {queue} IN (SELECT value FROM json_each(:queues)))"
)
_IS_ALL_PAUSED = "SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1"
# what is to settle may make blocked jobs ready
_SETTLING = "SELECT 1 FROM settling LIMIT 1"
# a job that runs elsewhere may fail, and is this worker's to run again then
_RUNNING = f"SELECT 1 FROM counts WHERE n > 0 AND state = 'running' AND {_OPEN.format(queue='counts.queue')} LIMIT 1"
_READY = (
    f"SELECT queue FROM counts WHERE n > 0 AND state = 'pending' AND gate = 0 AND {_OPEN.format(queue='counts.queue')}"
)
_READY_WITHOUT_NEEDS = (
    f"SELECT 1 FROM ({_READY}) AS open_one CROSS JOIN jobs INDEXED BY jobs_claim ON jobs.queue = open_one.queue"
    " WHERE state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NULL LIMIT 1"
)
# a time that a user gave has no back-off; nor has one from before the database kept it, which the last outcome shows
_IS_BACKING_OFF = (
    f"run_at IS NOT NULL AND blocks = 0 AND {_OPEN.format(queue='jobs.queue')}"
    " AND (backoff_ms IS NOT NULL OR (attempts > 0"
    " AND outcome IN ('failed', 'signalled', 'timed_out', 'spawn_error')"
    " AND NOT EXISTS (SELECT 1 FROM history JOIN acts ON acts.id = act_id WHERE job_id = jobs.id AND verb = 'edit'"
    " AND undone_at IS NULL AND at >= finished_at AND json_extract(before, '$.run_at') IS NOT jobs.run_at)))"
)
_BACKING_OFF = f"SELECT id FROM jobs INDEXED BY jobs_delayed WHERE {_IS_BACKING_OFF} ORDER BY run_at, id LIMIT 1"
_STILL_BACKING_OFF = f"SELECT id FROM jobs WHERE id = :id AND {_IS_BACKING_OFF}"


class Drain:
    """Whether the jobs of some queues (none: of all) have come to their ends, as far as no user holds them back.

    Jobs that were scheduled for later, those of a queue that is paused or has a limit of 0, and those that need more
    than there is of a resource are not waited for.
    """

    def __init__(self, db: Database, queues: Sequence[str]) -> None:
        self._db = db
        self._parameters: dict[str, object] = {"is_any": not queues, "queues": json.dumps(list(queues)), "id": 0}

    def is_over(self) -> bool:
        """Return whether nothing is due, runs or waits for its next attempt."""
        with self._db.read() as connection:
            if connection.execute(_IS_ALL_PAUSED).fetchone() is not None:
                return True
            if connection.execute(_SETTLING).fetchone() is not None:
                return False
            if self._is_any(connection, _RUNNING) or self._is_any_ready(connection):
                return False
            return not self._is_any_backing_off(connection)

    def _is_any_ready(self, connection: sqlite3.Connection) -> bool:
        """Return whether a job is due whose needs are within reach: other capacities are a user's to set."""
        if self._is_any(connection, _READY_WITHOUT_NEEDS):
            return True
        queues = {row[0] for row in connection.execute(_READY, self._parameters).fetchall()}
        if not queues:
            return False
        there = capacities(connection)
        return any(lane.queue in queues and not is_out_of_reach(lane.needs, there) for lane in lanes(connection))

    def _is_any_backing_off(self, connection: sqlite3.Connection) -> bool:
        """Look at the job that was found last before all others: thousands may be scheduled for later beside it."""
        if self._parameters["id"] and self._is_any(connection, _STILL_BACKING_OFF):
            return True
        row = connection.execute(_BACKING_OFF, self._parameters).fetchone()
        self._parameters["id"] = row[0] if row else 0
        return row is not None

    def _is_any(self, connection: sqlite3.Connection, sql: str) -> bool:
        return connection.execute(sql, self._parameters).fetchone() is not None
