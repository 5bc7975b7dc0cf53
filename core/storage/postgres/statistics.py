"""Read-only aggregates: throughput by minute, and totals and percentiles of a window, from the rollups."""

from __future__ import annotations

from core.clock import to_datetime
from core.model import CompletedRun, Metrics, Minute, Totals
from core.rules.arguments import check_whole
from core.rules.units import MAX_DURATION_S
from core.storage.minutes import MOST_MINUTES, filled, metrics_of
from core.storage.postgres.connection import Connections
from core.storage.postgres.totals import totals

_COLUMNS = ("enqueued", "succeeded", "failed", "dead", "run_ms", "wait_ms")
_MINUTES = (
    f"SELECT minute, {', '.join(f'sum({column})::bigint' for column in _COLUMNS)} FROM minutes"
    " WHERE minute > %s AND minute <= %s GROUP BY minute"
)
_SUMS = (
    f"SELECT {', '.join(f'COALESCE(sum({column}), 0)::bigint' for column in _COLUMNS[:4])} FROM minutes"
    " WHERE minute > %s"
)
_DURATIONS = (
    "SELECT kind, bucket, sum(n)::bigint FROM durations WHERE minute > %s GROUP BY kind, bucket ORDER BY kind, bucket"
)
_RUNS = (
    "SELECT left(command, 1000), run_ms, since FROM jobs WHERE state = 'completed' AND since > %s AND state <> 'open'"
    " ORDER BY since DESC LIMIT %s"
)


class Statistics:
    """The statistics of one database; see ``core.storage.contract.Statistics``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def minutes(self, count: int) -> list[Minute]:
        """Return the last ``count`` minutes, the current one last, minutes in which nothing happened included."""
        check_whole(count, "count", 1, MOST_MINUTES)
        newest = self._db.now_ms() // 60_000
        return list(filled(newest, count, tuple(self._db.query(_MINUTES, (newest - count, newest)))))

    def totals(self) -> Totals:
        """Return what happened since the database was made, as counters that never fall."""
        return totals(self._db)

    def newest_runs(self, limit: int, after_ms: int) -> list[CompletedRun]:
        """Return the runs of the ``limit`` jobs that completed last and after an instant, the newest first."""
        return [
            CompletedRun(command, run_ms / 1000, to_datetime(since))
            for command, run_ms, since in self._db.query(_RUNS, (after_ms, limit))
            if run_ms is not None
        ]

    def window(self, window_s: int) -> Metrics:
        """Return totals and percentiles of the last ``window_s`` seconds, in whole minutes, with the current one."""
        check_whole(window_s, "window_s", 1, int(MAX_DURATION_S))
        first = self._db.now_ms() // 60_000 - max(1, -(-window_s // 60))
        with self._db.read() as connection:
            sums = connection.execute(_SUMS, (first,)).fetchone()
            durations = connection.execute(_DURATIONS, (first,)).fetchall()
        return metrics_of(window_s, sums or (), [(kind, bucket, number) for kind, bucket, number in durations])
