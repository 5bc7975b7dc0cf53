"""Dead jobs by fingerprint: how many, since when, in which queues."""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import attrgetter

from core.model import Attempt, DeadGroup
from core.storage.groups import groups_of, largest
from core.storage.rows import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_of, job_of
from core.storage.sqlite.file import Database

_TOTALS = (
    "SELECT fingerprint, queue, count(*), min(since), max(since), max(id) FROM jobs INDEXED BY jobs_groups"
    " WHERE state = 'dead' GROUP BY fingerprint, queue"
)
_BY_HOUR = (
    "SELECT fingerprint, (:now - since) / 3600000 AS ago, count(*) FROM jobs INDEXED BY jobs_groups"
    " WHERE state = 'dead' AND since > :now - 86400000 AND since <= :now GROUP BY fingerprint, ago"
)
_JOBS = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
_UNREAD = (
    f"SELECT {', '.join(f'attempts.{column.strip()}' for column in ATTEMPT_COLUMNS.split(','))}"
    " FROM jobs INDEXED BY jobs_groups JOIN attempts ON attempts.id = attempt_id"
    " WHERE state = 'dead' AND jobs.fingerprint IS NULL LIMIT ?"
)


class Groups:
    """The groups of dead jobs in one database; see ``core.storage.contract.Groups``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def groups(self, limit: int) -> list[DeadGroup]:
        """Return up to ``limit`` groups of dead jobs, the largest first; of those alike the one that grew last."""
        now = self._db.now_ms()
        with self._db.read() as connection:
            chosen = largest(connection.execute(_TOTALS).fetchall(), limit)
            hours = connection.execute(_BY_HOUR, {"now": now}).fetchall()
            ids = json.dumps([total.newest_id for _, total in chosen])
            samples = {row[0]: job_of(row) for row in connection.execute(_JOBS, (ids,)).fetchall()}
        return groups_of(chosen, hours, samples)

    def unread(self, limit: int) -> list[Attempt]:
        """Return the newest attempts of up to ``limit`` dead jobs that have no fingerprint."""
        with self._db.read() as connection:
            return [attempt_of(row) for row in connection.execute(_UNREAD, (limit,)).fetchall()]

    def keep_last_words(self, attempts: Iterable[Attempt]) -> int:
        """Store the last line and fingerprint of attempts whose job is still dead by them; return how many."""
        rows = sorted(attempts, key=attrgetter("id"))
        with self._db.write(is_durable=False) as connection:
            kept = 0
            for one in rows:
                values = {"id": one.id, "job": one.job_id, "line": one.last_line, "fingerprint": one.fingerprint}
                connection.execute(
                    "UPDATE attempts SET last_line = :line, fingerprint = :fingerprint WHERE id = :id", values
                )
                kept += connection.execute(
                    "UPDATE jobs SET last_line = :line, fingerprint = :fingerprint"
                    " WHERE id = :job AND attempt_id = :id AND state = 'dead'",
                    values,
                ).rowcount
        return kept
