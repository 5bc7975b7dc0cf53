"""The only place that reads a clock; everything else is told what time it is."""

from __future__ import annotations

import time
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # importing it costs a tenth of adding a job


class Clock(Protocol):
    """Two readings: the calendar (may jump) and a stopwatch (never goes back)."""

    def now_ms(self) -> int:
        """Return unix milliseconds, UTC."""

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; only differences mean anything."""


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


def to_datetime(ms: int) -> datetime:
    """Return an aware UTC datetime of unix milliseconds, clipped to the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(ms / 1000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=timezone.utc) if ms > 0 else datetime.min.replace(tzinfo=timezone.utc)


def to_ms(instant: datetime) -> int:
    """Return unix milliseconds of a datetime; one without a zone is read as local time."""
    return round(instant.timestamp() * 1000)
