"""One command: starting it, watching it to its end, signalling it; and the run file that outlives its worker.

The run file of an attempt has three lines, each written when its fact is known:

    queuectl attempt 17     by the worker, inside the claim; it also makes sure that the disk has room for the rest
    4711                    by the shim: its pid, which is also the session and the process group of the command
    7                       by the shim: the exit status of the command ("cwd" if its directory could not be entered)

Its lock is held by every process of the
command's tree. So an open attempt is, in this order: ended with the status in its file; running, if the lock is held,
or if the session with the pid has members; lost. That the lock is held says nothing of the pid: a daemon of the
command's may hold it, in a session of its own, when the number is another's. See ``Command.signal``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Mapping
from typing import NamedTuple

from core.clock import since_boot_s
from core.errors import UsageError
from core.execution.processes import group_has, group_lives, session_lives
from core.execution.shim import LOCK_DESCRIPTOR, NO_DIRECTORY, Exit, Shim, off_targets
from core.locks import create_afresh, is_locked
from core.places import Place, here
from core.spool import Spool

#: What a run file begins with; the attempt's id follows.
HEADING = "queuectl attempt "

#: Errors of the system's that pass: no processes, memory or descriptors left just now.
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})

# So many must be possible, for the lock's high number and for those that others are moved to.
_LEAST_DESCRIPTORS = LOCK_DESCRIPTOR + 29

_HAS_PIDFD = hasattr(os, "pidfd_open")


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


def check_descriptors() -> None:
    """Raise ``UsageError`` if a command could not be given the run file's lock: too few files may be open here."""
    most = os.sysconf("SC_OPEN_MAX")
    if 0 <= most < _LEAST_DESCRIPTORS:
        raise UsageError(f"a worker needs {_LEAST_DESCRIPTORS} files, {most} may be open; try 'ulimit -n 256'")


