"""How many commands may run at once after the system refused to start one. Pure: each time is an argument.

For a while, which doubles each time that more is refused after it, no more commands run at once than had run until
then; a refusal within that time lowers the number, down to none.
"""

from __future__ import annotations

#: The first and the longest pause after a refusal, in seconds; each is twice the last.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


class SpawnLimit:
    """The limit for one worker. ``pause_s`` is how long the last pause was, 0 once there is room again.

    ``refusal`` is why the last pause was, until there is room again.
    """

    def __init__(self) -> None:
        self.pause_s = 0.0
        self.refusal: str | None = None
        self._paused_until_s = 0.0
        self._most = 0  # how many may run during a pause
        self._peak = 0  # how many have run at once, to their ends, since the last refusal

    def is_pausing(self, now_s: float) -> bool:
        """Return whether the system refused a command a while ago."""
        return now_s < self._paused_until_s

    def of(self, slots: int, now_s: float) -> int:
        """Return how many of so many slots may be in use."""
        return min(slots, self._most) if self.is_pausing(now_s) else slots

    def ended(self, count: int, live: int) -> None:
        """Record ``count`` endings of one step, beside ``live`` commands that run on: so many had run at once."""
        if count:
            self._peak = max(self._peak, live + count)

    def unrefused(self, claimed: int, recorded: int, now_s: float) -> None:
        """Lift the limit after a step without a refusal, if that shows that there is room again.

        A shim that was started shows nothing yet: it may be refused a process for its command, which is seen later.
        """
        if not claimed or (recorded and not self.is_pausing(now_s)):
            self.pause_s = 0.0
            self.refusal = None

    def refused(self, reason: str, live: int, now_s: float) -> bool:
        """Run no more at once than the system allowed, ``live`` commands or the peak; return whether a pause began."""
        is_pausing = self.is_pausing(now_s)
        self._most = live if is_pausing else max(live, self._peak)
        self._peak = live
        if is_pausing:
            return False
        self.pause_s = min(LONGEST_PAUSE_S, self.pause_s * 2 or FIRST_PAUSE_S)
        self._paused_until_s = now_s + self.pause_s
        self.refusal = f"no room for more commands: {reason}"
        return True
