"""The row of one new job, and the count of new ones by minute."""

from __future__ import annotations

import sqlite3

from core.rules.job_fields import JobRow, time_ahead

_INSERT = (
    f"INSERT INTO jobs ({', '.join(JobRow._fields)}, blocks, environment_id, enqueued_at, due_at, since)"
    f" VALUES ({', '.join('?' * len(JobRow._fields))}, ?, ?, ?, ?, ?)"
)


def insert_one(connection: sqlite3.Connection, row: JobRow, environment_id: int, now: int, unmet: int = 0) -> int:
    """Insert a job, pending, with so many unmet edges; return its id."""
    run_at = time_ahead(row.run_at, now)
    values = (*row._replace(run_at=run_at), row.is_held + unmet, environment_id, now, run_at or now, now)
    return int(connection.execute(_INSERT, values).lastrowid or 0)


def count_enqueued(connection: sqlite3.Connection, now_ms: int, count: int) -> None:
    """Count new jobs."""
    connection.execute(
        "INSERT INTO minutes (minute, enqueued) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET enqueued = enqueued + excluded.enqueued",
        (now_ms // 60_000, count),
    )
