"""Ends the process when its terminal goes away or a signal asks for it, however its other threads are blocked.

Textual 8.2.8 writes through a queue of 30 texts to a thread that dies with the terminal: the main thread then waits at
the 31st for ever, where no handler of the event loop runs, while the input thread reads the end of file over and over.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

#: How long an orderly end may take without a terminal, in seconds.
LOST_S = 1.5
#: How long after a signal the terminal must have been given back, in seconds.
SIGNAL_S = 3.0
#: How often the terminal is looked at where the system does not report that it has gone, in seconds.
LOOK_S = 1.0
#: How long what ``before_exit`` does may take, in seconds.
LAST_S = 1.0


class TerminalWatch:
    """Watches a terminal from ``start`` to the end of the process, and SIGTERM and SIGHUP once they are caught.

    ``terminal`` may be a pipe, for a dashboard that is drawn elsewhere: it goes away when its writer does.

    ``before_exit`` is called when the deadline passes, just before the process is ended by ``os._exit``.
    """

    def __init__(self, terminal: int, before_exit: Callable[[], None] = lambda: None) -> None:
        self.before_exit = before_exit
        self._terminal = terminal
        self._is_pipe = not os.isatty(terminal)
        self._is_pipe_closed = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._lock = threading.Lock()
        self._on_end: Callable[[int], None] | None = None
        self._number = 0
        self._is_lost = False
        self._deadline_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="queuectl-terminal", daemon=True)

    def start(self) -> None:
        """Begin to watch the terminal.

        The thread blocks the signals: the main thread may have blocked them while it makes something, and signals that
        reached this thread would run their Python handlers in the main thread all the same.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGHUP))
        try:
            self._thread.start()  # it inherits the mask
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def catch_signals(self) -> None:
        """Handle SIGTERM and SIGHUP from now on; to be called in the main thread.

        The handlers only leave a note for the thread, so that they work while the main thread waits for a lock.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        resume = signal.getsignal(signal.SIGCONT)
        if callable(resume):
            signal.signal(signal.SIGCONT, partial(self._resume, resume))

    def call_at_end(self, on_end: Callable[[int], None]) -> None:
        """Call ``on_end(signal_number)`` on a thread of its own once the process has to end, which may be now."""
        with self._lock:
            self._on_end = on_end
            is_ending = self._number != 0
        if is_ending:
            self._pass_on()

    @property
    def is_lost(self) -> bool:
        """Whether the terminal has been hung up, whether or not the thread has seen that yet."""
        return self._is_lost or self._is_gone()

    def terminal_is_restored(self) -> None:
        """Cancel the deadline of a signal, unless the terminal has gone: what is left to do has no limit then.

        To be called in the main thread: from here on the process is stopped and continued like any other.
        """
        for number in (signal.SIGTSTP, signal.SIGCONT):
            signal.signal(number, signal.SIG_DFL)
        with self._lock:
            if not self._is_lost:
                self._deadline_s = None

    def _note(self, number: int, _: object) -> None:
        try:
            os.write(self._writer, bytes([number]))
        except BlockingIOError:
            return  # there are notes enough

    def _resume(self, resume: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None) -> None:
        """Call Textual's handler of SIGCONT while there is an application to resume and a terminal to draw on.

        The system sends SIGCONT after the SIGHUP of a closed terminal, too, often when the event loop has ended;
        Textual 8.2.8 starts its terminal anew at each and raises ``RuntimeError`` without a loop.
        """
        if not self.is_lost and _is_loop_running():
            resume(number, frame)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        poll.register(self._terminal, 0)  # that it was hung up is reported all the same
        while True:
            for descriptor, event in poll.poll(self._wait_s() * 1000):
                if descriptor == self._reader:
                    self._begin(os.read(self._reader, 1)[0], SIGNAL_S)
                else:
                    self._is_pipe_closed = self._is_pipe and bool(event & select.POLLHUP)
                    poll.unregister(descriptor)  # on macOS poll knows no terminals and reports each as invalid
            if not self._is_lost and self._is_gone():
                self._is_lost = True
                self._begin(signal.SIGHUP, LOST_S)
            if self._wait_s() == 0:
                self._end_at_once()

    def _is_gone(self) -> bool:
        return self._is_pipe_closed if self._is_pipe else not os.isatty(self._terminal)

    def _wait_s(self) -> float:
        with self._lock:
            left_s = LOOK_S if self._deadline_s is None else self._deadline_s - time.monotonic()
        return min(LOOK_S, max(0.0, left_s))

    def _begin(self, number: int, within_s: float) -> None:
        with self._lock:
            is_first, self._number = self._number == 0, self._number or number
            deadline_s = time.monotonic() + within_s
            self._deadline_s = deadline_s if self._deadline_s is None else min(deadline_s, self._deadline_s)
        if is_first:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._on_end is not None:
            threading.Thread(target=self._on_end, args=(self._number,), name="queuectl-end", daemon=True).start()

    def _end_at_once(self) -> None:
        last = threading.Thread(target=self.before_exit, daemon=True)
        last.start()
        last.join(LAST_S)
        os._exit(128 + self._number)


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
