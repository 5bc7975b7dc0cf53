"""The lease of a host: kept in the spool for all processes of the host, enforced by a fence that needs no database.

``Lease`` is the file with the last confirmed renewal, ``Gate`` the lock under which commands are started, ``Fence`` the
thread that ends all commands of the host when the lease has run down.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator

from core.clock import since_boot_s
from core.execution.command import Command
from core.execution.run_file import read_status
from core.locks import create_private, is_locked
from core.process_place import here
from core.rules.lease import LOOK_S, LeaseTerms
from core.spool import Spool

#: How long the fence waits for starts that are under way, in seconds; a process that is stopped in one is killed then.
GATE_WAIT_S = 1.0


class Lease:
    """When this host's last confirmed renewal was sent, on the stopwatch that counts from the boot.

    All processes of the host share it through a file; what another boot wrote there counts as none.
    """

    def __init__(self, spool: Spool, terms: LeaseTerms) -> None:
        self._path = spool.lease
        self.terms = terms

    def renewed(self, sent_s: float) -> None:
        """Note that a renewal was confirmed which had been sent at ``sent_s``, in seconds since the boot."""
        if sent_s <= (self.sent_s() or 0.0):
            return
        beside = f"{self._path}.{os.getpid()}.{threading.get_ident()}"
        descriptor = create_private(beside, os.O_WRONLY | os.O_TRUNC, is_new=False)
        try:
            fence_s = sent_s + self.terms.fence_s
            os.write(descriptor, f"{here().boot_id or '-'} {sent_s:.3f} {fence_s:.0f}\n".encode())
        finally:
            os.close(descriptor)
        os.replace(beside, self._path)

    def sent_s(self) -> float | None:
        """Return when the last confirmed renewal was sent, in seconds since the boot; ``None`` if none was."""
        with contextlib.suppress(OSError, ValueError, IndexError), open(self._path, encoding="ascii") as file:
            words = file.read().split()
            if words[0] == (here().boot_id or "-"):
                return float(words[1])
        return None

    def age_s(self) -> float | None:
        """Return how long ago that was, in seconds."""
        sent_s = self.sent_s()
        return None if sent_s is None else max(0.0, since_boot_s() - sent_s)

    def allows_start(self) -> bool:
        """Return whether a command may be started now."""
        age_s = self.age_s()
        return age_s is not None and age_s < self.terms.start_s


class Gate:
    """The lock that keeps starts and the fence apart: starts share it, the fence has it alone."""

    def __init__(self, spool: Spool) -> None:
        self._path = spool.gate

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Hold the gate open for starts in a ``with`` block."""
        descriptor = create_private(self._path, os.O_RDWR, is_new=False)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def close(self, wait_s: float) -> int | None:
        """Return a descriptor that keeps starts out until it is closed; ``None`` if one goes on after ``wait_s``."""
        descriptor = create_private(self._path, os.O_RDWR, is_new=False)
        over = threading.Event()
        until_s = since_boot_s() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if since_boot_s() >= until_s:
                    os.close(descriptor)
                    return None
                over.wait(0.02)
            else:
                return descriptor


class Fence:
    """A thread that ends this host's commands when its lease has run down; it never waits for the database.

    ``grace_s`` returns how long a command has between TERM and KILL. ``has_acted`` is true from the first TERM until a
    renewal is confirmed again.
    """

    def __init__(self, spool: Spool, lease: Lease, grace_s: Callable[[], float]) -> None:
        self._spool = spool
        self._lease = lease
        self._grace_s = grace_s
        self._gate = Gate(spool)
        self._over = threading.Event()
        self._asked_for: float | None = None
        self._thread = threading.Thread(target=self._watch, name="queuectl-fence", daemon=True)

    @property
    def has_acted(self) -> bool:
        """Whether commands were asked to stop since the last confirmed renewal."""
        return self._asked_for is not None and self._asked_for == self._lease.sent_s()

    def start(self) -> None:
        """Begin to watch the lease."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            with contextlib.suppress(OSError):
                self.look()

    def look(self) -> None:
        """Ask commands to stop, or kill them, as the age of the lease says."""
        sent_s = self._lease.sent_s()
        if sent_s is None:
            return
        age_s = since_boot_s() - sent_s
        if age_s >= self._lease.terms.fence_s:
            self._asked_for = sent_s
            self.end_all()
        elif age_s >= self._lease.terms.stop_s(self._grace_s()) and self._asked_for != sent_s:
            self._asked_for = sent_s
            for command in running_commands(self._spool):
                command.signal(signal.SIGTERM)
                command.signal(signal.SIGCONT)
                command.close()

    def end_all(self) -> None:
        """Kill all commands of this host; those that are being started meanwhile, too."""
        gate = self._gate.close(GATE_WAIT_S)
        try:
            for command in running_commands(self._spool):
                command.signal(signal.SIGKILL)
                command.close()
        finally:
            if gate is not None:
                os.close(gate)


def running_commands(spool: Spool) -> Iterator[Command]:
    """Yield the commands of this host whose run file is locked, whoever started them; the caller closes each."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(spool.attempts):
            number = name.removesuffix(".run")
            if name.endswith(".run") and number.isdigit() and is_locked(f"{spool.attempts}/{name}"):
                status = read_status(spool, int(number))
                yield Command(spool, int(number), status.pid)
