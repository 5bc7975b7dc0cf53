"""Child processes by ``fork``: quick to start, cut off from their parent's SQLite, gone when their parent is gone.

A process that forks here must have neither threads nor open databases: whatever opens one runs in a child.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A child raised, died or hung; the message says which."""

    @property
    def last_line(self) -> str:
        """Return the end of the message: what a child raised, without its traceback."""
        return str(self).strip().splitlines()[-1]


def fork(work: Callable[[], object], *, errors: str | None = None) -> int:
    """Run ``work`` in a child and return its pid; what it raises goes to the file ``errors`` or to stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _die_with(parent)
        work()
        code = 0
    except BaseException:
        text = traceback.format_exc()
        if errors is None:
            sys.stderr.write(text)
        else:
            with open(errors, "a", encoding="utf-8") as file:
                file.write(text)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, so that an interrupted torture leaves nothing behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def call(work: Callable[[], T], *, timeout_s: float = 60.0) -> T:
    """Run ``work`` in a child and return what it returns; raise ``ChildFailed`` if it raises, dies or hangs."""
    reader, writer = os.pipe()

    def answer() -> None:
        os.close(reader)
        try:
            value: tuple[bool, Any] = (True, work())
        except Exception:
            value = (False, traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(value, pipe)

    pid = fork(answer)
    os.close(writer)
    try:
        data = _read_until(reader, time.monotonic() + timeout_s)
    finally:
        os.close(reader)
    if data is None:
        kill(pid)
        raise ChildFailed(f"a child hung for {timeout_s:g} s")
    status = wait(pid)
    if not data:
        raise ChildFailed(f"a child died (status {status})")
    is_value, value = pickle.loads(data)
    if not is_value:
        raise ChildFailed(str(value))
    return value  # type: ignore[no-any-return]


def _read_until(descriptor: int, deadline: float) -> bytes | None:
    """Return everything up to the end of a pipe, ``None`` when that takes too long."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 1 << 16)
        if not part:
            return data
        data += part


def wait(pid: int, timeout_s: float | None = None) -> int | None:
    """Wait for a child; return its exit code (negative: the signal), ``None`` if it still runs after the time."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        found, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            return None
        time.sleep(0.002)


def kill(pid: int) -> None:
    """Kill a child of ours and collect it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
