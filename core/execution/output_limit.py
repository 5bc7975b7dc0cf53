"""When to look at the size of a growing output, so that one that passes its limit is found soon after. Pure."""

from __future__ import annotations

#: The least and the most time between two looks at an output, in seconds.
LEAST_S, MOST_S = 0.01, 1.0
#: The time from a command's start to the first look. It doubles from look to look while the limit is far.
FIRST_S = 0.05


class OutputWatch:
    """The sizes of one command's output that were seen, and ``look_at_s``, when to look again on the stopwatch.

    ``is_urgent`` says that the time matters: the other looks may wait until something else happens.
    """

    __slots__ = ("_seen_s", "_size", "_wait_s", "look_at_s")

    def __init__(self, now: float) -> None:
        self._size = 0
        self._seen_s = now
        self._wait_s = FIRST_S
        self.look_at_s = now + FIRST_S

    def saw(self, size: int, limit: int, now: float) -> bool:
        """Record the ``size`` of the output at ``now``, in bytes; return whether it is beyond the ``limit``.

        The next look comes when half the time is over in which the output reaches the limit if it grows on as it did
        since the last look. An output that stands still is looked at once in ``MOST_S``.
        """
        grown = size - self._size
        wait_s = 2 * self._wait_s
        if grown > 0:
            wait_s = min(wait_s, (limit - size) / grown * (now - self._seen_s) / 2)
        self._size, self._seen_s = size, now
        self._wait_s = min(MOST_S, max(LEAST_S, wait_s))
        self.look_at_s = now + self._wait_s
        return size > limit

    @property
    def is_urgent(self) -> bool:
        return self._wait_s < FIRST_S
