"""The writer thread: does what people ask, one after the other, off the UI thread, and reports facts."""

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
from core.queue import Progress
from queuectl_tui.messages import ActDone, ActProgressed, ActRefused

#: How far apart two reports of progress are at least.
PROGRESS_SPACING_S = 0.1


class Order(NamedTuple):
    """One write: what it is called, how it is done, and what is said when it is done ("" says nothing)."""

    verb: str
    do: Callable[[Progress], Act | None]
    say: Callable[[Act | None], str]


class Writer:
    """Carries out orders in turn; ``on_commit`` is called after each that may have changed something."""

    def __init__(self, post: Callable[[Message], object], on_commit: Callable[[], None]) -> None:
        self._post = post
        self._on_commit = on_commit
        self._orders: fifo.SimpleQueue[tuple[int, Order] | None] = fifo.SimpleQueue()
        self._tickets = itertools.count(1)
        self._thread = threading.Thread(target=self._run, name="queuectl-writer", daemon=True)

    def start(self) -> None:
        """Begin to take orders."""
        self._thread.start()

    def give(self, order: Order) -> int:
        """Queue an order and return its ticket, the number that the message about its end carries; at once."""
        ticket = next(self._tickets)
        self._orders.put((ticket, order))
        return ticket

    def stop(self, timeout_s: float = 5.0) -> None:
        """Finish the orders given so far and end the thread."""
        self._orders.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (given := self._orders.get()) is not None:
            ticket, order = given
            try:
                act = order.do(self._progress(order.verb))
            except NameTaken as error:
                self._post(ActRefused(order.verb, str(error), ticket, "name"))
            except QueueError as error:
                self._post(ActRefused(order.verb, str(error), ticket))
            except Exception as error:  # the gateway's boundary: a write that fails must not end the thread
                self._post(ActRefused(order.verb, f"{type(error).__name__}: {error}", ticket))
            else:
                self._post(ActDone(order.verb, _said(order, act), ticket))
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


def _said(order: Order, act: Act | None) -> str:
    """Return what an order says of itself; it may have to read for that, and what was done stays done if it cannot."""
    try:
        return order.say(act)
    except Exception as error:  # as above: it must not end the thread
        return f"The {order.verb} is done; what became of each job could not be read: {error}"
