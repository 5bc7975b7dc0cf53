"""Sync long outputs to the disk in a thread of its own: an ending is recorded only once its output file is synced."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from core.locks import sync_directory
from core.model import Ending
from core.rules.states import with_note
from core.spool import Spool
from core.storage.values import Claim


class OutputSync:
    """Holds back the endings of one worker whose output stays in a file, until that is synced.

    A synced commit of any process makes durable all those before it, so this has to be before the record is written.
    ``wake`` is called from another thread when there are some to ``release``.
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

    def release(self) -> list[tuple[Claim, Ending]]:
        """Return, and hold no more, the endings whose output is synced by now."""
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
            failures = [self._sync(claim.attempt_id) for claim, _ in batch]
            of_names = _failure_of(lambda: sync_directory(self._spool.attempts))
            for (claim, ending), of_file in zip(batch, failures, strict=True):
                self._synced.append((claim, _noted(ending, of_file or of_names)))
            self._wake()

    def _sync(self, attempt_id: int) -> str | None:
        """Sync one output; return why that failed."""

        def sync() -> None:
            path = self._spool.output_file(attempt_id)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

        return _failure_of(sync)


def _failure_of(work: Callable[[], None]) -> str | None:
    """Do a piece of work; return why the system refused it, in the system's words, ``None`` if it did not."""
    try:
        work()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _noted(ending: Ending, failure: str | None) -> Ending:
    """Return the ending with what a disk that failed may have cost: output, not the result, which is known.

    It is not tried again: the system reports such an error once, and a second sync would claim success.
    """
    if failure is None:
        return ending
    return with_note(ending, f"its output may be incomplete, it could not be synced to the disk: {failure}")
