"""Histograms of durations: the bucket of a duration, and percentiles from buckets. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def bucket_of(milliseconds: int) -> int:
    """Return the histogram bucket of a duration >= 0: ``floor(4 * log2(ms + 1))``, steps of 19 %."""
    return int(4 * math.log2(max(0, milliseconds) + 1))


def percentile_s(histogram: Sequence[tuple[int, int]], share: float) -> float | None:
    """Return a percentile in seconds of ``(bucket, number)`` pairs in order; ``None`` without any.

    A bucket holds the durations from ``2 ** (b / 4) - 1`` to ``2 ** ((b + 1) / 4) - 1`` ms; within it they are taken as
    spread evenly.
    """
    total = sum(number for _, number in histogram)
    rank, seen = share * total, 0
    for bucket, number in histogram:
        if seen + number >= rank and number:
            low, high = 2 ** (bucket / 4) - 1, 2 ** ((bucket + 1) / 4) - 1
            return float(low + (high - low) * (rank - seen) / number) / 1000
        seen += number
    return None
