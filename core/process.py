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
import re
import signal
from collections.abc import Mapping
from typing import NamedTuple

from core.liveness import create_afresh, is_locked
from core.paths import Spool
from core.spares import Spares

#: What a run file begins with; the attempt's id follows.
HEADING = "queuectl attempt "

#: Where the lock sits in the command's tree; scripts use low numbers, shells 10 to 63 and 255.
LOCK_DESCRIPTOR = 99
_STATUS_DESCRIPTOR = 9
_TARGETS = (0, 1, 2, _STATUS_DESCRIPTOR, LOCK_DESCRIPTOR)

# The wrapper outlives a TERM to the group (its no-op trap), so that it can tell how the command took it. One line, so
# that a shell's "sh: 1: …" is the same with and without the second shell. Its own stderr is /dev/null: what it has to
# say ("Killed") is not output of the command's.
_BEFORE = 'trap : HUP INT QUIT TERM; echo $$ >&9; cd "$1" || { echo cwd >&9; exit 126; }; '
_AFTER = "; s=$?; echo $s >&9; exit $s"
# The parentheses cost nothing, a subshell becomes the program; without them the wrapper would have its words on 2>&1.
_WITH_SHELL = f'{_BEFORE}("$2" -c "$3") 9>&- 2>&1{_AFTER}'
_WITHOUT_SHELL = f'{_BEFORE}shift; (command "$@") 9>&- 2>&1{_AFTER}'
_BUILT_IN = f'{_BEFORE}shift; command "$@" 9>&- 2>&1{_AFTER}'

_WRAPPER_SHELL = "/bin/sh"
# A command of nothing but plain words needs no second shell to split it: the wrapper runs the program itself. (GNU make
# has done the same for decades.) An equals sign in the first word would make it an assignment, "command" keeps exported
# functions of bash out of the wrapper.
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./,:@%+-]*(?: +[A-Za-z0-9_./,:@%+=-]+)*")
# First words that a shell acts on itself: its grammar, and the commands that would end or change the wrapper. What is
# not here is a program, or, like "true" and "echo", as harmless as one.
_GRAMMAR = "if then else elif fi for while until do done case esac in function select time coproc"
_COMMANDS_OF_SHELLS = (
    ". alias bg bind break builtin caller cd chdir command complete compgen compopt continue declare dirs disown"
    " enable eval exec exit export fc fg getopts hash help history jobs kill let local logout mapfile newgrp popd pushd"
    " read readarray readonly return set shift shopt source suspend times trap type typeset ulimit umask unalias unset"
    " wait whence"
)
_SHELL_WORDS = frozenset([*_GRAMMAR.split(), *_COMMANDS_OF_SHELLS.split()])

# Commands that every shell has inside: they need no process of their own.
_BUILT_INS = frozenset({"echo", "false", "printf", "pwd", "test", "true"})

# What the wrapper exits with when the directory is gone, which only the run file tells from the command's own 126.
_MAY_BE_NO_DIRECTORY = 126

_DEFAULT_SIGNALS = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})
#: Errors of the system's that pass: no processes, memory or descriptors left just now.
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})

_HAS_PIDFD = hasattr(os, "pidfd_open")


class Status(NamedTuple):
    """What a run file says: the wrapper's pid, the exit status once it is there, whether the directory was gone."""

    pid: int | None = None
    exit_code: int | None = None
    is_directory_gone: bool = False
    ended_at_ms: int | None = None


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
    if values[1] == "cwd":
        return Status(pid, 126, True, ended_at_ms)
    return Status(pid, int(values[1]), ended_at_ms=ended_at_ms) if values[1].isdigit() else Status(pid)


