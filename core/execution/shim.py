"""Run one command under a small ``/bin/sh`` that outlives the worker and writes the exit status to the run file.

Each of these shims is used for one attempt only, and leads a session of its own. It writes its pid into the run file
(descriptor 9), enters the job's directory, runs the command, writes the command's exit status into the run file, and
exits with that status. It outlives every signal that can be caught: a command may signal its own group, which the shim
belongs to.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from core.text import system_bytes

#: Where the lock sits in the command's tree; scripts use low numbers, shells 10 to 63 and 255.
LOCK_DESCRIPTOR = 99
_STATUS_DESCRIPTOR = 9
_END_DESCRIPTOR = 8
#: The numbers that descriptors have in a shim.
TARGETS = (0, 1, 2, _END_DESCRIPTOR, _STATUS_DESCRIPTOR, LOCK_DESCRIPTOR)

#: What a shim writes in place of an exit status when it could not enter the job's directory.
NO_DIRECTORY = "cwd"
#: How a shell exits that the system lets start no process: dash and busybox, bash.
_REFUSED = (2, 254)

_SHELL = "/bin/sh"
_HAS_PIDFD = hasattr(os, "pidfd_open")
_MARGIN_KIB = 1024

# The command comes in this variable, not as an argument: a search for its words (pkill -f) finds the command alone.
_COMMAND = "QUEUECTL_SHIM_COMMAND"

# A trap that does nothing, not an ignored signal: the command would inherit that. The signals left out do nothing by
# themselves.
_HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
_CAUGHT = sorted(set(signal.valid_signals()) - _HARMLESS - {signal.SIGKILL, signal.SIGSTOP})
_DEFAULT_SIGNALS = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})

# A command of nothing but plain words needs no second shell to split it: the shim runs the program itself. (GNU make
# has done the same for decades.) An equals sign in the first word would make it an assignment.
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./,:@%+-]*(?: +[A-Za-z0-9_./,:@%+=-]+)*")
# First words that a shell acts on itself: its grammar, and the commands that would end or change the shim. What is not
# here is a program, or, like "true" and "echo", as harmless as one.
_GRAMMAR = "if then else elif fi for while until do done case esac in function select time coproc"
_COMMANDS_OF_SHELLS = (
    ". alias bg bind break builtin caller cd chdir command complete compgen compopt continue declare dirs disown"
    " enable eval exec exit export fc fg getopts hash help history jobs kill let local logout mapfile newgrp popd pushd"
    " read readarray readonly return set shift shopt source suspend times trap type typeset ulimit umask unalias unset"
    " wait whence"
)
_SHELL_WORDS = frozenset([*_GRAMMAR.split(), *_COMMANDS_OF_SHELLS.split()])

# dash keeps only variables with such names; bash's exported functions have others.
_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")

# The kernel lets a process that starts another go on a moment before it closes what the new one is not to inherit. If
# the worker is killed in that moment, its lock must not be held by a shim: it would look alive.
_withheld: set[int] = set()
_hooks: list[bool] = []

# Shims that ran on when their worker left, with the process whose children they are (a fork has a copy of this list):
# zombies from their end until it collects them.
_left_behind: list[tuple[int, Shim]] = []

# The pids of the shims that this process has to reap itself.
_own_pids: set[int] = set()


def withhold(descriptor: int) -> None:
    """Close a descriptor of this process in every shim and every forked process, until ``release``."""
    if not _hooks:
        _hooks.append(True)
        os.register_at_fork(after_in_child=_let_go_in_child)
    _withheld.add(descriptor)


def _let_go_in_child() -> None:
    for descriptor in _withheld:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _withheld.clear()


def release(descriptor: int) -> None:
    """Undo ``withhold`` for a descriptor that is about to be closed."""
    _withheld.discard(descriptor)


class Exit(NamedTuple):
    """How a shim ended: its exit status (``None`` after a signal), and what it and its command used, if known."""

    code: int | None
    cpu_ms: int | None = None
    max_rss_bytes: int | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the status is that of a shell that could start no process; no status is in the run file then."""
        return self.code in _REFUSED


