"""The writer thread: performs one write after the other off the UI thread, and posts what became of each."""

from __future__ import annotations

import itertools
import queue as fifo
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from textual.message import Message

from core.errors import NameTaken, QueueError
from core.model import Act
from core.rules.operations import Progress
from queuectl_tui.messages import ActDone, ActProgressed, ActRefused

#: How far apart two reports of progress are at least.
PROGRESS_SPACING_S = 0.1


class Write(NamedTuple):
    """One write: its verb, what performs it, and the line about its result, or what makes that line of an act.

    A text that ``perform`` returns is that line.
    """

    verb: str
    perform: Callable[[Progress], Act | str | None]
    result: str | Callable[[Act], str] = ""


class Writer:
    """Performs writes on its own thread, one after the other, and posts ``ActDone`` or ``ActRefused`` for each.

    ``on_commit`` is called after each that may have changed something.
    """

    def __init__(self, post: Callable[[Message], object], on_commit: Callable[[], None]) -> None:
        self._post = post
        self._on_commit = on_commit
        self._writes: fifo.SimpleQueue[tuple[int, Write] | None] = fifo.SimpleQueue()
        self._tickets = itertools.count(1)
        self._thread = threading.Thread(target=self._run, name="queuectl-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, write: Write) -> int:
        """Queue a write and return its ticket, the number that the message about its end carries. Never blocks."""
        ticket = next(self._tickets)
        self._writes.put((ticket, write))
        return ticket

    @property
    def is_awaited(self) -> bool:
        """Whether another write, or the end, waits for the one that is performed now."""
        return not self._writes.empty()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Perform the writes that were submitted, and end the thread."""
        self._writes.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (submitted := self._writes.get()) is not None:
            ticket, write = submitted
            try:
                act = write.perform(self._progress(write.verb))
            except NameTaken as error:
                self._post(ActRefused(write.verb, str(error), ticket, "name"))
            except QueueError as error:
                self._post(ActRefused(write.verb, str(error), ticket))
            except Exception as error:  # the gateway's boundary: a write that fails must not end the thread
                self._post(ActRefused(write.verb, f"{type(error).__name__}: {error}", ticket))
            else:
                self._post(ActDone(write.verb, _result_of(write, act), ticket))
            self._on_commit()

    def _progress(self, verb: str) -> Progress:
        last_s = time.monotonic()

        def report(done: int, total: int) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s >= PROGRESS_SPACING_S:
                last_s = now_s
                self._post(ActProgressed(verb, done, total))

        return report


def _result_of(write: Write, act: Act | str | None) -> str:
    """Return the line about a write's result; where reading for it fails, a line that says that the write was done."""
    if isinstance(act, str):
        return act
    if isinstance(write.result, str) or act is None:
        return write.result if isinstance(write.result, str) else ""
    try:
        return write.result(act)
    except Exception as error:  # as above: it must not end the thread
        return f"The {write.verb} is done; what became of each job could not be read: {error}"
