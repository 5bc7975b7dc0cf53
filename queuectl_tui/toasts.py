"""Toasts: a line of text in a corner of any screen, shown for seconds of a clock that is never set."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from textual.app import App
from textual.notifications import Notification, SeverityLevel
from textual.widget import Widget

from core.text import clean_line

#: The shortest time left that is reported, in seconds.
LEAST_S = 0.01
#: For how long a toast is shown, in seconds: something that was done, and something that is wrong.
INFORMATION_S, WARNING_S = 4.0, 6.0


def toast(where: Widget | App[Any], text: str, severity: SeverityLevel = "information") -> None:
    """Show one line of text as a toast on the screen in front, with control characters made visible."""
    timeout = INFORMATION_S if severity == "information" else WARNING_S
    where.notify(clean_line(text), severity=severity, markup=False, timeout=timeout)


@dataclass
class Saying(Notification):
    """The text of a toast, and for how long it is shown.

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
