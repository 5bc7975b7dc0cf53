"""Patience with a server that is away for a while: a command that follows jobs goes on once it is back."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType

from core.addresses import is_on_server
from core.cli.context import Session
from core.errors import QueueError, may_pass
from core.queue import Queue

#: How long a server may be away, in seconds: a restart or a failover is over by then.
PATIENCE_S = 60.0
#: Between two tries, in seconds.
_REST_S = 0.5


class Patience(AbstractContextManager[None]):
    """Bears errors of a server that may pass, for ``PATIENCE_S`` from the first: each ``with`` block is one try."""

    def __init__(self, session: Session, queue: Queue) -> None:
        self._session = session
        self._is_borne = is_on_server(queue.path)
        self._since_s: float | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._since_s = None
            return False
        if not self._is_borne or not isinstance(error, QueueError) or not may_pass(error):
            return False
        now_s = self._session.monotonic_s()
        if self._since_s is None:
            self._since_s = now_s
            self._session.note(f"queuectl: {error}; trying again for {PATIENCE_S:.0f} s")
        elif now_s - self._since_s > PATIENCE_S:
            return False
        time.sleep(_REST_S)
        return True
