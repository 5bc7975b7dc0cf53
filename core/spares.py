"""Files of ended attempts, kept for the next ones.

A busy worker would make and remove two files a job. Giving an old file a new name costs a fraction of that: ext4
without a journal, for one, looks through all that was removed in the last minute before it makes a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal

#: How many files of each kind one worker keeps.
MOST = 16
#: After so many in a row that could not be used it keeps none any more: some file systems give no leases.
MAX_MISSES = 16
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Spares:
    """The spare files of one worker, under the names that they had: it removes them when it has no use for them.

    They are run files, to be cut back to their first words, and output files that nothing was written to. One that was
    written to makes no spare: ext4 takes a file that is cut back to nothing for a document that is being saved, and
    writes it to the disk when it is closed.
    """

    def __init__(self) -> None:
        self._paths: dict[int, list[str]] = {}
        self._misses = 0

    def keep(self, path: str, length: int) -> None:
        """Keep a file that nobody needs any more, to be cut back to ``length`` bytes; remove it if there are enough."""
        paths = self._paths.setdefault(length, [])
        if len(paths) < MOST and self._misses < MAX_MISSES and _CAN_TELL:
            paths.append(path)
        else:
            _remove(path)

    def take(self, path: str, length: int) -> int | None:
        """Make a spare the file at ``path``, over whatever is there; return its descriptor, for appending.

        ``None`` when there is no spare.
        """
        paths = self._paths.get(length)
        while paths:
            spare = paths.pop()
            descriptor = -1
            try:
                # the name first: nobody can know the new one yet, so from here on nobody else opens the file
                os.rename(spare, path)
                descriptor = os.open(path, _FLAGS)
                if _is_open_here_alone(descriptor) and _cut_back(descriptor, length):
                    self._misses = 0
                    return descriptor
            except OSError:
                pass
            self._misses += 1
            if descriptor >= 0:
                os.close(descriptor)
            _remove(spare)
            _remove(path)
        return None

    def clear(self) -> None:
        """Remove all spares."""
        for paths in self._paths.values():
            while paths:
                _remove(paths.pop())


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _cut_back(descriptor: int, length: int) -> bool:
    """Make a file exactly ``length`` bytes long; return whether it is."""
    if length:
        os.ftruncate(descriptor, length)
        return True
    return os.fstat(descriptor).st_size == 0


# A write lease is given only to who has a file open alone (Linux). A command may have left a process behind that still
# writes to its output, and somebody may be reading it: such a file must never become another attempt's.
_CAN_TELL = hasattr(fcntl, "F_SETLEASE")


def _is_open_here_alone(descriptor: int) -> bool:
    try:
        # should somebody open it before the lease is given back: a signal that is ignored; SIGIO would end this process
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
