"""Keeps what was shown as a toast, for whoever looks later."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import NamedTuple

from textual.notifications import SeverityLevel

#: How many messages are kept; the oldest go first.
MAX_MESSAGES = 500


class LoggedMessage(NamedTuple):
    """One message, and when it was shown."""

    at: datetime
    text: str
    severity: SeverityLevel


class MessageLog:
    """The messages of this run of the dashboard; ``add`` may be called on any thread."""

    def __init__(self) -> None:
        self._messages: deque[LoggedMessage] = deque(maxlen=MAX_MESSAGES)

    def add(self, message: LoggedMessage) -> None:
        """Keep a message."""
        self._messages.append(message)

    def newest_first(self) -> list[LoggedMessage]:
        """Return the messages, the newest first."""
        return list(reversed(self._messages.copy()))
