"""SIGKILL storm: workers, shims and jobs are killed at random while others go on.

The jobs keep a ledger and hold a lock of their own. Afterwards a clean worker does what is left, and the queue's
account is compared with the ledger.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence

from core.errors import QueueError
from core.model import State
from core.queue import Queue
from tests.torture.fleet import Fleet, finish, kill_one, memory_or_disk, place
from tests.torture.forks import ChildFailed, call, fork, kill
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "SIGKILL storm"
_WORKERS = 3
_SLOTS = 6
_WAITING = 60
#: How long the jobs sleep, in seconds; one is drawn for each.
_SLEEPS = (0.0, 0.02, 0.1, 0.3)


def run(options: Options) -> Result:
    """Storm on the disk and in memory, with normal and full durability: 20 seconds in all, or 50,000 kills.

    A fifth storm kills no commands, only workers: then each job that reached its end must be recorded as that, once.
    """
    result = Result()
    seconds = options.length_s(20.0, 3600.0) / 5
    kills = options.pick(1_000_000, 10_000)
    chance = options.random()
    for where in (None, memory_or_disk()):
        for durability in ("normal", "full"):
            with place(where) as directory:
                name = f"{'memory' if where else 'disk'}, {durability}"
                _storm(result, name, directory, durability, seconds, kills, _ANYTHING, chance)
    before = int(result.numbers[_AGAIN])
    with place(memory_or_disk()) as directory:
        _storm(result, "only workers", directory, "normal", seconds, kills, _NO_COMMANDS, chance)
    again = int(result.numbers[_AGAIN]) - before
    result.expect(again == 0, f"only workers: {again} jobs ran again though nobody killed their commands")
    result.numbers[_AGAIN] = before
    result.numbers["the same, only workers killed"] = again
    result.numbers = {"kills": _kills(result), **result.numbers}
    return result


_KINDS = ("workers", "shims", "jobs", "enqueuers")
# How often each kind is chosen.
_ANYTHING = (10, 10, 16, 1)
_NO_COMMANDS = (20, 0, 0, 1)
#: Executions that reached their end but whose shim was killed before it could tell: nobody knows, so they are lost.
_AGAIN = "ran again after their end"


def _kills(result: Result) -> int:
    return sum(int(result.numbers.get(f"kills of {kind}", 0)) for kind in _KINDS)


def _storm(
    result: Result,
    name: str,
    directory: str,
    durability: str,
    seconds: float,
    kills: int,
    weights: Sequence[int],
    chance: random.Random,
) -> None:
    path = os.path.join(directory, "queue.db")
    ledger = Ledger(directory).create()
    call(lambda: _prepare(path, durability))
    fleet = Fleet(path, _WORKERS, slots=_SLOTS)
    enqueuer = _enqueuer(path, ledger, fleet.errors)
    deadline = time.monotonic() + seconds
    enough = _kills(result) + kills
    try:
        while time.monotonic() < deadline and _kills(result) < enough:
            time.sleep(chance.uniform(0.0, 0.006))
            kind = chance.choices(_KINDS, weights)[0]
            if kind == "workers":
                fleet.replace(chance.choice(fleet.pids))
            elif kind == "enqueuers":
                kill(enqueuer)
                enqueuer = _enqueuer(path, ledger, fleet.errors)
            elif not _kill_command(directory, kind == "jobs", chance):
                continue
            result.count(f"kills of {kind}")
    finally:
        kill(enqueuer)
        fleet.stop()
    try:
        numbers, problems = finish(path, ledger, timeout_s=600.0)
    except ChildFailed as error:
        numbers, problems = {}, [error.last_line]
    for what, number in numbers.items():
        result.count(what, number)
    result.problems += [f"{name}: {problem}" for problem in (*fleet.complaints(), *problems)]


def _prepare(path: str, durability: str) -> None:
    with Queue(path) as queue:
        queue.set("durability", durability)
        queue.set("backoff-cap", "0s")


def _enqueuer(path: str, ledger: Ledger, errors: str) -> int:
    return fork(lambda: _enqueue_for_ever(path, ledger), errors=errors)


def _enqueue_for_ever(path: str, ledger: Ledger) -> None:
    """Keep some jobs waiting; write down every id once it is acknowledged."""
    chance = random.Random(os.getpid())
    with Queue(path) as queue:
        while True:
            waiting = queue.counts().of(State.PENDING)
            if waiting >= _WAITING:
                time.sleep(0.01)
                continue
            try:
                command = ledger.job(chance.choice(_SLEEPS), is_plain=chance.random() < 0.5)
                job_id = queue.add(command, max_attempts=1_000_000)
            except QueueError:
                continue
            ledger.note(f"A {job_id}")


def _kill_command(directory: str, is_job: bool, chance: random.Random) -> bool:
    """Kill the shim of a running attempt, or some process below it; return whether there was one."""
    running = _running_shims(os.path.join(directory, "queue.db.spool", "attempts"))
    chance.shuffle(running)
    for shim in running[:4]:
        victims = _descendants(shim) if is_job else [shim]
        if victims and kill_one(chance.choice(victims), directory, signal.SIGKILL):
            return True
    return False


def _running_shims(spool: str) -> list[int]:
    """Return the pids in run files that have a pid and no status yet."""
    found = []
    for name in os.listdir(spool):
        if name.endswith(".run"):
            try:
                with open(os.path.join(spool, name), encoding="ascii") as file:
                    lines = file.read().split("\n")
            except OSError:
                continue
            if len(lines) == 3 and lines[1].isdigit():
                found.append(int(lines[1]))
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    todo = [pid]
    while todo:
        one = todo.pop()
        try:
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            continue
        found += children
        todo += children
    return found
