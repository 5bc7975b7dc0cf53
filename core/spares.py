"""Output files of ended attempts that wrote nothing, kept for the next ones.

A busy worker would make and remove a file a job. Giving an old file a new name costs a fraction of that: ext4 without a
journal, for one, looks through all that was removed in the last minute before it makes a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal

#: After so many in a row that could not be used it keeps none any more: some file systems give no leases.
MAX_MISSES = 16


class Spares:
    """The spare files of one worker, up to ``room`` of them, under the names that they had.

    It removes them when it has no use for them.

    A file that was written to makes no spare: ext4 takes one that is cut back to nothing for a document that is being
    saved, and writes it to the disk when it is closed.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._paths: list[str] = []
        self._misses = 0

    def keep(self, path: str) -> None:
        """Keep an empty file that nobody needs any more; remove it if there are enough."""
        if len(self._paths) < self.room and self._misses < MAX_MISSES and _CAN_TELL:
            self._paths.append(path)
        else:
            _remove(path)

    def take(self, path: str) -> bool:
        """Make a spare the file at ``path``, over whatever is there; return whether there was one."""
        while self._paths:
            spare = self._paths.pop()
            try:
                # the name first: nobody can know the new one yet, so from here on nobody else opens the file
                os.rename(spare, path)
                if _is_empty_and_closed(path):
                    self._misses = 0
                    return True
            except OSError:
                pass
            self._misses += 1
            _remove(spare)
            _remove(path)
        return False

    def clear(self) -> None:
        """Remove all spares."""
        while self._paths:
            _remove(self._paths.pop())


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


# A write lease is given only to who has a file open alone (Linux). A command may have left a process behind that still
# writes to its output, and somebody may be reading it: such a file must never become another attempt's.
_CAN_TELL = hasattr(fcntl, "F_SETLEASE")


def _is_empty_and_closed(path: str) -> bool:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _is_open_here_alone(descriptor) and os.fstat(descriptor).st_size == 0
    finally:
        os.close(descriptor)


def _is_open_here_alone(descriptor: int) -> bool:
    try:
        # should somebody open it before the lease is given back: a signal that is ignored; SIGIO would end this process
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
