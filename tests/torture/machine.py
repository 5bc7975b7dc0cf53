"""A hypothesis state machine: random verbs, turns of two workers, crashes and clock moves, against a plain dictionary.

The workers are the real transactions, locks and run files, driven step by step on a clock that stands still; only the
commands are pretended: a lock that is held, a status that is written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.clock import to_datetime
from core.errors import InvalidTransition, Refused
from core.execution.recovery import Recovery, strike_dead_workers
from core.execution.run_file import RunFile
from core.model import Ending, NewJob, Outcome, State
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, StepResult, StepTerms
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of
from tests.torture import invariants
from tests.torture.fleet import memory_or_disk
from tests.torture.model import Job, Model
from tests.torture.results import Options, Result

TITLE = "state machine against a model"

_QUEUES = ("a", "b")
_ENDINGS = {
    Outcome.SUCCEEDED: Ending(Outcome.SUCCEEDED, exit_code=0, output=b"", run_ms=5),
    Outcome.FAILED: Ending(Outcome.FAILED, exit_code=1, output=b"no", output_bytes=2),
    Outcome.SIGNALLED: Ending(Outcome.SIGNALLED, exit_code=139, signal=11, output=b""),
    Outcome.TIMED_OUT: Ending(Outcome.TIMED_OUT, signal=9, output=b""),
    Outcome.SPAWN_ERROR: Ending(Outcome.SPAWN_ERROR, error="could not be started", output=b""),
    Outcome.INTERRUPTED: Ending(Outcome.INTERRUPTED, output=b""),
    Outcome.LOST: Ending(Outcome.LOST, output=b""),
    Outcome.CANCELLED: Ending(Outcome.CANCELLED, signal=15, output=b""),
}


def run(options: Options) -> Result:
    """Run 200 examples of 50 steps in the short form, 5,000 of 100 in the long one."""
    return run_machine(Machine, options, options.pick(200, 5000))


def run_machine(machine: type[Machine], options: Options, examples: int) -> Result:
    """Run so many examples of a machine, of 50 steps in the short form, of 100 in the long one."""
    result = Result()
    steps = 50 if options.is_short else 100
    Machine.steps = 0
    try:
        run_state_machine_as_test(
            hypothesis.seed(options.seed)(machine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=(Phase.generate,) if options.is_until_found else (Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.normal,
            ),
        )
    except Exception as error:
        first: BaseException = getattr(error, "exceptions", (error,))[0]
        where = traceback.extract_tb(first.__traceback__)[-1]
        result.problems.append(f"{where.name}: {where.line or repr(first)}")
        print(traceback.format_exc(limit=-3))
    result.numbers["examples"] = examples
    result.numbers["steps"] = Machine.steps
    return result


@dataclass(slots=True)
class _Attempt:
    """An open attempt: whose it is, and what its pretended command does."""

    id: int
    job_id: int
    worker: int | None
    run: RunFile
    is_running: bool = True
    exit_code: int | None = None


class Database(Protocol):
    """Where the queue of one example is, and how it is read past the engine."""

    @property
    def address(self) -> str: ...
    def jobs(self, queue: Queue) -> Sequence[tuple[object, ...]]:
        """Return the columns of ``JOB`` of all jobs, by id."""

    def outcomes(self, queue: Queue) -> Sequence[tuple[int, str | None]]:
        """Return job and outcome of all attempts, by job and number."""

    def problems(self, queue: Queue, acknowledged: Iterable[int]) -> list[str]:
        """Return what does not hold that must hold at any moment."""

    def remove(self) -> None: ...


JOB = (
    "id, queue, priority, max_attempts, command, state, run_at, attempts, interrupts, starts, outcome,"
    " CASE WHEN state = 'running' THEN attempt_id END, purged_from"
)


class _File:
    """A database in a file of its own."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="queuectl-torture-", dir=memory_or_disk())
        self.address = os.path.join(self._directory, "queue.db")

    def jobs(self, queue: Queue) -> Sequence[tuple[object, ...]]:
        return sqlite_of(queue).connection().execute(f"SELECT {JOB} FROM jobs ORDER BY id").fetchall()

    def outcomes(self, queue: Queue) -> Sequence[tuple[int, str | None]]:
        sql = "SELECT job_id, outcome FROM attempts ORDER BY job_id, number"
        return sqlite_of(queue).connection().execute(sql).fetchall()

    def problems(self, queue: Queue, acknowledged: Iterable[int]) -> list[str]:
        return invariants.of_database(sqlite_of(queue), acknowledged)

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class Machine(RuleBasedStateMachine):
    """Two worker seats, any of which may be empty, and people on two connections."""

    steps = 0
    new_database: Callable[[], Database] = _File

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).new_database()
        self.clock = FakeClock()
        self.queues = [Queue(self.database.address, clock=self.clock) for _ in range(2)]
        self.model = Model()
        self.seats: list[tuple[int, int] | None] = [None, None]
        self.open: dict[int, _Attempt] = {}
        self.claims: dict[int, Claim] = {}
        self.attempts = [queue.storage.attempts(lambda: 0.0) for queue in self.queues]
        self.closed: list[int] = []

    def teardown(self) -> None:
        try:
            problems = self.database.problems(self.queues[0], self.model.jobs)
            assert not problems, problems
        finally:
            for attempt in self.open.values():
                attempt.run.close()
            for seat in self.seats:
                if seat is not None:
                    os.close(seat[1])
            for queue in self.queues:
                queue.close()
            self.database.remove()

    # --- people

    @initialize()
    def first(self) -> None:
        self.enqueue(0, "a", 0, 3, 0)
        self.start_worker(0)

    @rule(
        by=st.integers(0, 1),
        queue=st.sampled_from(_QUEUES),
        priority=st.integers(-2, 2),
        max_attempts=st.integers(1, 3),
        delay_s=st.sampled_from((0, 0, 3, 600)),
    )
    def enqueue(self, by: int, queue: str, priority: int, max_attempts: int, delay_s: int) -> None:
        run_at = None if not delay_s else self.clock.now_ms() + delay_s * 1000
        job = self.queues[by].enqueue(
            "true", queue=queue, priority=priority, max_attempts=max_attempts, run_at=_instant(run_at)
        )
        assert job.id not in self.model.jobs, "an id was used twice"
        self.model.add(Job(job.id, queue, priority, max_attempts, run_at=run_at))

    @rule(by=st.integers(0, 1), count=st.integers(1, 4), queue=st.sampled_from(_QUEUES))
    def enqueue_many(self, by: int, count: int, queue: str) -> None:
        ids = self.queues[by].enqueue_many([NewJob("true", queue=queue, max_attempts=2)] * count)
        assert len(ids) == count
        for job_id in ids:
            self.model.add(Job(job_id, queue, 0, 2))

    @rule(
        data=st.data(),
        by=st.integers(0, 1),
        verb=st.sampled_from(("replay", "retry", "cancel", "purge", "restore", "purge", "retry")),
    )
    def act_on_many(self, data: st.DataObject, by: int, verb: str) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.model.jobs)), max_size=6, unique=True))
        if len(ids) == 1:
            return  # a single job is another matter: see below
        act = getattr(self.queues[by], verb)(ids)
        changed = self.model.act(verb, act.id, ids)
        assert (act.count, act.skipped) == (changed, len(ids) - changed), (verb, ids, act, changed)

    @rule(
        data=st.data(),
        by=st.integers(0, 1),
        verb=st.sampled_from(("replay", "retry", "cancel", "purge", "restore")),
    )
    def act_on_one(self, data: st.DataObject, by: int, verb: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model.jobs)))
        before = dict(self.model.jobs)
        try:
            act = getattr(self.queues[by], verb)(job_id)
        except InvalidTransition:
            assert not self.model.act(verb, 0, [job_id]), f"{verb} of {before[job_id]} was refused"
        else:
            assert self.model.act(verb, act.id, [job_id]) == 1, f"{verb} of {before[job_id]} was done"

    @rule(data=st.data(), by=st.integers(0, 1), priority=st.integers(3, 5), command=st.sampled_from(("ls", "date")))
    def edit(self, data: st.DataObject, by: int, priority: int, command: str) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        try:
            act = self.queues[by].edit(job.id, priority=priority, command=command)
        except InvalidTransition:
            assert job.state not in (State.PENDING, State.DEAD)
            return
        assert job.state in (State.PENDING, State.DEAD)
        if (job.priority, job.command) == (priority, command):
            assert act.count == 0
        else:
            self.model.edit(act.id, job.id, priority=priority, command=command)

    @rule(by=st.integers(0, 1))
    def undo_the_last(self, by: int) -> None:
        expected = self.model.last_undoable()
        if expected is not None:
            assert self.queues[by].undo().count == self.model.undo(expected)
            return
        with pytest.raises(Refused):
            self.queues[by].undo()

    @precondition(lambda self: any(not act.is_undone and act.verb != "restore" for act in self.model.acts))
    @rule(data=st.data(), by=st.integers(0, 1))
    def undo_one(self, data: st.DataObject, by: int) -> None:
        ids = [act.id for act in self.model.acts if not act.is_undone and act.verb != "restore"]
        act_id = data.draw(st.sampled_from(ids))
        act = next(act for act in self.model.acts if act.id == act_id)
        assert self.queues[by].undo(act_id).count == self.model.undo(act)

    @rule(by=st.integers(0, 1), name=st.sampled_from(_QUEUES), limit=st.sampled_from((None, 0, 1, 2)))
    def limit(self, by: int, name: str, limit: int | None) -> None:
        self.queues[by].limit(name, limit)
        self.model.limits.pop(name, None)
        if limit is not None:
            self.model.limits[name] = limit

    @precondition(lambda self: {job.queue for job in self.model.jobs.values()} == set(_QUEUES))
    @rule(by=st.integers(0, 1), name=st.sampled_from(_QUEUES), is_paused=st.booleans())
    def pause_or_resume(self, by: int, name: str, is_paused: bool) -> None:
        (self.queues[by].pause if is_paused else self.queues[by].resume)(name)
        (self.model.paused.add if is_paused else self.model.paused.discard)(name)

    @rule(by=st.integers(0, 1))
    def empty_the_trash(self, by: int) -> None:
        if len(self.model.jobs) > len(self.model.in_state(State.PURGED)):  # rules need some job to choose
            assert self.queues[by].empty_trash() == self.model.forget_purged()

    # --- time

    @rule(seconds=st.sampled_from((0.5, 2, 4, 8, 700)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from((-3600, -2, 86400)))
    def clock_is_set(self, seconds: float) -> None:
        self.clock.jump(seconds)

    # --- workers

    @rule(seat=st.integers(0, 1))
    def start_worker(self, seat: int) -> None:
        if self.seats[seat] is None:
            self.seats[seat] = self.queues[seat].storage.workers.register(slots=3, queues=())
            self.attempts[seat] = self.queues[seat].storage.attempts(lambda: 0.0)

    @precondition(lambda self: any(self.seats))
    @rule(data=st.data(), slots=st.integers(0, 3), outcomes=st.lists(st.sampled_from(sorted(_ENDINGS)), max_size=3))
    def turn(self, data: st.DataObject, slots: int, outcomes: list[Outcome]) -> None:
        seat = data.draw(st.sampled_from([number for number, found in enumerate(self.seats) if found]))
        mine = sorted(attempt.id for attempt in self.open.values() if attempt.worker == seat)
        endings = list(zip(mine, (Outcome(outcome) for outcome in outcomes), strict=False))
        self._turn(seat, endings, slots)

    @precondition(lambda self: any(self.seats) and self.closed)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(_ENDINGS)))
    def record_one_that_is_closed(self, data: st.DataObject, outcome: Outcome) -> None:
        """A worker that lost a race (or was stopped for an hour) tells what it saw: nothing changes."""
        seat = data.draw(st.sampled_from([number for number, found in enumerate(self.seats) if found]))
        attempt_id = data.draw(st.sampled_from(self.closed))
        done = self._transact(seat, [(attempt_id, Outcome(outcome))], 0, refuse=False)
        assert not done.recorded
        self.model.make_due(self.clock.now_ms())

    @precondition(lambda self: any(self.seats))
    @rule(data=st.data(), slots=st.integers(1, 3))
    def claim_without_room_for_files(self, data: st.DataObject, slots: int) -> None:
        seat = data.draw(st.sampled_from([number for number, found in enumerate(self.seats) if found]))
        self.model.make_due(self.clock.now_ms())
        done = self._transact(seat, [], slots, refuse=True)
        assert not done.claimed
        assert (done.refusal is not None) == bool(self.model.next_jobs(slots))

    @precondition(lambda self: any(attempt.worker is not None for attempt in self.open.values()))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """The system refuses to start a claimed command."""
        found = [attempt.id for attempt in self.open.values() if attempt.worker is not None and attempt.is_running]
        if not found:
            return
        attempt = self.open[data.draw(st.sampled_from(found))]
        assert attempt.worker is not None
        stopped = self.attempts[attempt.worker].give_back([attempt.id])
        assert stopped == ({attempt.id} if self.model.is_stop_requested(attempt.job_id) else set())
        if not stopped:
            del self.open[attempt.id]
            attempt.run.discard()
            self.model.give_back(attempt.job_id)

    def _turn(self, seat: int, endings: Sequence[tuple[int, Outcome]], slots: int) -> None:
        now = self.clock.now_ms()
        done = self._transact(seat, endings, slots, refuse=False)
        assert sorted(one.claim.attempt_id for one in done.recorded) == [attempt_id for attempt_id, _ in endings]
        for attempt_id, outcome in endings:
            attempt = self.open.pop(attempt_id)
            attempt.run.discard()
            self.closed.append(attempt_id)
            self.model.end(attempt.job_id, outcome, now)
        self.model.make_due(now)
        expected = self.model.next_jobs(slots)
        assert [claim.job.id for claim in done.claimed] == expected, (done.claimed, expected)
        for claim in done.claimed:
            self.model.claim(claim.job.id, claim.attempt_id)
            assert claim.number == self.model.jobs[claim.job.id].starts
            self.open[claim.attempt_id].job_id = claim.job.id
            self.claims[claim.attempt_id] = claim

    def _transact(self, seat: int, endings: Sequence[tuple[int, Outcome]], slots: int, *, refuse: bool) -> StepResult:
        queue = self.queues[seat]
        worker = self.seats[seat]
        assert worker is not None

        def before_commit(claim: Claim) -> None:
            if refuse:
                raise OSError(24, "Too many open files")
            run = RunFile(queue.storage.spool, claim.attempt_id)
            os.write(run.writer, b"%d\n" % os.getpid())
            self.open[claim.attempt_id] = _Attempt(claim.attempt_id, 0, seat, run)

        return self.attempts[seat].record_and_claim(
            [(self.claims[attempt_id], _ENDINGS[outcome]) for attempt_id, outcome in endings],
            ClaimCapacity(worker[0], slots),
            before_commit,
            StepTerms(queue.settings(), is_durable=False, is_rolled_up=slots % 2 == 0),
        )

    # --- what goes wrong

    @precondition(lambda self: any(self.seats))
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A worker dies: its locks are free from one moment to the next; its commands go on."""
        seat = data.draw(st.sampled_from([number for number, found in enumerate(self.seats) if found]))
        worker = self.seats[seat]
        assert worker is not None
        os.close(worker[1])
        self.seats[seat] = None
        for attempt in self.open.values():
            if attempt.worker == seat:
                attempt.worker = None

    @precondition(lambda self: any(attempt.is_running for attempt in self.open.values()))
    @rule(data=st.data(), exit_code=st.sampled_from((None, 0, 1)))
    def command_ends(self, data: st.DataObject, exit_code: int | None) -> None:
        """A command ends with a status, or vanishes without one, while nobody looks."""
        running = sorted(attempt.id for attempt in self.open.values() if attempt.is_running)
        attempt = self.open[data.draw(st.sampled_from(running))]
        if exit_code is not None:
            os.write(attempt.run.writer, b"%d\n" % exit_code)
        attempt.run.close()
        attempt.is_running, attempt.exit_code = False, exit_code

    @precondition(lambda self: any(self.seats))
    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        """A worker looks after the dead: it adopts every orphan, and sees of each what is true."""
        seat = data.draw(st.sampled_from([number for number, found in enumerate(self.seats) if found]))
        worker = self.seats[seat]
        assert worker is not None
        db = self.queues[seat].storage
        orphans = {attempt.id for attempt in self.open.values() if attempt.worker is None}
        endings: list[tuple[int, Outcome]] = []
        for adopted in Recovery(db, self.attempts[seat]).adopt_from_the_dead(worker[0]):
            attempt = self.open[adopted.claim.attempt_id]
            orphans.remove(attempt.id)
            attempt.worker = seat
            self.claims[attempt.id] = adopted.claim
            assert adopted.claim.number == self.model.jobs[attempt.job_id].starts
            status = adopted.command.poll()
            adopted.command.close()
            assert (status is None) == attempt.is_running
            if status is not None:
                assert status.exit_code == attempt.exit_code
                endings.append((attempt.id, _outcome(status.exit_code)))
        assert not orphans, f"attempts {orphans} were not adopted"
        self._turn(seat, endings, 0)
        strike_dead_workers(db, worker[0])
        db.maintenance.remove_leftovers()
        assert set(os.listdir(db.spool.attempts)) == {
            f"{attempt_id}.{kind}" for attempt_id in self.open for kind in ("run", "out")
        }
        assert len(os.listdir(db.spool.workers)) == sum(found is not None for found in self.seats)

    # --- what must hold after every step

    @invariant()
    def the_queue_is_as_the_model(self) -> None:
        Machine.steps += 1
        rows = self.database.jobs(self.queues[1])
        found = {job.id: job for job in map(_job, rows)}
        assert found == self.model.jobs, _difference(found, self.model.jobs)
        outcomes: dict[int, list[Outcome | None]] = {job_id: [] for job_id in found}
        for job_id, outcome in self.database.outcomes(self.queues[1]):
            outcomes[job_id].append(None if outcome is None else Outcome(outcome))
        assert outcomes == self.model.attempts

    @invariant()
    def the_counters_are_right(self) -> None:
        counts = self.queues[0].counts()
        for state in State:
            assert counts.of(state) == len(self.model.in_state(state)), state
        now = self.clock.now_ms()
        assert counts.delayed == sum(job.run_at is not None and job.run_at > now for job in self.model.jobs.values())


def _job(row: tuple[object, ...]) -> Job:
    values = list(row)
    values[5] = State(str(row[5]))
    values[10] = None if row[10] is None else Outcome(str(row[10]))
    values[12] = None if row[12] is None else State(str(row[12]))
    return Job(*values)  # type: ignore[arg-type]


def _difference(found: dict[int, Job], expected: dict[int, Job]) -> str:
    differing = [job_id for job_id in {*found, *expected} if found.get(job_id) != expected.get(job_id)]
    return "; ".join(f"queue {found.get(job_id)}, model {expected.get(job_id)}" for job_id in differing)


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else to_datetime(ms)


def _outcome(exit_code: int | None) -> Outcome:
    if exit_code is None:
        return Outcome.LOST
    return Outcome.SUCCEEDED if exit_code == 0 else Outcome.FAILED
