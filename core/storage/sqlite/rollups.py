"""How totals and histograms by minute are added to the database."""

from __future__ import annotations

import sqlite3

from core.storage.rollups import Rollups


def write(connection: sqlite3.Connection, rollups: Rollups) -> None:
    """Add what was counted to the database; ``clear`` it when that is committed."""
    if not rollups.minutes:
        return
    connection.executemany(
        "INSERT INTO minutes (minute, succeeded, failed, dead, run_ms, wait_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,"
        " dead = dead + excluded.dead, run_ms = run_ms + excluded.run_ms, wait_ms = wait_ms + excluded.wait_ms",
        [(minute, *totals) for minute, totals in rollups.minutes.items()],
    )
    connection.executemany(
        "INSERT INTO durations (minute, kind, bucket, n) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET n = n + excluded.n",
        [(*key, number) for key, number in rollups.durations.items()],
    )