def keep_descriptors_from_commands() -> None:
    """Have no command inherit what this process itself was given (a pipe, somebody's lock); Python keeps the rest."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def start(
    spool: Spool,
    attempt_id: int,
    run: RunFile,
    shell: str,
    command: str,
    cwd: str,
    environment: Mapping[bytes, bytes],
) -> Command:
    """Have ``shell`` run a command in a directory, its output in the attempt's file.

    Raises ``OSError`` when the system refuses; the run file is then still the caller's.
    """
    shim = Shim(shell, command, cwd, environment, lock=run.lock, writer=run.writer, output=run.output)
    run.close()
    return Command(spool, attempt_id, shim.pid, shim)


class Command:
    """A command that runs: under a shim that this process started, or an adopted one, started by somebody else."""

    def __init__(
        self, spool: Spool, attempt_id: int, pid: int | None, shim: Shim | None = None, *, is_here: bool = True
    ) -> None:
        self._spool = spool
        self._attempt_id = attempt_id
        self.pid = pid
        self.shim = shim
        self.is_here = is_here
        self._was_killed = False
        self._exit: Exit | None = None
        self._pidfd = -1
        if shim is None and pid is not None and is_here and _HAS_PIDFD:
            with contextlib.suppress(OSError):  # no descriptor left, or gone already: it is looked at instead
                self._pidfd = os.pidfd_open(pid)

    @property
    def descriptor(self) -> int:
        """Return what becomes readable when the shim ends; negative when nothing announces that."""
        return self._pidfd if self.shim is None else self.shim.descriptor

    def is_running(self) -> bool:
        """Tell whether some process of the command's tree holds the run file's lock."""
        return is_locked(self._spool.run_file(self._attempt_id))

    def _has_tree(self, status: Status) -> bool:
        """Return whether the command lives on: the lock is held or, after the shim was killed, its session has members.

        Those closed all their descriptors, as sudo and daemons do, and the lock with them.
        """
        if self.is_running():
            return True
        has_told = status.exit_code is not None or (self._exit is not None and self._exit.code is not None)
        if has_told or self.pid is None or not self.is_here:
            return False
        return session_lives(self._spool.run_file(self._attempt_id), self.pid)

    def has_ended(self) -> bool:
        """Tell whether the command's exit status is on record already."""
        with contextlib.suppress(OSError):
            return read_status(self._spool, self._attempt_id).exit_code is not None
        return False

    def poll(self, *, is_stopping: bool = False) -> Status | None:
        """Return how the command ended, ``None`` while it runs; a status without an exit code is a lost command.

        ``is_stopping`` waits for the whole tree, until it has been killed: nothing may be left in the group.
        """
        if self.shim is not None and not self._reap(self.shim, is_stopping):
            return None
        status = self._status()
        if status.exit_code is not None and not is_stopping:
            self.close()
            return status
        if self._has_tree(status) and not (
            self._was_killed and (status.exit_code is not None or self._is_group_gone())
        ):
            # the shim is gone and its command lives on: from now on the lock tells, and the session
            self._exit = None
            self.close()
            return None
        if status.exit_code is None:
            # it may have been written between the first look and the lock
            status = self._status()
        self.close()
        is_refused = status.exit_code is None and self._exit is not None and self._exit.is_refusal
        return status._replace(is_refused=is_refused)

    def _status(self) -> Status:
        """Return what the run file says, or how the shim exited if the file could not be written."""
        ended = self._exit
        if ended is None or ended.code is None:
            return read_status(self._spool, self._attempt_id)
        # 0 is the last that a shim does, and it never fails with that
        status = Status(self.pid, 0) if ended.code == 0 else read_status(self._spool, self._attempt_id)
        if status.exit_code is None and not ended.is_refusal:
            status = Status(self.pid, ended.code)
        return (
            status
            if status.is_directory_gone
            else status._replace(cpu_ms=ended.cpu_ms, max_rss_bytes=ended.max_rss_bytes)
        )

    def _reap(self, shim: Shim, is_stopping: bool) -> bool:
        """Reap the shim if it ended; return whether it is gone. A zombie keeps its group's number from reuse.

        So one that was killed stays a zombie for as long as its session has members: they can be signalled then.
        """
        if is_stopping and (not shim.has_ended() or (not self._was_killed and self.is_running())):
            return False
        if not self._was_killed and shim.was_killed():
            has_told = read_status(self._spool, self._attempt_id).exit_code is not None
            if not has_told and session_lives(self._spool.run_file(self._attempt_id), shim.pid):
                return False
        self._exit = shim.reap()
        if self._exit is None:
            return False
        self.shim = None
        return True

    def leave(self) -> None:
        """Leave the command to run on, for another worker to adopt."""
        if self.shim is not None:
            self.shim.leave()
            self.shim = None
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's whole process group; one that is gone is no error."""
        if self.pid is None:
            self.pid = read_status(self._spool, self._attempt_id).pid
        if self._is_group_ours():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid or 0, number)
        self._was_killed = self._was_killed or (self.is_here and number == signal.SIGKILL)

    def _is_group_ours(self) -> bool:
        """Return whether the group with the shim's number is known to be the command's, and no stranger's.

        A child that was not reaped keeps its number. Else a member must have the run file open: the number may have
        been given out again, although a process that left the group (a daemon) holds the lock.
        """
        if self.pid is None or not self.is_here:
            return False
        return self.shim is not None or group_has(self._spool.run_file(self._attempt_id), self.pid)

    def _is_group_gone(self) -> bool:
        """Return whether a killed command's group is empty; a process that left it (a daemon) may hold the lock."""
        return self.pid is not None and not group_lives(self._spool.run_file(self._attempt_id), self.pid)

    def close(self) -> None:
        """Let go of what announces the end."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def age_of_leader_s(pid: int) -> float | None:
    """Return for how long the leader of a session has been there, a suspend included; ``None`` if it cannot be known.

    It goes by no calendar. ``pid`` is a number of this boot and pid namespace.
    """
    with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
        session, start = int(fields[3]), int(fields[19])  # of proc_pid_stat(5), numbers 6 and 22
        if session == pid:
            return max(0.0, since_boot_s() - start / os.sysconf("SC_CLK_TCK"))
    return None


def adopt(spool: Spool, attempt_id: int, place: Place | None) -> Command:
    """Return a command that another process started, in a ``place``; ``None`` is a place that was not kept.

    Look at it with ``poll`` at once: it may have ended.
    """
    return Command(spool, attempt_id, read_status(spool, attempt_id).pid, is_here=place in (None, here()))
