"""Turns minute totals that grow into a rate by the second. Pure: the time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from core.model import Minute
from queuectl_tui.snapshot import PULSES_KEPT_S, Pulse, Rates

#: How far back the rate looks, in seconds.
RATE_WINDOW_S = 10


class Meter:
    """Counts endings by the second: what the newest minutes hold more than at the last reading has happened since."""

    def __init__(self) -> None:
        self._seen: dict[datetime, tuple[int, int]] = {}
        self._pulses: deque[Pulse] = deque()
        self._started: int | None = None
        self._summed: tuple[tuple[Minute, ...], int, int] = ((), 0, 0)

    def feed(self, minutes: Iterable[Minute], second: int) -> None:
        """Count the endings that are new in ``minutes`` for this second; the first call only sets the mark."""
        newest = {minute.at: (minute.succeeded, minute.failed) for minute in list(minutes)[-3:]}
        succeeded = failed = 0
        for at, (good, bad) in newest.items():
            seen_good, seen_bad = self._seen.get(at, (0, 0))
            succeeded += max(0, good - seen_good)
            failed += max(0, bad - seen_bad)
        self._seen = newest
        if self._started is None:
            self._started = second
            return
        if succeeded or failed:
            if self._pulses and self._pulses[-1].second == second:
                last = self._pulses.pop()
                succeeded, failed = succeeded + last.succeeded, failed + last.failed
            self._pulses.append(Pulse(second, succeeded, failed))
        while self._pulses and self._pulses[0].second < second - PULSES_KEPT_S:
            self._pulses.popleft()

    def pulses(self) -> tuple[Pulse, ...]:
        """Return the seconds in which something ended, oldest first."""
        return tuple(self._pulses)

    def rates(self, minutes: Iterable[Minute], waiting: int, second: int) -> Rates:
        """Return how fast jobs end now, how many failed in the last hour, and when nothing waits any more."""
        listed = tuple(minutes)
        if listed != self._summed[0]:
            failed = sum(minute.failed for minute in listed)
            self._summed = listed, failed + sum(minute.succeeded for minute in listed), failed
        _, ended, failed = self._summed
        span = min(RATE_WINDOW_S, max(1, second - (self._started if self._started is not None else second)))
        recent = sum(pulse.succeeded + pulse.failed for pulse in self._pulses if pulse.second > second - RATE_WINDOW_S)
        per_s = recent / span
        share = failed / ended if ended else None
        return Rates(per_s, share, waiting / per_s if per_s > 0 and waiting else None)
