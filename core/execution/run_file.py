"""The run file of an attempt: what proves that its command runs, and says how it ended. It outlives its worker.

It has three lines, each written when its fact is known:

    queuectl attempt 17     by the worker, inside the claim; it also makes sure that the disk has room for the rest
    4711                    by the shim: its pid, which is also the session and the process group of the command
    7                       by the shim: the exit status of the command ("cwd" if its directory could not be entered)

Its lock is held by every process of the command's tree. So an open attempt is, in this order: ended with the status in
its file; running, if the lock is held, or if the session with the pid has members; lost. That the lock is held says
nothing of the pid: a daemon of the command's may hold it, in a session of its own, when the number is another's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import NamedTuple

from core.execution.shim import NO_DIRECTORY, off_targets
from core.locks import create_afresh
from core.spool import Spool

#: What a run file begins with; the attempt's id follows.
HEADING = "queuectl attempt "

#: Errors of the system's that pass: no processes, memory or descriptors left just now.
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})


class Status(NamedTuple):
    """What a run file says: the shim's pid, the exit status once it is there, whether the directory was gone.

    Not in it are ``is_refused`` (the shim ended by itself, since the system let it start no process), and what the
    command used, for one that this process started.
    """

    pid: int | None = None
    exit_code: int | None = None
    is_directory_gone: bool = False
    ended_at_ms: int | None = None
    is_refused: bool = False
    cpu_ms: int | None = None
    max_rss_bytes: int | None = None


def read_status(spool: Spool, attempt_id: int) -> Status:
    """Return what the run file says; nothing for a file that is gone or not ours."""
    try:
        descriptor = os.open(spool.run_file(attempt_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in PASSING_ERRORS:
            raise  # it may be there all the same
        return Status()
    try:
        lines = os.read(descriptor, 256).decode("ascii", "replace").split("\n")
        ended_at_ms = os.fstat(descriptor).st_mtime_ns // 1_000_000
    finally:
        os.close(descriptor)
    if lines[0] != f"{HEADING}{attempt_id}":
        return Status()  # the power went before what an earlier attempt had written there was gone
    # the last element has no end of line: it is empty, or a line that was being written when the power went
    values = lines[1:-1]
    pid = int(values[0]) if values and values[0].isdigit() else None
    if len(values) < 2:
        return Status(pid)
    if values[1] != NO_DIRECTORY and not values[1].isdigit():
        return Status(pid)
    if values[1] == NO_DIRECTORY:
        return Status(pid, 126, True, ended_at_ms)
    return Status(pid, int(values[1]), False, ended_at_ms)


class RunFile:
    """A new attempt's run file and output file, held by the worker between its claim and its start.

    ``lock`` holds the lock, ``writer`` appends to the run file, ``output`` to the output file. Raises ``OSError`` when
    the system has no room for the files; then neither is there.
    """

    def __init__(self, spool: Spool, attempt_id: int) -> None:
        self.path, self.output_path = spool.run_file(attempt_id), spool.output_file(attempt_id)
        self.lock = self.writer = self.output = -1
        try:
            self.writer = off_targets(create_afresh(self.path, os.O_WRONLY))
            self.lock = off_targets(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            # the shim writes on from here; the disk has room for that once it had room for this
            os.write(self.writer, f"{HEADING}{attempt_id}\n".encode())
            self.output = off_targets(create_afresh(self.output_path, os.O_WRONLY | os.O_APPEND))
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """Let go of the files in this process; the command's tree holds on to them."""
        for descriptor in (self.lock, self.writer, self.output):
            if descriptor >= 0:
                os.close(descriptor)
        self.lock = self.writer = self.output = -1

    def discard(self) -> None:
        """Remove the files of an attempt that will not start."""
        for path in (self.path, self.output_path):
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.close()


def make_unstarted(spool: Spool, attempt_id: int) -> None:
    """Make the run file of an attempt that was never started, with nothing in it that ran; one that is there stays.

    Only of its first worker is it known that there may be none: an adopter may die before it is recorded as lost.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(spool.run_file(attempt_id), flags, 0o600)
    except FileExistsError:
        return
    try:
        os.write(descriptor, f"{HEADING}{attempt_id}\n".encode())
    finally:
        os.close(descriptor)


def remove_files(spool: Spool, attempt_id: int) -> None:
    """Remove the run file and the output file of an attempt that did not start."""
    for path in (spool.run_file(attempt_id), spool.output_file(attempt_id)):
        with contextlib.suppress(OSError):
            os.unlink(path)
