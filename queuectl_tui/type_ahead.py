"""Keep the keys that are typed ahead of an answer which decides what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from textual import events
from textual.message import Message

#: What works at any time: leaving what is waited for, and leaving the program.
_NEVER_HELD = frozenset({"escape", "ctrl+q", "ctrl+c"})


class _App(Protocol):
    def call_later(self, callback: Callable[[], object]) -> bool: ...
    def post_message(self, message: Message) -> bool: ...


class TypeAhead:
    """Keys typed behind one whose effect comes by way of another thread, to be typed again once it is there.

    ``z y`` in one burst is the answer to the question that ``z`` asks, and what follows the Enter of a form is meant
    for the dashboard behind it.
    """

    def __init__(self) -> None:
        self._keys: list[events.Key] = []
        #: Whether all keys are kept.
        self.is_holding = False

    def hold(self) -> None:
        """Keep all keys from now on, until ``give_back`` or ``drop``."""
        self.is_holding = True

    def take(self, event: events.Key) -> bool:
        """Keep a key, unless it leaves what is waited for or the program; return whether it was kept. Esc drops all."""
        if event.key == "escape":
            self.drop()
        if event.key in _NEVER_HELD:
            return False
        self.keep(event)
        return True

    def keep(self, event: events.Key) -> None:
        """Keep one key."""
        self._keys.append(events.Key(event.key, event.character))

    def drop(self) -> None:
        """Forget the keys that were kept, and keep no more."""
        self.is_holding = False
        self._keys.clear()

    def give_back(self, app: _App) -> None:
        """Have the app take the keys again, behind those that wait in its queue already and belong to the burst."""
        app.call_later(lambda: self._give_back(app))

    def _give_back(self, app: _App) -> None:
        keys = list(self._keys)
        self.drop()
        for key in keys:
            app.post_message(key)
