"""SIGSTOP storm: workers are stopped for a while and go on, as by a suspended laptop or Ctrl-Z.

A stopped worker still holds its locks, so no worker takes its jobs over, and nothing is lost or run again.
"""

from __future__ import annotations

import os
import signal
import time

from core.execution import events
from core.model import NewJob
from core.queue import Queue
from tests.torture.fleet import Fleet, finish, memory_or_disk, place
from tests.torture.forks import call
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "SIGSTOP storm"
_WORKERS = 5


def run(options: Options) -> Result:
    """Stop and continue five workers at random, for longer than others need to look for the dead."""
    result = Result()
    chance = options.random()
    seconds = options.length_s(8.0, 120.0)
    with place(memory_or_disk()) as directory:
        path = os.path.join(directory, "queue.db")
        ledger = Ledger(directory).create()
        call(lambda: _prepare(path, ledger, int(seconds * 40)))
        told = os.path.join(directory, "told")
        fleet = Fleet(path, _WORKERS, on_event=lambda event: _tell(told, event))
        stopped: dict[int, float] = {}
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                time.sleep(0.02)
                now = time.monotonic()
                for pid, until in list(stopped.items()):
                    if now >= until:
                        os.kill(pid, signal.SIGCONT)
                        del stopped[pid]
                if len(stopped) < _WORKERS - 1 and chance.random() < 0.7:
                    pid = chance.choice([pid for pid in fleet.pids if pid not in stopped])
                    os.kill(pid, signal.SIGSTOP)
                    stopped[pid] = now + chance.choice((0.01, 0.05, 0.2, 1.5))
                    result.count("stops")
        finally:
            fleet.stop()
        _judge(result, told, fleet, path, ledger)
    return result


def _prepare(path: str, ledger: Ledger, count: int) -> None:
    with Queue(path) as queue:
        # a stopped process may have the turn to write: the others wait for it
        queue.set("busy-timeout", "30s")
        ids = queue.enqueue_many(
            NewJob(ledger.job((0, 0.05, 0.2)[number % 3], is_plain=number % 2 == 0)) for number in range(count)
        )
        ledger.note(*(f"A {job_id}" for job_id in ids))


def _tell(told: str, event: events.WorkerEvent) -> None:
    if isinstance(event, events.AttemptAdopted):
        text = f"job {event.job.id} was taken over from a worker that is alive"
    elif isinstance(event, (events.StorageTrouble, events.LoopFailed)):
        text = repr(event)
    else:
        return
    with open(told, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _judge(result: Result, told: str, fleet: Fleet, path: str, ledger: Ledger) -> None:
    numbers, problems = finish(path, ledger, timeout_s=120.0)
    result.numbers.update(numbers)
    result.problems += [*fleet.complaints(), *problems]
    result.expect(numbers["attempts"] == numbers["jobs"], "a job ran again though nothing died")
    if os.path.exists(told):
        with open(told, encoding="utf-8") as file:
            result.problems += [line.strip()[:200] for line in list(file)[:5]]
