"""Reads about what waits for what: the jobs around one, what keeps jobs back, how many wait for them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from core.blocker import Blocker
from core.model import Dependency, JobRef, Tree
from core.rules.dependencies import TREE_EDGES
from core.storage.rows import dependency_of, job_of
from core.storage.sqlite.blockers import JOBS_BY_ID, blockers_in
from core.storage.sqlite.file import Database
from core.storage.sqlite.queries import find

_IN = "(SELECT value FROM json_each(:ids))"
_EDGES = (
    f"SELECT job_id, on_id, kind, is_met FROM dependencies WHERE job_id IN {_IN} ORDER BY job_id, on_id LIMIT :limit"
)
_EDGES_TO = f"SELECT job_id, on_id, kind, is_met FROM dependencies WHERE on_id IN {_IN} LIMIT :limit"
_WAITING = f"SELECT on_id, count(*) FROM dependencies WHERE on_id IN {_IN} AND is_met = 0 GROUP BY on_id"
# UNION hands out what it found in the order of finding, so the nearest come first
_ABOVE = (
    "WITH RECURSIVE above (id) AS (SELECT :id UNION SELECT on_id FROM above JOIN dependencies ON job_id = id"
    " LIMIT :limit + 1) SELECT id FROM above WHERE id <> :id"
)
_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT :id UNION SELECT job_id FROM below JOIN dependencies ON on_id = id"
    " LIMIT :limit + 1) SELECT id FROM below WHERE id <> :id"
)


class Dependencies:
    """The edges of one database; see ``core.storage.work_contract.Dependencies``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def tree(self, reference: JobRef, limit: int) -> Tree:
        """Return a job with up to ``limit`` jobs that it needs, and as many that wait for it, the nearest first."""
        with self._db.read() as connection:
            root = find(connection, reference)
            parameters = {"id": root, "limit": limit}
            ids = [root]
            for sql in (_ABOVE, _BELOW):
                ids += [row[0] for row in connection.execute(sql, parameters).fetchall()]
            listed = {"ids": json.dumps(ids), "limit": TREE_EDGES}
            jobs = {job.id: job for job in map(job_of, connection.execute(JOBS_BY_ID, listed).fetchall())}
            edges = {
                (edge.job_id, edge.on_id): edge
                for sql in (_EDGES, _EDGES_TO)
                for edge in map(dependency_of, connection.execute(sql, listed).fetchall())
            }
        return Tree(root, jobs, tuple(edges[key] for key in sorted(edges)))

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return what these jobs wait or waited for, by job and needed job."""
        with self._db.read() as connection:
            found = connection.execute(_EDGES, {"ids": json.dumps(list(ids)), "limit": -1}).fetchall()
        return [dependency_of(row) for row in found]

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return how many jobs wait for each of these; those that none waits for are left out."""
        with self._db.read() as connection:
            return dict(connection.execute(_WAITING, {"ids": json.dumps(list(ids))}).fetchall())

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return what keeps these jobs back, of those that are pending and have an unmet edge."""
        with self._db.read() as connection:
            return blockers_in(connection, list(ids))
