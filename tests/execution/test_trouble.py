"""A worker in trouble: no processes, no descriptors, no database; it says so, keeps its results and goes on."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import DatabaseBusy, DatabaseReplaced
from core.execution import shim, timers
from core.execution import worker as worker_module
from core.execution.events import (
    AttemptEnded,
    AttemptStarted,
    LoopFailed,
    SpawningPaused,
    StorageRecovered,
    StorageTrouble,
    WorkerStopped,
)
from core.execution.worker import StopMode, Worker
from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from core.storage.sqlite.attempts import Attempts
from tests.execution.at_work import UNTIL_GO, Told, drain, endings, output, wait_for_state, working
from tests.fakes import FakeClock
from tests.processes import run_python, wait_for
from tests.sqlite import sqlite_of

pytestmark = pytest.mark.long

# --- no processes, no descriptors


@pytest.fixture
def refuse_to_spawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Refuse as many process starts as the number in the list that this returns."""
    left = [0]
    spawn = os.posix_spawn

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        if left[0] > 0:
            left[0] -= 1
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    return left


def test_a_refused_fork_costs_no_attempt(queue: Queue, refuse_to_spawn: list[int]) -> None:
    """The job is pending again at once, the worker says why it pauses, and runs it after a second."""
    refuse_to_spawn[0] = 1
    job_id = queue.enqueue("echo hello", max_attempts=1).id
    with working(queue, once=True) as (worker, told):
        paused = told.wait_for(SpawningPaused)
        assert (paused.reason, paused.for_s) == ("Resource temporarily unavailable", 1.0)
        job = queue.job(job_id)
        assert (job.state, job.attempts, queue.attempts(job_id)) == (State.PENDING, 0, [])
        assert os.listdir(queue.storage.spool.attempts) == []
        assert worker.join(60)
    assert (queue.job(job_id).state, output(queue, job_id)) == (State.COMPLETED, b"hello\n")
    assert queue.attempts(job_id)[0].number == 1


def test_a_pause_grows_while_the_system_refuses(tmp_path: Path, refuse_to_spawn: list[int]) -> None:
    """1, 2, 4 … up to 30 seconds; and a start that works makes it short again."""
    clock = FakeClock()
    with Queue(tmp_path / "fake.db", clock=clock) as queue:
        queue.enqueue("true")
        refuse_to_spawn[0] = 7
        told = Told()
        worker = Worker(queue, once=True, on_event=told)
        worker.start()
        for count in range(1, 8):
            wait_for(lambda: len(told.of(SpawningPaused)) == count, "the next pause")  # noqa: B023
            clock.advance(31)
        assert worker.join(60)
        assert [event.for_s for event in told.of(SpawningPaused)] == [1, 2, 4, 8, 16, 30, 30]
        assert queue.counts().of(State.COMPLETED) == 1
        assert worker._slots.limit.pause_s == 0


