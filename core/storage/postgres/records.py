"""Reads for an export: whole pages of jobs with their attempts, and the environments that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.model import Job
from core.records import JobRecord, StoredEnvironment
from core.storage.job_records import environment_of, records_of
from core.storage.postgres.connection import Connections
from core.storage.rows import ATTEMPT_COLUMNS

_MORE = "SELECT id, environment_id, purged_from FROM jobs WHERE id = ANY(%s::bigint[])"
_ATTEMPTS = (
    "SELECT a.* FROM unnest(%s::bigint[]) AS wanted (id) CROSS JOIN LATERAL"
    f" (SELECT {ATTEMPT_COLUMNS} FROM attempt_rows WHERE job_id = wanted.id OFFSET 0) AS a ORDER BY a.job_id, a.number"
)
_ENVIRONMENTS = "SELECT id, mode, variables, left_out FROM environments WHERE id = ANY(%s::bigint[]) ORDER BY id"


class Records:
    """The reads of an export; see ``core.storage.transfer.Records``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def records(self, jobs: Sequence[Job]) -> list[JobRecord]:
        """Return the records of jobs that were just read, in their order; a job that was removed since is left out."""
        ids = [job.id for job in jobs]
        with self._db.read() as connection:
            more = connection.execute(_MORE, (ids,)).fetchall()
            attempts = connection.execute(_ATTEMPTS, (ids,)).fetchall()
        return records_of(jobs, more, attempts)

    def environments(self, ids: Iterable[int]) -> list[StoredEnvironment]:
        """Return captured environments, by id; an id that is not there is left out."""
        return [environment_of(row) for row in self._db.query(_ENVIRONMENTS, (list(ids),))]
