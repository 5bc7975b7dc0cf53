"""One place to sleep: until a command ends, the worker is woken, or time is up."""

from __future__ import annotations

import contextlib
import os
import select

from core.errors import QueueError


class Selector:
    """Sleeps on process descriptors and a wake-up pipe (epoll on Linux, poll elsewhere).

    Raises ``QueueError`` when the system has no descriptors left for it.
    """

    def __init__(self) -> None:
        with contextlib.ExitStack() as undo:
            try:
                self._reader, self._writer = os.pipe()
                undo.callback(os.close, self._reader)
                undo.callback(os.close, self._writer)
                os.set_blocking(self._reader, False)
                os.set_blocking(self._writer, False)
                self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
                self._poll.register(self._reader, select.POLLIN)
            except OSError as error:
                raise QueueError(f"a worker cannot start here: {error.strerror}; see 'ulimit -n'") from error
            undo.pop_all()

    def add(self, descriptor: int) -> None:
        """Watch a descriptor until it is readable; raise ``OSError`` when the system watches no more of them."""
        self._poll.register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        """Watch a descriptor no more; call this before it is closed."""
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._poll.unregister(descriptor)

    def wake(self) -> None:
        """End the sleep, from any thread or signal handler."""
        with contextlib.suppress(OSError):  # a full pipe wakes anyway; with a closed one no thread sleeps here
            os.write(self._writer, b"\0")

    def wait(self, timeout_s: float) -> set[int]:
        """Sleep up to ``timeout_s`` seconds; return the readable descriptors (empty after a time-out or a wake-up)."""
        seconds = max(0.0, timeout_s)
        events = self._poll.poll(seconds if hasattr(select, "epoll") else seconds * 1000)
        ready = {descriptor for descriptor, _ in events}
        if self._reader in ready:
            ready.discard(self._reader)
            with contextlib.suppress(OSError):
                os.read(self._reader, 4096)
        return ready

    def close(self) -> None:
        """Sleep no more. The pipe stays while ``wake`` can still be called: its number must not be reused."""
        if hasattr(self._poll, "close"):
            self._poll.close()

    def __del__(self) -> None:
        for descriptor in (self._reader, self._writer):
            with contextlib.suppress(OSError):
                os.close(descriptor)
