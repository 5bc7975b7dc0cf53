"""One command: starting it, watching it to its end, signalling it; and the run file that outlives its worker.

The run file of an attempt has three lines, each written when its fact is known:

    queuectl attempt 17     by the worker, inside the claim; it also makes sure that the disk has room for the rest
    4711                    by the wrapper: its pid, which is also the session and the process group of the command
    7                       by the wrapper: the exit status of the command ("cwd" if its directory is gone)

Its lock is held by every process of the command's tree. So an open attempt is, in this order: ended with the status in
its file; running, if the lock is held (then the pid in the file cannot have been reused); lost.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Mapping
from typing import NamedTuple

from core.errors import UsageError
from core.liveness import create_afresh, is_locked
from core.paths import Spool
from core.spares import Spares
from core.standby import Standby
from core.wrapper import LOCK_DESCRIPTOR, NO_DIRECTORY, TARGETS, Order, Wrapper

#: What a run file begins with; the attempt's id follows.
HEADING = "queuectl attempt "

#: Errors of the system's that pass: no processes, memory or descriptors left just now.
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})

# So many must be possible, for the lock's high number and for those that others are moved to.
_LEAST_DESCRIPTORS = LOCK_DESCRIPTOR + 29

_HAS_PIDFD = hasattr(os, "pidfd_open")


class Status(NamedTuple):
    """What a run file says: the wrapper's pid, the exit status once it is there, whether the directory was gone.

    ``is_refused`` is not in it: the wrapper ended by itself, since the system let it start no process.
    """

    pid: int | None = None
    exit_code: int | None = None
    is_directory_gone: bool = False
    ended_at_ms: int | None = None
    is_refused: bool = False


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
    return _status_of(pid, values[1])._replace(ended_at_ms=ended_at_ms)


class Stock(NamedTuple):
    """What ended attempts left for the next ones: output files and idle wrappers."""

    outputs: Spares
    wrappers: Standby


class RunFile:
    """A new attempt's run file and output file, held by the worker between its claim and its start.

    The lock is held by the descriptor ``lock``, or by an idle ``wrapper`` of the ``kind``, whose run file becomes this
    one; ``writer`` appends. ``is_whole`` tells that a command can be started with it, again after an error. Raises
    ``OSError`` when the system has no room for the files; then neither is there.
    """

    def __init__(self, spool: Spool, attempt_id: int, stock: Stock | None = None, kind: object = None) -> None:
        self.path, self.output_path = spool.run_file(attempt_id), spool.output_file(attempt_id)
        self.kind = kind
        self._attempt_id = attempt_id
        self._stock = stock
        self.wrapper = None if stock is None else stock.wrappers.take(kind)
        self.lock = self.writer = -1
        self.is_whole = False
        try:
            if self.wrapper is None or not self._take_over(self.wrapper):
                self._make()
            if stock is None or not stock.outputs.take(self.output_path):
                os.close(create_afresh(self.output_path, os.O_WRONLY))
        except BaseException:
            self.discard()
            raise

    def _make(self) -> None:
        self.writer = _off_targets(create_afresh(self.path, os.O_WRONLY | os.O_APPEND))
        self.lock = _off_targets(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.write(self.writer, f"{HEADING}{self._attempt_id}\n".encode())
        self.is_whole = True

    def _take_over(self, wrapper: Wrapper) -> bool:
        """Make a wrapper's run file this one, with the lock that it holds; return whether it is there to be taken."""
        try:
            os.rename(wrapper.run_path, self.path)
        except OSError:
            self._part()
            return False
        wrapper.run_path = self.path
        self.writer = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(self.writer, len(HEADING))  # not to nothing: its place on the disk stays its own
        os.write(self.writer, f"{self._attempt_id}\n".encode())
        self.is_whole = True
        return True

    def _part(self) -> None:
        if self.wrapper is not None and self._stock is not None:
            self._stock.wrappers.part(self.wrapper)
        self.wrapper = None

    def do_without_wrapper(self) -> None:
        """Take a file and a lock of its own: the wrapper was killed before it could take the command."""
        self.is_whole = False
        self._part()
        self.close()
        self._make()

    def close(self) -> None:
        """Let go of the files in this process; the command's tree holds on to them."""
        for descriptor in (self.lock, self.writer):
            if descriptor >= 0:
                os.close(descriptor)
        self.lock = self.writer = -1

    def discard(self) -> None:
        """Remove the files of an attempt that will not start."""
        for path in (self.path, self.output_path):
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.close()
        self._part()


def _off_targets(descriptor: int) -> int:
    """Return the descriptor, moved if it has a number that it will be copied to in the command."""
    if descriptor not in TARGETS:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    finally:
        os.close(descriptor)


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
    order: Order,
    environment: Mapping[bytes, bytes],
    own_variables: Mapping[bytes, bytes],
) -> Command:
    """Have the run file's wrapper run a command, or start a wrapper for it; output goes to the attempt's file.

    ``own_variables`` come on top of the ``environment`` that all commands of the run file's kind share. Raises
    ``OSError`` when the system refuses; the run file is then still the caller's.
    """
    wrapper = run.wrapper
    if wrapper is not None and not wrapper.give(order, own_variables, run.output_path):
        run.do_without_wrapper()
        wrapper = None
    if wrapper is None:
        wrapper = Wrapper(
            order,
            environment,
            own_variables,
            kind=run.kind,
            run_path=run.path,
            output_path=run.output_path,
            lock=run.lock,
            writer=run.writer,
        )
    run.close()
    return Command(spool, attempt_id, wrapper.pid, wrapper)


