"""How totals and histograms by minute are added to the database."""

from __future__ import annotations

from core.storage.postgres.connection import Connection
from core.storage.rollups import Rollups

_MINUTES = (
    "INSERT INTO minutes AS m (minute, succeeded, failed, dead, run_ms, wait_ms) VALUES (%s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (minute, shard) DO UPDATE SET succeeded = m.succeeded + excluded.succeeded,"
    " failed = m.failed + excluded.failed, dead = m.dead + excluded.dead,"
    " run_ms = m.run_ms + excluded.run_ms, wait_ms = m.wait_ms + excluded.wait_ms"
)
_DURATIONS = (
    "INSERT INTO durations AS d (minute, kind, bucket, n)"
    " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[])"
    " ON CONFLICT (minute, kind, bucket) DO UPDATE SET n = d.n + excluded.n"
)


def write(connection: Connection, rollups: Rollups) -> None:
    """Add what was counted to the database; ``clear`` it when that is committed.

    All writers update the rows in the same order, so that no two wait for each other.
    """
    for minute, totals in sorted(rollups.minutes.items()):
        connection.execute(_MINUTES, (minute, *totals))
    if rollups.durations:
        keys = sorted(rollups.durations)
        minutes, kinds, buckets = (list(column) for column in zip(*keys, strict=True))
        connection.execute(_DURATIONS, (minutes, kinds, buckets, [rollups.durations[key] for key in keys]))
