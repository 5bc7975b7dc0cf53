"""Decides when a toast reports dead jobs: a hundred a second must not make a hundred toasts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model import Minute
from core.wording import count

#: How far apart two toasts are at least, in seconds: as long as one is shown, so that they do not pile up.
SPACING_S = 6.0


class DeadJobAlert:
    """Counts new dead jobs in the minutes' totals; those that were there at the start are not new.

    The number of dead jobs would not do: it grows when a purge is undone, too. With ``has_bell`` the terminal's bell is
    to ring with each toast.
    """

    def __init__(self, *, has_bell: bool = False) -> None:
        self.has_bell = has_bell
        self._seen: dict[datetime, int] | None = None
        self._unreported = 0
        self._reported_at: datetime | None = None

    def feed(self, minutes: Sequence[Minute]) -> int:
        """Return how many jobs died between the totals of the call before and these, newest minute last."""
        newest = {minute.at: minute.dead for minute in minutes[-3:]}
        new = 0
        if self._seen is not None:
            new = sum(max(0, dead - self._seen.get(at, 0)) for at, dead in newest.items())
        self._seen = newest
        self._unreported += new
        return new

    def toast(self, now: datetime, sample: str) -> str | None:
        """Return the text of a toast for now, ``None`` with no new dead job or too soon; ``sample`` is a command."""
        is_quiet = self._reported_at is not None and (now - self._reported_at).total_seconds() < SPACING_S
        if not self._unreported or is_quiet:
            return None
        number, self._unreported, self._reported_at = self._unreported, 0, now
        if number == 1:
            return f"1 job died: {sample}"[:120] if sample else "1 job died"
        return f"{count(number)} jobs died"
