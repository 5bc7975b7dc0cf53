"""Totals since the database was made, which no prune lowers: sums of old minutes in ``facts``, and the newer minutes.

``facts.totals_until`` is the first minute that is not in the sums. They spare a reader the durations of 90 days, too,
which can be millions of rows.
"""

from __future__ import annotations

import sqlite3

from core.model import Totals
from core.storage.minutes import SETTLED_MINUTES, SUM_CHUNK_MINUTES, TOTALS, totals_of
from core.storage.sqlite.file import Database

_ADD = " ON CONFLICT DO UPDATE SET value = value + excluded.value"
_SUM_MINUTES = tuple(
    f"INSERT INTO facts (key, value) SELECT 'total_{column}', sum({column}) FROM minutes"
    f" WHERE minute >= :start AND minute < :end{_ADD}"
    for column in TOTALS
)
_SUM_DURATIONS = (
    "INSERT INTO facts (key, value) SELECT 'total_' || kind || '_' || bucket, sum(n) FROM durations"
    f" WHERE minute >= :start AND minute < :end GROUP BY kind, bucket{_ADD}"
)
_DURATIONS_SINCE = "SELECT kind, bucket, sum(n) FROM durations WHERE minute >= ? GROUP BY kind, bucket"
_MINUTES_SINCE = (
    f"SELECT {', '.join(f'COALESCE(sum({column}), 0)' for column in TOTALS)} FROM minutes WHERE minute >= ?"
)


def sum_up_some(db: Database) -> None:
    """Add the next settled minutes, up to a day of them, to the sums, in one transaction; write nothing if all are."""
    settled = db.now_ms() // 60_000 - SETTLED_MINUTES
    with db.read() as connection:
        if _first_left(connection, settled) is None:
            return
    with db.write(is_durable=False) as connection:
        start = _first_left(connection, settled)
        if start is None:  # another process has summed them up meanwhile
            return
        span = {"start": start, "end": min(start + SUM_CHUNK_MINUTES, settled)}
        for statement in (*_SUM_MINUTES, _SUM_DURATIONS):
            connection.execute(statement, span)
        connection.execute(
            "INSERT INTO facts (key, value) SELECT 'totals_until', max(minute) + 1 FROM minutes"
            " WHERE minute >= :start AND minute < :end ON CONFLICT DO UPDATE SET value = excluded.value",
            span,
        )


def _first_left(connection: sqlite3.Connection, settled: int) -> int | None:
    """Return the first settled minute that is not in the sums; ``None`` if all are."""
    found: int | None = connection.execute(
        "SELECT min(minute) FROM minutes WHERE minute >= ? AND minute < ?", (summed_until(connection), settled)
    ).fetchone()[0]
    return found


def summed_until(connection: sqlite3.Connection) -> int:
    """Return the first minute that is not in the sums; 0 before any are."""
    row = connection.execute("SELECT value FROM facts WHERE key = 'totals_until'").fetchone()
    return 0 if row is None else int(row[0])


def totals(db: Database) -> Totals:
    """Return the totals; raise ``DatabaseCorrupt`` for some that are no numbers."""
    with db.read() as connection:
        until = summed_until(connection)
        sums = dict(connection.execute("SELECT key, value FROM facts WHERE key GLOB 'total_*'").fetchall())
        newer = connection.execute(_MINUTES_SINCE, (until,)).fetchone()
        durations = connection.execute(_DURATIONS_SINCE, (until,)).fetchall()
        last = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    return totals_of(sums, newer, durations, enqueued=last.get("jobs", 0), attempts_started=last.get("attempts", 0))
