"""Resources: how much there is of each, what running jobs have of it, and how many ready jobs need it.

Nothing gives a resource back: what is in use is read from the open attempts, so an end of any kind frees it.
"""

from __future__ import annotations

from typing import Any

from core.errors import Refused
from core.rules.lanes import COUNTED, Candidate, Demand
from core.rules.needs import needs_of, units_of
from core.storage.postgres.capacities import bump_lanes
from core.storage.postgres.connection import Connection, Connections

_SET = (
    "INSERT INTO resources (name, capacity, is_per_host) VALUES (%s, %s, %s) ON CONFLICT (name)"
    " DO UPDATE SET capacity = excluded.capacity, is_per_host = excluded.is_per_host"
)
_CAPACITIES = "SELECT name, capacity, is_per_host FROM resources WHERE capacity IS NOT NULL"
# lives of one host are one host
_HOLDERS = (
    "SELECT r.job_id, COALESCE((SELECT min(o.id) FROM hosts AS o WHERE o.token = h.token), 0), r.units"
    " FROM running AS r LEFT JOIN hosts AS h ON h.id = r.host_id WHERE r.units IS NOT NULL ORDER BY r.job_id"
)
_HOSTS = (
    "SELECT DISTINCT (SELECT min(o.id) FROM hosts AS o WHERE o.token = h.token) FROM hosts AS h"
    " WHERE h.state = 'live' AND EXISTS (SELECT FROM workers AS w WHERE w.host_id = h.id)"
)
_LANE_HEADS = (
    "SELECT -t.priority, t.job_id, l.queue, l.needs FROM ready_lanes() AS l CROSS JOIN LATERAL ("
    "SELECT r.priority, r.job_id FROM ready AS r WHERE r.queue = l.queue AND r.needs = l.needs"
    " ORDER BY r.priority DESC, r.job_id LIMIT 1) AS t"
)
_COUNTED = f"SELECT needs FROM ready WHERE needs IS NOT NULL LIMIT {COUNTED}"
# a pause is a room of 0
_ROOMS = (
    "SELECT name, CASE WHEN is_paused = 1 OR EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1) THEN 0"
    " ELSE running_limit - (SELECT count(*) FROM running AS r WHERE r.queue = name) END"
    " FROM queues WHERE is_paused = 1 OR running_limit IS NOT NULL"
)


class Resources:
    """The resources of one database; see ``core.storage.contract.Resources``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def demand(self) -> Demand:
        """Return what is wanted of resources and what is in use, as of one moment."""
        with self._db.read() as connection:
            return demand(connection)

    def set(self, name: str, capacity: int, *, is_per_host: bool) -> None:
        """Say how much there is of a resource: over all hosts, or on each of them."""
        values = (name, capacity, int(is_per_host))

        def work(connection: Connection) -> None:
            connection.execute(_SET, values)
            bump_lanes(connection)

        self._db.transact(work, wakes_workers=True)

    def unset(self, name: str) -> None:
        """Forget how much there is of a resource, which is 1 then; raise ``Refused`` if it was not set."""

        def work(connection: Connection) -> None:
            changed = connection.execute(
                "UPDATE resources SET capacity = NULL, is_per_host = 0 WHERE name = %s AND capacity IS NOT NULL",
                (name,),
            ).rowcount
            if changed != 1:
                raise Refused(f"the resource {name} is not set; see 'queuectl resource list'")
            bump_lanes(connection)

        self._db.transact(work, wakes_workers=True)


def demand(connection: Connection) -> Demand:
    """Return what is wanted of resources and what is in use, read in a transaction that is open."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        return connection.execute(statement).fetchall()

    return Demand(
        resources={name: (capacity, bool(is_per_host)) for name, capacity, is_per_host in rows(_CAPACITIES)},
        holders=[(job_id, host_id, units_of(units)) for job_id, host_id, units in rows(_HOLDERS)],
        heads=[
            (Candidate(rank, job_id, queue, text), needs_of(text)) for rank, job_id, queue, text in rows(_LANE_HEADS)
        ],
        rooms=dict(rows(_ROOMS)),
        counted=[needs_of(text) for (text,) in rows(_COUNTED)],
        hosts=[host_id for (host_id,) in rows(_HOSTS)],
    )
