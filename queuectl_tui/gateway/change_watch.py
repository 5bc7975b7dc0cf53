"""Whether the newest snapshot may be out of date: by a commit, by the clock alone, or by a worker that died."""

from __future__ import annotations

import time

from core.errors import DatabaseBusy, QueueError
from core.model import State
from core.queue import Queue
from queuectl_tui.snapshot import Pane, Snapshot

#: How often to look whether the file was deleted or replaced: what is written to it then is lost.
FILE_CHECK_S = 1.0
#: How often to look whether workers died, while jobs run.
WORKER_CHECK_S = 1.0
#: How often to look whether the database could be written, and for how long a lock must be held to count.
WRITE_CHECK_S = 1.0
LOCKED_S = 1.5
#: How long one look waits for a lock.
LOCK_PATIENCE_S = 0.02


class Interval:
    """A deadline that recurs: due at once, and then once every ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._not_before_s = 0.0

    def is_due(self) -> bool:
        """Return whether ``seconds`` have passed since it last returned true."""
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return False
        self._not_before_s = now_s + self._seconds
        return True


class WriteCheck:
    """Finds, once a second, the error that a write to the database would meet."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._interval = Interval(WRITE_CHECK_S)
        self._locked_since_s: float | None = None
        self.error: QueueError | None = None

    def is_changed(self, version: int) -> bool:
        """Return whether ``error`` differs from what it was; ``version`` is the data version that was just read.

        A lock counts once it was held for ``LOCKED_S``, by look after look: each alone may meet a long write.
        """
        if not self._interval.is_due():
            return False
        now_s = time.monotonic()
        error = self._queue.write_error(LOCK_PATIENCE_S)
        if not isinstance(error, DatabaseBusy):
            self._locked_since_s = None
        elif self._locked_since_s is None or self._queue.data_version() != version:
            self._locked_since_s, error = now_s, None
        elif now_s - self._locked_since_s < LOCKED_S:
            error = None
        is_changed = str(error) != str(self.error)
        if is_changed:
            self.error = error
        return is_changed


class ChangeWatch:
    """Looks at the database for changes, each kind as often as it can be afforded; ``changed_s`` is when one was seen.

    ``changed_s`` is by the monotonic clock and counts commits alone.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._version: int | None = None
        self._writes = WriteCheck(queue)
        self._file = Interval(FILE_CHECK_S)
        self._workers = Interval(WORKER_CHECK_S)
        self.changed_s = time.monotonic()

    @property
    def write_error(self) -> QueueError | None:
        """Return the error that a write would have met at the last look; ``None`` for none."""
        return self._writes.error

    def is_outdated(self, snapshot: Snapshot, *, is_woken: bool) -> bool:
        """Return whether a new reading may differ from ``snapshot``; always when woken or after an error.

        Raise ``DatabaseReplaced`` when the file is no longer the one that was opened.
        """
        if self._file.is_due():
            self._queue.check_identity()
        version = self._queue.data_version()
        is_changed = is_woken or version != self._version or snapshot.error is not None
        self._version = version
        if is_changed:
            self.changed_s = time.monotonic()
        return (
            self._writes.is_changed(version)  # always asked: it is due by the clock alone
            or is_changed
            or self._is_ageing(snapshot)
            or self._is_worker_gone(snapshot)
        )

    def _is_ageing(self, snapshot: Snapshot) -> bool:
        """Return whether time alone has changed something: a job became due, or a rate or an age is shown."""
        now = self._queue.now()
        if snapshot.next_due_at is not None and now >= snapshot.next_due_at:
            return True
        age_s = (now - snapshot.taken_at).total_seconds()
        return age_s >= 60 or (age_s >= 1 and snapshot.rates.per_s > 0)

    def _is_worker_gone(self, snapshot: Snapshot) -> bool:
        """Return, once a second while jobs run, whether a worker or an unwatched command ended: neither commits."""
        if not snapshot.counts.of(State.RUNNING) or not self._workers.is_due():
            return False
        if tuple(self._queue.workers()) != snapshot.workers:
            return True
        shown = [row.job for row in snapshot.panes[Pane.RUNNING].rows if row.job.unwatched is not None]
        return bool(shown) and self._queue.watched(shown) != shown
