"""Read-only aggregates: throughput by minute, and totals and percentiles of a window, from the rollups."""

from __future__ import annotations

from core.clock import to_datetime
from core.model import CompletedRun, Metrics, Minute, Totals
from core.rules.arguments import check_whole
from core.rules.units import MAX_DURATION_S
from core.storage.minutes import MOST_MINUTES, filled, metrics_of
from core.storage.sqlite.file import Database
from core.storage.sqlite.totals import totals


class Statistics:
    """The statistics of one database; see ``core.storage.contract.Statistics``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def minutes(self, count: int) -> list[Minute]:
        """Return the last ``count`` minutes, the current one last, minutes in which nothing happened included.

        Raises ``DatabaseCorrupt`` for totals that are no numbers.
        """
        check_whole(count, "count", 1, MOST_MINUTES)
        newest = self._db.now_ms() // 60_000
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT minute, enqueued, succeeded, failed, dead, run_ms, wait_ms FROM minutes"
                " WHERE minute > ? AND minute <= ?",
                (newest - count, newest),
            ).fetchall()
        return list(filled(newest, count, tuple(found)))

    def totals(self) -> Totals:
        """Return what happened since the database was made, as counters that never fall."""
        return totals(self._db)

    def newest_runs(self, limit: int, after_ms: int) -> list[CompletedRun]:
        """Return the runs of the ``limit`` jobs that completed last and after an instant, the newest first."""
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT substr(command, 1, 1000), run_ms, since FROM jobs INDEXED BY jobs_finished"
                " WHERE state = 'completed' AND since > ? AND state NOT IN ('pending', 'running')"
                " ORDER BY since DESC LIMIT ?",
                (after_ms, limit),
            ).fetchall()
        return [
            CompletedRun(command, run_ms / 1000, to_datetime(since))
            for command, run_ms, since in found
            if run_ms is not None
        ]

    def window(self, window_s: int) -> Metrics:
        """Return totals and percentiles over the last ``window_s`` seconds, in whole minutes, the current one included.

        Raises ``DatabaseCorrupt`` for totals that are no numbers.
        """
        check_whole(window_s, "window_s", 1, int(MAX_DURATION_S))
        count = max(1, -(-window_s // 60))
        newest = self._db.now_ms() // 60_000
        with self._db.read() as connection:
            sums = connection.execute(
                "SELECT COALESCE(sum(enqueued), 0), COALESCE(sum(succeeded), 0), COALESCE(sum(failed), 0),"
                " COALESCE(sum(dead), 0) FROM minutes WHERE minute > ?",
                (newest - count,),
            ).fetchone()
            durations = connection.execute(
                "SELECT kind, bucket, sum(n) FROM durations WHERE minute > ?"
                " GROUP BY kind, bucket ORDER BY kind, bucket",
                (newest - count,),
            ).fetchall()
        return metrics_of(window_s, sums, durations)
