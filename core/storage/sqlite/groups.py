"""Dead jobs by fingerprint: how many, since when, in which queues."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from core.clock import to_datetime
from core.model import Attempt, DeadGroup, Job
from core.storage.rows import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_of, job_of
from core.storage.sqlite.file import Database

_HOURS = 24
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
            totals: dict[int | None, _Total] = {}
            for fingerprint, queue, count, first, last, newest_id in connection.execute(_TOTALS).fetchall():
                found = totals.get(fingerprint, _NONE)
                totals[fingerprint] = found.plus(queue, count, first, last, newest_id)
            hours: dict[int | None, list[int]] = {}
            for fingerprint, ago, count in connection.execute(_BY_HOUR, {"now": now}).fetchall():
                hours.setdefault(fingerprint, [0] * _HOURS)[_HOURS - 1 - ago] = count
            chosen = sorted(totals.items(), key=lambda item: (-item[1].number, -item[1].last))[:limit]
            ids = json.dumps([total.newest_id for _, total in chosen])
            samples: Mapping[int, Job] = {row[0]: job_of(row) for row in connection.execute(_JOBS, (ids,)).fetchall()}
        return [
            DeadGroup(
                fingerprint,
                total.number,
                to_datetime(total.first),
                to_datetime(total.last),
                tuple(sorted(total.queues)),
                tuple(hours.get(fingerprint, [0] * _HOURS)),
                samples[total.newest_id],
            )
            for fingerprint, total in chosen
        ]

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


class _Total(NamedTuple):
    """What the index knows of a group, over its queues."""

    number: int
    first: int
    last: int
    newest_id: int
    queues: tuple[str, ...]

    def plus(self, queue: str, count: int, first: int, last: int, newest_id: int) -> _Total:
        """Return this with the jobs of one more queue."""
        return _Total(
            self.number + count,
            min(self.first, first),
            max(self.last, last),
            max(self.newest_id, newest_id),
            (*self.queues, queue),
        )


_NONE = _Total(0, 1 << 62, 0, 0, ())
