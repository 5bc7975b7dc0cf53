"""When the reader looks, reads and gives up: what an idle dashboard may cost, and what a key waits for at most."""

from __future__ import annotations

import time

#: How often the reader looks whether another process committed, and how far apart two full readings are at least.
POLL_S = 0.05
SPACING_S = 0.1
#: How often it looks when nothing has changed for so long: looking is most of what an idle dashboard costs.
CALM_POLL_S = 0.1
CALM_AFTER_S = 10.0
#: A full reading may take up to this share of the time.
LOAD_SHARE = 0.25
#: How long to wait after an error.
RETRY_S = 0.5
#: How long a read may go on once something newer is wanted; twice as long each time, so that it ends some day.
PATIENCE_S = 0.03


def poll_s(changed_s: float) -> float:
    """Return how long to sleep before the next look; ``changed_s`` is when a change was seen, monotonic."""
    return CALM_POLL_S if time.monotonic() - changed_s > CALM_AFTER_S else POLL_S


class Pacing:
    """Times the readings: the longer a full one took, the later the next is due. All by the monotonic clock."""

    def __init__(self) -> None:
        self._not_before_s = 0.0
        self._began_s = 0.0
        self._patience_s = PATIENCE_S

    @property
    def is_due(self) -> bool:
        """Return whether everything may be read again by now."""
        return time.monotonic() >= self._not_before_s

    def begin(self) -> None:
        """Start timing a reading."""
        self._began_s = time.monotonic()

    def end(self, *, is_full: bool) -> None:
        """End the timing of a reading; after a full one the next is due in proportion to what it took."""
        self._patience_s = PATIENCE_S
        if is_full:
            cost_s = time.monotonic() - self._began_s
            self._not_before_s = self._began_s + max(SPACING_S, cost_s / LOAD_SHARE)

    def interrupted(self) -> None:
        """Let the next reading take twice as long before it is given up."""
        self._patience_s *= 2

    def failed(self) -> None:
        """Delay the next full reading by ``RETRY_S``."""
        self._not_before_s = time.monotonic() + RETRY_S

    @property
    def is_too_slow(self) -> bool:
        """Return whether the reading has lasted so long that it is given up for a newer request."""
        return time.monotonic() - self._began_s > self._patience_s
