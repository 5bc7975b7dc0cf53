"""Read-only aggregates: throughput by minute, and totals and percentiles of a window, from the rollups."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from core.clock import to_datetime
from core.errors import DatabaseCorrupt
from core.model import CompletedRun, Metrics, Minute, Totals
from core.rules.arguments import check_whole
from core.rules.histogram import percentile_s
from core.rules.units import MAX_DURATION_S
from core.storage.sqlite.file import Database
from core.storage.sqlite.totals import totals

#: As far back as ``minutes`` looks: a year and a day.
_MOST_MINUTES = 366 * 1440


class Statistics:
    """The statistics of one database; see ``core.storage.contract.Statistics``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def minutes(self, count: int) -> list[Minute]:
        """Return the last ``count`` minutes, the current one last, minutes in which nothing happened included.

        Raises ``DatabaseCorrupt`` for totals that are no numbers.
        """
        check_whole(count, "count", 1, _MOST_MINUTES)
        newest = self._db.now_ms() // 60_000
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT minute, enqueued, succeeded, failed, dead, run_ms, wait_ms FROM minutes"
                " WHERE minute > ? AND minute <= ?",
                (newest - count, newest),
            ).fetchall()
        return list(_filled(newest, count, tuple(found)))

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
            enqueued, succeeded, failed, dead = connection.execute(
                "SELECT COALESCE(sum(enqueued), 0), COALESCE(sum(succeeded), 0), COALESCE(sum(failed), 0),"
                " COALESCE(sum(dead), 0) FROM minutes WHERE minute > ?",
                (newest - count,),
            ).fetchone()
            histograms: dict[str, list[tuple[int, int]]] = {"run": [], "wait": []}
            for kind, bucket, number in connection.execute(
                "SELECT kind, bucket, sum(n) FROM durations WHERE minute > ?"
                " GROUP BY kind, bucket ORDER BY kind, bucket",
                (newest - count,),
            ).fetchall():
                _check((bucket, number))
                histograms.setdefault(kind, []).append((bucket, number))
        _check((enqueued, succeeded, failed, dead))
        ended = succeeded + failed
        return Metrics(
            window_s=window_s,
            enqueued=enqueued,
            succeeded=succeeded,
            failed=failed,
            dead=dead,
            per_s=ended / window_s if window_s else 0.0,
            success_share=succeeded / ended if ended else None,
            wait_p50_s=percentile_s(histograms["wait"], 0.50),
            wait_p95_s=percentile_s(histograms["wait"], 0.95),
            run_p50_s=percentile_s(histograms["run"], 0.50),
            run_p95_s=percentile_s(histograms["run"], 0.95),
        )


# Minutes that passed do not change, nor does a calm one, and the dashboard asks ten times a second.


@lru_cache(maxsize=2)
def _filled(newest: int, count: int, found: tuple[tuple[int, ...], ...]) -> tuple[Minute, ...]:
    """Return the minutes, those in which nothing happened included."""
    for row in found:
        _check(row)
    rows = {row[0]: row for row in found}
    return tuple(
        _minute(*rows.get(minute, (minute, 0, 0, 0, 0, 0, 0))) for minute in range(newest - count + 1, newest + 1)
    )


@lru_cache(maxsize=256)
def _minute(minute: int, enqueued: int, succeeded: int, failed: int, dead: int, run_ms: int, wait_ms: int) -> Minute:
    return Minute(to_datetime(minute * 60_000), enqueued, succeeded, failed, dead, run_ms / 1000, wait_ms / 1000)


def _check(totals: Iterable[object]) -> None:
    """Refuse what a flipped bit has made of a number."""
    if not all(isinstance(total, int) for total in totals):
        raise DatabaseCorrupt("the totals of a minute are damaged; run 'queuectl doctor', restore a backup")
