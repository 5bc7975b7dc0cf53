"""Resources: how much there is of each, what running jobs have of it, and how many ready jobs need it.

Nothing gives a resource back: what is in use is read from the open attempts, so an end of any kind frees it.
"""

from __future__ import annotations

import sqlite3

from core.errors import Refused
from core.rules.lanes import COUNTED, Demand
from core.rules.needs import needs_of
from core.storage.sqlite import lanes
from core.storage.sqlite.file import Database

_SET = (
    "INSERT INTO resources (name, capacity, is_per_host) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET capacity = excluded.capacity, is_per_host = excluded.is_per_host"
)
# only where it is there: else no job has any needs, and no worker looks at it
_BUMP = "UPDATE facts SET value = value + 1 WHERE key = 'lanes_epoch'"
_COUNTED = f"SELECT needs FROM jobs INDEXED BY jobs_lanes WHERE {lanes.READY} LIMIT {COUNTED}"
# a pause is a room of 0
_ROOMS = (
    "SELECT name, CASE WHEN is_paused OR EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1) THEN 0"
    " ELSE running_limit"
    " - COALESCE((SELECT n FROM counts WHERE queue = name AND state = 'running' AND gate = 0), 0) END"
    " FROM queues WHERE is_paused OR running_limit IS NOT NULL"
)


class Resources:
    """The resources of one database; see ``core.storage.contract.Resources``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def demand(self) -> Demand:
        """Return what is wanted of resources and what is in use, as of one moment."""
        with self._db.read() as connection:
            return demand(connection)

    def set(self, name: str, capacity: int, *, is_per_host: bool) -> None:
        """Say how much there is of a resource; on the one host that uses a file that is the same as over all."""
        with self._db.write(wakes_workers=True) as connection:
            connection.execute(_SET, (name, capacity, int(is_per_host)))
            connection.execute(_BUMP)

    def unset(self, name: str) -> None:
        """Forget how much there is of a resource, which is 1 then; raise ``Refused`` if it was not set."""
        with self._db.write(wakes_workers=True) as connection:
            if connection.execute("DELETE FROM resources WHERE name = ?", (name,)).rowcount != 1:
                raise Refused(f"the resource {name} is not set; see 'queuectl resource list'")
            connection.execute(_BUMP)


def demand(connection: sqlite3.Connection) -> Demand:
    """Return what is wanted of resources and what is in use, read in a transaction that is open."""
    found = connection.execute("SELECT name, capacity, is_per_host FROM resources").fetchall()
    return Demand(
        resources={name: (capacity, bool(is_per_host)) for name, capacity, is_per_host in found},
        holders=[(job_id, 0, units) for job_id, units in lanes.holders(connection)],
        heads=[(lane.head, lane.needs) for lane in lanes.lanes(connection)],
        rooms=dict(connection.execute(_ROOMS).fetchall()),
        counted=[needs_of(text) for (text,) in connection.execute(_COUNTED).fetchall()],
    )
