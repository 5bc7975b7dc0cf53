"""How long a toast is shown: by a clock that is never set."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

from textual.notifications import Notification

#: The shortest time left that is told, in seconds.
LEAST_S = 0.01


@dataclass
class Saying(Notification):
    """What a toast says, and for how long.

    Textual 8.2.8 asks whether the time is up and then starts a timer for what is left. Where the time is up in between,
    or the calendar is set forward, it is less than nothing, and such a timer goes round for ever: the program hangs.
    """

    begun_s: float = field(default_factory=monotonic)

    @property
    def time_left(self) -> float:
        """The seconds until it goes; more than 0 even if it should have gone."""
        return max(LEAST_S, self._left_s())

    @property
    def has_expired(self) -> bool:
        """Whether its time is up."""
        return self._left_s() <= 0

    def _left_s(self) -> float:
        return self.begun_s + self.timeout - monotonic()
