"""Reads for an export: whole pages of jobs with their attempts, and the environments that they share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from core.model import Attempt, Job, State
from core.records import JobRecord, StoredEnvironment
from core.storage.rows import ATTEMPT_COLUMNS, attempt_of, names_of, variables_of
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
    """The reads of an export; see ``core.storage.contract.Records``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def records(self, jobs: Sequence[Job]) -> list[JobRecord]:
        """Return the records of jobs that were just read, in their order; a job that was removed since is left out."""
        listed = json.dumps([job.id for job in jobs])
        attempts: dict[int, list[Attempt]] = {}
        with self._db.read() as connection:
            more = {row[0]: row[1:] for row in connection.execute(_ENVIRONMENT_IDS, (listed,)).fetchall()}
            for row in connection.execute(_ATTEMPTS, (listed,)).fetchall():
                attempts.setdefault(row[1], []).append(attempt_of(row))
        return [
            JobRecord(job, environment_id, None if state is None else State(state), tuple(attempts.get(job.id, ())))
            for job in jobs
            if job.id in more
            for environment_id, state in (more[job.id],)
        ]

    def environments(self, ids: Iterable[int]) -> list[StoredEnvironment]:
        """Return captured environments, by id; an id that is not there is left out."""
        with self._db.read() as connection:
            found = connection.execute(_ENVIRONMENTS, (json.dumps(list(ids)),)).fetchall()
        return [StoredEnvironment(row[0], row[1], variables_of(row[2]), tuple(names_of(row[3]) or ())) for row in found]
