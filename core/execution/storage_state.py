"""Whether a worker can write its database, what keeps it from that, and how soon it tries again."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import DiskFull, QueueError
from core.execution import events

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 1.0


class StorageState:
    """The state of one worker's storage; ``error`` is what the last try met, ``None`` while all is well.

    ``emit`` is called with each change of it.
    """

    def __init__(self, emit: Callable[[events.WorkerEvent], None]) -> None:
        self._emit = emit
        self.error: QueueError | None = None
        self._retry_s = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the disk has no room."""
        return isinstance(self.error, DiskFull)

    def failed(self, error: QueueError) -> float:
        """Note an error, emit it unless it is of the kind that lasts; return in how many seconds to try again."""
        is_new = type(error) is not type(self.error)
        self._retry_s = _FIRST_RETRY_S if self.error is None else min(_LONGEST_RETRY_S, self._retry_s * 2)
        self.error = error
        if is_new:
            self._emit(events.StorageTrouble(str(error)))
        return self._retry_s

    def works(self) -> None:
        """Note that a write succeeded."""
        if self.error is not None:
            self.error = None
            self._emit(events.StorageRecovered())
