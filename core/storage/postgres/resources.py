"""Resources: how much there is of each, what running jobs have of it, and how many ready jobs need it."""

from __future__ import annotations

from core.errors import Refused
from core.model import ResourceInfo
from core.rules.lanes import Demand, resource_infos
from core.rules.needs import units_of
from core.storage.postgres.connection import Connection, Connections

_SET = (
    "INSERT INTO resources (name, capacity, is_per_host) VALUES (%s, %s, %s) ON CONFLICT (name)"
    " DO UPDATE SET capacity = excluded.capacity, is_per_host = excluded.is_per_host"
)
_CAPACITIES = "SELECT name, capacity, is_per_host FROM resources WHERE capacity IS NOT NULL"
_HOLDERS = "SELECT job_id, host_id, units FROM running WHERE units IS NOT NULL ORDER BY job_id"


class Resources:
    """The resources of one database; see ``core.storage.contract.Resources``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def resources(self) -> list[ResourceInfo]:
        """Return the resources that were set, that running jobs have or that ready jobs need, by name."""
        with self._db.read() as connection:
            return resource_infos(demand(connection))

    def set(self, name: str, capacity: int, *, is_per_host: bool) -> None:
        """Say how much there is of a resource: over all hosts, or on each of them."""
        values = (name, capacity, int(is_per_host))
        self._db.transact(lambda connection: connection.execute(_SET, values), wakes_workers=True)

    def unset(self, name: str) -> None:
        """Forget how much there is of a resource, which is 1 then; raise ``Refused`` if it was not set."""

        def work(connection: Connection) -> None:
            changed = connection.execute(
                "UPDATE resources SET capacity = NULL, is_per_host = 0 WHERE name = %s AND capacity IS NOT NULL",
                (name,),
            ).rowcount
            if changed != 1:
                raise Refused(f"the resource {name} is not set; see 'queuectl resource list'")

        self._db.transact(work, wakes_workers=True)


def demand(connection: Connection) -> Demand:
    """Return what is wanted of resources and what is in use, read in a transaction that is open."""
    found = connection.execute(_CAPACITIES).fetchall()
    return Demand(
        resources={name: (capacity, bool(is_per_host)) for name, capacity, is_per_host in found},
        holders=[
            (job_id, host_id, units_of(units)) for job_id, host_id, units in connection.execute(_HOLDERS).fetchall()
        ],
        heads=[],
    )
