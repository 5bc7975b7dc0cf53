"""Whether a worker can write its database: what keeps it from that, for as long as it lasts, and when to try again."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import DiskFull, QueueError
from core.execution import events

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 1.0


class StorageState:
    """The state of one worker's storage. ``emit`` is called with each change of it.

    ``error`` is what the last try met, ``None`` while all is well; ``retry_s`` how long to wait before the next.
    """

    def __init__(self, emit: Callable[[events.WorkerEvent], None]) -> None:
        self._emit = emit
        self.error: QueueError | None = None
        self.retry_s = _FIRST_RETRY_S

    @property
    def is_full(self) -> bool:
        """Whether the disk has no room."""
        return isinstance(self.error, DiskFull)

    def failed(self, error: QueueError) -> None:
        """Note an error; it is told once for each kind."""
        is_news = type(error) is not type(self.error)
        self.retry_s = _FIRST_RETRY_S if self.error is None else min(_LONGEST_RETRY_S, self.retry_s * 2)
        self.error = error
        if is_news:
            self._emit(events.StorageTrouble(str(error)))

    def works(self) -> None:
        """Note that a write succeeded."""
        if self.error is not None:
            self.error = None
            self._emit(events.StorageRecovered())
