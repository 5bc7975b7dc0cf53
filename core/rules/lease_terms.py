"""The times of a host's lease on a database that several hosts share, from its length alone.

A host renews its lease every ``renew_s``. ``fence_s`` after it sent the last renewal that was confirmed it ends its
commands by itself; others give it up once its renewals have stood still for ``lease_s``. Both are measured on
stopwatches, so no clock has to show the right time; they must run equally fast within one percent.

No command runs past its fence for longer than ``FENCE_DELAY_S``, the time of a look and a kill. So no two run at once
if ``lease_s > (fence_s + FENCE_DELAY_S) * 1.02``, which holds for every length of at least ``SHORTEST_LEASE_S`` in
``core.rules.settings``.
"""

from __future__ import annotations

from typing import NamedTuple

#: The longest that a fence lasts, in seconds: a look every ``LOOK_S``, and the kill.
FENCE_DELAY_S = 3.0
#: How often a fence looks at the stopwatch, in seconds.
LOOK_S = 0.5


class LeaseTerms(NamedTuple):
    """The lease of one life of a host; ``lease_s`` is its length in seconds."""

    lease_s: float

    @property
    def renew_s(self) -> float:
        """How often to renew, in seconds."""
        return self.lease_s / 15

    @property
    def fence_s(self) -> float:
        """How long after sending the last confirmed renewal the commands of the host are killed, in seconds."""
        return max(0.9 * self.lease_s - 5, 0.45 * self.lease_s)

    def stop_s(self, grace_s: float) -> float:
        """Return how long after that renewal they are asked to stop, in seconds: ``grace_s`` before the kill."""
        return self.fence_s - min(grace_s, self.fence_s / 3)

    @property
    def start_s(self) -> float:
        """How long after that renewal a command may still be started, in seconds."""
        return self.fence_s - min(5.0, self.fence_s / 4)
