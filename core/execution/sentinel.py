"""The sentinel: a small shell that ends a host's commands at their fence when every worker and the keeper are dead.

It reads a named pipe that each of them holds open for writing. At the end of that file none is left; it then compares
the fence in the lease file with the system's uptime once a second, until no command runs any more or one of them holds
the pipe again. One that came back and renews the lease, but holds nothing since it starts nothing, moves the fence, and
may be killed again. It kills a group only after seeing that its leader has the run file open, so never a stranger's. A
run file without a pid counts as one of a command that runs: its shim may not have come to write it. It needs /proc.
"""

from __future__ import annotations

import contextlib
import errno
import os

from core.clock import since_boot_s
from core.execution.detached import start_detached
from core.execution.shim import release, withhold
from core.spool import Spool

#: How often a worker that starts commands looks whether there is a sentinel, in seconds.
LOOK_S = 1.0
_HAS_UPTIME = os.path.exists("/proc/uptime")

# the arguments: the lease file, the directory of run files; the pipe is its standard input
_SCRIPT = r"""
each() {
    found=
    for run in "$2"/*.run; do
        heading= pid= status=
        { read -r heading; read -r pid; read -r status; } <"$run"
        if [ -n "$heading" ] && [ -z "$pid" ]; then
            found=yes
        elif [ -n "$pid" ] && [ -z "$status" ] && [ "/proc/$pid/fd/9" -ef "$run" ]; then
            found=yes
            [ "$3" = look ] || kill -s KILL -- "-$pid"
        fi
    done 2>/dev/null
    [ -n "$found" ]
}
while :; do
    while read -r line; do :; done
    each "$@" look || exit 0
    read -r boot sent fence rest <"$1" || exit 0
    read -r up rest </proc/uptime
    [ "${up%.*}" -lt "$fence" ] || { each "$@" kill; exit 0; }
    sleep 1
done
"""


class SentinelPipe:
    """The hold of a process on the pipe: while any process has one, the sentinel waits."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._descriptor = -1
        self._look_at_s = 0.0

    def hold_on(self) -> None:
        """Hold the pipe open, as ``hold``, if this process does: its sentinel may have ended."""
        if self._descriptor >= 0:
            self.hold()

    def hold(self) -> None:
        """Hold the pipe open, with a sentinel at its other end: one is started if there is none."""
        if not _HAS_UPTIME or since_boot_s() < self._look_at_s:
            return
        self._look_at_s = since_boot_s() + LOOK_S
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._spool.alive, 0o600)
        if self._open_writer():
            return
        # the sentinel gets a pipe that is open: opening it would wait for ever if this process died just now
        reader = os.open(self._spool.alive, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._open_writer()
            os.set_blocking(reader, True)
            paths = (self._spool.lease, self._spool.attempts)
            start_detached(["/bin/sh", "-c", _SCRIPT, "queuectl-sentinel", *paths], stdin=reader)
        finally:
            os.close(reader)

    def _open_writer(self) -> bool:
        """Open the pipe for writing in place of what was held; return False, and keep that, where nothing reads it."""
        try:
            descriptor = os.open(self._spool.alive, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        self.close()
        self._descriptor = descriptor
        withhold(descriptor)
        return True

    def close(self) -> None:
        """Let go of the pipe; the sentinel ends by itself once nothing is to be watched."""
        if self._descriptor >= 0:
            release(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
