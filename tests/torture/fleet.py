"""Real workers in processes of their own, the processes of their jobs, and a temporary place for all of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator

from core.execution import events
from core.execution.worker import StopMode, Worker
from core.model import State
from core.queue import Queue
from core.storage.sqlite.file import Database
from tests.sqlite import sqlite_of
from tests.torture import invariants
from tests.torture.forks import call, fork, kill, wait
from tests.torture.ledger import Ledger

OnEvent = Callable[[events.WorkerEvent], None]

#: Where a memory file system is, if there is one.
MEMORY = "/dev/shm"


@contextlib.contextmanager
def place(where: str | None = None) -> Iterator[str]:
    """Give a new directory; afterwards end what still runs in it and remove it."""
    directory = tempfile.mkdtemp(prefix="queuectl-torture-", dir=where)
    try:
        yield directory
    finally:
        deadline = time.monotonic() + 10.0
        while (pids := processes_of(directory)) and time.monotonic() < deadline:
            for pid in pids:
                kill_one(pid, directory, signal.SIGKILL)
            time.sleep(0.02)
        shutil.rmtree(directory, ignore_errors=True)


def memory_or_disk() -> str | None:
    """Return the memory file system for harnesses that are not about the disk."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def run_worker(
    path: str, *, slots: int = 2, once: bool = False, on_event: OnEvent | None = None, patience_s: float | None = None
) -> None:
    """Run a worker in this process until it is told to drain (TERM), or has run what was due."""
    with Queue(path, busy_timeout_s=patience_s) as queue:
        worker = Worker(queue, slots=slots, once=once, on_event=on_event)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop(StopMode.DRAIN))
        worker.run()


def drain(path: str, *, timeout_s: float = 60.0, before: Callable[[], None] = lambda: None) -> float:
    """Have a clean worker do everything that is left; return in how many seconds it had adopted the last orphan.

    ``before`` runs first in its process. Delayed jobs are not waited for. Raises ``ChildFailed`` when it does not end.
    """
    return call(lambda: _drain(path, before), timeout_s=timeout_s)


def _drain(path: str, before: Callable[[], None]) -> float:
    before()
    began = adopted = time.monotonic()

    def note(event: events.WorkerEvent) -> None:
        nonlocal adopted
        if isinstance(event, events.AttemptAdopted):
            adopted = time.monotonic()

    run_worker(path, slots=4, once=True, on_event=note)
    return adopted - began


def finish(
    path: str, ledger: Ledger, *, timeout_s: float = 60.0, completed: tuple[State, ...] = (State.COMPLETED,)
) -> tuple[dict[str, int], list[str]]:
    """Bring everything to an end with a clean worker, then check it all; return numbers and problems."""
    return call(lambda: _finish(path, ledger, completed), timeout_s=timeout_s)


def _finish(path: str, ledger: Ledger, completed: tuple[State, ...]) -> tuple[dict[str, int], list[str]]:
    with Queue(path) as queue:
        lost = _drain_to_the_end(queue)
        db = sqlite_of(queue)
        tally = ledger.read()
        problems = [
            *invariants.of_database(db, tally.acknowledged),
            *invariants.of_idle_queue(db),
            *invariants.of_ledger(db, tally),
            *lost,
        ]
        connection = db.connection()
        numbers = {
            "jobs": int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0]),
            "attempts": int(connection.execute("SELECT count(*) FROM attempts").fetchone()[0]),
            "ran again after their end": invariants.repeated(db, tally),
        }
        rows = connection.execute("SELECT id, state, error FROM jobs").fetchall()
        not_completed = [row for row in rows if State(row[1]) not in completed]
        problems += [f"job {row[0]} is {row[1]} ({row[2]})" for row in not_completed[:5]]
    return numbers, problems


def _drain_to_the_end(queue: Queue) -> list[str]:
    """Run what is left, replaying jobs that were interrupted too often, as a person would."""
    for _ in range(20):
        Worker(queue, slots=4, once=True).run()
        dead = _rows(sqlite_of(queue), "SELECT id, error FROM jobs WHERE state = 'dead'")
        strange = [row for row in dead if not str(row[1]).startswith(("lost ", "interrupted "))]
        if strange:
            return [f"job {row[0]} is dead: {row[1]}" for row in strange[:5]]
        if dead:
            queue.replay([int(str(row[0])) for row in dead])
        elif not queue.counts().delayed and not _rows(sqlite_of(queue), "SELECT 1 FROM jobs WHERE state = 'pending'"):
            return []
        else:
            time.sleep(0.05)
    return ["the queue does not come to an end"]


def _rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return db.connection().execute(sql).fetchall()


class Fleet:
    """Some worker processes that are replaced when they die. The caller must not have opened a database."""

    def __init__(self, path: str, size: int, *, on_event: OnEvent | None = None, slots: int = 2) -> None:
        self._path = path
        self._slots = slots
        self._on_event = on_event
        self.errors = os.path.join(os.path.dirname(path), "errors")
        self.pids = [self._start() for _ in range(size)]

    def _start(self) -> int:
        return fork(lambda: run_worker(self._path, slots=self._slots, on_event=self._on_event), errors=self.errors)

    def replace(self, pid: int) -> None:
        """Kill one worker and start another."""
        kill(pid)
        self.pids[self.pids.index(pid)] = self._start()

    def stop(self) -> None:
        """Let all drain; kill those that do not."""
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        for pid in self.pids:
            if wait(pid, 20.0) is None:
                kill(pid)
        self.pids = []

    def complaints(self) -> list[str]:
        """Return what the workers said before they ended by themselves."""
        if not os.path.exists(self.errors):
            return []
        with open(self.errors, encoding="utf-8") as file:
            lines = [line.strip() for line in file if line[:1] not in (" ", "\n")]
        return [f"a worker said: {line}" for line in lines if not line.startswith("Traceback")][:5]


def processes_of(directory: str) -> list[int]:
    """Return the living processes whose environment names a database below a directory: those of its jobs."""
    mark = f"QUEUECTL_DB={directory}/".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read():
                    found.append(int(name))
    return found


def kill_one(pid: int, directory: str, number: signal.Signals) -> bool:
    """Signal a process if it is (still) one of the directory's jobs; return whether it was."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # the descriptor pins the process down; only then is it looked at
        with open(f"/proc/{pid}/environ", "rb") as file:
            if f"QUEUECTL_DB={directory}/".encode() not in file.read():
                return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
