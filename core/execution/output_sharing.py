"""Copy what this worker's commands write to the database, for readers on other hosts, in a thread of its own.

The file stays the truth. While a command runs what is new of its output follows within about a second; once it has
ended what is longer than a row is kept from its start up to the setting ``output-shared``, and its end.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

from core.errors import QueueError
from core.output import PART_BYTES, read_part, shared_parts
from core.rules.settings import Settings
from core.storage.contract import Storage
from core.storage.host_contract import SharedOutputs

#: How often what is new is copied, in seconds.
SHARE_S = 1.0


class OutputSharing:
    """The outputs of one worker. ``running`` returns the ids of its open attempts; both are called in the thread."""

    def __init__(
        self, storage: Storage, running: Callable[[], Sequence[int]], settings: Callable[[], Settings]
    ) -> None:
        self._storage = storage
        self._outputs: SharedOutputs | None = storage.outputs.shared
        self._running = running
        self._settings = settings
        self._ended: deque[tuple[int, bool]] = deque()
        self._copied: dict[int, int] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to copy, where other hosts read, unless it has begun."""
        if self._outputs is not None and self._thread is None:
            self._thread = threading.Thread(target=self._copy_all, name="queuectl-output-sharing", daemon=True)
            self._thread.start()

    def ended(self, attempt_id: int, *, is_in_file: bool) -> None:
        """Note that an attempt's ending is recorded; ``is_in_file`` if its output is too long for its row."""
        if self._outputs is not None:
            self._ended.append((attempt_id, is_in_file))

    def stop(self) -> None:
        """Copy what has ended, and end the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _copy_all(self) -> None:
        outputs = self._outputs
        assert outputs is not None
        is_over = False
        try:
            while not is_over:
                is_over = self._over.wait(SHARE_S)
                # a copy that fails is made at the next look: what was copied is known by its length
                with contextlib.suppress(QueueError, OSError):
                    self._settle(outputs)
                    self._follow(outputs)
        finally:
            self._storage.close_thread()

    def _follow(self, outputs: SharedOutputs) -> None:
        limit = self._settings().output_shared_bytes
        parts = []
        for attempt_id in self._running():
            at = self._copied_until(outputs, attempt_id)
            data = read_part(self._storage.spool, attempt_id, at, min(PART_BYTES, limit - at))
            if data:
                parts.append((attempt_id, at, data))
        if parts:
            outputs.add(parts)
            self._copied.update((attempt_id, at + len(data)) for attempt_id, at, data in parts)

    def _copied_until(self, outputs: SharedOutputs, attempt_id: int) -> int:
        """Return how much of an output was copied, in bytes; that of an adopted one was begun by another worker."""
        if attempt_id not in self._copied:
            spans = outputs.shared(attempt_id).spans
            self._copied[attempt_id] = spans[0][1] if spans else 0
        return self._copied[attempt_id]

    def _settle(self, outputs: SharedOutputs) -> None:
        while self._ended:
            attempt_id, is_in_file = self._ended[0]
            if is_in_file or attempt_id in self._copied:
                outputs.replace(
                    attempt_id,
                    list(shared_parts(self._storage.spool, attempt_id, self._settings().output_shared_bytes))
                    if is_in_file
                    else [],
                )
            self._copied.pop(attempt_id, None)
            self._ended.popleft()