class RunFile:
    """A new attempt's run file and output file, held by the worker between its claim and its start.

    ``lock`` is the descriptor that carries the lock, ``writer`` and ``output`` append. Raises ``OSError`` when the
    system has no room for them; then neither is there.
    """

    def __init__(self, spool: Spool, attempt_id: int, spares: Spares | None = None) -> None:
        self._paths = (spool.run_file(attempt_id), spool.output_file(attempt_id))
        self.lock = self.writer = self.output = -1
        run, output = self._paths
        try:
            self.writer, is_headed = _file_for_appending(run, spares, len(HEADING))
            self.lock = _off_targets(os.open(run, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            os.write(self.writer, f"{'' if is_headed else HEADING}{attempt_id}\n".encode())
            self.output, _ = _file_for_appending(output, spares, 0)
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
        for path in self._paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.close()


def _file_for_appending(path: str, spares: Spares | None, length: int) -> tuple[int, bool]:
    """Return the descriptor of a new file at the path, and whether it was a spare that has its ``length`` bytes."""
    descriptor = None if spares is None else spares.take(path, length)
    if descriptor is not None:
        return _off_targets(descriptor), True
    return _off_targets(create_afresh(path, os.O_WRONLY | os.O_APPEND)), False


def _off_targets(descriptor: int) -> int:
    """Return the descriptor, moved if it has a number that it will be copied to in the command."""
    if descriptor not in _TARGETS:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    os.close(descriptor)
    return moved


def arguments(shell: str, command: str, cwd: str) -> tuple[str, ...]:
    """Return the argument list of the wrapper for a command."""
    if shell == _WRAPPER_SHELL and _PLAIN_WORDS.fullmatch(command):
        words = command.split()
        if words[0] not in _SHELL_WORDS:
            script = _BUILT_IN if words[0] in _BUILT_INS else _WITHOUT_SHELL
            return (shell, "-c", script, shell, cwd, *words)
    return (_WRAPPER_SHELL, "-c", _WITH_SHELL, _WRAPPER_SHELL, cwd, shell, command)


def keep_descriptors_from_commands() -> None:
    """Have no command inherit what this process itself was given (a pipe, somebody's lock); Python keeps the rest."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def start(
    spool: Spool, attempt_id: int, run: RunFile, argv: tuple[str, ...], environment: Mapping[bytes, bytes]
) -> Command:
    """Start the wrapper as the leader of a session of its own, output going to the attempt's file.

    Raises ``OSError`` when the system refuses; the run file is then still the caller's.
    """
    pid = os.posix_spawn(
        argv[0],
        argv,
        environment,
        file_actions=(
            (os.POSIX_SPAWN_DUP2, run.lock, LOCK_DESCRIPTOR),
            (os.POSIX_SPAWN_DUP2, run.writer, _STATUS_DESCRIPTOR),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, run.output, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ),
        setsid=True,
        setsigdef=_DEFAULT_SIGNALS,
        setsigmask=(),
    )
    run.close()
    return Command(spool, attempt_id, pid, is_child=True)


class Command:
    """A command that runs: this process's own child, or an adopted one, whose parent is somebody else."""

    def __init__(self, spool: Spool, attempt_id: int, pid: int | None, *, is_child: bool) -> None:
        self._spool = spool
        self._attempt_id = attempt_id
        self.pid = pid
        self._is_child = is_child
        self._was_killed = False
        self._wrapper_exit: int | None = None
        self.pidfd = -1
        if pid is not None and _HAS_PIDFD:
            with contextlib.suppress(OSError):  # no descriptor left, or gone already: it is looked at instead
                self.pidfd = os.pidfd_open(pid)

    @property
    def needs_polling(self) -> bool:
        """Tell whether no descriptor announces the end."""
        return self.pidfd < 0

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
        if self._is_child:
            if not self._reap(is_stopping):
                return None
            if not is_stopping and self._wrapper_exit not in (None, _MAY_BE_NO_DIRECTORY):
                self.close()
                return Status(self.pid, self._wrapper_exit)  # the wrapper exits with what it wrote
        status = self._status()
        if status.exit_code is not None and not is_stopping:
            self.close()
            return status
        if self.is_running() and not (self._was_killed and (status.exit_code is not None or self._is_group_gone())):
            # the wrapper is gone and its command lives on: from now on only the lock tells
            self._close_pidfd()
            return None
        if status.exit_code is None:
            # it may have been written between the first look and the lock
            status = self._status()
        self.close()
        return status

    def _status(self) -> Status:
        """Return what the run file says, or what the wrapper's own exit said if the file could not be written."""
        status = read_status(self._spool, self._attempt_id)
        if status.exit_code is None and self._wrapper_exit is not None:
            return Status(self.pid, self._wrapper_exit)
        return status

    def _reap(self, is_stopping: bool) -> bool:
        """Collect the child if it ended; return whether it is gone. A zombie keeps its group's number from reuse."""
        assert self.pid is not None
        if is_stopping and hasattr(os, "waitid"):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
            if not self._was_killed and self.is_running():
                return False
        try:
            pid, wait_status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid, wait_status = self.pid, None  # somebody else reaped it; the run file knows
        if pid == 0:
            return False
        if wait_status is not None and os.WIFEXITED(wait_status):
            self._wrapper_exit = os.WEXITSTATUS(wait_status)
        self._is_child = False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's whole process group; one that is gone is no error."""
        if self.pid is None:
            self.pid = read_status(self._spool, self._attempt_id).pid
        # a child that was not reaped, or a lock that is held, keeps the number from being someone else's
        if self.pid is not None and (self._is_child or self.is_running()):
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

    def _close_pidfd(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def close(self) -> None:
        """Let go of the command's descriptor."""
        self._close_pidfd()


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
    return Command(spool, attempt_id, read_status(spool, attempt_id).pid, is_child=False)
