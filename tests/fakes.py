"""Stand-ins for what a test must control, the clock above all, and what does harm to those who trust it."""

from __future__ import annotations

import mmap
from pathlib import Path

from core.clock import SystemClock

#: A regex for which Python's own engine needs years on the bytes after it.
ENDLESS, ITS_BANE = "/(x+x+)+y/", b"x" * 5000 + b"!"


class FakeClock:
    """A clock that stands still until it is told to move; it starts at noon UTC on 1 January 2030."""

    def __init__(self, now_ms: int = 1_893_499_200_000) -> None:
        self._now_ms = now_ms
        self._monotonic_s = 1000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass, on the calendar and on the stopwatch."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the calendar forward or back, as an administrator might; the stopwatch does not notice."""
        self._now_ms += round(seconds * 1000)


class JumpingClock:
    """The machine's own clocks, whose calendar the test sets forward or back."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self._jumped_ms = 0

    def now_ms(self) -> int:
        return self._system.now_ms() + self._jumped_ms

    def monotonic_s(self) -> float:
        return self._system.monotonic_s()

    def jump(self, seconds: float) -> None:
        """Set the calendar forward or back, as an administrator might."""
        self._jumped_ms += round(seconds * 1000)


class SharedClock:
    """A calendar that several processes share, a number in a file that a test sets, beside the machine's stopwatch."""

    def __init__(self, path: str | Path) -> None:
        with open(path, "r+b") as file:
            self._number = mmap.mmap(file.fileno(), 8)
        self._system = SystemClock()

    @classmethod
    def at(cls, path: Path, now_ms: int) -> SharedClock:
        """Make the file of a calendar that shows this time, and return the clock."""
        path.write_bytes(now_ms.to_bytes(8, "little"))
        return cls(path)

    def now_ms(self) -> int:
        return int.from_bytes(self._number[:8], "little")

    def monotonic_s(self) -> float:
        return self._system.monotonic_s()

    def advance(self, seconds: float) -> None:
        """Let time pass for all who share the calendar; only one process may."""
        self._number[:8] = (self.now_ms() + round(seconds * 1000)).to_bytes(8, "little")
