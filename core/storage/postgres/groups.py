"""Dead jobs by fingerprint: how many, since when, in which queues."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from core.model import Attempt, DeadGroup
from core.storage.groups import groups_of, largest
from core.storage.postgres.connection import Connection, Connections
from core.storage.rows import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_of, job_of

_TOTALS = (
    "SELECT fingerprint, queue, count(*), min(since), max(since), max(id) FROM jobs"
    " WHERE state = 'dead' GROUP BY fingerprint, queue"
)
_BY_HOUR = (
    "SELECT fingerprint, (%(now)s::bigint - since) / 3600000 AS ago, count(*) FROM jobs"
    " WHERE state = 'dead' AND since > %(now)s::bigint - 86400000 AND since <= %(now)s GROUP BY fingerprint, ago"
)
_JOBS = (
    "SELECT job.* FROM unnest(%s::bigint[]) AS wanted (id)"
    f" CROSS JOIN LATERAL (SELECT {JOB_COLUMNS} FROM job_rows WHERE job_rows.id = wanted.id OFFSET 0) AS job"
)
_UNREAD = (
    "SELECT a.* FROM (SELECT attempt_id FROM jobs WHERE state = 'dead' AND fingerprint IS NULL LIMIT %s) AS job"
    f" CROSS JOIN LATERAL (SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE id = job.attempt_id OFFSET 0) AS a"
)
_KEEP_IN_ATTEMPT = "UPDATE attempts SET last_line = %(line)s, fingerprint = %(fingerprint)s WHERE id = %(id)s"
_KEEP_IN_JOB = (
    "UPDATE jobs SET last_line = %(line)s, fingerprint = %(fingerprint)s"
    " WHERE id = %(job)s AND attempt_id = %(id)s AND state = 'dead'"
)


class Groups:
    """The groups of dead jobs in one database; see ``core.storage.contract.Groups``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def groups(self, limit: int) -> list[DeadGroup]:
        """Return up to ``limit`` groups of dead jobs, the largest first; of those alike the one that grew last."""
        now = self._db.now_ms()
        with self._db.read() as connection:
            chosen = largest(connection.execute(_TOTALS).fetchall(), limit)
            hours = connection.execute(_BY_HOUR, {"now": now}).fetchall()
            ids = [total.newest_id for _, total in chosen]
            samples = {row[0]: job_of(row) for row in connection.execute(_JOBS, (ids,)).fetchall()}
        return groups_of(chosen, hours, samples)

    def unread(self, limit: int) -> list[Attempt]:
        """Return the newest attempts of up to ``limit`` dead jobs that have no fingerprint."""
        return [attempt_of(row) for row in self._db.query(_UNREAD, (limit,))]

    def keep_last_words(self, attempts: Iterable[Attempt]) -> int:
        """Store the last line and fingerprint of attempts whose job is still dead by them; return how many."""
        values = [
            {"id": one.id, "job": one.job_id, "line": one.last_line, "fingerprint": one.fingerprint}
            for one in sorted(attempts, key=attrgetter("job_id", "id"))
        ]

        def work(connection: Connection) -> int:
            connection.execute("SET LOCAL synchronous_commit = off")
            cursor = connection.cursor()
            cursor.executemany(_KEEP_IN_ATTEMPT, values)
            cursor.executemany(_KEEP_IN_JOB, values)
            return cursor.rowcount

        return self._db.transact(work) if values else 0
