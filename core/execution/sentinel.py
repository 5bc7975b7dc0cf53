"""The sentinel: a small shell that ends a host's commands at their fence when every worker and the keeper are dead.

It reads a named pipe that each of them holds open for writing. At the end of that file none is left; it then compares
the fence in the lease file with the system's uptime once a second, until no command runs any more or a renewal shows
that somebody came back. It kills a group only after seeing that its leader has the run file open, so never a
stranger's. It needs /proc.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess

from core.execution.shim import release, withhold
from core.spool import Spool

_HAS_UPTIME = os.path.exists("/proc/uptime")

# the arguments: the pipe, the lease file, the directory of run files
_SCRIPT = r"""
exec 3<"$1" || exit 1
while read -r line <&3; do :; done
exec 3<&-
read -r boot sent fence <"$2" || exit 0
each() {
    found=
    for run in "$3"/*.run; do
        pid= status=
        { read -r heading; read -r pid; read -r status; } <"$run"
        if [ -n "$pid" ] && [ -z "$status" ] && [ "/proc/$pid/fd/9" -ef "$run" ]; then
            found=yes
            [ "$4" = look ] || kill -s KILL -- "-$pid"
        fi
    done 2>/dev/null
    [ -n "$found" ]
}
while each "$@" look; do
    read -r boot now fence <"$2" || exit 0
    [ "$now" = "$sent" ] || exit 0
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
        self._process: subprocess.Popen[bytes] | None = None

    def hold(self) -> None:
        """Hold the pipe open, with a sentinel at its other end: one is started if there is none."""
        if not _HAS_UPTIME:
            return
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if self._descriptor >= 0 and self._process is not None:
            return
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._spool.alive, 0o600)
        if self._has_reader():
            return
        self._start()

    def _has_reader(self) -> bool:
        """Open the pipe for writing; return whether a sentinel reads it, which from now on waits for this process."""
        try:
            descriptor = os.open(self._spool.alive, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        self._let_go()
        self._descriptor = descriptor
        withhold(descriptor)
        return True

    def _start(self) -> None:
        # for reading and writing: the sentinel's own opening must not wait, and this process's hold begins here
        descriptor = os.open(self._spool.alive, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._let_go()
        self._descriptor = descriptor
        withhold(descriptor)
        words = [
            "/bin/sh",
            "-c",
            _SCRIPT,
            "queuectl-sentinel",
            self._spool.alive,
            self._spool.lease,
            self._spool.attempts,
        ]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            release(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        """Let go of the pipe; the sentinel ends by itself once nothing is to be watched."""
        self._let_go()
