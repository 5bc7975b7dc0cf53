"""What keeps blocked jobs back: the unmet edge that says most, and the job that is in the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from core.blocker import STUCK_ON, Blocker
from core.model import Job
from core.rules.dependencies import BLOCKER_WALK
from core.storage.rows import JOB_COLUMNS, job_of

_IN = "(SELECT value FROM json_each(:ids))"
_STUCK = ", ".join(f"'{state.value}'" for state in sorted(STUCK_ON))
JOBS_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id IN {_IN}"
_IS_BLOCKED = f"SELECT id FROM jobs WHERE id IN {_IN} AND state = 'pending' AND blocks > is_held"
_UNMET = "SELECT count(*) FROM dependencies WHERE job_id = :id AND is_met = 0"
# the first unmet edge: to a job that is stuck itself, if there is one
_NEEDED = (
    "SELECT on_id FROM dependencies JOIN jobs ON id = on_id WHERE job_id = :id AND is_met = 0"
    f" ORDER BY state NOT IN ({_STUCK}), on_id LIMIT 1"
)
# the nearest job up the unmet edges that is stuck, and by which of the needed jobs the way goes there
_CAUSE = (
    "WITH RECURSIVE above (id, needed) AS ("
    "SELECT on_id, on_id FROM dependencies WHERE job_id = :id AND is_met = 0 UNION"
    " SELECT on_id, needed FROM above JOIN dependencies ON job_id = id AND is_met = 0 LIMIT :limit)"
    f" SELECT above.id, needed FROM above CROSS JOIN jobs ON jobs.id = above.id WHERE state IN ({_STUCK}) LIMIT 1"
)


def blockers_in(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Blocker]:
    """Return what keeps jobs back, read in a transaction that is open."""
    ways: dict[int, tuple[int, int, int]] = {}
    for (job_id,) in connection.execute(_IS_BLOCKED, {"ids": json.dumps(ids)}).fetchall():
        parameters = {"id": job_id, "limit": BLOCKER_WALK}
        unmet = connection.execute(_UNMET, parameters).fetchone()[0]
        cause = connection.execute(_CAUSE, parameters).fetchone()
        if cause is None:
            first = connection.execute(_NEEDED, parameters).fetchone()[0]
            cause = (first, first)
        ways[job_id] = (cause[1], cause[0], unmet - 1)
    jobs = _jobs(connection, {one for needed, cause, _ in ways.values() for one in (needed, cause)})
    return {job_id: Blocker(jobs[needed], jobs[cause], more) for job_id, (needed, cause, more) in ways.items()}


def _jobs(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Job]:
    found = connection.execute(JOBS_BY_ID, {"ids": json.dumps(list(ids))}).fetchall()
    return {job.id: job for job in map(job_of, found)}