class Shim:
    """A shim that this process started, the leader of a session and a process group with its ``pid``.

    ``descriptor`` becomes readable when it has ended; it is negative when the system had no descriptor left for that.
    """

    def __init__(
        self,
        shell: str,
        command: str,
        cwd: str,
        environment: Mapping[bytes, bytes],
        *,
        lock: int,
        writer: int,
        output: int,
        input: int = -1,
    ) -> None:
        """Start a shim that has ``shell`` run ``command`` in a directory; raise ``OSError`` when the system refuses.

        ``lock`` and ``writer`` are descriptors of the run file, ``output`` one of the output file, ``input`` what the
        command reads as its standard input; negative for ``/dev/null``.
        """
        variables = {**environment, _COMMAND.encode(): system_bytes(command)}
        script, words = _script(shell, command, variables)
        with _end_pipe() as (reader, end):
            arguments = tuple(map(system_bytes, (_SHELL, "-c", script, _SHELL, cwd, *words)))
            self.pid = _spawn(arguments, variables, lock, writer, output, end, input)
        _own_pids.add(self.pid)
        self._reader = self.descriptor = reader
        if _HAS_PIDFD:
            with contextlib.suppress(OSError):
                self.descriptor = os.pidfd_open(self.pid)

    def has_ended(self) -> bool:
        """Return whether the shim has ended; until it is reaped, no other process gets its pid."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True  # another thread of this process reaped it

    def was_killed(self) -> bool:
        """Return whether a signal, which can only be KILL, ended the shim; does not reap it."""
        if not hasattr(os, "waitid"):
            return False
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False  # another thread of this process reaped it
        return found is not None and found.si_code != os.CLD_EXITED

    def reap(self) -> Exit | None:
        """Return how the shim ended, ``None`` while it runs. Once it is reaped, another process may get its pid."""
        try:
            pid, status, usage = os.wait4(self.pid, 0 if self._has_closed_pipe() else os.WNOHANG)
        except ChildProcessError:
            self.close()
            return Exit(None)  # another thread of this process reaped it
        if pid == 0:
            return None
        _own_pids.discard(self.pid)
        self.close()
        if not os.WIFEXITED(status):
            return Exit(None)  # what its command used is only known to the process that reaps the command
        return Exit(os.WEXITSTATUS(status), round((usage.ru_utime + usage.ru_stime) * 1000), _peak_bytes(usage))

    def _has_closed_pipe(self) -> bool:
        """Return whether the shim's end of the pipe is closed: it is about to end then."""
        try:
            return self._reader >= 0 and os.read(self._reader, 1) == b""
        except BlockingIOError:
            return False

    def leave(self) -> None:
        """Close the shim's descriptors and let it run on without its worker; ``reap_left_behind`` reaps it."""
        self.close()
        _left_behind.append((os.getpid(), self))

    def close(self) -> None:
        """Close the descriptors that announce the end."""
        for descriptor in {self._reader, self.descriptor} - {-1}:
            os.close(descriptor)
        self._reader = self.descriptor = -1


def own_pids() -> frozenset[int]:
    """Return the pids of the shims that this process has not reaped yet."""
    return frozenset(_own_pids)


def reap_left_behind() -> None:
    """Reap the shims that ended since a worker of this process left them."""
    for left in list(_left_behind):
        parent, shim = left
        if parent == os.getpid() and shim.reap() is not None:
            with contextlib.suppress(ValueError):  # another thread reaped it first
                _left_behind.remove(left)


def why_no_shell(shell: str, path: str | None) -> str | None:
    """Return the system's words for why a shell, looked for in ``path``, cannot be run; ``None`` if it can."""
    if shell == _SHELL:
        return None
    try:
        if "/" not in shell:
            return None if shutil.which(shell, path=path) else os.strerror(2)
        os.stat(shell)
    except OSError as error:
        return error.strerror
    return None if os.path.isfile(shell) and os.access(shell, os.X_OK) else os.strerror(13)


def why_not_entered(directory: str) -> str:
    """Return why a shim could not enter a directory, as the end of a sentence: ``does not exist``."""
    try:
        os.stat(os.path.join(directory, "."))
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be entered: {error.strerror}"
    return "could not be entered"


def _peak_bytes(usage: resource.struct_rusage) -> int | None:
    """Return the peak memory of the largest process, ``None`` where the figure is this process's own.

    Linux counts for a process what it had before it became another program, and until then a shim shares the memory of
    the worker. Some kernels count a few pages more or less from one moment to the next.
    """
    if sys.platform == "darwin":
        return usage.ru_maxrss
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None if usage.ru_maxrss <= own + _MARGIN_KIB else usage.ru_maxrss * 1024


