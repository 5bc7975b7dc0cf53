"""Processes of the benchmarks' own: a worker that runs until it is ended, and one that drains and tells its memory."""

from __future__ import annotations

import os
import resource
import signal
import sys

from core.execution import events
from core.execution.worker import StopMode, Worker
from core.queue import Queue


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


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        drain(sys.argv[2], *map(int, sys.argv[3:]))
