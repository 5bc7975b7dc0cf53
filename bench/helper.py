"""Processes of the benchmarks' own: a worker that runs until it is ended, one that drains, one that runs nothing."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

from core.execution import events
from core.execution.worker import StopMode, Worker
from core.model import Ending, Outcome
from core.queue import Queue
from core.rules.settings import Settings
from core.storage.values import Claim, ClaimCapacity, StepTerms


def resident_kib() -> int:
    """Return the memory that this process occupies now (where the system does not tell: the most it ever did)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


def serve(database: str) -> None:
    """Run a worker with one slot until TERM; print a line when it is ready."""
    with Queue(database) as queue:
        worker = Worker(queue, slots=1, on_event=_say_ready)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop(StopMode.NOW))
        worker.run()


def _say_ready(event: events.WorkerEvent) -> None:
    if isinstance(event, events.WorkerStarted):
        print("ready", flush=True)


def drain(database: str, *looks: int) -> None:
    """Drain a queue with two slots; print the memory after so many jobs each, in KiB."""
    ended = 0
    found: list[int] = []

    def count(event: events.WorkerEvent) -> None:
        nonlocal ended
        if isinstance(event, events.AttemptEnded):
            ended += 1
            if ended in looks:
                found.append(resident_kib())

    with Queue(database) as queue:
        Worker(queue, slots=2, drain=True, on_event=count).run()
        print(*found)


def turns(address: str, batch: int, seconds: float) -> None:
    """Record and claim jobs, that many a turn, without running them; print how many were recorded in the time."""
    recorded = 0
    terms = StepTerms(Settings(), is_rolled_up=False)  # as in most steps of a worker
    ending = Ending(Outcome.SUCCEEDED, exit_code=0, run_ms=1, output=b"")
    with Queue(address) as queue:
        worker_id, lock = queue.storage.workers.register(slots=batch, queues=())
        attempts = queue.storage.attempts()
        endings: list[tuple[Claim, Ending]] = []
        print("ready", flush=True)
        sys.stdin.readline()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            done = attempts.record_and_claim(endings, ClaimCapacity(worker_id, batch), lambda claim: None, terms)
            recorded += len(done.recorded)
            endings = [(claim, ending) for claim in done.claimed]
        os.close(lock)
    print(recorded)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    elif sys.argv[1] == "turns":
        turns(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        drain(sys.argv[2], *map(int, sys.argv[3:]))
