"""One command under its shim: starting it, watching it to its end, signalling its group, leaving it to run on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

from core.clock import since_boot_s
from core.errors import UsageError
from core.execution.processes import group_has, group_lives, session_lives
from core.execution.run_file import RunFile, Status, read_status
from core.execution.shim import LOCK_DESCRIPTOR, Exit, Shim
from core.locks import is_locked
from core.process_place import Place, here
from core.spool import Spool

# So many must be possible, for the lock's high number and for those that others are moved to.
_LEAST_DESCRIPTORS = LOCK_DESCRIPTOR + 29

_HAS_PIDFD = hasattr(os, "pidfd_open")


def check_descriptors() -> None:
    """Raise ``UsageError`` if a command could not be given the run file's lock: too few files may be open here."""
    most = os.sysconf("SC_OPEN_MAX")
    if 0 <= most < _LEAST_DESCRIPTORS:
        raise UsageError(f"a worker needs {_LEAST_DESCRIPTORS} files, {most} may be open; try 'ulimit -n 256'")


def keep_descriptors_from_commands() -> None:
    """Have no command inherit what this process was given (a pipe, its parent's lock); the rest Python keeps."""
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
    input: int = -1,
) -> Command:
    """Have ``shell`` run a command in a directory, its output in the attempt's file; it reads from ``input`` if given.

    Raises ``OSError`` when the system refuses; the run file is then still the caller's.
    """
    shim = Shim(shell, command, cwd, environment, lock=run.lock, writer=run.writer, output=run.output, input=input)
    run.close()
    return Command(spool, attempt_id, shim.pid, shim)


class Command:
    """A command that runs: under a shim that this process started, or under one that another worker started."""

    def __init__(
        self, spool: Spool, attempt_id: int, pid: int | None, shim: Shim | None = None, *, is_here: bool = True
    ) -> None:
        self._spool = spool
        self.attempt_id = attempt_id
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
        """Return whether some process of the command's tree holds the run file's lock."""
        return is_locked(self._spool.run_file(self.attempt_id))

    def _has_tree(self, status: Status) -> bool:
        """Return whether the command lives on: the lock is held or, after the shim was killed, its session has members.

        Those closed all their descriptors, as sudo and daemons do, and the lock with them.
        """
        if self.is_running():
            return True
        has_status = status.exit_code is not None or (self._exit is not None and self._exit.code is not None)
        if has_status or self.pid is None or not self.is_here:
            return False
        return session_lives(self._spool.run_file(self.attempt_id), self.pid)

    def has_ended(self) -> bool:
        """Return whether the command's exit status is in the run file already."""
        with contextlib.suppress(OSError):
            return read_status(self._spool, self.attempt_id).exit_code is not None
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
            # the shim is gone and its command lives on: from now on the lock is looked at, and the session
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
            return read_status(self._spool, self.attempt_id)
        # 0 is the last that a shim does, and it never fails with that
        status = Status(self.pid, 0) if ended.code == 0 else read_status(self._spool, self.attempt_id)
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
            has_status = read_status(self._spool, self.attempt_id).exit_code is not None
            if not has_status and session_lives(self._spool.run_file(self.attempt_id), shim.pid):
                return False
        self._exit = shim.reap()
        if self._exit is None:
            return False
        self.shim = None
        return True

    def leave(self) -> None:
        """Let the command run on without this worker, for another one to adopt."""
        if self.shim is not None:
            self.shim.leave()
            self.shim = None
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's whole process group; one that is gone is no error."""
        if self.pid is None:
            self.pid = read_status(self._spool, self.attempt_id).pid
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
        return self.shim is not None or group_has(self._spool.run_file(self.attempt_id), self.pid)

    def _is_group_gone(self) -> bool:
        """Return whether a killed command's group is empty; a process that left it (a daemon) may hold the lock."""
        return self.pid is not None and not group_lives(self._spool.run_file(self.attempt_id), self.pid)

    def close(self) -> None:
        """Close the descriptor that announces the end."""
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