def test_of_several_claimed_jobs_only_the_refused_go_back(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started before the refusal runs on."""
    spawn, calls = os.posix_spawn, iter(range(100))

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        if next(calls) == 2:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    queue.enqueue_many(NewJob("sleep 0.2") for _ in range(5))
    told = drain(queue, slots=5)
    assert queue.counts().of(State.COMPLETED) == 5
    assert [len(queue.attempts(job_id)) for job_id in range(1, 6)] == [1] * 5
    assert len(told.of(SpawningPaused)) == 1


def test_a_pause_outlives_what_ends_meanwhile(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends during the pause does not make the worker forget that others wait for its end."""
    spawn, calls = os.posix_spawn, iter(range(100))

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        if next(calls) == 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    queue.enqueue("sleep 1")
    waiting = queue.enqueue("true").id
    with working(queue, slots=2) as (_, told):
        told.wait_for(SpawningPaused)
        wait_for_state(queue, waiting, State.COMPLETED)


def _run_with_room(
    directory: Path, monkeypatch: pytest.MonkeyPatch, slots: int, has_room: Callable[[int, int], bool]
) -> tuple[int, list[float]]:
    """Run 20 jobs with a clock that stands still, so that no pause ends by itself, each in a shell of its own.

    A shell is refused unless ``has_room(live, refusals)``. Return the number of refusals, and the pauses.
    """
    spawn, refusals = os.posix_spawn, 0
    with Queue(directory / "fake.db", clock=FakeClock()) as queue:
        told = Told()
        worker = Worker(queue, slots=slots, once=True, on_event=told)

        def posix_spawn(*arguments: Any, **options: Any) -> int:
            nonlocal refusals
            if not has_room(worker._running.live_count(), refusals):
                refusals += 1
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return spawn(*arguments, **options)

        monkeypatch.setattr(os, "posix_spawn", posix_spawn)
        queue.enqueue_many(NewJob("sleep 0.02", env={"N": str(number)}) for number in range(20))
        worker.start()
        assert worker.join(60), "it is done, and does not wait for the end of the pause"
        assert queue.counts().of(State.COMPLETED) == 20
        assert [len(queue.attempts(job_id)) for job_id in range(1, 21)] == [1] * 20
    return refusals, [event.for_s for event in told.of(SpawningPaused)]


def test_what_the_system_has_room_for_goes_on_during_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once, of three slots: nothing else is tried before the pause is over."""
    assert _run_with_room(tmp_path, monkeypatch, 3, lambda live, refusals: live < 2) == (1, [1.0])


def test_with_ever_less_room_fewer_run_and_the_pause_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at once, then two, then one."""
    refusals, pauses = _run_with_room(tmp_path, monkeypatch, 4, lambda live, refusals: live < max(1, 3 - refusals))
    assert refusals <= 4
    assert pauses == [1.0]


def test_what_ran_before_a_refusal_tells_how_much_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing runs any more when the next start is refused: that there was room for one is known all the same."""
    ended_once = iter([True, False])
    assert _run_with_room(tmp_path, monkeypatch, 1, lambda live, refusals: next(ended_once, True)) == (1, [1.0])


def test_a_pause_ends_for_a_worker_whose_job_was_taken_away(queue: Queue, refuse_to_spawn: list[int]) -> None:
    """The job that could not be started was cancelled meanwhile: a draining worker is done after the pause."""
    refuse_to_spawn[0] = 1
    job_id = queue.enqueue("true").id
    with working(queue, once=True) as (worker, told):
        told.wait_for(SpawningPaused)
        queue.cancel(job_id)
        assert worker.join(60)


_FEW_DESCRIPTORS = """
import json, os, resource, sys
from core import Queue, View, Worker
from core.execution.events import AttemptEnded, LoopFailed, SpawningPaused
resource.setrlimit(resource.RLIMIT_NOFILE, (130, 130))
queue = Queue(sys.argv[1])
seen = []
fillers = []

def tell(event):
    seen.append(type(event).__name__)
    if isinstance(event, SpawningPaused):
        while fillers:
            os.close(fillers.pop())

worker = Worker(queue, slots=3, once=True, on_event=tell)
if sys.argv[2] == "at the start":
    queue.enqueue_many([__import__("core").NewJob(f"echo {number}") for number in range(6)])
else:
    queue.enqueue_many([__import__("core").NewJob("sleep 0.6; echo x") for number in range(3)])
def fill():
    try:
        while True:
            fillers.append(os.dup(0))
    except OSError:
        pass
    for _ in range(int(sys.argv[3])):
        os.close(fillers.pop())
if sys.argv[2] == "at the start":
    queue.settings()
    register = worker._register
    worker._register = lambda: (register(), fill())
    worker.start()
else:
    worker.start()
    while worker.running_count < 3:
        pass
    fill()
    import time
    time.sleep(1.2)
    while fillers:
        os.close(fillers.pop())
assert worker.join(60), (seen, queue.counts())
print(json.dumps({"seen": seen, "states": sorted(j.state.value for j in queue.jobs(View())),
                  "attempts": [len(queue.attempts(j.id)) for j in queue.jobs(View())], "error": repr(worker.error),
                  "outputs": sorted(queue.output(j.id).read(0, 9).decode() for j in queue.jobs(View()))}))
"""


@pytest.mark.parametrize("left", [6, 8, 9, 11])
def test_no_descriptors_left_costs_no_attempt(queue: Queue, left: int) -> None:
    """Wherever in a claim or a start the last descriptor goes, jobs go back and are run when there is room again."""
    found = json.loads(run_python(_FEW_DESCRIPTORS, queue.path, "at the start", left))
    assert found["states"] == ["completed"] * 6, found
    assert found["attempts"] == [1] * 6
    assert found["outputs"] == [f"{number}\n" for number in range(6)]
    assert found["error"] == "None"


@pytest.mark.parametrize("left", [0, 2])
def test_no_descriptors_left_while_commands_end_loses_no_result(queue: Queue, left: int) -> None:
    """The run files and the outputs cannot be read just now; they are when there is room again."""
    found = json.loads(run_python(_FEW_DESCRIPTORS, queue.path, "at the end", left))
    assert found["states"] == ["completed"] * 3, found
    assert (found["attempts"], found["outputs"]) == ([1] * 3, ["x\n"] * 3)


_MORE_SLOTS_THAN_DESCRIPTORS = """
import json, os, resource, sys
from core import Queue, Worker
from core.errors import UsageError
from core.execution.events import SpawningPaused
from tests.fakes import FakeClock
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
queue = Queue(sys.argv[1], clock=FakeClock())  # it stands still: no pause ends by itself
pauses = []

def tell(event):
    if isinstance(event, SpawningPaused):
        pauses.append(event)

worker = Worker(queue, slots=1000, once=True, on_event=tell)
register = worker._register
fillers = []

def register_and_fill():
    register()
    queue.settings()
    while not fillers or fillers[-1] < int(sys.argv[2]) - 1:
        fillers.append(os.dup(0))
    for _ in range(int(sys.argv[3])):
        os.close(fillers.pop())

if int(sys.argv[3]):
    worker._register = register_and_fill
try:
    worker.run()
except UsageError as error:
    print(error)
else:
    print(json.dumps([len(pauses), [len(queue.attempts(job_id)) for job_id in range(1, 301)]]))
"""


@pytest.mark.parametrize(("descriptors", "left"), [(130, 0), (256, 0), (256, 24), (256, 25), (256, 7)])
def test_with_more_slots_than_descriptors_as_many_run_as_can(queue: Queue, descriptors: int, left: int) -> None:
    """What the system has room for goes on while the worker pauses; it took a pause of up to 30 s for each handful."""
    queue.enqueue_many(NewJob("true") for _ in range(300))
    pauses, attempts = json.loads(run_python(_MORE_SLOTS_THAN_DESCRIPTORS, queue.path, descriptors, left))
    assert queue.counts().of(State.COMPLETED) == 300
    assert attempts == [1] * 300
    assert pauses <= 1, "what ends makes room for the next: no further pause is needed"


def test_a_worker_with_too_few_descriptors_for_any_command_says_so(queue: Queue) -> None:
    """The lock has a high number in commands: each would have failed with "Bad file descriptor"."""
    job_id = queue.enqueue("true").id
    said = run_python(_MORE_SLOTS_THAN_DESCRIPTORS, queue.path, 127, 0)
    assert said == "a worker needs 128 files, 127 may be open; try 'ulimit -n 256'\n"
    assert (queue.job(job_id).state, queue.attempts(job_id), queue.workers()) == (State.PENDING, [], [])


# --- no database


@contextlib.contextmanager
def foreign_lock(path: str) -> Iterator[None]:
    """Lock the database as another program does."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def test_results_are_kept_while_the_database_is_locked(queue: Queue, tmp_path: Path) -> None:
    """A foreign lock of two seconds: the worker says so, goes on trying, and everything is recorded afterwards."""
    queue.storage.set_busy_timeout(0.2)
    with working(queue, slots=2) as (worker, told):
        ids = [queue.enqueue(f"{UNTIL_GO}; echo {number}").id for number in range(2)]
        for job_id in ids:
            wait_for_state(queue, job_id, State.RUNNING)
        with foreign_lock(queue.path):
            (tmp_path / "go").touch()
            trouble = told.wait_for(StorageTrouble)
            assert "locked" in trouble.message
            time.sleep(1)
            assert worker.is_alive
            assert told.of(AttemptEnded) == []
        for job_id in ids:
            wait_for_state(queue, job_id, State.COMPLETED)
        told.wait_for(StorageRecovered)
    assert [output(queue, job_id) for job_id in ids] == [b"0\n", b"1\n"]
    assert len(told.of(StorageTrouble)) == len(told.of(StorageRecovered)) == 1
    assert os.listdir(queue.storage.spool.attempts) == []


def test_trouble_of_an_idle_worker_passes_too(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last results could not be synced; when they are, it says that all is well, though no job came."""
    queue.storage.set_busy_timeout(0.1)
    monkeypatch.setattr(timers, "IDLE_SYNC_S", 3600.0)  # until the lock is there
    with working(queue) as (worker, told):
        job_id = queue.enqueue("true").id
        told.wait_for(AttemptEnded)
        wait_for_state(queue, job_id, State.COMPLETED)
        with foreign_lock(queue.path):
            monkeypatch.setattr(timers, "IDLE_SYNC_S", 0.0)
            worker.wake()
            told.wait_for(StorageTrouble)
        told.wait_for(StorageRecovered)


def test_a_refusal_and_a_locked_database_together_lose_nothing(
    queue: Queue, refuse_to_spawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that can be neither started nor given back is given back later, at no cost to the job."""
    give_back, calls = Attempts.give_back, iter(range(100))

    def busy(*arguments: Any) -> set[int]:
        if next(calls) == 0:
            raise DatabaseBusy("locked")
        return give_back(*arguments)

    monkeypatch.setattr(Attempts, "give_back", busy)
    refuse_to_spawn[0] = 1
    job_id = queue.enqueue("echo hello", max_attempts=1).id
    told = drain(queue)
    assert endings(told) == [(job_id, "succeeded")]
    assert (queue.job(job_id).attempts, queue.job(job_id).interrupts) == (1, 0)
    assert len(queue.attempts(job_id)) == 1
    assert (len(told.of(StorageTrouble)), len(told.of(SpawningPaused))) == (1, 1)


@pytest.mark.parametrize("is_kill", [False, True])
def test_a_job_that_is_cancelled_while_its_start_is_refused_stays_cancelled(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, is_kill: bool
) -> None:
    """Whoever cancels sees it running; giving it back must not forget that."""
    spawn, calls = os.posix_spawn, iter(range(100))

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        if next(calls) == 0:
            with Queue(queue.path) as other:
                assert other.cancel(1, kill=is_kill).count == 1
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    queue.enqueue_many([NewJob("true")] * 2)
    told = drain(queue, slots=1)
    assert endings(told) == [(1, "cancelled"), (2, "succeeded")]
    assert [queue.job(job_id).state for job_id in (1, 2)] == [State.CANCELLED, State.COMPLETED]
    assert os.listdir(queue.storage.spool.attempts) == []


def test_a_draining_worker_that_is_left_without_slots_ends_in_a_pause(queue: Queue, refuse_to_spawn: list[int]) -> None:
    """It can claim nothing, so it has nothing to wait for."""
    refuse_to_spawn[0] = 1
    queue.enqueue("true")
    with working(queue, once=True) as (worker, told):
        told.wait_for(SpawningPaused)
        worker.slots = 0
        assert worker.join(60)


def test_a_descriptor_that_cannot_be_moved_is_not_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run file's, when its number is one that commands have other uses for."""

    def refuse(*arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    descriptor = os.open("/dev/null", os.O_RDONLY)
    monkeypatch.setattr(shim, "TARGETS", (descriptor,))
    monkeypatch.setattr("fcntl.fcntl", refuse)
    with pytest.raises(OSError, match="Too many"):
        shim.off_targets(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_claim_that_fails_at_its_start_is_not_left_open(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error nobody foresaw, between claim and start: the job is pending again and nothing holds its lock."""
    environment_of, calls = Attempts.environment_of, iter(range(100))

    def fail_once(*arguments: Any) -> Any:
        if next(calls) == 0:
            raise RuntimeError("unforeseen")
        return environment_of(*arguments)

    monkeypatch.setattr(Attempts, "environment_of", fail_once)
    ids = list(queue.enqueue_many([NewJob("true", max_attempts=1)] * 2))
    told = drain(queue, slots=2, may_fail=True)
    assert [queue.job(job_id).state for job_id in ids] == [State.COMPLETED] * 2
    assert len(told.of(LoopFailed)) == 1
    assert os.listdir(queue.storage.spool.attempts) == []


@pytest.mark.parametrize("error", [RuntimeError("unforeseen"), DatabaseBusy("locked")])
def test_an_error_in_a_turn_does_not_end_the_loop(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is told, and the next turn goes on; what was about to be looked at is looked at again."""
    stop_requests, calls, is_failing = Attempts.stop_requests, iter(range(1000)), False

    def fail_twice(*arguments: Any) -> Any:
        if is_failing and next(calls) < 2:
            raise error
        return stop_requests(*arguments)

    monkeypatch.setattr(Attempts, "stop_requests", fail_twice)
    with working(queue) as (worker, told):
        job_id = queue.enqueue("sleep 60").id
        wait_for_state(queue, job_id, State.RUNNING)
        is_failing = True
        queue.cancel(job_id)
        wait_for_state(queue, job_id, State.CANCELLED)
        if isinstance(error, DatabaseBusy):
            assert told.wait_for(StorageTrouble).message == "locked"
        else:
            assert told.wait_for(LoopFailed).error is error
        assert worker.is_alive


def test_a_loop_that_cannot_go_on_gives_up_its_lock(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After too many errors in a row others may adopt its commands, and the error is there to be seen."""
    monkeypatch.setattr(worker_module, "MAX_FAILED_STEPS", 2)
    job_id = queue.enqueue(f"echo begun; {UNTIL_GO}; echo end").id
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    wait_for_state(queue, job_id, State.RUNNING)

    def fail(**options: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(worker._running, "collect", fail)
    assert worker.join(60)
    assert isinstance(worker.error, RuntimeError)
    assert told.of(WorkerStopped)[0].detached == 1
    (tmp_path / "go").touch()
    drain(queue)
    assert (queue.job(job_id).state, output(queue, job_id)) == (State.COMPLETED, b"begun\nend\n")


def test_run_raises_what_ended_the_loop(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the caller's own thread the error is an exception."""
    monkeypatch.setattr(worker_module, "MAX_FAILED_STEPS", 1)
    worker = Worker(queue)

    def fail(**options: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(worker._running, "collect", fail)
    with pytest.raises(RuntimeError, match="unforeseen"):
        worker.run()


def test_a_listener_that_fails_disturbs_nothing(queue: Queue) -> None:
    """Its errors are logged; jobs are run and recorded."""

    def listen(event: object) -> None:
        raise RuntimeError("mine")

    job_id = queue.enqueue("true").id
    Worker(queue, once=True, on_event=listen).run()
    assert queue.job(job_id).state is State.COMPLETED


@pytest.mark.parametrize("at", ["the start", "rest", "work"])
def test_a_deleted_database_ends_the_worker_and_is_not_made_anew(queue: Queue, tmp_path: Path, at: str) -> None:
    """An idle one within a second or two; a busy one when its commands have ended; all say why."""
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    if at != "the start":
        queue.enqueue(UNTIL_GO if at == "work" else "true")
        told.wait_for(AttemptStarted if at == "work" else AttemptEnded)
    os.unlink(queue.path)
    (tmp_path / "go").touch()
    assert worker.join(60)
    assert isinstance(worker.error, DatabaseReplaced)
    assert "deleted while in use" in str(worker.error)
    assert len(told.of(StorageTrouble)) == 1
    assert not os.path.exists(queue.path)


# --- what is written, and when


def test_results_are_durable_within_a_second(queue: Queue) -> None:
    """While a worker is busy its commits are synced at least once a second, and at once when it falls idle."""
    syncs: list[float] = []
    ends: list[float] = []

    commits: list[float] = []
    level = {"full": True}

    def note(event: object) -> None:
        if isinstance(event, AttemptEnded):
            # the commit that recorded it may have been the one that synced
            ends.append(syncs[-1] if level["full"] else time.monotonic())

    worker = Worker(queue, slots=2, on_event=note, once=True)

    def trace(sql: str) -> None:
        if match := re.match(r"PRAGMA synchronous = (\w+)", sql):
            level["full"] = match[1] == "FULL"
        if sql == "COMMIT":
            (syncs if level["full"] else commits).append(time.monotonic())

    queue.enqueue_many(NewJob("sleep 0.05") for _ in range(80))
    run_registered = worker._run_registered

    def traced() -> None:
        sqlite_of(queue).connection().set_trace_callback(trace)
        run_registered()

    worker._run_registered = traced  # type: ignore[method-assign]
    worker.start()
    assert worker.join(60)
    assert len(ends) == 80
    assert timers.SYNC_S < 1
    for end in ends:
        synced = min(sync for sync in syncs if sync >= end)
        late = [commit for commit in commits if end + timers.SYNC_S < commit < synced]
        assert len(late) <= 1, "the commit after that time is the one that syncs (its turn may have begun before)"


def test_results_that_need_not_be_durable_yet_are_not_synced_each(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the time has not come, a busy worker's commits cost no sync."""
    monkeypatch.setattr(timers, "SYNC_S", 3600.0)
    levels: list[str] = []
    worker = Worker(queue, once=True)
    run_registered = worker._run_registered

    def traced() -> None:
        sqlite_of(queue).connection().set_trace_callback(
            lambda sql: levels.append(sql) if sql.startswith("PRAGMA synchronous") else None
        )
        run_registered()

    worker._run_registered = traced  # type: ignore[method-assign]
    queue.enqueue_many(NewJob("true") for _ in range(20))
    worker.start()
    assert worker.join(60)
    assert sum(level.endswith("FULL") for level in levels) <= 2, "when it falls idle, and at its end"


def test_full_durability_syncs_each_commit(queue: Queue) -> None:
    """The setting takes effect on the worker that runs."""
    queue.set("durability", "full")
    levels: list[str] = []
    worker = Worker(queue, once=True)
    run_registered = worker._run_registered

    def traced() -> None:
        sqlite_of(queue).connection().set_trace_callback(
            lambda sql: levels.append(sql) if sql.startswith("PRAGMA synchronous") else None
        )
        run_registered()

    worker._run_registered = traced  # type: ignore[method-assign]
    queue.enqueue_many(NewJob("true") for _ in range(5))
    worker.start()
    assert worker.join(60)
    before_the_end = levels[:-1] if levels and levels[-1].endswith("NORMAL") else levels
    assert all(level.endswith("FULL") for level in before_the_end), levels


def test_an_idle_worker_writes_nothing_and_hardly_asks(queue: Queue) -> None:
    """For more than a second: not a byte in the database or its log, no lock taken, a few dozen tiny questions."""
    statements: list[str] = []
    worker = Worker(queue, slots=2)
    run_registered = worker._run_registered

    def traced() -> None:
        sqlite_of(queue).connection().set_trace_callback(statements.append)
        run_registered()

    worker._run_registered = traced  # type: ignore[method-assign]
    queue.enqueue("true")
    queue.enqueue("true", run_at=_in_an_hour())
    worker.start()
    try:
        wait_for_state(queue, 1, State.COMPLETED)
        files = [Path(queue.path + suffix) for suffix in ("", "-wal")]

        def is_idle() -> bool:
            """Look at it for 1.6 seconds."""
            before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            statements.clear()
            begin = time.monotonic()
            time.sleep(1.6)
            is_same = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before
            has_written = any(re.match(r"BEGIN IMMEDIATE|INSERT|UPDATE|DELETE", sql) for sql in statements)
            return is_same and not has_written and len(statements) < 200 * (time.monotonic() - begin)

        wait_for(is_idle, "it is idle, once it has synced what it did")
    finally:
        worker.stop(StopMode.NOW)
        assert worker.join(60)


def _in_an_hour() -> Any:
    from datetime import datetime, timedelta, timezone

    return datetime.now(timezone.utc) + timedelta(hours=1)


def test_an_idle_worker_costs_next_to_no_time(queue: Queue) -> None:
    """Far below one percent of a core would be too fine to measure in a test; five must hold even here."""
    program = """
import sys, time
from core import Queue, Worker
worker = Worker(Queue(sys.argv[1]))
worker.start()
best = 9.9
for _ in range(20):  # the first look may see it start
    begin = time.process_time()
    time.sleep(1.5)
    best = min(best, time.process_time() - begin)
    if best < 0.1:
        break
print(best)
worker.stop(); worker.join(60)
"""
    assert float(run_python(program, queue.path)) < 0.1


def test_a_workers_memory_of_jobs_is_bounded(queue: Queue) -> None:
    """After many jobs it holds nothing of them."""
    queue.enqueue_many(NewJob("true") for _ in range(60))
    told = Told()
    worker = Worker(queue, slots=4, once=True, on_event=told)
    descriptors = len(os.listdir("/proc/self/fd"))
    worker.run()
    assert (worker.running_count, len(worker._running.endings)) == (0, 0)
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert queue.count(View(states=(State.COMPLETED,))) == 60
    assert {event.ending.outcome for event in told.of(AttemptEnded)} == {Outcome.SUCCEEDED}


def test_a_worker_that_fails_while_it_registers_holds_nothing(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in the register, its lock is free, and another one can be started."""

    def refuse(worker_id: int) -> Any:
        raise DatabaseBusy("another program holds it locked")

    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(type(queue.storage.changes), "wakeup_of", lambda self, worker_id: refuse(worker_id))
        worker = Worker(queue)
        with pytest.raises(DatabaseBusy):
            worker.start()
    assert (worker.is_alive, queue.workers()) == (False, [])
    del worker
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    queue.add("true")
    drain(queue)
    assert queue.count(View((State.COMPLETED,))) == 1
