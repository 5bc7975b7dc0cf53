"""Processes read from /proc: a session's or group's members, who has a file open, and orphans to reap.

A pid alone identifies no process: the system assigns it again once no process, group or session has it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple

_HAS_PROC = os.path.isdir("/proc/self/fd")


class Process(NamedTuple):
    """A process's numbers in /proc/PID/stat."""

    pid: int
    parent: int
    group: int
    session: int


def processes(*, are_zombies: bool = False) -> Iterator[Process]:
    """Yield the living processes in /proc, with ``are_zombies`` those that wait to be reaped; none without /proc."""
    names = os.listdir("/proc") if _HAS_PROC else []
    for name in names:
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb", buffering=0) as file:
            state, parent, group, session = file.read(1024).rpartition(b")")[2].split()[:4]
            if (state in (b"Z", b"X")) is are_zombies:
                yield Process(int(name), int(parent), int(group), int(session))


def group_has(path: str, group: int) -> bool:
    """Return whether a process of a group is seen to have the file at a path open: it is the command's then.

    Files of processes of other users cannot be seen, but by root. Elsewhere than on Linux ``lsof`` is run.
    """
    if not _HAS_PROC:
        return any(_group_of(pid) == group for pid in _pids_by_lsof(path))
    return any(_has_open(process.pid, path) for process in processes() if process.group == group)


def group_lives(path: str, number: int) -> bool:
    """Return whether a group has members, unless they are seen to be of another command: see ``session_lives``.

    Elsewhere than on Linux another command's group counts, too.
    """
    if _HAS_PROC:
        return _lives(path, number, [process.pid for process in processes() if process.group == number])
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def session_lives(path: str, number: int) -> bool:
    """Return whether a session has members. The file at a path is the run file of the session's command.

    Its leader never closes that file: a living process with that pid that does not have the file open got the pid
    later, and all members are of another command. Elsewhere than on Linux this cannot be seen: always false.
    """
    return _lives(path, number, [process.pid for process in processes() if process.session == number])


def _lives(path: str, number: int, members: Sequence[int]) -> bool:
    return bool(members) and (number not in members or _has_open(number, path) is not False)


def reap_orphans(own: Callable[[], Container[int]]) -> int:
    """Reap the zombies that this process, process 1 of a container, inherited as children; return how many.

    Those in ``own()``, which is called after the look, and those of this process's session are left: what started them
    waits for them.
    """
    here, my_session = os.getpid(), os.getsid(0)
    zombies = [process for process in processes(are_zombies=True) if process.parent == here]
    kept = own()
    reaped = 0
    for process in zombies:
        if process.session != my_session and process.pid not in kept:
            with contextlib.suppress(ChildProcessError):
                reaped += os.waitpid(process.pid, os.WNOHANG)[0] != 0
    return reaped


def _has_open(pid: int, path: str) -> bool | None:
    """Return whether a process has the file at a path open; ``None`` when its descriptors cannot be read."""
    try:
        wanted = os.stat(path)
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return None
    for name in names:
        with contextlib.suppress(OSError):
            found = os.stat(f"/proc/{pid}/fd/{name}")
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def _pids_by_lsof(path: str) -> list[int]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["lsof", "-t", "--", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        return [int(word) for word in done.stdout.split() if word.isdigit()]
    return []


def _group_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return None
