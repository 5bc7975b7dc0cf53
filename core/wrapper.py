"""The shell around commands: what it is told, what it tells, and when it may take another command.

A wrapper is a ``/bin/sh`` that leads a session of its own and takes orders from its stdin, one a line. For each it
writes its pid and then the command's exit status into the run file (descriptor 9), and tells the status once more to
the worker (descriptor 8). It ends when it can read no more orders: when the worker is done with it, or dead.

To start a shell costs more than all else that a short job needs, so a worker gives it one command after another. To the
commands that makes no difference: each has a process of its own, the same environment, directory and descriptors as
in a new wrapper, and nobody else in its session, because a wrapper gets another command only once nothing that the last
one started is alive. Where that cannot be told, each command gets a wrapper of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import shlex
import signal
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from core.newcomers import has_left_any, newest

#: Where the lock sits in the command's tree; scripts use low numbers, shells 10 to 63 and 255.
LOCK_DESCRIPTOR = 99
_STATUS_DESCRIPTOR = 9
_NEWS_DESCRIPTOR = 8
#: The numbers that a wrapper gives to descriptors of its own.
TARGETS = (0, 1, 2, _NEWS_DESCRIPTOR, _STATUS_DESCRIPTOR, LOCK_DESCRIPTOR)

#: What a wrapper tells, in place of an exit status, of a command whose directory is gone.
NO_DIRECTORY = "cwd"

_SHELL = "/bin/sh"
# A wrapper outlives a TERM to the group (its no-op trap), so that it can tell how the command took it. Its own stdout
# and stderr are /dev/null: what it has to say ("Killed") is not output of the command's. Between two commands it stands
# in /, so that it keeps no file system busy. It sets no variable: that could be one of the environment's.
#
# In a function a line has the number it has there, so that a shell's "sh: 1: …" is the same for every command, with
# and without the second shell. The arguments are the output file, the directory, and the words. Nothing that fails ends
# the shell, should the environment tell bash so (SHELLOPTS); no function of its (BASH_FUNC_echo%%) is called.
_FUNCTION = (
    '{{ command echo $$ >&9; if cd "$2"; then {run} >>"$1" 2>&1 && set -- 0 || set -- $?; cd /; else set -- '
    + NO_DIRECTORY
    + "; fi; command echo $1 >&9 || :; command echo $1 >&8; }}; "
)
_CLOSED = "8>&- 9>&- </dev/null"
_RUNS = {
    # the parentheses cost nothing, a subshell becomes the program
    "queuectl_with_shell": f'("$3" -c "$4") {_CLOSED}',
    "queuectl_program": f'(shift 2; command "$@") {_CLOSED}',
    "queuectl_built_in": '{ shift 2; command "$@"; }',
}
_FUNCTIONS = (
    "trap : HUP INT QUIT TERM; cd /; "
    + "".join(f"{name}() {_FUNCTION.format(run=run)}" for name, run in _RUNS.items())
    + "\n"
).encode()

# A command of nothing but plain words needs no second shell to split it: the wrapper runs the program itself. (GNU make
# has done the same for decades.) An equals sign in the first word would make it an assignment, "command" keeps our
# functions out of it.
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
# Commands that the shell has inside and that change nothing in it: they need no process.
_BUILT_INS = frozenset({"echo", "false", "pwd", "test", "true"})

_DEFAULT_SIGNALS = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})

# The kernel lets a process that starts another go on a moment before it closes what the new one is not to inherit. If
# the worker is killed in that moment, its lock must not be held by a shell: it would look alive.
_withheld: set[int] = set()

#: A longer command goes to a wrapper of its own, as its argument: an order must fit into what the socket holds.
MAX_COMMAND = 2 * 1024
# So many bytes fit into any socket.
_MAX_FIRST_ORDER = 4 * 1024
#: A command that took longer is the last of its wrapper: 32,768 numbers are not given out in less, and a shell costs a
#: hundredth of it.
MAX_RUN_S = 0.1
#: After so many commands a wrapper ends, whatever a shell may pile up.
_MAX_COMMANDS = 1000


def withhold(descriptor: int) -> None:
    """Have no shell hold a descriptor of this process's for even a moment; ``release`` ends that."""
    _withheld.add(descriptor)


