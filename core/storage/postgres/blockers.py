"""What keeps blocked jobs back: the unmet edge that says most, and the job in the way; in one statement for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.blocker import STUCK_ON, Blocker
from core.model import Job
from core.rules.dependencies import BLOCKER_WALK
from core.storage.postgres.connection import Connection
from core.storage.rows import JOB_COLUMNS, job_of

_STUCK = ", ".join(f"'{state.value}'" for state in sorted(STUCK_ON))
# Each job by its key, whatever the planner thinks of how many there are: of each but the first lookup of a way it would
# else read the whole table.
_NEEDED_OF = "(SELECT on_id FROM dependencies WHERE job_id = {job} AND is_met = 0 ORDER BY on_id OFFSET 0)"
_STATE_OF = "(SELECT state FROM jobs WHERE id = {job} OFFSET 0)"
# the nearest job up the unmet edges that is stuck, and by which of the needed jobs the way goes there; of a recursive
# query no more rows are worked out than are asked for
_CAUSE = (
    "WITH RECURSIVE above (id, needed) AS ("
    f"SELECT on_id, on_id FROM {_NEEDED_OF.format(job='b.job_id')} AS direct"
    f" UNION SELECT edge.on_id, above.needed FROM above CROSS JOIN LATERAL {_NEEDED_OF.format(job='above.id')} AS edge)"
    " SELECT near.id, near.needed FROM (SELECT id, needed FROM above LIMIT %(walk)s) AS near"
    f" CROSS JOIN LATERAL {_STATE_OF.format(job='near.id')} AS j WHERE j.state IN ({_STUCK}) LIMIT 1"
)
# else the first unmet edge: to a job that is stuck itself, if there is one
_FIRST = (
    f"SELECT edge.on_id FROM {_NEEDED_OF.format(job='b.job_id')} AS edge"
    f" CROSS JOIN LATERAL {_STATE_OF.format(job='edge.on_id')} AS j"
    f" ORDER BY j.state NOT IN ({_STUCK}), edge.on_id LIMIT 1"
)
_WAYS = (
    "SELECT b.job_id, COALESCE(cause.needed, first.on_id), COALESCE(cause.id, first.on_id), unmet.n - 1"
    " FROM unnest(%(ids)s::bigint[]) AS wanted (id)"
    " CROSS JOIN LATERAL (SELECT job_id FROM blocked WHERE job_id = wanted.id OFFSET 0) AS b"
    " CROSS JOIN LATERAL (SELECT count(*) AS n FROM dependencies WHERE job_id = b.job_id AND is_met = 0) AS unmet"
    f" LEFT JOIN LATERAL ({_CAUSE}) AS cause ON true"
    f" LEFT JOIN LATERAL ({_FIRST}) AS first ON cause.id IS NULL"
    " WHERE unmet.n > 0"
)
_JOBS = (
    "SELECT job.* FROM unnest(%s::bigint[]) AS wanted (id)"
    f" CROSS JOIN LATERAL (SELECT {JOB_COLUMNS} FROM job_rows WHERE job_rows.id = wanted.id OFFSET 0) AS job"
)


def blockers_in(connection: Connection, ids: Sequence[int]) -> dict[int, Blocker]:
    """Return what keeps jobs back, read in a transaction that is open."""
    ways = connection.execute(_WAYS, {"ids": list(ids), "walk": BLOCKER_WALK}).fetchall()
    if not ways:
        return {}
    jobs = jobs_by_id(connection, {one for _, needed, cause, _ in ways for one in (needed, cause)})
    return {job_id: Blocker(jobs[needed], jobs[cause], more) for job_id, needed, cause, more in ways}


def jobs_by_id(connection: Connection, ids: Iterable[int]) -> dict[int, Job]:
    """Return jobs by id, each looked up by its key; those that are not there are left out."""
    return {job.id: job for job in map(job_of, connection.execute(_JOBS, (list(ids),)).fetchall())}
