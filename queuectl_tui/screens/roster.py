"""Finds the action of a key in a place, and the handlers of the actions of a context."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from queuectl_tui.keymap import ACTIONS, ALIVE_TOGETHER, Action, alive

#: Action id -> what its key does.
Handlers = dict[str, Callable[[], None]]


class Roster:
    """The keys that work in each place."""

    def __init__(self, actions: Iterable[Action]) -> None:
        listed = tuple(actions)
        self._by_place = {
            place: {key: action for action in alive(listed, place) for key in action.keys} for place in ALIVE_TOGETHER
        }

    def find(self, place: str, key: str, character: str | None) -> Action | None:
        """Return what a key press means in a place; ``key`` is Textual's name, ``character`` what it prints."""
        if place not in self._by_place or place == "confirm":
            return None
        keys = self._by_place[place]
        return keys.get(key) or (keys.get(character) if character else None)


class Keys:
    """The handlers of some contexts: one method for each action, named like it."""

    contexts: ClassVar[tuple[str, ...]] = ()

    def handlers(self) -> Handlers:
        """Return the handler of every action of these contexts."""
        return {action.id: getattr(self, action.id) for action in ACTIONS if action.context in self.contexts}
