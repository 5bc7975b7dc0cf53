"""Wrappers that wait for their next command, each with the run file whose lock it holds.

A busy worker gives its commands to the wrappers of those that ended before: see ``core.wrapper``.
"""

from __future__ import annotations

import contextlib
import os

from core.wrapper import Wrapper

# Each ends within a millisecond or two.
_LAST_WAIT_S = 0.5

# Those that ran on when their worker left, with the process whose children they are (a fork has a copy of this list):
# zombies from their end until it collects them.
_left_behind: list[tuple[int, Wrapper]] = []


class Standby:
    """The idle wrappers of one worker, up to ``room`` of them."""

    def __init__(self, room: int) -> None:
        self.room = room
        for left in list(_left_behind):
            parent, wrapper = left
            if parent == os.getpid() and wrapper.reap():
                with contextlib.suppress(ValueError):  # another thread was quicker
                    _left_behind.remove(left)
        self._idle: list[Wrapper] = []
        self._ending: list[Wrapper] = []

    def take(self, kind: object) -> Wrapper | None:
        """Return the wrapper that took a command of this kind last; ``None`` when there is none."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index].kind == kind:
                wrapper = self._idle.pop(index)
                if wrapper.is_free():
                    return wrapper
                self.dismiss(wrapper)
        return None

    def keep(self, wrapper: Wrapper) -> None:
        """Keep a wrapper for a command to come."""
        self._idle.append(wrapper)
        if len(self._idle) > self.room:
            self.dismiss(self._idle.pop(0))

    def dismiss(self, wrapper: Wrapper) -> None:
        """Have an idle wrapper end, and remove its run file, which nobody needs any more."""
        with contextlib.suppress(OSError):
            os.unlink(wrapper.run_path)
        self.part(wrapper)

    def part(self, wrapper: Wrapper) -> None:
        """Have a wrapper end; its run file stays."""
        wrapper.retire()
        self._ending.append(wrapper)

    def leave(self, wrapper: Wrapper) -> None:
        """Leave a wrapper to run on: it ends by itself, and a later worker of this process collects it."""
        wrapper.close()
        _left_behind.append((os.getpid(), wrapper))

    def collect(self) -> None:
        """Collect the wrappers that have ended by now."""
        if self._ending:
            self._ending = [wrapper for wrapper in self._ending if not wrapper.reap()]

    def clear(self) -> None:
        """Dismiss all."""
        while self._idle:
            self.dismiss(self._idle.pop())

    def close(self) -> None:
        """Dismiss all and see them gone; one that is stopped ends when it goes on."""
        self.clear()
        for wrapper in self._ending:
            wrapper.see_off(_LAST_WAIT_S)
        self._ending.clear()
