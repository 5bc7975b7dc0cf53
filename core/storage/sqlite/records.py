"""Reads for an export: whole pages of jobs with their attempts, and the environments that they share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from core.model import Job
from core.records import JobRecord, StoredEnvironment
from core.storage.job_records import environment_of, records_of
from core.storage.rows import ATTEMPT_COLUMNS
from core.storage.sqlite.file import Database

_ENVIRONMENT_IDS = (
    "SELECT id, environment_id, purged_from FROM jobs WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
)
_ATTEMPTS = (
    f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY job_id, number"
)
_ENVIRONMENTS = (
    "SELECT id, mode, variables, left_out FROM environments WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
)


class Records:
    """The reads of an export; see ``core.storage.transfer.Records``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def records(self, jobs: Sequence[Job]) -> list[JobRecord]:
        """Return the records of jobs that were just read, in their order; a job that was removed since is left out."""
        listed = json.dumps([job.id for job in jobs])
        with self._db.read() as connection:
            more = connection.execute(_ENVIRONMENT_IDS, (listed,)).fetchall()
            attempts = connection.execute(_ATTEMPTS, (listed,)).fetchall()
        return records_of(jobs, more, attempts)

    def environments(self, ids: Iterable[int]) -> list[StoredEnvironment]:
        """Return captured environments, by id; an id that is not there is left out."""
        with self._db.read() as connection:
            found = connection.execute(_ENVIRONMENTS, (json.dumps(list(ids)),)).fetchall()
        return [environment_of(row) for row in found]
