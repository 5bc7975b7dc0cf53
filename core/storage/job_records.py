"""The records of an export from rows. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.model import Attempt, Job, State
from core.records import JobRecord, StoredEnvironment
from core.storage.rows import SqlRow, attempt_of, names_of, variables_of


def records_of(jobs: Sequence[Job], more: Iterable[SqlRow], attempts: Iterable[SqlRow]) -> list[JobRecord]:
    """Return the records of jobs, in their order: those that a row of ``more`` has the id, environment and state of.

    ``attempts`` are rows of ``ATTEMPT_COLUMNS``, those of each job by number.
    """
    by_job: dict[int, list[Attempt]] = {}
    for row in attempts:
        by_job.setdefault(row[1], []).append(attempt_of(row))
    stored = {row[0]: row[1:] for row in more}
    return [
        JobRecord(job, environment_id, None if state is None else State(state), tuple(by_job.get(job.id, ())))
        for job in jobs
        if job.id in stored
        for environment_id, state in (stored[job.id],)
    ]


def environment_of(row: SqlRow) -> StoredEnvironment:
    """Return the captured environment in a row: id, mode, variables, names that were left out."""
    return StoredEnvironment(row[0], row[1], variables_of(row[2]), tuple(names_of(row[3]) or ()))
