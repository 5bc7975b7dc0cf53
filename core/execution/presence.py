"""A worker's presence: its registration, the lock that says it lives, and the bell that wakes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from core.execution.selector import Selector
from core.execution.shim import release, withhold
from core.storage.contract import Storage, Wakeup


class Presence:
    """What others see of one worker; ``id`` is 0 before it has registered.

    It belongs to the process that registered: in one that was forked off the lock is not held, and nothing is done.
    """

    def __init__(self, db: Storage, selector: Selector) -> None:
        self._db = db
        self._selector = selector
        self.id = 0
        self._pid = 0
        self._lock = -1
        self._bell: Wakeup | None = None

    def register(self, slots: int, queues: Sequence[str]) -> None:
        """Enter the worker into the database, its lock taken before anyone can see it."""
        self._pid = os.getpid()
        self.id, self._lock = self._db.workers.register(slots=slots, queues=queues)
        withhold(self._lock)
        self._hang_bell()

    def is_elsewhere(self) -> bool:
        """Tell whether this process is a fork of the one that registered."""
        return self._pid != os.getpid() and self._pid != 0

    def keep(self) -> bool:
        """Make the lock file and the bell again if they were removed; return whether they were.

        Until then others cannot see that this worker lives.
        """
        again = self._db.workers.lock_again(self.id, self._lock)
        if again is None:
            return False
        release(self._lock)
        os.close(self._lock)
        self._lock = again
        withhold(again)
        self._hang_bell()
        return True

    def _hang_bell(self) -> None:
        with contextlib.suppress(OSError):  # a file system without named pipes: it looks often enough by itself
            bell = self._db.changes.wakeup_of(self.id)
            if self._bell is not None:
                self._selector.remove(self._bell.descriptor)
                os.close(self._bell.descriptor)
            self._bell = bell
            self._selector.add(bell.descriptor)

    def was_woken(self, ready: set[int]) -> bool:
        """Tell whether the bell is among the descriptors that are ready; take it out of them and silence it."""
        if self._bell is None or self._bell.descriptor not in ready:
            return False
        ready.discard(self._bell.descriptor)
        self._bell.silence()
        return True

    def close(self) -> None:
        """Let the lock go and take the bell down."""
        release(self._lock)
        os.close(self._lock)
        if self._bell is not None:
            self._bell.close()
