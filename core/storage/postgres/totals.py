"""Totals since the database was made, which no prune lowers: sums of old minutes in ``facts``, and the newer minutes.

``facts.totals_until`` is the first minute that is not in the sums. They spare a reader the durations of 90 days, too,
which can be millions of rows.
"""

from __future__ import annotations

from core.model import Totals
from core.storage.minutes import SETTLED_MINUTES, SUM_CHUNK_MINUTES, TOTALS, totals_of
from core.storage.postgres.connection import Connection, Connections

_CHORE_LOCK = 0x5143_544D

_ADD = " ON CONFLICT (key) DO UPDATE SET value = facts.value + excluded.value"
_SPAN = "minute >= %(start)s AND minute < %(end)s"
_SUM_MINUTES = tuple(
    f"INSERT INTO facts (key, value) SELECT 'total_{column}', sum({column})::bigint FROM minutes"
    f" WHERE {_SPAN} HAVING count(*) > 0{_ADD}"
    for column in ("enqueued", *TOTALS)
)
_SUM_DURATIONS = (
    "INSERT INTO facts (key, value) SELECT 'total_' || kind || '_' || bucket, sum(n)::bigint FROM durations"
    f" WHERE {_SPAN} GROUP BY kind, bucket{_ADD}"
)
_UNTIL = (
    f"INSERT INTO facts (key, value) SELECT 'totals_until', max(minute) + 1 FROM minutes WHERE {_SPAN}"
    " HAVING count(*) > 0 ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_DURATIONS_SINCE = "SELECT kind, bucket, sum(n)::bigint FROM durations WHERE minute >= %s GROUP BY kind, bucket"
_MINUTES_SINCE = (
    f"SELECT {', '.join(f'COALESCE(sum({column}), 0)::bigint' for column in ('enqueued', *TOTALS))} FROM minutes"
    " WHERE minute >= %s"
)
_FIRST_LEFT = "SELECT min(minute) FROM minutes WHERE minute >= %s AND minute < %s"


def sum_up_some(db: Connections) -> None:
    """Add the next settled minutes, up to a day of them, to the sums, in one transaction; write nothing if all are."""
    settled = db.now_ms() // 60_000 - SETTLED_MINUTES
    with db.read() as connection:
        if _first_left(connection, settled) is None:
            return

    def work(connection: Connection) -> None:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CHORE_LOCK,))
        start = _first_left(connection, settled)
        if start is None:  # another process has summed them up meanwhile
            return
        span = {"start": start, "end": min(start + SUM_CHUNK_MINUTES, settled)}
        for statement in (*_SUM_MINUTES, _SUM_DURATIONS, _UNTIL):
            connection.execute(statement, span)

    db.transact(work)


def _first_left(connection: Connection, settled: int) -> int | None:
    """Return the first settled minute that is not in the sums; ``None`` if all are."""
    row = connection.execute(_FIRST_LEFT, (summed_until(connection), settled)).fetchone()
    return None if row is None else row[0]


def summed_until(connection: Connection) -> int:
    """Return the first minute that is not in the sums; 0 before any are."""
    row = connection.execute("SELECT value FROM facts WHERE key = 'totals_until'").fetchone()
    return 0 if row is None else int(row[0])


def totals(db: Connections) -> Totals:
    """Return the totals; attempts are counted by their numbers, of which a claim that was undone has used one up."""
    with db.read() as connection:
        until = summed_until(connection)
        kept = dict(connection.execute("SELECT key, value FROM facts WHERE key LIKE 'total\\_%'").fetchall())
        newer = connection.execute(_MINUTES_SINCE, (until,)).fetchone() or (0,) * 6
        durations = connection.execute(_DURATIONS_SINCE, (until,)).fetchall()
        started = connection.execute(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM attempt_ids"
        ).fetchone()
    return totals_of(
        kept,
        newer[1:],
        [(kind, bucket, number) for kind, bucket, number in durations],
        enqueued=kept.get("total_enqueued", 0) + newer[0],
        attempts_started=0 if started is None else started[0],
    )
