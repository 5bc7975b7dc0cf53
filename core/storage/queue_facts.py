"""Each queue with its flags and numbers, and how many jobs a second it brings to their end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from core.model import Counts, QueueInfo

#: Over how long, in milliseconds, and over how many jobs at most, a queue's rate is taken.
RATE_WINDOW_MS, RATE_JOBS = 60_000, 500

# Of a queue without a row of its own: no pause flag, no limit, no word on lost hosts.
_PLAIN = (False, None, None)


def queues_of(stored: Mapping[str, tuple[bool, int | None, str | None]], numbers: Counts) -> list[QueueInfo]:
    """Return every queue that has jobs or a row of its own, by name.

    ``stored`` has of each row whether the queue is paused, its limit, and what becomes of its jobs on a lost host.
    """
    infos = []
    for name in sorted({*numbers.by_queue, *stored}):
        is_paused, limit, on_lost_host = stored.get(name, _PLAIN)
        infos.append(
            QueueInfo(
                name,
                is_paused,
                limit,
                numbers.by_queue.get(name, {}),
                numbers.delayed_by_queue.get(name, 0),
                numbers.blocked_by_queue.get(name, 0),
                on_lost_host=on_lost_host,
            )
        )
    return infos


def rates_of(ended: Sequence[tuple[int, str]], now_ms: int) -> dict[str, float]:
    """Return the rate of each queue, in jobs a second, from when its jobs ended, in milliseconds, within the window."""
    newest = sorted(ended, reverse=True)[:RATE_JOBS]
    start_ms = newest[-1][0] if len(newest) == RATE_JOBS else now_ms - RATE_WINDOW_MS
    window_s = max(1, now_ms - start_ms) / 1000
    return {queue: number / window_s for queue, number in Counter(queue for _, queue in newest).items()}
