"""Named failpoints x SIGKILL: a process is killed before and after every step of what it does; then all must be well.

For each scenario a dry run names the points that it passes. Each case starts from the same state, kills the process at
one point, lets a clean worker go on, and checks every invariant.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.execution import events
from core.execution.worker import StopMode, Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.torture import invariants, migrating, points
from tests.torture.fleet import drain, memory_or_disk, place, processes_of, run_worker
from tests.torture.forks import ChildFailed, call, fork, wait
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "named failpoints x SIGKILL"
#: How soon a clean worker must have taken over what the dead one left, in seconds.
RECOVERED_S = 2.0
_TOO_LATE = "too late"
#: Errors that a dead job may have: those of the scenarios' own failing jobs, and being lost too often.
_EXPECTED = ("exit 3", "working directory ", "lost ", "interrupted ")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is killed: ``act`` runs in the process that dies, from the state that ``prepare`` left.

    A ``prepare`` that returns ``_TOO_LATE`` (the machine is busy) is done once more.
    ``is_copied`` tells that the state can be copied: no process is part of it. ``program`` makes every process that
    opens the database afterwards the same program as the one that died. ``check`` looks at the outcome.
    ``is_killing`` tells that commands are killed, too: only then may one run again that came to its end.
    """

    name: str
    prepare: Callable[[str, Ledger], str | None]
    act: Callable[[str, Ledger], None]
    is_copied: bool = True
    program: Callable[[], None] = lambda: None
    check: Callable[[Queue], list[str]] = lambda queue: []
    is_killing: bool = False


def run(options: Options) -> Result:
    """Kill each scenario at its points: in the short form at 20 of them, each name at least once if there is room."""
    result = Result()
    chance = options.random()
    with place(memory_or_disk()) as directory:
        for scenario in SCENARIOS:
            bench = _Bench(directory, scenario)
            names = bench.names()
            result.count("scenarios")
            result.count("steps passed", len(names))
            result.count("different steps", len(set(names)))
            for number in _choose(names, options.pick(20, 500), chance):
                bench.kill_at(number, result)
                if options.is_enough(result):
                    return result
    return result


def _choose(names: list[str], count: int, chance: random.Random) -> list[int]:
    """Return which points to kill at: one of each name first, then any; all of them several times if there are few."""
    first: dict[str, int] = {}
    order = list(range(1, len(names) + 1))
    chance.shuffle(order)
    for number in order:
        first.setdefault(names[number - 1], number)
    distinct = list(first.values())[:count]
    return distinct + [chance.randint(1, len(names)) for _ in range(count - len(distinct))]


