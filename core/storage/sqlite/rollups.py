"""Totals and histograms by minute: what a worker adds to them, a few times a second rather than with every job.

They are statistics. What they say of the last moment is lost with a worker that is killed; the attempts are not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.model import FAILURES, Decision, Ending, Outcome, State
from core.rules.histogram import bucket_of


class Rollups:
    """What is counted and not yet written."""

    def __init__(self) -> None:
        # minute -> succeeded, failed, dead, run_ms, wait_ms
        self._minutes: dict[int, list[int]] = {}
        self._durations: dict[tuple[int, str, int], int] = {}

    def count(self, ended: Sequence[tuple[Ending, Decision]], waits_ms: Sequence[int], now: int) -> None:
        """Count attempts that ended and waits that were over at ``now``, in unix milliseconds."""
        if not ended and not waits_ms:
            return
        minute = now // 60_000
        totals = self._minutes.setdefault(minute, [0, 0, 0, 0, 0])
        for ending, decision in ended:
            totals[0] += ending.outcome is Outcome.SUCCEEDED
            totals[1] += ending.outcome in FAILURES
            totals[2] += decision.state is State.DEAD
            if ending.run_ms is not None:
                totals[3] += ending.run_ms
                self._count_duration(minute, "run", ending.run_ms)
        for wait_ms in waits_ms:
            totals[4] += wait_ms
            self._count_duration(minute, "wait", wait_ms)

    def _count_duration(self, minute: int, kind: str, milliseconds: int) -> None:
        key = (minute, kind, bucket_of(milliseconds))
        self._durations[key] = self._durations.get(key, 0) + 1

    def write(self, connection: sqlite3.Connection) -> None:
        """Add what was counted to the database; ``clear`` it when that is committed."""
        if not self._minutes:
            return
        connection.executemany(
            "INSERT INTO minutes (minute, succeeded, failed, dead, run_ms, wait_ms) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,"
            " dead = dead + excluded.dead, run_ms = run_ms + excluded.run_ms, wait_ms = wait_ms + excluded.wait_ms",
            [(minute, *totals) for minute, totals in self._minutes.items()],
        )
        connection.executemany(
            "INSERT INTO durations (minute, kind, bucket, n) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, number) for key, number in self._durations.items()],
        )

    def clear(self) -> None:
        """Forget what was counted."""
        self._minutes.clear()
        self._durations.clear()
