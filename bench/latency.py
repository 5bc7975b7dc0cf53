"""From the commit of an enqueue in one process to the first breath of the command in another."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from statistics import median

from bench.lines import Line, Scale, Target, percentile
from bench.place import ROOT, python, scratch
from core.queue import Queue

# The command's first breath: the moment that `date` itself reads the clock.
_COMMAND = "date +%s%N"


def run(scale: Scale) -> Iterable[Line]:
    """Yield the median and the 99th percentile; a third of the samples' number measures a bare start."""
    with scratch() as directory:
        taken = samples(os.path.join(directory, "queue.db"), scale.latencies)
    bare = [_bare_ms() for _ in range(scale.latencies // 3 + 1)]
    against, start = "a bare start of sh and date", median(bare)
    note = "includes that start; the worker was idle before each of them"
    count = f"{scale.latencies} samples"
    yield Line(
        "latency",
        f"commit to start, p50 of {count}",
        median(taken),
        "ms",
        against,
        start,
        None,
        Target(False, 15, "ms"),
    )
    p99 = percentile(taken, 0.99)
    yield Line(
        "latency",
        f"commit to start, p99 of {count}",
        p99,
        "ms",
        f"{against}, p99",
        percentile(bare, 0.99),
        None,
        Target(False, 50, "ms"),
        note,
    )


def samples(database: str, count: int) -> list[float]:
    """Return the milliseconds from the commit of each enqueue to its command's start in another process."""
    found: list[float] = []
    draw = random.Random(1)
    with Queue(database) as queue, serving(database):
        for _ in range(count):
            # spread over the worker's rhythm, so that no phase of it is favoured
            time.sleep(0.03 + draw.random() * 0.03)
            job_id = queue.add(_COMMAND)
            committed_ns = time.time_ns()
            deadline = time.monotonic() + 30
            while queue.job(job_id).finished_at is None:
                if time.monotonic() > deadline:
                    raise TimeoutError("the worker did not run the job")
                time.sleep(0.005)
            started_ns = int(queue.output(job_id).read(0, 100))
            found.append((started_ns - committed_ns) / 1e6)
    return found


def _bare_ms() -> float:
    began_ns = time.time_ns()
    done = subprocess.run(["/bin/sh", "-c", _COMMAND], stdout=subprocess.PIPE, check=True)
    return (int(done.stdout) - began_ns) / 1e6


@contextlib.contextmanager
def serving(database: str) -> Iterator[int]:
    """Keep a worker alive in another process, ready before the block begins; give its pid."""
    with subprocess.Popen(
        python("bench.helper", "serve", database),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as worker:
        try:
            assert worker.stdout is not None
            if worker.stdout.readline().strip() != b"ready":
                raise RuntimeError("the worker did not start")
            yield worker.pid
        finally:
            worker.terminate()
            worker.wait(30)
