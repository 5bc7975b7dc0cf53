"""A bell for each worker: who has committed something that workers wait for rings it, so that they need not look often.

A bell is a named pipe, ``workers/<id>.bell`` in the spool. It only saves time: a worker looks at the database now and
then all the same, and a bell that nobody hears, or that is gone, is no error.
"""

from __future__ import annotations

import contextlib
import os

from core.locks import give_to_owner_of_directory


class Wakeup:
    """A worker's own bell. ``descriptor`` is readable once it was rung."""

    def __init__(self, path: str) -> None:
        self._path = path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # a dead worker's, from a spool that is older than the database
        os.mkfifo(path, 0o600)
        os.chmod(path, 0o600)
        give_to_owner_of_directory(path)
        # open for writing too: without any writer the pipe would be at its end, and so readable, all the time
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def silence(self) -> None:
        """Take all rings so far."""
        with contextlib.suppress(OSError):
            os.read(self.descriptor, 65536)

    def close(self) -> None:
        """Take the bell down."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self.descriptor)


def ring_all(directory: str) -> None:
    """Ring the bells of a spool's workers."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name.endswith(".bell"):
            # no reader (ENXIO): its worker died; a full pipe: it is ringing already
            with contextlib.suppress(OSError):
                descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.write(descriptor, b"!")
                finally:
                    os.close(descriptor)
