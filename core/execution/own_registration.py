"""A worker's own entry in the register: the lock that proves it alive, its host's lease, what wakes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from core.errors import QueueError
from core.execution.host_keeping import HostKeeping
from core.execution.selector import Selector
from core.execution.shim import release, withhold
from core.rules.settings import Settings
from core.storage.contract import Storage, Wakeup


class OwnRegistration:
    """What others see of one worker; ``id`` is 0 before it has registered.

    It belongs to the process that registered: in one that was forked off the lock is not held, and nothing is done.
    """

    def __init__(self, storage: Storage, selector: Selector, host: HostKeeping) -> None:
        self._storage = storage
        self._selector = selector
        self.host = host
        self.id = 0
        self._pid = 0
        self._lock = -1
        self._wakeup: Wakeup | None = None
        self._must_listen = False

    def register(self, slots: int, queues: Sequence[str], settings: Settings) -> None:
        """Enter the worker, and its host, into the register; its lock is held before its row can be seen.

        If that fails, nothing is held: another try is another worker, and this one counts as dead.
        """
        self._pid = os.getpid()
        try:
            self.host.join(settings)
            self.id, self._lock = self._storage.workers.register(slots=slots, queues=queues)
            withhold(self._lock)
            self.host.join(settings, self.id)
            self._listen()
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Leave the register as far as it is in there; a row that cannot be removed now is that of a dead worker."""
        if self._lock < 0:
            self.host.leave()
            return
        with contextlib.suppress(QueueError):
            self._storage.workers.forget(self.id)
        self.close()
        self.id, self._lock = 0, -1

    def is_elsewhere(self) -> bool:
        """Return whether this process is a fork of the one that registered."""
        return self._pid != os.getpid() and self._pid != 0

    def restore(self) -> bool:
        """Make the lock file and the pipe again if they were removed; return whether they were.

        Until then others cannot see that this worker lives.
        """
        if self._must_listen:
            self._listen()
        again = self._storage.workers.lock_again(self.id, self._lock)
        if again is None:
            return False
        release(self._lock)
        os.close(self._lock)
        self._lock = again
        withhold(again)
        self._listen()
        return True

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # a file system without named pipes: the worker looks often enough by itself
            wakeup = self._storage.changes.wakeup_of(self.id)
            if self._wakeup is not None:
                self._selector.remove(self._wakeup.descriptor)
                self._wakeup.forget()
            self._wakeup = wakeup
            self._selector.add(wakeup.descriptor)
            self._must_listen = False

    def was_woken(self, ready: set[int]) -> bool:
        """Return whether another process woke the worker, given the ``ready`` descriptors; its own is taken out."""
        if self._wakeup is None or self._wakeup.descriptor not in ready:
            return False
        ready.discard(self._wakeup.descriptor)
        try:
            self._wakeup.clear()
        except OSError:  # a connection that broke: it would wake the worker all the time
            self._selector.remove(self._wakeup.descriptor)
            self._wakeup.close()
            self._wakeup, self._must_listen = None, True
        return True

    def close(self) -> None:
        """Let go of the lock, and remove the pipe; the host leaves with its last worker."""
        self.host.leave()
        release(self._lock)
        os.close(self._lock)
        if self._wakeup is not None:
            self._wakeup.close()
