"""Decides when to tell that jobs died: a hundred deaths a second must not make a hundred toasts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model import Minute
from queuectl_tui.format import count

#: How far apart two toasts are at least, in seconds: as long as one is shown, so that they do not pile up.
SPACING_S = 6.0


class DeathWatch:
    """Watches deaths in the minutes' totals; what there was at the start is no news.

    The number of dead jobs would not do: it grows when a purge is undone, too.
    """

    def __init__(self) -> None:
        self._seen: dict[datetime, int] | None = None
        self._untold = 0
        self._told_at: datetime | None = None

    def feed(self, minutes: Sequence[Minute]) -> int:
        """Take the newest totals, newest minute last, and return how many died since the last ones."""
        newest = {minute.at: minute.dead for minute in minutes[-3:]}
        new = 0
        if self._seen is not None:
            new = sum(max(0, dead - self._seen.get(at, 0)) for at, dead in newest.items())
        self._seen = newest
        self._untold += new
        return new

    def toast(self, now: datetime, sample: str) -> str | None:
        """Return what to tell now, ``None`` when there is nothing or it is too soon; ``sample`` is a command."""
        is_quiet = self._told_at is not None and (now - self._told_at).total_seconds() < SPACING_S
        if not self._untold or is_quiet:
            return None
        number, self._untold, self._told_at = self._untold, 0, now
        if number == 1:
            return f"1 job died: {sample}"[:120] if sample else "1 job died"
        return f"{count(number)} jobs died"