class Command:
    """A command that runs: this process's own child, or an adopted one, whose parent is somebody else."""

    def __init__(self, spool: Spool, attempt_id: int, pid: int | None, wrapper: Wrapper | None = None) -> None:
        self._spool = spool
        self._attempt_id = attempt_id
        self.pid = pid
        self.wrapper = wrapper
        self._was_killed = False
        self._told: str | None = None
        self._has_given_up = False
        self._pidfd = -1
        if wrapper is None and pid is not None and _HAS_PIDFD:
            with contextlib.suppress(OSError):  # no descriptor left, or gone already: it is looked at instead
                self._pidfd = os.pidfd_open(pid)

    @property
    def descriptor(self) -> int:
        """Return what becomes readable when the command ends; negative when nothing announces that."""
        return self._pidfd if self.wrapper is None else self.wrapper.news

    def is_running(self) -> bool:
        """Tell whether some process of the command's tree holds the run file's lock."""
        return is_locked(self._spool.run_file(self._attempt_id))

    def has_ended(self) -> bool:
        """Tell whether the command's exit status is on record already."""
        with contextlib.suppress(OSError):
            return self._status().exit_code is not None
        return False

    def poll(self, *, is_stopping: bool = False) -> Status | None:
        """Return how the command ended, ``None`` while it runs; a status without an exit code is a lost command.

        ``is_stopping`` waits for the whole tree, until it has been killed: nothing may be left in the group.
        """
        if self.wrapper is not None:
            news = self.wrapper.hear()
            self._told = news or self._told
            if self._told and not is_stopping:
                return _status_of(self.pid, self._told)
            if news is None and not is_stopping:
                return None
            if not self._reap(self.wrapper, is_stopping):
                return None
        status = self._status()
        if status.exit_code is not None and not is_stopping:
            self.close()
            return status
        if self.is_running() and not (self._was_killed and (status.exit_code is not None or self._is_group_gone())):
            # the wrapper is gone and its command lives on: from now on only the lock tells
            self._has_given_up = False
            self.close()
            return None
        if status.exit_code is None:
            # it may have been written between the first look and the lock
            status = self._status()
        self.close()
        return status._replace(is_refused=self._has_given_up and status.exit_code is None)

    def _status(self) -> Status:
        """Return what the run file says, or what the wrapper told if the file could not be written."""
        status = read_status(self._spool, self._attempt_id)
        return _status_of(self.pid, self._told) if status.exit_code is None and self._told else status

    def _reap(self, wrapper: Wrapper, is_stopping: bool) -> bool:
        """Collect the wrapper if it ended; return whether it is gone. A zombie keeps its group's number from reuse."""
        if is_stopping and hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):  # somebody else in this process collected it
                if os.waitid(os.P_PID, wrapper.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    return False
            if not self._was_killed and self.is_running():
                return False
        if not wrapper.reap():
            return False
        self._has_given_up = wrapper.has_given_up
        self.wrapper = None
        return True

    def release(self) -> Wrapper | None:
        """Return the wrapper, which is the caller's from now on; ``None`` when it is gone or somebody else's."""
        wrapper, self.wrapper = self.wrapper, None
        return wrapper

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's whole process group; one that is gone is no error."""
        if self.pid is None:
            self.pid = read_status(self._spool, self._attempt_id).pid
        if self.wrapper is not None:
            self.wrapper.retire()  # it is to end with this command, so that its end tells that all is over
        # a child that was not reaped, or a lock that is held, keeps the number from being someone else's
        if self.pid is not None and (self.wrapper is not None or self.is_running()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
        self._was_killed = self._was_killed or number == signal.SIGKILL

    def _is_group_gone(self) -> bool:
        """Tell whether a killed command's group is empty; a process that left it (a daemon) may still hold the lock."""
        if self.pid is None:
            return False
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return not _has_living_member(self.pid)

    def close(self) -> None:
        """Let go of the command: a wrapper that is still here ends with it."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self.wrapper is not None:
            self.wrapper.close()


def _status_of(pid: int | None, told: str) -> Status:
    return Status(pid, 126, True) if told == NO_DIRECTORY else Status(pid, int(told))


def _has_living_member(group: int) -> bool:
    """Tell whether a process group has more than zombies, which stay where nobody reaps orphans (some containers)."""
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return True
    for pid in pids:
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
            state, _, its_group = file.read().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return not pids


def adopt(spool: Spool, attempt_id: int) -> Command:
    """Return a command that another process started. Look at it with ``poll`` at once: it may have ended."""
    return Command(spool, attempt_id, read_status(spool, attempt_id).pid)
