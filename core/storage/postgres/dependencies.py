"""Reads about what waits for what: the jobs around one, what keeps jobs back, how many wait for them."""

from __future__ import annotations

from collections.abc import Iterable

from core.blocker import Blocker
from core.model import Dependency, JobRef, Tree
from core.rules.dependencies import TREE_EDGES
from core.storage.postgres.blockers import blockers_in, jobs_by_id
from core.storage.postgres.connection import Connections
from core.storage.postgres.queries import find
from core.storage.rows import dependency_of

# Each job's edges by their index, whatever the planner thinks of how many jobs there are.
_EDGES_OF = "(SELECT * FROM dependencies WHERE job_id = {job} ORDER BY on_id LIMIT %(limit)s)"
_EDGES_TO = "(SELECT * FROM dependencies WHERE on_id = {job} ORDER BY is_met, kind, job_id LIMIT %(limit)s)"
_EDGES = (
    "SELECT edge.job_id, edge.on_id, edge.kind, edge.is_met FROM unnest(%(ids)s::bigint[]) AS wanted (id)"
    " CROSS JOIN LATERAL {edges} AS edge"
)
_OF_JOBS = _EDGES.format(edges=_EDGES_OF.format(job="wanted.id")) + " ORDER BY edge.job_id, edge.on_id LIMIT %(limit)s"
_TO_JOBS = _EDGES.format(edges=_EDGES_TO.format(job="wanted.id")) + " LIMIT %(limit)s"
_WAITING = (
    "SELECT wanted.id, edge.n FROM unnest(%s::bigint[]) AS wanted (id) CROSS JOIN LATERAL"
    " (SELECT count(*) AS n FROM dependencies WHERE on_id = wanted.id AND is_met = 0) AS edge WHERE edge.n > 0"
)
# UNION hands out what it found in the order of finding, so the nearest come first, and no more than are asked for
_AROUND = (
    "WITH RECURSIVE around (id) AS (SELECT %(id)s::bigint UNION"
    " SELECT edge.{far} FROM around CROSS JOIN LATERAL {edges} AS edge)"
    " SELECT near.id FROM (SELECT id FROM around LIMIT %(limit)s + 1) AS near WHERE near.id <> %(id)s"
)
_ABOVE = _AROUND.format(far="on_id", edges=_EDGES_OF.format(job="around.id").replace("%(limit)s", "%(limit)s + 1"))
_BELOW = _AROUND.format(far="job_id", edges=_EDGES_TO.format(job="around.id").replace("%(limit)s", "%(limit)s + 1"))


class Dependencies:
    """The edges of one database; see ``core.storage.work_contract.Dependencies``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def tree(self, reference: JobRef, limit: int) -> Tree:
        """Return a job with up to ``limit`` jobs that it needs, and as many that wait for it, the nearest first."""
        with self._db.read() as connection:
            root = find(connection, reference)
            ids = [root]
            for statement in (_ABOVE, _BELOW):
                found = connection.execute(statement, {"id": root, "limit": limit}).fetchall()
                ids += [row[0] for row in found]
            jobs = jobs_by_id(connection, ids)
            listed = {"ids": ids, "limit": TREE_EDGES}
            edges = {
                (edge.job_id, edge.on_id): edge
                for statement in (_OF_JOBS, _TO_JOBS)
                for edge in map(dependency_of, connection.execute(statement, listed).fetchall())
            }
        return Tree(root, jobs, tuple(edges[key] for key in sorted(edges)))

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return what these jobs wait or waited for, by job and needed job."""
        found = self._db.query(_OF_JOBS, {"ids": list(ids), "limit": None})
        return [dependency_of(row) for row in found]

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return how many jobs wait for each of these; those that none waits for are left out."""
        return dict(self._db.query(_WAITING, (list(ids),)))

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return what keeps these jobs back, of those that are pending and have an unmet edge."""
        with self._db.read() as connection:
            return blockers_in(connection, list(ids))
