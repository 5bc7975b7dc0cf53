"""Jobs a second with 2 and with many slots, from the enqueue to the last durable result, against ``xargs``."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from statistics import median

from bench import limits
from bench.limits import SLOTS
from bench.lines import Line, Scale, Target, middle_ratio
from bench.place import queuectl, scratch, using
from core.execution.worker import Worker
from core.model import NewJob
from core.queue import Queue

_MEMORY = "/dev/shm"
#: Far more slots than processors, as a queue of downloads has.
_MANY_SLOTS = 64
#: What is run is a program, as people's jobs are: a shell has ``true`` inside and needs no process for it.
_PROGRAM = "/bin/true"
#: Other commands: what the line says, the command, which part of the usual number of jobs, the least ratio.
_OTHERS = (
    ("`sleep 0.01` jobs, 2 slots", "sleep 0.01", 4, 0.9),
    ("`sleep 0.15` jobs, 2 slots", "sleep 0.15", 20, 0.98),
    ("`true && true`, which needs a second shell", "true && true", 2, 0.45),
)


def run(scale: Scale) -> Iterable[Line]:
    """Yield the lines of a program that ends at once, of commands that take a while, and of one that needs a shell."""
    plain = _alternate(_PROGRAM, scale.throughput_jobs, 2 * scale.rounds - 1)
    note = (
        f"a shim each; the limits: our shims without a database, {_times(plain.bare, plain.xargs)} of xargs;"
        f" with one table and one index in bare sqlite3, {_times(plain.table, plain.xargs)};"
        f" with our tables in bare sqlite3 and no checks, {_times(plain.schema, plain.xargs)};"
        f" best rounds: {max(plain.ours):,.0f}, {max(plain.xargs):,.0f}, the limits {max(plain.bare):,.0f},"
        f" {max(plain.table):,.0f}, {max(plain.schema):,.0f} jobs/s"
    )
    yield _line(f"`{_PROGRAM}` jobs, 2 slots", plain.ours, plain.xargs, Target(True, 0.7), note)
    yield _processor_line(plain, limits.transaction_us(scale.throughput_jobs), limits.enqueue_us(scale.throughput_jobs))
    yield _line("the same, `queuectl worker` as a process", plain.program, plain.xargs, None, "its start included")
    if os.path.isdir(_MEMORY):
        with using(_MEMORY):
            memory = _alternate(_PROGRAM, scale.throughput_jobs, scale.rounds, has_program=False)
        note = f"the limit: {_times(memory.bare, memory.xargs)} of xargs"
        yield _line("the same, files in memory (tmpfs)", memory.ours, memory.xargs, None, note)
    for what, command, share, bound in _OTHERS:
        jobs = max(4, scale.throughput_jobs // share)
        rates = _alternate(command, jobs, max(1, scale.rounds // 2), has_program=False)
        note = f"the limit, our shims without a database: {_times(rates.bare, rates.xargs)} of xargs"
        yield _line(what, rates.ours, rates.xargs, Target(True, bound), note)
    yield _many_slots_line(scale.throughput_jobs, scale.rounds)


def _many_slots_line(jobs: int, rounds: int) -> Line:
    ours, xargs, few = [], [], []
    for _ in range(rounds):
        xargs.append(xargs_rate(_PROGRAM, jobs, _MANY_SLOTS))
        ours.append(our_rate(_PROGRAM, jobs, _MANY_SLOTS))
        few.append(our_rate(_PROGRAM, jobs))
    note = f"{_times(ours, few)} of our rate with {SLOTS} slots"
    return _line(f"`{_PROGRAM}` jobs, {_MANY_SLOTS} slots", ours, xargs, None, note, _MANY_SLOTS)


def _processor_line(rates: _Rates, transaction_us: float, enqueue_us: float) -> Line:
    """Tell what bounds the rate, and what it is spent on: two processors do two seconds of work a second, no more."""
    ours, bare, xargs = median(rates.ours_us), median(rates.bare_us), median(rates.xargs_us)
    return Line(
        "throughput",
        f"processor time a `{_PROGRAM}` job, worker and command",
        ours,
        "µs",
        "xargs and command",
        xargs,
        ours / xargs,
        None,
        f"so at best {xargs / ours:.2f} of xargs with every processor busy; of it, running it without a database"
        f" {bare:,.0f} µs, the transaction that records one job and claims the next {transaction_us:,.0f} µs, its"
        f" enqueue {enqueue_us:,.0f} µs; with one table and one index it would be {median(rates.table_us):,.0f} µs,"
        f" with our tables and no checks {median(rates.schema_us):,.0f} µs",
    )


class _Rates:
    """Jobs a second of each contender, one entry a round; and the processor time that each took for a job."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.program: list[float] = []
        self.xargs: list[float] = []
        self.bare: list[float] = []
        self.table: list[float] = []
        self.schema: list[float] = []
        self.ours_us: list[float] = []
        self.xargs_us: list[float] = []
        self.bare_us: list[float] = []
        self.table_us: list[float] = []
        self.schema_us: list[float] = []


def _alternate(command: str, jobs: int, rounds: int, *, has_program: bool = True) -> _Rates:
    rates = _Rates()
    xargs_rate(command, min(jobs, 200))  # warms the caches
    for _ in range(rounds):
        for contender, found, spent_us in (
            (xargs_rate, rates.xargs, rates.xargs_us),
            (our_rate, rates.ours, rates.ours_us),
            (limits.bare_rate, rates.bare, rates.bare_us),
            (limits.table_rate, rates.table, rates.table_us),
            (limits.schema_rate, rates.schema, rates.schema_us),
        ):
            before = limits.processor_s()
            found.append(contender(command, jobs))
            spent_us.append((limits.processor_s() - before) / jobs * 1e6)
        if has_program:
            rates.program.append(_program_rate(command, jobs))
    return rates


def _line(
    what: str, ours: list[float], xargs: list[float], target: Target | None, note: str, slots: int = SLOTS
) -> Line:
    return Line(
        "throughput",
        what,
        median(ours),
        "jobs/s",
        f"xargs -P{slots} sh -c",
        median(xargs),
        middle_ratio(ours, xargs),
        target,
        note,
    )


def _times(upper: list[float], lower: list[float]) -> str:
    return f"{middle_ratio(upper, lower):.2f}"


def our_rate(command: str, jobs: int, slots: int = SLOTS) -> float:
    """Return the rate of a batch that is enqueued and then drained by a worker in this process."""
    with scratch() as directory, Queue(os.path.join(directory, "queue.db")) as queue:
        began = time.perf_counter()
        queue.enqueue_many(NewJob(command) for _ in range(jobs))
        Worker(queue, slots=slots, drain=True).run()
        return jobs / (time.perf_counter() - began)


def _program_rate(command: str, jobs: int) -> float:
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        with Queue(database) as queue:
            queue.enqueue_many(NewJob(command) for _ in range(jobs))
        began = time.perf_counter()
        subprocess.run(
            queuectl("--db", database, "worker", "--drain", "-c", str(SLOTS)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=600,
        )
        return jobs / (time.perf_counter() - began)


def xargs_rate(command: str, jobs: int, slots: int = SLOTS) -> float:
    """Return the rate of ``xargs``, which keeps no state, no output and no exit codes."""
    began = time.perf_counter()
    subprocess.run(
        ["xargs", f"-P{slots}", "-I{}", "sh", "-c", "{}"],
        input=f"{command}\n" * jobs,
        text=True,
        check=True,
        timeout=600,
    )
    return jobs / (time.perf_counter() - began)