class _Bench:
    """One scenario's state, made once if it can be copied, and the cases that start from it."""

    def __init__(self, directory: str, scenario: Scenario) -> None:
        self._scenario = scenario
        self._case = os.path.join(directory, "case")
        self._template = os.path.join(directory, f"template of {scenario.name}")
        self._path = os.path.join(self._case, "queue.db")
        self._died_at = os.path.join(directory, "died at")

    def _set_up(self) -> Ledger:
        shutil.rmtree(self._case, ignore_errors=True)
        if self._scenario.is_copied and os.path.exists(self._template):
            shutil.copytree(self._template, self._case)
            return Ledger(self._case)
        ledger = Ledger(self._case).create()
        while call(lambda: self._scenario.prepare(self._path, ledger)) == _TOO_LATE:
            shutil.rmtree(self._case)
            ledger.create()
        if self._scenario.is_copied:
            shutil.copytree(self._case, self._template)
        return ledger

    def names(self) -> list[str]:
        """Return the names of the points that the scenario passes when nobody kills it."""
        ledger = self._set_up()

        def dry_run() -> list[str]:
            passed: list[str] = []
            points.install(points.count(passed))
            self._scenario.act(self._path, ledger)
            return passed

        return call(dry_run)

    def kill_at(self, number: int, result: Result) -> None:
        """Run one case."""
        ledger = self._set_up()
        died_at = os.open(self._died_at, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        write = os.write

        def act() -> None:
            points.install(points.kill_at(number, lambda name: write(died_at, name.encode())))
            self._scenario.act(self._path, ledger)

        pid = fork(act)
        status = wait(pid, 30.0)
        os.close(died_at)
        with open(self._died_at, encoding="utf-8") as file:
            point = file.read() or "its end"
        where = f"{self._scenario.name}, killed {point} (point {number})"
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            result.problems.append(f"{where}: it hung")
            return
        result.count("kills" if status == -signal.SIGKILL else "cases that ended first")
        self._check(ledger, where, result)

    def _check(self, ledger: Ledger, where: str, result: Result) -> None:
        try:
            if not os.path.exists(self._path):
                return  # killed before there was anything
            adopted_s = drain(self._path, before=self._scenario.program)
            problems = call(lambda: self._problems(ledger))
        except ChildFailed as error:
            result.problems.append(f"{where}: {error.last_line}")
            return
        result.most("slowest take-over, s", adopted_s)
        result.expect(adopted_s <= RECOVERED_S, f"{where}: taken over after {adopted_s:.1f} s")
        result.problems += [f"{where}: {problem}" for problem in problems]

    def _problems(self, ledger: Ledger) -> list[str]:
        self._scenario.program()
        with Queue(self._path) as queue:
            tally = ledger.read()
            db = sqlite_of(queue)
            open_jobs = queue.jobs(View(states=(State.RUNNING,)))
            dead = queue.jobs(View(states=(State.DEAD,)))
            return [
                *invariants.of_database(db, tally.acknowledged),
                *invariants.of_idle_queue(db),
                *invariants.of_ledger(db, tally),
                *self._repeated(invariants.repeated(db, tally)),
                *(f"job {job.id} still runs" for job in open_jobs),
                *(f"job {job.id}: {job.last_error}" for job in dead if not _is_expected(job.last_error)),
                *(f"process {pid} is left" for pid in processes_of(self._case)),
                *_files_beside(self._case),
                *self._scenario.check(queue),
            ]

    def _repeated(self, number: int) -> list[str]:
        return [f"{number} commands ran again after their end"] if number and not self._scenario.is_killing else []


def _is_expected(error: str | None) -> bool:
    return str(error).startswith(_EXPECTED)


_OURS = {"queue.db", "queue.db-wal", "queue.db-shm", "queue.db.spool", "holds", "ledger", "job"}


def _files_beside(directory: str) -> list[str]:
    strange = [name for name in os.listdir(directory) if name not in _OURS and not name.endswith(".backup")]
    return [f"left beside the database: {strange}"] if strange else []


# --- the scenarios


def _nothing(path: str, ledger: Ledger) -> None:
    """Leave no database: it is made in the act."""


def _create(path: str, ledger: Ledger) -> None:
    Queue(path).close()


def _empty(path: str, ledger: Ledger) -> None:
    with Queue(path) as queue:
        queue.set("backoff-base", "1")
        queue.set("backoff-cap", "0s")


def _enqueue(path: str, ledger: Ledger) -> None:
    with Queue(path) as queue:
        for _ in range(3):
            ledger.note(f"A {queue.add(ledger.job())}")


def _enqueue_many(path: str, ledger: Ledger) -> None:
    with Queue(path) as queue:
        ids = queue.enqueue_many([NewJob(ledger.job(), label="batch") for _ in range(20)])
        ledger.note(*(f"A {job_id}" for job_id in ids))


def _all_or_nothing(queue: Queue) -> list[str]:
    batch = sqlite_of(queue).connection().execute("SELECT count(*) FROM jobs WHERE label = 'batch'").fetchone()[0]
    return [] if batch in (0, 20) else [f"{batch} of a batch of 20"]


def _some_jobs(path: str, ledger: Ledger) -> None:
    _empty(path, ledger)
    with Queue(path) as queue:
        for job in (
            NewJob(ledger.job(0.05)),
            NewJob(ledger.job(0.0, 3), max_attempts=2),
            NewJob(ledger.job(0.0, is_plain=False)),
            NewJob(ledger.job(0.02), cwd="/nowhere/at/all", max_attempts=1, ok_exit="126"),
            *[NewJob(ledger.job())] * 4,  # some of them go to the shells of those that ended
        ):
            ledger.note(f"A {queue.add(job)}")
        queue.cancel(queue.add("true"))


def _work(path: str, ledger: Ledger) -> None:
    run_worker(path, once=True)


_SLOW_JOB = 3


def _orphans(path: str, ledger: Ledger) -> None:
    """Leave what a killed worker leaves: a command that runs, one that has ended, one that is lost, a claim."""
    _empty(path, ledger)
    with Queue(path) as queue:
        for sleep_s in (0.15, 0.0, 0.7, 0.05):  # the third is the slow one
            ledger.note(f"A {queue.add(ledger.job(sleep_s))}")


def _adopt(path: str, ledger: Ledger) -> None:
    run_worker(path, once=True, slots=4)


def _leave_orphans(path: str, ledger: Ledger) -> str | None:
    call(lambda: _orphans(path, ledger))
    started: list[int] = []

    def note(event: events.WorkerEvent) -> None:
        if isinstance(event, events.AttemptStarted):
            started.append(event.job.id)
        if len(started) == 4:
            time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGKILL)

    wait(fork(lambda: run_worker(path, slots=4, on_event=note)), 20.0)
    _lose_the_slow_one(path)
    # killed after its end and before its shim told it: then it may well run again
    return _TOO_LATE if ledger.read().ended[_SLOW_JOB] else None


