"""Turns minute totals that grow into a rate by the second. Pure: the time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from core.model import Minute, QueueInfo, State, WorkerInfo
from queuectl_tui.snapshot import Rates

#: How far back the rate looks, in seconds.
RATE_WINDOW_S = 10


class _Pulse(NamedTuple):
    """How many attempts ended within one second, ``second`` counted from the unix epoch."""

    second: int
    ended: int


def may_estimate(queues: Iterable[QueueInfo], is_paused: bool, workers: Iterable[WorkerInfo]) -> bool:
    """Return whether the rate of all jobs says when none waits: no pause, limit or want of a worker holds some of them.

    A queue with a limit empties at a rate of its own, and so does one that only some workers serve.
    """
    serving = [worker for worker in workers if worker.is_alive and worker.slots and not worker.stop_requested]
    waiting = [queue for queue in queues if queue.counts.get(State.PENDING, 0) > queue.delayed + queue.blocked]
    is_served = all(all(not worker.queues or queue.name in worker.queues for worker in serving) for queue in waiting)
    is_held = is_paused or any(queue.is_paused or queue.limit is not None for queue in waiting)
    return bool(serving) and is_served and not is_held


class Meter:
    """Counts endings by the second: what the newest minutes hold more than at the last reading has happened since."""

    def __init__(self) -> None:
        self._seen: dict[datetime, int] = {}
        self._pulses: deque[_Pulse] = deque()
        self._started: int | None = None
        self._summed: tuple[tuple[Minute, ...], int, int] = ((), 0, 0)

    def feed(self, minutes: Iterable[Minute], second: int) -> None:
        """Count the endings that are new in ``minutes`` for this second; the first call only sets the mark."""
        newest = {minute.at: minute.succeeded + minute.failed for minute in list(minutes)[-3:]}
        ended = sum(max(0, number - self._seen.get(at, 0)) for at, number in newest.items())
        self._seen = newest
        if self._started is None:
            self._started = second
            return
        if ended:
            if self._pulses and self._pulses[-1].second == second:
                ended += self._pulses.pop().ended
            self._pulses.append(_Pulse(second, ended))
        while self._pulses and self._pulses[0].second < second - RATE_WINDOW_S:
            self._pulses.popleft()

    def rates(self, minutes: Iterable[Minute], waiting: int, second: int) -> Rates:
        """Return how fast jobs end now, how many failed in the last hour, and when nothing waits any more."""
        listed = tuple(minutes)
        if listed != self._summed[0]:
            failed = sum(minute.failed for minute in listed)
            self._summed = listed, failed + sum(minute.succeeded for minute in listed), failed
        _, ended, failed = self._summed
        span = min(RATE_WINDOW_S, max(1, second - (self._started if self._started is not None else second)))
        recent = sum(pulse.ended for pulse in self._pulses if pulse.second > second - RATE_WINDOW_S)
        per_s = recent / span
        share = failed / ended if ended else None
        return Rates(per_s, share, waiting / per_s if per_s > 0 and waiting else None)
