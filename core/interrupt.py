"""What Ctrl+C does to a program that is still starting, or has closed everything: it ends at once, without a word.

An interrupt in the middle of an import would end it with a traceback, or would be printed and forgotten where Python
calls back into its own import system; one while Python waits for its threads at the end would, too. As long as nothing
was said and no database is open, there is nothing to close.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130


def end_at_once(number: int, frame: FrameType | None) -> None:
    """Handle a signal by ending the process with exit code 130; nothing is flushed or closed."""
    os._exit(INTERRUPTED)


def end_at_once_on_interrupt() -> None:
    """Let SIGINT end the process, unless it is ignored or handled otherwise; for its first and its last moments."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)


def has_started() -> None:
    """Let SIGINT raise ``KeyboardInterrupt`` again, from here on there is something to close."""
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_quietly(main: Callable[[], int]) -> int:
    """Run a program that answers interrupts itself, and return its exit code; one that comes too late ends the process.

    There is a moment in which the program has returned and SIGINT still raises ``KeyboardInterrupt``.
    """
    try:
        try:
            return main()
        finally:
            end_at_once_on_interrupt()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
