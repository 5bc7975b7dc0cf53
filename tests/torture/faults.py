"""Fault loop: the n-th write, sync, open or fork of a program fails, once or from then on.

The system's answers are changed by strace, in the program's own thread only. Whatever fails: each step ends in a
result or in one of our errors; what was refused is not there, what was acknowledged is; a clean worker finds nothing
amiss.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import QueueError
from core.execution.worker import StopMode, Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.torture.fleet import finish, memory_or_disk, place
from tests.torture.forks import ChildFailed, call
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "fault loop"


@dataclass(frozen=True, slots=True)
class _Fault:
    """What fails and how; ``is_ours`` counts calls on the queue's own files only; ``few`` is how many are "some"."""

    call: str
    error: str
    is_ours: bool = True
    few: int = 4


_FAULTS = (
    _Fault("pwrite64", "ENOSPC"),
    _Fault("pwrite64", "EIO"),
    _Fault("fdatasync", "EIO", few=12),
    _Fault("fsync", "EIO"),
    _Fault("openat", "EMFILE"),
    _Fault("openat", "ENOSPC"),
    _Fault("write", "ENOSPC"),
    _Fault("ftruncate", "EIO"),
    _Fault("unlink", "EIO"),
    _Fault("rename", "ENOSPC"),
    _Fault("clone3,clone,vfork", "EAGAIN", is_ours=False),
    _Fault("clone3,clone,vfork", "ENOMEM", is_ours=False),
    _Fault("epoll_ctl", "ENOSPC", is_ours=False),
    _Fault("pidfd_open", "EMFILE", is_ours=False),
    _Fault("flock", "ENOLCK"),
)


def run(options: Options) -> Result:
    """Go through each kind of fault, on a new database and on an old one: at a few calls each, or at every call."""
    result = Result()
    if shutil.which("strace") is None:
        result.skipped = "there is no strace"
        return result
    chance = options.random()
    with place(memory_or_disk()) as directory:
        template = os.path.join(directory, "template")
        os.mkdir(template)
        call(lambda: Queue(os.path.join(template, "queue.db")).close())
        for fault in _FAULTS:
            for is_new in (True, False):
                _set_up(directory, is_new)
                calls = _run_traced(directory, fault, ())[1].count("\n")
                for number in _numbers(calls, options.pick(fault.few, calls), chance):
                    _case(directory, fault, number, is_new, chance.random() < 0.3, result)
                    if options.is_enough(result):
                        return result
    return result


def _numbers(calls: int, few: int, chance: random.Random) -> list[int]:
    """Return which calls fail: so many of them, at most all."""
    return sorted(chance.sample(range(1, calls + 1), min(calls, few)))


def _set_up(directory: str, is_new: bool) -> Ledger:
    case = os.path.join(directory, "case")
    shutil.rmtree(case, ignore_errors=True)
    if not is_new:
        shutil.copytree(os.path.join(directory, "template"), case)
    return Ledger(case).create()


def _run_traced(
    directory: str, fault: _Fault, options: tuple[str, ...]
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the program under strace; return how it ended and the trace."""
    path = os.path.join(directory, "case", "queue.db")
    trace = os.path.join(directory, "trace")
    command = [
        *("strace", "-o", trace, "-e", f"trace={fault.call}", *options),
        *(_paths(path) if fault.is_ours else ()),
        *(sys.executable, "-m", "tests.torture.faults", path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    with open(trace, encoding="utf-8", errors="replace") as file:
        return done, file.read()


def _case(directory: str, fault: _Fault, number: int, is_new: bool, is_for_good: bool, result: Result) -> None:
    """Run the program with one fault, then a clean worker."""
    ledger = _set_up(directory, is_new)
    path = os.path.join(directory, "case", "queue.db")
    when = f"{number}+" if is_for_good else str(number)
    what = f"{fault.call} number {when} fails with {fault.error}" + (" in a new database" if is_new else "")
    try:
        done, trace = _run_traced(directory, fault, ("-e", f"inject={fault.call}:error={fault.error}:when={when}"))
    except subprocess.TimeoutExpired:
        result.problems.append(f"{what}: it hung")
        return
    if "(INJECTED)" not in trace:
        return
    result.count("faults")
    result.count("steps refused", len(re.findall(r"^refused", done.stdout, re.M)))
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        result.problems.append(f"{what}: ended with {done.returncode}: {lines[-1] if lines else ''}")
    try:
        problems = _look_after(path, ledger)
    except ChildFailed as error:
        problems = [error.last_line]
    result.problems += [f"{what}: {problem}" for problem in problems]


def _paths(path: str) -> list[str]:
    """Return strace's options that limit it to calls on the queue's files."""
    spool = path + ".spool"
    names = [path, path + "-wal", path + "-shm", path + "-journal", spool, f"{spool}/write.lock", f"{spool}/reserve"]
    names += [f"{spool}/workers/{number}.lock" for number in range(1, 4)]
    names += [f"{spool}/attempts/{number}.{kind}" for number in range(1, 20) for kind in ("run", "out")]
    return [word for name in names for word in ("-P", name)]


def _look_after(path: str, ledger: Ledger) -> list[str]:
    if not os.path.exists(path):
        return []
    _, problems = finish(path, ledger, timeout_s=40.0, completed=(State.COMPLETED, State.PURGED))
    return problems + call(lambda: _nothing_refused_is_there(path, ledger))


def _nothing_refused_is_there(path: str, ledger: Ledger) -> list[str]:
    with Queue(path) as queue:
        there = queue.counts()
        count = sum(there.of(state) for state in State)
    acknowledged = len(ledger.read().acknowledged)
    return [] if count == acknowledged else [f"{count} jobs are there, {acknowledged} were acknowledged"]


# --- the program that is put to the test


def _program(path: str) -> None:
    """Do a bit of everything; print a line for each step that is refused. Any other error ends it."""
    ledger = Ledger(os.path.dirname(path))
    queue: Queue | None = None
    for _ in range(5):
        queue = queue or _try(lambda: Queue(path, busy_timeout_s=2.0))
    if queue is None:
        return
    opened = queue
    _try(lambda: opened.set("backoff-cap", "0s"))
    for _ in range(2):
        _try(lambda: ledger.note(f"A {opened.add(ledger.job())}"))
    _try(lambda: _batch(opened, ledger))
    _try(lambda: _work(opened))
    _try(lambda: opened.purge(View(states=(State.COMPLETED,))))
    _try(lambda: ledger.note(f"A {opened.add(ledger.job())}"))
    opened.close()


def _batch(queue: Queue, ledger: Ledger) -> None:
    ids = queue.enqueue_many([NewJob(ledger.job(0.02)) for _ in range(3)])
    ledger.note(*(f"A {job_id}" for job_id in ids))


def _work(queue: Queue) -> None:
    worker = Worker(queue, slots=2, once=True)
    modes = [StopMode.NOW, StopMode.DETACH]
    signal.signal(signal.SIGALRM, lambda number, frame: worker.stop(modes.pop(0) if modes else StopMode.DETACH))
    signal.setitimer(signal.ITIMER_REAL, 2.5, 1.5)
    try:
        worker.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _try(step: Callable[[], object]) -> Queue | None:
    try:
        value = step()
    except QueueError as error:
        print(f"refused: {type(error).__name__}: {error}")
        return None
    return value if isinstance(value, Queue) else None


if __name__ == "__main__":
    _program(sys.argv[1])