def _lose_the_slow_one(path: str) -> None:
    """Kill the group of the job that sleeps longest, so that nobody can tell how it ended."""
    directory = os.path.dirname(path)
    for pid in processes_of(directory):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"/job\x000.7\x00" in file.read():
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
        except OSError:
            continue


def _finished_jobs(path: str, ledger: Ledger) -> None:
    with Queue(path) as queue:
        ids = queue.enqueue_many([NewJob("true") for _ in range(25)])
        queue.cancel(list(ids))
        ledger.note(*(f"A {job_id}" for job_id in ids))


def _purge(path: str, ledger: Ledger) -> None:
    migrating.small_chunks()
    with Queue(path) as queue:
        queue.purge(View(states=(State.CANCELLED,)))
        queue.restore()
        act = queue.purge(View(states=(State.CANCELLED,)))
        queue.undo(act.id)


def _none_half_purged(queue: Queue) -> list[str]:
    """Check that every job is where it was or in the trash, and that the trash can still be brought back."""
    queue.restore(View(states=(State.PURGED,)))
    back = queue.counts().of(State.CANCELLED)
    return [] if back == 25 else [f"{back} of 25 jobs came back from the trash"]


def _prune(path: str, ledger: Ledger) -> None:
    migrating.small_chunks()
    with Queue(path) as queue:
        queue.purge(View(states=(State.CANCELLED,)))
        queue.empty_trash()


def _trash(path: str, ledger: Ledger) -> None:
    _finished_jobs(path, Ledger(ledger.directory))
    ledger.create()  # these jobs are removed on purpose: none of them is owed


def _stop(path: str, ledger: Ledger) -> None:
    """Start, cancel one running job, stop with the other still running."""
    with Queue(path) as queue:
        queue.set("kill-grace", "0.1s")
        started: list[int] = []

        def note(event: events.WorkerEvent) -> None:
            if isinstance(event, events.AttemptStarted):
                started.append(event.job.id)
                if len(started) == 1:
                    queue.cancel(event.job.id, kill=True)
                else:
                    worker.stop(StopMode.NOW)

        worker = Worker(queue, slots=2, on_event=note)
        worker.run()


def _two_slow_jobs(path: str, ledger: Ledger) -> None:
    _empty(path, ledger)
    with Queue(path) as queue:
        for _ in range(2):
            ledger.note(f"A {queue.add(ledger.job(0.2))}")


SCENARIOS = (
    Scenario("create", _nothing, _create),
    Scenario("migrate", migrating.prepare, migrating.act, program=migrating.newer, check=migrating.check),
    Scenario("enqueue", _empty, _enqueue),
    Scenario("enqueue many", _empty, _enqueue_many, check=_all_or_nothing),
    Scenario("claim, start, record", _some_jobs, _work),
    Scenario("recover", _leave_orphans, _adopt, is_copied=False),
    Scenario("cancel, stop", _two_slow_jobs, _stop, is_killing=True),
    Scenario("purge, restore, undo", _finished_jobs, _purge, check=_none_half_purged),
    Scenario("empty the trash", _trash, _prune),
)
