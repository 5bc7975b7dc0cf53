"""A full disk: a small file system of its own is filled to the brim.

Enqueueing is refused and adds nothing; a command that runs is recorded once there is room; a purge works even then.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

from core.errors import DiskFull
from core.execution import events
from core.execution.worker import StopMode, Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.torture import invariants
from tests.torture.fleet import place
from tests.torture.forks import ChildFailed, call
from tests.torture.results import Options, Result

TITLE = "full disk"
_SIZE = "24m"


def run(options: Options) -> Result:
    """Fill the disk in the middle of a worker's run, look at each promise, make room again."""
    result = Result()
    with place() as directory, _small_disk(os.path.join(directory, "disk")) as disk:
        if disk is None:
            result.skipped = "mounting a file system takes root"
            return result
        for step in (_enqueue_is_refused, _results_are_kept, _purge_works):
            try:
                problems = call(lambda step=step: step(disk))  # type: ignore[misc]
            except ChildFailed as error:
                problems = [error.last_line]
            result.count("situations")
            result.problems += [f"{step.__name__.strip('_').replace('_', ' ')}: {problem}" for problem in problems]
            for name in os.listdir(disk):
                subprocess.run(["rm", "-rf", os.path.join(disk, name)], check=True)
    return result


@contextlib.contextmanager
def _small_disk(point: str) -> Iterator[str | None]:
    os.mkdir(point)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "none", point]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def _fill(disk: str) -> str:
    """Take all the room there is, to the last byte; return the file that holds it."""
    path = os.path.join(disk, "filler")
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def _enqueue_is_refused(disk: str) -> list[str]:
    with Queue(os.path.join(disk, "queue.db")) as queue:
        before = list(queue.enqueue_many([NewJob("true") for _ in range(10)]))
        filler = _fill(disk)
        refused = added = 0
        for _ in range(300):
            try:
                before.append(queue.add(f"echo {'x' * 3000}"))
                added += 1
            except DiskFull:
                refused += 1
                _fill(disk)
        problems = [] if refused else [f"{added} jobs went onto a full disk"]
        with contextlib.suppress(DiskFull):
            before += queue.enqueue_many([NewJob("true") for _ in range(2000)])
            problems.append("a batch went onto a full disk")
        if queue.ids(View()) != before:
            problems.append("what was refused is there, or what was acknowledged is not")
        os.unlink(filler)
        before.append(queue.add("true"))
        if queue.ids(View()) != before:
            problems.append("there is room again, and jobs are missing")
        return problems + invariants.of_database(sqlite_of(queue), before)


def _results_are_kept(disk: str) -> list[str]:
    told: list[events.WorkerEvent] = []
    with Queue(os.path.join(disk, "queue.db")) as queue:
        ids = queue.enqueue_many(
            [NewJob(f"echo {number}; sleep 0.5; exit {number}", max_attempts=1) for number in range(3)]
        )
        worker = Worker(queue, slots=3, on_event=told.append)
        worker.start()
        _wait(lambda: worker.running_count == 3 and all(queue.output(job_id).size() for job_id in ids))
        filler = _fill(disk)
        _wait(lambda: any(isinstance(event, events.StorageTrouble) for event in told) or worker.running_count == 0)
        _fill(disk)
        time.sleep(0.5)
        os.unlink(filler)
        _wait(lambda: all(queue.job(job_id).state in (State.COMPLETED, State.DEAD) for job_id in ids))
        worker.stop(StopMode.DRAIN)
        problems = [] if worker.join(10.0) else ["the worker does not end"]
        codes = [queue.job(job_id).last_exit_code for job_id in ids]
        if codes != [0, 1, 2]:
            problems.append(f"exit codes {codes}")
        outputs = [queue.output(job_id).read(0, 99) for job_id in ids]
        if outputs != [b"0\n", b"1\n", b"2\n"]:
            problems.append(f"outputs {outputs}")
        return [*problems, *invariants.of_database(sqlite_of(queue), ids), *invariants.of_idle_queue(sqlite_of(queue))]


def _purge_works(disk: str) -> list[str]:
    with Queue(os.path.join(disk, "queue.db")) as queue:
        ids = queue.enqueue_many([NewJob("true") for _ in range(3000)])
        queue.cancel(View())
        _fill(disk)
        purged = queue.purge(View(states=(State.CANCELLED,)))
        removed = queue.empty_trash()
        problems = []
        if (purged.count, removed) != (len(ids), len(ids)):
            problems.append(f"purged {purged.count} and removed {removed} of {len(ids)}")
        return problems + invariants.of_database(sqlite_of(queue))


def _wait(is_true: object, seconds: float = 15.0) -> None:
    assert callable(is_true)
    deadline = time.monotonic() + seconds
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.01)
