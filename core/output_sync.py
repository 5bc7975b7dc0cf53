"""Syncing long outputs to disk, beside the loop: a result is recorded only once the file with its output is safe."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable

from core.liveness import sync_directory
from core.model import Ending
from core.paths import Spool
from core.store.claims import Claim


class OutputSync:
    """Holds back the endings of one worker whose output stays in a file, until that is synced.

    A synced commit of any process makes durable all those before it, so this has to be before the record is written.
    ``wake`` is called from another thread when there is one to ``take``.
    """

    def __init__(self, spool: Spool, wake: Callable[[], None]) -> None:
        self._spool = spool
        self._wake = wake
        self._guard = threading.Lock()
        self._waiting: deque[tuple[Claim, Ending]] = deque()
        self._synced: deque[tuple[Claim, Ending]] = deque()
        self._count = 0
        self._is_at_work = False

    def __len__(self) -> int:
        """Return how many endings are held back."""
        return self._count

    def hold(self, claim: Claim, ending: Ending) -> None:
        """Hold an ending back until its output is synced."""
        with self._guard:
            self._count += 1
            self._waiting.append((claim, ending))
            if self._is_at_work:
                return
            self._is_at_work = True
        try:
            threading.Thread(target=self.sync_all, name="queuectl-output-sync", daemon=True).start()
        except RuntimeError:  # the system has no room for a thread
            self.sync_all()

    def take(self) -> list[tuple[Claim, Ending]]:
        """Return the endings whose output is synced by now."""
        found = []
        while self._synced:
            found.append(self._synced.popleft())
        self._count -= len(found)
        return found

    def sync_all(self) -> None:
        """Sync what waits, with the directory that holds the names, until nothing waits any more."""
        while True:
            with self._guard:
                batch = list(self._waiting)
                self._waiting.clear()
                if not batch:
                    self._is_at_work = False
                    return
            for claim, _ in batch:
                self._sync(claim.attempt_id)
            # a disk that fails here loses output, not the result: that is recorded all the same
            with contextlib.suppress(OSError):
                sync_directory(self._spool.attempts)
            self._synced.extend(batch)
            self._wake()

    def _sync(self, attempt_id: int) -> None:
        with contextlib.suppress(OSError):
            path = self._spool.output_file(attempt_id)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