def release(descriptor: int) -> None:
    """Forget a descriptor that was withheld: it is about to be closed."""
    _withheld.discard(descriptor)


class Order(NamedTuple):
    """What a wrapper is told of a command: which of its functions to call, and the words after the output file."""

    function: str
    words: tuple[str, ...]


def order(shell: str, command: str, cwd: str) -> Order:
    """Return what a wrapper is told to have ``shell`` run ``command`` in a directory."""
    if shell == _SHELL and _PLAIN_WORDS.fullmatch(command) and _is_dash():
        words = command.split()
        if words[0] not in _SHELL_WORDS:
            return Order("queuectl_built_in" if words[0] in _BUILT_INS else "queuectl_program", (cwd, *words))
    return Order("queuectl_with_shell", (cwd, shell, command))


@functools.cache
def _is_dash() -> bool:
    """Tell whether a function's errors read as those of ``sh -c``: bash has "main: line 1: …" for "sh: line 1: …"."""
    return os.path.basename(os.path.realpath(_SHELL)) == "dash"


class Wrapper:
    """One wrapper of this process's own, the leader of a session and a process group with its ``pid``.

    ``news`` is the descriptor that becomes readable when a command ended. ``run_path`` is where its run file is now.
    ``kind`` says which commands it may take: those of the same shared environment; with ``None`` it takes no other.
    ``has_given_up`` says of one that was collected that it ended by itself: it could start no process.
    """

    def __init__(
        self,
        order: Order,
        environment: Mapping[bytes, bytes],
        own_variables: Mapping[bytes, bytes],
        *,
        kind: object,
        run_path: str,
        output_path: str,
        lock: int,
        writer: int,
    ) -> None:
        """Start it with its first command; raise ``OSError`` when the system refuses.

        ``own_variables`` are those of the command alone, ``environment`` those that it shares with others of its kind;
        ``lock`` and ``writer`` are descriptors of the run file.
        """
        self.kind = kind
        self.run_path = run_path
        self.commands = 1
        self._own = own_variables
        self._function = order.function
        self._is_retired = False
        self.has_given_up = False
        self._traits = _traits(0)
        words = (output_path, *order.words)
        first = _FUNCTIONS + _line(order, words)
        # only what goes with nobody else stands in its argument list: there people look for what runs
        if self.kind is None or len(first) > _MAX_FIRST_ORDER:
            self.kind = None
            first = _FUNCTIONS + b'%b "$@"\n' % order.function.encode()
        else:
            words = ()
        self._socket, theirs = socket.socketpair()
        try:
            self._socket.setblocking(False)
            self._socket.sendall(first)
            self._since = newest()
            self.pid = _spawn((_SHELL, "-s", *words), {**environment, **own_variables}, lock, writer, theirs)
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.news = self._socket.fileno()

    # --- orders

    def is_free(self) -> bool:
        """Tell whether it waits for its next command and can hear it: it was not killed or stopped meanwhile."""
        try:
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return False
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def give(self, order: Order, own_variables: Mapping[bytes, bytes], output_path: str) -> bool:
        """Have it run another command; return whether it does: if not, it was killed, or is now.

        The command must be of its ``kind`` and no longer than ``MAX_COMMAND``. Raises ``ValueError`` for one with NUL.
        """
        changed = {name: value for name, value in own_variables.items() if self._own.get(name) != value}
        line = _line(order, (output_path, *order.words), changed)
        self._since = newest()
        try:
            is_whole = self._socket.send(line) == len(line)
        except OSError:
            is_whole = False
        if not is_whole:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # it is not collected yet, so the number is its own
            return False
        self._own, self._function = own_variables, order.function
        self.commands += 1
        return True

    # --- news

    def hear(self) -> str | None:
        """Return what it tells of its command: an exit status or ``NO_DIRECTORY``; empty when it is gone.

        ``None`` when it has told nothing yet. One that tells something else is not fit for use: it is to end.
        """
        try:
            told = self._socket.recv(64).decode("ascii", "replace").strip()
        except BlockingIOError:
            return None
        except OSError:
            return ""
        if not told or told == NO_DIRECTORY or told.isdecimal():
            return told
        self.retire()
        return None

    def can_go_on(self) -> bool:
        """Tell, once its command has ended, whether it may take another.

        That is so if it is as it was at its start (a command may have given its whole group another priority), and
        nothing that the last command started is alive. The answer is wrong if the system has given out all its process
        numbers since that command began: see ``MAX_RUN_S``.
        """
        return (
            not self._is_retired
            and self.kind is not None
            and self.commands < _MAX_COMMANDS
            and self._traits == _traits(self.pid)
            and not has_left_any(
                self._since,
                leader=self.pid,
                run_path=self.run_path,
                descriptor=LOCK_DESCRIPTOR,
                has_forked=self._function != "queuectl_built_in",
            )
        )

    # --- the end

    def retire(self) -> None:
        """Have it end as soon as its command has ended."""
        if not self._is_retired:
            self._is_retired = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def reap(self) -> bool:
        """Collect it if it has ended; return whether it has."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self.pid, -1  # somebody else in this process collected it
        if pid == 0:
            return False
        self.has_given_up = not self._is_retired and status >= 0 and os.WIFEXITED(status)
        self.close()
        return True

    def see_off(self, seconds: float) -> None:
        """Wait until it has ended and collect it; leave it to itself after so many seconds."""
        self.retire()
        self._socket.settimeout(seconds)
        with contextlib.suppress(OSError):
            while self._socket.recv(64):
                pass
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        self.close()

    def close(self) -> None:
        """Hear no more of it: it ends by itself, also where a fork of this process has the other end of its ear."""
        self.retire()
        self._socket.close()


def _line(order: Order, words: tuple[str, ...], variables: Mapping[bytes, bytes] = MappingProxyType({})) -> bytes:
    """Return the line that tells a wrapper to export the variables and call a function with the words.

    Without its closing brace, a line that was cut short is nothing that a shell would act on.
    """
    exported = b"".join(
        b"export %b=%b; " % (name, os.fsencode(shlex.quote(os.fsdecode(value)))) for name, value in variables.items()
    )
    line = b"{ %b%b %b; }\n" % (exported, order.function.encode(), os.fsencode(shlex.join(words)))
    if b"\0" in line:
        raise ValueError("the command has a NUL character")
    return line


def _traits(pid: int) -> tuple[object, ...]:
    """Return what a process hands on to its children and another process may change."""
    try:
        return os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid), os.sched_getaffinity(pid)
    except (OSError, AttributeError):
        return ()


def _spawn(
    arguments: tuple[str, ...], environment: Mapping[bytes, bytes], lock: int, writer: int, end: socket.socket
) -> int:
    channel = end.fileno()
    if channel in TARGETS:
        channel = fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    try:
        return os.posix_spawn(
            arguments[0],
            arguments,
            environment,
            file_actions=(
                *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in tuple(_withheld)),
                (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
                (os.POSIX_SPAWN_DUP2, writer, _STATUS_DESCRIPTOR),
                (os.POSIX_SPAWN_DUP2, channel, _NEWS_DESCRIPTOR),
                (os.POSIX_SPAWN_DUP2, channel, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
            setsid=True,
            setsigdef=_DEFAULT_SIGNALS,
            setsigmask=(),
        )
    finally:
        if channel != end.fileno():
            os.close(channel)
