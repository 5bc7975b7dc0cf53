"""Keep the standard streams usable when one of them is closed, full or has no reader left."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def open_missing() -> None:
    """Open ``/dev/null`` for each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next file that is opened (the database's lock, a job's output) would become a standard stream, and
    ``print`` to a stderr of ``None`` writes to stdout.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 # open until the end, as any stdout
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail


def forget(stream: TextIO) -> None:
    """Redirect a stream, with what it buffers, to ``/dev/null``: the interpreter flushes it once more at its end."""
    with suppress(OSError, ValueError):  # it may be closed, or no file at all
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def has_unread_input() -> bool:
    """Return whether stdin is a file, pipe or socket with unread bytes. Never blocks."""
    with suppress(OSError, ValueError):  # no stdin, or one that cannot be asked
        mode = os.fstat(0).st_mode
        if stat.S_ISREG(mode):
            return os.lseek(0, 0, os.SEEK_CUR) < os.fstat(0).st_size
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            import fcntl
            import termios

            return int.from_bytes(fcntl.ioctl(0, termios.FIONREAD, bytes(4)), sys.byteorder) > 0
    return False
