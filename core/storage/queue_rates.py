"""How many jobs a second each queue brings to their end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

#: Over how long, in milliseconds, and over how many jobs at most, a queue's rate is taken.
RATE_WINDOW_MS, RATE_JOBS = 60_000, 500


def rates_of(ended: Sequence[tuple[int, str]], now_ms: int) -> dict[str, float]:
    """Return the rate of each queue, in jobs a second, from when its jobs ended, in milliseconds, within the window."""
    newest = sorted(ended, reverse=True)[:RATE_JOBS]
    start_ms = newest[-1][0] if len(newest) == RATE_JOBS else now_ms - RATE_WINDOW_MS
    window_s = max(1, now_ms - start_ms) / 1000
    return {queue: number / window_s for queue, number in Counter(queue for _, queue in newest).items()}
