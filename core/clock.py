"""The only module that reads a clock; everything else gets the time as an argument."""

from __future__ import annotations

import math
import sys
import time
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # importing it costs a tenth of adding a job


#: Goes on while the machine is suspended, where there is such a clock: a timeout is not longer for a closed lid.
_STOPWATCH = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _file_time_lag_ms() -> int:
    """Return the length of the kernel's tick, at whose beginning it reads the time for files, in milliseconds."""
    coarse = 5  # CLOCK_REALTIME_COARSE, for which Python has no name
    try:
        return math.ceil(time.clock_getres(coarse) * 1000) if sys.platform == "linux" else 0
    except OSError:
        return 0


#: By how much the time of a file may be earlier than the calendar was when it was written, in milliseconds.
FILE_TIME_LAG_MS = _file_time_lag_ms()


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
        return time.clock_gettime(_STOPWATCH)


def since_boot_s() -> float:
    """Return seconds since the system's start, by the clock in which Linux states when processes were started."""
    return time.clock_gettime(_STOPWATCH)


class CalendarWatch:
    """Finds out that the calendar was set back: it lost time against the stopwatch since the last look.

    ``was_set_back`` stays true until a caller that acted on it sets it to false. It is true at first: what happened
    before the first look is not known.
    """

    #: Less than this is how clocks are kept right, in milliseconds.
    _TOLERANCE_MS = 1000

    def __init__(self) -> None:
        self.was_set_back = True
        self._ahead_ms: float | None = None

    def look(self, clock: Clock) -> bool:
        """Read both clocks; return ``was_set_back``."""
        ahead_ms = clock.now_ms() - clock.monotonic_s() * 1000
        if self._ahead_ms is not None and ahead_ms < self._ahead_ms - self._TOLERANCE_MS:
            self.was_set_back = True
        self._ahead_ms = ahead_ms
        return self.was_set_back


def to_datetime(ms: int) -> datetime:
    """Return an aware UTC datetime of unix milliseconds, clipped to the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(ms / 1000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=timezone.utc) if ms > 0 else datetime.min.replace(tzinfo=timezone.utc)


def to_ms(instant: datetime) -> int:
    """Return unix milliseconds of a datetime; one without a zone is read as local time."""
    return round(instant.timestamp() * 1000)
