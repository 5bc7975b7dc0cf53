"""Contention: 16 processes write at once, from the very creation of the database on, and a foreign program with them.

No process may see an error or wait for a second.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Callable

from core.errors import InvalidTransition
from core.execution.worker import StopMode, Worker
from core.model import State, View
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.torture import invariants
from tests.torture.fleet import place
from tests.torture.forks import call, fork, kill, wait
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "contention"
#: Processes: enqueuers, people who purge and replay, workers; and a program that knows nothing of our write lock.
_ROLES = (*["enqueuer"] * 9, *["person"] * 4, *["worker"] * 2, "foreigner")
#: The longest wait for a commit that is taken, in seconds.
LONGEST_S = 1.0


def run(options: Options) -> Result:
    """Write for 20 seconds; then compare what was acknowledged with what is there."""
    result = Result()
    seconds = options.length_s(20.0, 60.0)
    with place() as directory:
        ledger = Ledger(directory).create()
        path = os.path.join(directory, "queue.db")
        report = os.path.join(directory, "report")
        begin = time.monotonic() + 0.3
        pids = [
            fork(lambda role=role, number=number: _write(role, number, path, ledger, report, begin, seconds))  # type: ignore[misc]
            for number, role in enumerate(_ROLES)
        ]
        for pid in pids:
            status = wait(pid, seconds + 30.0)
            if status is None:
                kill(pid)
            result.expect(status == 0, f"a writer ended with {status}")
        _read_reports(report, result)
        result.problems += call(lambda: _check(path, ledger))
    return result


def _write(role: str, number: int, path: str, ledger: Ledger, report: str, begin: float, seconds: float) -> None:
    time.sleep(max(0.0, begin - time.monotonic()))
    deadline = begin + seconds
    if role == "foreigner":
        _write_as_a_foreigner(path, deadline)
        return
    waits: list[float] = []
    errors: list[str] = []
    try:
        with Queue(path) as queue:
            if role == "worker":
                _work(queue, deadline)
            else:
                act = _enqueue if role == "enqueuer" else _tidy
                _repeat(lambda: act(queue, ledger, random.Random(number + len(waits))), deadline, waits)
    except Exception as error:
        errors.append(f"{role} {number}: {error!r}")
    lines = [f"{role} {len(waits)} {max(waits, default=0.0):.6f}", *(f"! {error}" for error in errors)]
    descriptor = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
    os.close(descriptor)


def _repeat(act: Callable[[], object], deadline: float, waits: list[float]) -> None:
    while (began := time.monotonic()) < deadline:
        with contextlib.suppress(InvalidTransition):  # of a single job that moved on since it was listed
            act()
        waits.append(time.monotonic() - began)


def _enqueue(queue: Queue, ledger: Ledger, chance: random.Random) -> None:
    ledger.note(f"A {queue.add('true', priority=chance.randint(-3, 3))}")


def _tidy(queue: Queue, ledger: Ledger, chance: random.Random) -> None:
    """Do what a person does now and then: one short act."""
    kind = chance.randrange(4)
    if kind == 0:
        queue.purge(queue.ids(View(states=(State.COMPLETED,)))[:20])
    elif kind == 1:
        queue.replay(queue.ids(View(states=(State.COMPLETED,)))[:3])
    elif kind == 2:
        queue.cancel(queue.ids(View(states=(State.PENDING,)))[-3:])
    else:
        queue.limit("default", chance.randint(4, 9))


def _work(queue: Queue, deadline: float) -> None:
    troubles: list[str] = []

    def note(event: object) -> None:
        if type(event).__name__ in ("StorageTrouble", "LoopFailed"):
            troubles.append(repr(event))

    worker = Worker(queue, slots=2, on_event=note)
    worker.start()
    time.sleep(max(0.0, deadline - time.monotonic()))
    worker.stop(StopMode.DRAIN)
    worker.join(20.0)
    if troubles:
        raise RuntimeError(troubles[0])


def _write_as_a_foreigner(path: str, deadline: float) -> None:
    """Write now and then without our lock, as the sqlite3 shell would: short transactions with pauses between."""
    while not os.path.exists(path) or os.path.getsize(path) < 4096 or not os.path.exists(path + "-wal"):
        time.sleep(0.01)
    connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    while time.monotonic() < deadline:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO facts (key, value) VALUES ('foreign', ?)", (time.time_ns(),))
        time.sleep(0.005)
        connection.execute("COMMIT")
        time.sleep(0.05)
    connection.close()


def _read_reports(report: str, result: Result) -> None:
    with open(report, encoding="utf-8") as file:
        for line in file:
            if line.startswith("! "):
                result.problems.append(line[2:].strip())
                continue
            _role, count, longest = line.split()
            result.count("commits of people and enqueuers", int(count))
            result.most("longest wait, s", float(longest))
    waited_s = float(result.numbers.get("longest wait, s", 0.0))
    result.expect(waited_s < LONGEST_S, f"somebody waited {waited_s} s")


def _check(path: str, ledger: Ledger) -> list[str]:
    with Queue(path) as queue:
        return [
            *invariants.of_database(sqlite_of(queue), ledger.read().acknowledged),
            *invariants.of_idle_queue(sqlite_of(queue)),
        ]
