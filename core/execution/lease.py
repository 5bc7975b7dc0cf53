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
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from core.clock import since_boot_s
from core.execution.command import Command
from core.execution.run_file import read_status
from core.locks import create_private, is_locked
from core.process_place import here
from core.rules.lease_terms import LOOK_S, LeaseTerms
from core.spool import Spool

#: How long the fence waits for starts that are under way, in seconds; a process that is stopped in one is killed then.
GATE_WAIT_S = 1.0


class Renewal(NamedTuple):
    """A confirmed renewal: when it was sent, in seconds since the boot, of which life of the host, on what terms."""

    sent_s: float
    life_id: int
    terms: LeaseTerms

    def age_s(self) -> float:
        """Return how long ago it was sent, in seconds."""
        return max(0.0, since_boot_s() - self.sent_s)


class Lease:
    """The last confirmed renewal of this host, on the stopwatch that counts from the boot.

    All processes of the host share it through a file; what another boot wrote there counts as none.
    """

    def __init__(self, spool: Spool) -> None:
        self._path = spool.lease

    def renewed(self, renewal: Renewal) -> None:
        """Note a renewal that was confirmed, unless a later one is noted."""
        last = self.last()
        if last is not None and renewal.sent_s <= last.sent_s:
            return
        beside = f"{self._path}.{os.getpid()}.{threading.get_ident()}"
        descriptor = create_private(beside, os.O_WRONLY | os.O_TRUNC, is_new=False)
        try:
            # for the sentinel, which does not reckon: whole seconds, rather too soon than too late
            fence_s = int(renewal.sent_s + renewal.terms.fence_s)
            words = (here().boot_id or "-", f"{renewal.sent_s:.3f}", fence_s, renewal.life_id)
            os.write(descriptor, f"{' '.join(map(str, words))} {renewal.terms.lease_s}\n".encode())
        finally:
            os.close(descriptor)
        os.replace(beside, self._path)

    def last(self) -> Renewal | None:
        """Return the last confirmed renewal; ``None`` if there was none since the boot."""
        with contextlib.suppress(OSError, ValueError), open(self._path, encoding="ascii") as file:
            boot_id, sent_s, _, life_id, lease_s = file.read().split()
            if boot_id == (here().boot_id or "-"):
                return Renewal(float(sent_s), int(life_id), LeaseTerms(float(lease_s)))
        return None

    def allows_start(self, life_id: int) -> bool:
        """Return whether a command that was claimed in a life of this host may be started now."""
        last = self.last()
        return last is not None and last.life_id == life_id and last.age_s() < last.terms.start_s


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

    @contextlib.contextmanager
    def closed(self, wait_s: float) -> Iterator[None]:
        """Keep starts out in a ``with`` block.

        One that goes on after ``wait_s`` seconds is in a process that is stopped: that is killed, or it would start its
        command when it goes on.
        """
        descriptor = create_private(self._path, os.O_RDWR, is_new=False)
        over = threading.Event()
        until_s = since_boot_s() + wait_s
        try:
            while not _is_exclusive(descriptor) and since_boot_s() < until_s + GATE_WAIT_S:
                if since_boot_s() >= until_s:
                    _kill_holders(descriptor)
                over.wait(0.02)
            yield
        finally:
            os.close(descriptor)


def _is_exclusive(descriptor: int) -> bool:
    """Return whether this process has the lock of a file alone now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kill_holders(descriptor: int) -> None:
    """Kill the other processes that hold the lock of an open file, where the kernel names them."""
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as locks:
        # "1: FLOCK  ADVISORY  READ 4711 fe:01:123 0 EOF"; the pid is 0 in another pid namespace
        found = [line.split() for line in locks]
        holders = {int(words[4]) for words in found if words[1] == "FLOCK" and words[5].endswith(f":{status.st_ino}")}
        for pid in holders - {0, os.getpid()}:
            if _has_open(pid, status):  # else it holds a file with this number on another file system
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _has_open(pid: int, status: os.stat_result) -> bool:
    """Return whether a process has a file open."""
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(f"{directory}/{name}"), status):
                    return True
    return False


class Fence:
    """A thread that ends this host's commands when its lease has run down; it never waits for the database.

    ``grace_s`` returns how long a command has between TERM and KILL. To ``stopped`` the ids of the attempts are added
    whose commands it has asked to stop, each before it is asked.
    """

    def __init__(self, spool: Spool, lease: Lease, grace_s: Callable[[], float], stopped: set[int]) -> None:
        self._spool = spool
        self._lease = lease
        self._grace_s = grace_s
        self._stopped = stopped
        self._gate = Gate(spool)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="queuectl-fence", daemon=True)

    def start(self) -> None:
        """Begin to watch the lease, unless it is watched."""
        if not self._thread.is_alive():
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

    def is_acting(self) -> bool:
        """Return whether the lease has run down so far that commands are asked to stop, by whoever looks first."""
        last = self._lease.last()
        return last is not None and last.age_s() >= last.terms.stop_s(self._grace_s())

    def look(self) -> None:
        """Ask commands to stop, or kill them, as the age of the lease says."""
        last = self._lease.last()
        if last is None:
            return
        age_s = last.age_s()
        if age_s >= last.terms.fence_s:
            with self._gate.closed(GATE_WAIT_S):
                self.end_all()
        elif self.is_acting():
            self._signal(signal.SIGTERM, signal.SIGCONT)

    def end_all(self) -> None:
        """Kill all commands of this host; the gate is to be closed meanwhile."""
        self._signal(signal.SIGKILL)

    def end_unless_open(self, open_attempts: Callable[[], set[int]]) -> None:
        """Kill the commands of attempts of which the database does not know that they are open; it is asked last."""
        started = [command.attempt_id for command in running_commands(self._spool)]
        if started:
            self._signal(signal.SIGKILL, only=set(started) - open_attempts())

    def _signal(self, *signals: signal.Signals, only: Container[int] | None = None) -> None:
        for command in running_commands(self._spool):
            if only is not None and command.attempt_id not in only:
                pass
            elif signals[0] is signal.SIGKILL or command.attempt_id not in self._stopped:
                self._stopped.add(command.attempt_id)
                for number in signals:
                    command.signal(number)
            command.close()


def running_commands(spool: Spool) -> Iterator[Command]:
    """Yield the commands of this host whose run file is locked, whoever started them; the caller closes each."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(spool.attempts):
            number = name.removesuffix(".run")
            if name.endswith(".run") and number.isdigit() and is_locked(f"{spool.attempts}/{name}"):
                pid = read_status(spool, int(number)).pid
                if pid is not None:  # else it is opened, and not started yet
                    yield Command(spool, int(number), pid)


def is_any_running(spool: Spool) -> bool:
    """Return whether any command of this host runs."""
    for command in running_commands(spool):
        command.close()
        return True
    return False
