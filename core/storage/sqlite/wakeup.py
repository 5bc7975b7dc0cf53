"""What wakes sleeping workers: each has a named pipe, which is written to after a commit that workers wait for.

The pipe is ``workers/<id>.bell`` in the spool. It only saves time: a worker looks at the database now and then all the
same, and a pipe that no worker reads, or that is gone, is no error.
"""

from __future__ import annotations

import contextlib
import os

from core.locks import give_to_owner_of_directory


class Wakeup:
    """A worker's own pipe. ``descriptor`` is readable once the worker was woken, until ``clear``."""

    def __init__(self, path: str) -> None:
        self._path = path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # a dead worker's, from a spool that is older than the database
        os.mkfifo(path, 0o600)
        os.chmod(path, 0o600)
        give_to_owner_of_directory(path)
        # open for writing too: without any writer the pipe would be at its end, and so readable, all the time
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def clear(self) -> None:
        """Forget all wake-ups so far."""
        with contextlib.suppress(OSError):
            os.read(self.descriptor, 65536)

    def forget(self) -> None:
        """Close the descriptor; the pipe at the path is another's."""
        os.close(self.descriptor)

    def close(self) -> None:
        """Remove the pipe and close its descriptor."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self.descriptor)


def wake_all(directory: str) -> None:
    """Wake the workers whose pipes are in a directory; never blocks or fails."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name.endswith(".bell"):
            # no reader (ENXIO): its worker died; a full pipe: it is awake already
            with contextlib.suppress(OSError):
                descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.write(descriptor, b"!")
                finally:
                    os.close(descriptor)
