"""Run a terminal program in a real pty, press keys, and measure when and how much it answers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

_PAGE = os.sysconf("SC_PAGE_SIZE")


class PtyProgram:
    """A child process on a pty of ``columns`` x ``rows``; use it as a context manager."""

    def __init__(
        self, command: Sequence[str], *, columns: int = 120, rows: int = 40, env: Mapping[str, str] | None = None
    ) -> None:
        self.started_s = time.monotonic()
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            # a size that is set outside would be believed instead of the terminal's
            outside = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            variables = {**outside, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
            variables.pop("NO_COLOR", None)
            os.execvpe(command[0], list(command), variables)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = bytearray()
        self.exit_code: int | None = None
        self._is_over = False

    def __enter__(self) -> PtyProgram:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(60)
        os.close(self.descriptor)

    def read(self, timeout_s: float) -> bytes:
        """Return what comes within this time, as soon as anything comes; ``b""`` when nothing does."""
        ready, _, _ = select.select([self.descriptor], [], [], max(0.0, timeout_s))
        if not ready:
            return b""
        try:
            data = os.read(self.descriptor, 1 << 20)
        except OSError:  # the other end is closed
            self._is_over = True
            time.sleep(min(0.01, timeout_s))
            return b""
        self.output += data
        return data

    def drain(self, seconds: float) -> int:
        """Read for so long and return the number of bytes that came."""
        end_s, count = time.monotonic() + seconds, 0
        while (left_s := end_s - time.monotonic()) > 0:
            count += len(self.read(left_s))
        return count

    def settle(self, quiet_s: float = 0.25, limit_s: float = 15.0) -> None:
        """Read until nothing has come for ``quiet_s``."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s and self.read(quiet_s):
            pass

    def wait_for(self, text: bytes, timeout_s: float = 60.0, start: int = 0) -> float:
        """Read until a text has come (after byte ``start`` of the output); return the seconds that took.

        Raises ``TimeoutError``, at once and with its last words when the program has ended.
        """
        began_s = time.monotonic()
        while self.output.find(text, start) < 0:
            if self._is_over:
                raise TimeoutError(f"{text!r} cannot come, the program ended: {bytes(self.output[-2000:])!r}")
            left_s = began_s + timeout_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{text!r} did not come within {timeout_s} s")
            self.read(left_s)
        return time.monotonic() - began_s

    def press(self, key: bytes) -> None:
        """Send the bytes of a key."""
        os.write(self.descriptor, key)

    def answer_time(self, key: bytes, timeout_s: float = 1.0) -> float | None:
        """Return the seconds from a key to the first byte of the answer; ``None`` without one."""
        began_s = time.monotonic()
        self.press(key)
        return time.monotonic() - began_s if self.read(timeout_s) else None

    def resident_bytes(self) -> int:
        """Return the memory that is resident now."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE

    def hang_up(self) -> None:
        """Close the terminal, as a window that is closed does; nothing more can be read."""
        os.close(self.descriptor)
        self.descriptor, self._writer = os.pipe()  # something to wait on until the end, which never comes by it

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end, reading what still comes; return the exit code, ``None`` when it does not end in time."""
        end_s = time.monotonic() + timeout_s
        while self.exit_code is None and time.monotonic() < end_s:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
            else:
                self.read(0.02)
        return self.exit_code
