"""Toasts: one line of text each, shown for seconds of a clock that is never set, where it covers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, NamedTuple, Protocol, runtime_checkable

from textual.app import App
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.widget import Widget

from core.text import clean_line

#: For how long a toast is shown, in seconds: something that was done, and something that is wrong.
INFORMATION_S, WARNING_S = 4.0, 6.0
#: What stands before a message, so that its colour is not all that says how bad it is.
SIGNS: Mapping[SeverityLevel, str] = {"information": "", "warning": "! ", "error": "!! "}


def toast(where: Widget | App[Any], text: str, severity: SeverityLevel = "information") -> None:
    """Show one line of text as a toast on the screen in front, with control characters made visible."""
    timeout = INFORMATION_S if severity == "information" else WARNING_S
    where.notify(clean_line(text), severity=severity, markup=False, timeout=timeout)


def refuse_in_read_only(where: Widget | App[Any], is_read_only: bool, key: str) -> bool:
    """Return ``is_read_only``; when it is true, say that the key changes nothing here."""
    if is_read_only:
        toast(where, f"{key}: this dashboard only looks (--read-only)", "warning")
    return is_read_only


class Toast(NamedTuple):
    """The text of a toast, and until when by ``time.monotonic`` it is shown."""

    text: str
    severity: SeverityLevel
    until_s: float

    @property
    def left_s(self) -> float:
        """The seconds until its time is up; 0 or less when it is."""
        return self.until_s - monotonic()


class ToastGiven(Message, bubble=False):
    """A toast is to be shown."""

    def __init__(self, toast: Toast) -> None:
        super().__init__()
        self.toast = toast


class LiveToasts:
    """The toasts whose time is not up, at most one of each severity: a new one replaces the one before it."""

    def __init__(self) -> None:
        self._by_severity: dict[SeverityLevel, Toast] = {}

    def add(self, toast: Toast) -> None:
        """Put a toast before all others."""
        self._by_severity.pop(toast.severity, None)
        self._by_severity[toast.severity] = toast

    def newest(self) -> Toast | None:
        """Return the newest toast whose time is not up."""
        self._by_severity = {kind: toast for kind, toast in self._by_severity.items() if toast.left_s > 0}
        return next(reversed(self._by_severity.values()), None)


@runtime_checkable
class ShowsToasts(Protocol):
    """A screen with a place for a toast."""

    def show_toast(self, toast: Toast | None) -> None:
        """Show a toast in the place of the one before; ``None`` shows none."""
