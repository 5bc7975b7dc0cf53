"""Totals and histograms by minute: what a worker adds to them, a few times a second rather than with every job.

They are statistics. What they say of the last moment is lost with a worker that is killed; the attempts are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model import FAILURES, Decision, Ending, Outcome, State
from core.rules.histogram import bucket_of


class Rollups:
    """What is counted and not yet written.

    ``minutes`` maps a minute to its numbers of succeeded, failed and dead, and the sums of run_ms and wait_ms;
    ``durations`` counts by minute, kind (``run`` or ``wait``) and bucket. An engine writes both, then calls ``clear``.
    """

    def __init__(self) -> None:
        self.minutes: dict[int, list[int]] = {}
        self.durations: dict[tuple[int, str, int], int] = {}

    def count(self, ended: Sequence[tuple[Ending, Decision]], waits_ms: Sequence[int], now: int) -> None:
        """Count attempts that ended and waits that were over at ``now``, in unix milliseconds."""
        if not ended and not waits_ms:
            return
        minute = now // 60_000
        totals = self.minutes.setdefault(minute, [0, 0, 0, 0, 0])
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
        self.durations[key] = self.durations.get(key, 0) + 1

    def clear(self) -> None:
        """Forget what was counted."""
        self.minutes.clear()
        self.durations.clear()