# --- the script


def _script(shell: str, command: str, variables: dict[bytes, bytes]) -> tuple[str, tuple[str, ...]]:
    """Return the script of a shim and the words that come after the directory; may add to its variables."""
    has_old = b"OLDPWD" in variables
    if shell == _SHELL:
        if _PLAIN_WORDS.fullmatch(command) and command.split(" ", 1)[0] not in _SHELL_WORDS and b"IFS" not in variables:
            return _text(has_old, is_plain=True), ()
        return _text(has_old), (shell,)
    # what /bin/sh may drop goes past it in variables that it keeps
    hidden = [name for name in variables if not _IDENTIFIER.fullmatch(name)]
    for number, name in enumerate(hidden):
        variables[f"{_COMMAND}_{number}".encode()] = name + b"=" + variables[name]
    return _text(has_old, hidden=len(hidden)), (shell,)


@functools.lru_cache(maxsize=64)
def _text(has_old: bool, *, is_plain: bool = False, hidden: int = 0) -> str:
    """Return a shim's script; its arguments are the directory and, unless the command is of plain words, the shell.

    It sets no variable, which could be one of the environment's; "cd" sets OLDPWD. All in one line, so that a shell's
    "/bin/sh: 1: …" is the same with and without the second shell. Nothing that fails ends it early, should the
    environment ask bash for that (SHELLOPTS); no function of the environment's is called (BASH_FUNC_echo%%). Its own
    stderr is /dev/null: what it has to say ("Killed") is not output of the command's. For that the
    parentheses: dash redirects a command that stands alone in itself.
    """
    if is_plain:
        take, run = f"set -- ${_COMMAND}", '"$@"'
    else:
        take, run = f'set -- "$2" "${_COMMAND}"', '"$1" -c "$2"'
    names = [f"{_COMMAND}_{number}" for number in range(hidden)]
    if names:
        run = " ".join(["env", *(f"-u {name}" for name in names), *(f'"${name}"' for name in names), run])
    old = ('set -- "$1" "${2-}" "$OLDPWD"; ', "OLDPWD=$3") if has_old else ("", "unset OLDPWD")
    return (
        f"trap : {' '.join(str(int(number)) for number in _CAUGHT)}; command echo $$ >&9; "
        f'{old[0]}command cd "$1" || {{ command echo {NO_DIRECTORY} >&9; exit 126; }}; {old[1]}; '
        f"{take}; unset {_COMMAND}; ({run}) 2>&1 8>&- 9>&- && set -- 0 || set -- $?; "
        'command echo "$1" >&9; exit "$1"'
    )


# --- starting


@contextlib.contextmanager
def _end_pipe() -> Iterator[tuple[int, int]]:
    """Yield the ends of a pipe that announces a shim's end where pidfds cannot: the reader, and what the shim holds."""
    if _HAS_PIDFD:
        yield -1, -1
        return
    reader, end = os.pipe()
    try:
        os.set_blocking(reader, False)
        end = off_targets(end)
        yield reader, end
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(end)


def _spawn(
    arguments: tuple[bytes, ...],
    environment: Mapping[bytes, bytes],
    lock: int,
    writer: int,
    output: int,
    end: int,
    input: int,
) -> int:
    announces_end = () if end < 0 else ((os.POSIX_SPAWN_DUP2, end, _END_DESCRIPTOR),)
    return os.posix_spawn(
        arguments[0],
        arguments,
        environment,
        file_actions=(
            *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in tuple(_withheld)),
            (os.POSIX_SPAWN_DUP2, lock, LOCK_DESCRIPTOR),
            (os.POSIX_SPAWN_DUP2, writer, _STATUS_DESCRIPTOR),
            *announces_end,
            (os.POSIX_SPAWN_DUP2, output, 1),
            ((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0) if input < 0 else (os.POSIX_SPAWN_DUP2, input, 0)),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ),
        setsid=True,
        setsigdef=_DEFAULT_SIGNALS,
        setsigmask=(),
    )


def off_targets(descriptor: int) -> int:
    """Return a descriptor, moved to a higher number if its own has a fixed use in a shim (``TARGETS``)."""
    if descriptor not in TARGETS:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOCK_DESCRIPTOR + 1)
    finally:
        os.close(descriptor)
