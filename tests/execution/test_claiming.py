"""Which job runs next, how many at once, and how soon."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.errors import UsageError
from core.execution.events import AttemptStarted
from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.execution.at_work import Told, drain, wait_for_state, working
from tests.fakes import FakeClock
from tests.processes import WorkerProcess, wait_for

ENGINES = ("sqlite", "postgres")

#: A command that notes in a shared ledger when it began and ended, and ends once so many have begun.
NOTED = (
    "echo b $QUEUECTL_QUEUE >> ledger; until test $(grep -c b ledger) -ge {}; do sleep 0.02; done; sleep 0.05;"
    " echo e $QUEUECTL_QUEUE >> ledger"
)


def most_at_once(ledger: Path, queue: str = "") -> int:
    """Return how many commands of the ledger (of one queue) ran at once at most."""
    running = most = 0
    for line in ledger.read_text().splitlines():
        kind, _, name = line.partition(" ")
        if not queue or name == queue:
            running += 1 if kind == "b" else -1
            most = max(most, running)
    return most


def started_order(told: Told) -> list[int]:
    """Return the ids of jobs in the order they were started."""
    return [event.job.id for event in told.of(AttemptStarted)]


# --- order


def test_the_highest_priority_comes_first_then_the_oldest(queue: Queue) -> None:
    """Over all queues, whatever order they were added in."""
    for priority, lane in ((0, "a"), (5, "b"), (-5, "a"), (5, "a"), (0, "b")):
        queue.enqueue("true", priority=priority, queue=lane)
    assert started_order(drain(queue)) == [2, 4, 1, 5, 3]


def test_a_worker_may_serve_some_queues_only(queue: Queue) -> None:
    """Jobs of the others wait for somebody else."""
    ids = {lane: queue.enqueue("true", queue=lane).id for lane in ("a", "b", "c")}
    assert started_order(drain(queue, queues=["c", "a"])) == [ids["a"], ids["c"]]
    assert queue.job(ids["b"]).state is State.PENDING


def test_a_delayed_job_starts_when_it_is_due(queue: Queue) -> None:
    """Not before."""
    run_at = datetime.now(timezone.utc) + timedelta(seconds=0.4)
    with working(queue):
        job_id = queue.enqueue("true", run_at=run_at).id
        job = wait_for_state(queue, job_id, State.COMPLETED)
    assert job.started_at is not None
    assert job.started_at - run_at >= timedelta(milliseconds=-1)


def test_jobs_due_at_once_are_all_started(tmp_path: Path, clock: FakeClock) -> None:
    """More of them than are made due in one transaction, without starving a fresh one."""
    with Queue(tmp_path / "due.db", clock=clock) as queue:
        when = datetime.fromtimestamp(clock.now_ms() / 1000 + 5, timezone.utc)
        queue.enqueue_many(NewJob("true", run_at=when) for _ in range(600))
        clock.advance(5)
        fresh = queue.enqueue("true", priority=1).id
        told = drain(queue, slots=8)
        assert len(started_order(told)) == 601
        assert fresh in started_order(told)[:20]
        assert queue.counts().of(State.COMPLETED) == 601


def test_a_clock_set_back_holds_no_due_job_up(tmp_path: Path, clock: FakeClock) -> None:
    """What was due stays due; what waits, waits by the calendar; no duration is negative."""
    with Queue(tmp_path / "clock.db", clock=clock) as queue:
        due = queue.enqueue("true").id
        clock.jump(-3600)
        drain(queue)
        job = queue.job(due)
        assert job.state is State.COMPLETED
        assert job.run_s is not None
        assert job.run_s >= 0
        clock.jump(86_400)
        queue.enqueue("true")
        drain(queue)
        assert queue.counts().of(State.COMPLETED) == 2


# --- how many


@pytest.mark.parametrize("slots", [1, 3])
def test_no_more_run_at_once_than_there_are_slots(queue: Queue, tmp_path: Path, slots: int) -> None:
    """And as many as there are."""
    queue.enqueue_many(NewJob(NOTED.format(slots)) for _ in range(6))
    drain(queue, slots=slots)
    assert most_at_once(tmp_path / "ledger") == slots


def test_slots_may_change_while_the_worker_runs(queue: Queue, tmp_path: Path) -> None:
    """More take effect at once, fewer as commands end, none is a pause; others see the number."""
    queue.enqueue_many(NewJob("while ! test -e go; do sleep 0.02; done") for _ in range(12))
    with working(queue, slots=1) as (worker, _):
        wait_for(lambda: worker.running_count == 1)
        worker.slots = 4
        wait_for(lambda: worker.running_count == 4)
        wait_for(lambda: [info.slots for info in queue.workers()] == [4])
        worker.slots = 0
        (tmp_path / "go").touch()
        wait_for(lambda: worker.running_count == 0)
        time.sleep(0.1)
        assert queue.count(View(states=(State.PENDING,))) == 8
        worker.slots = 12
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 12)
    with pytest.raises(UsageError, match="slots"):
        Worker(queue, slots=-1)


def test_a_limit_holds_over_all_workers(queue: Queue, tmp_path: Path) -> None:
    """Two workers with three slots each run two of the limited queue at once, and the others beside them."""
    queue.limit("media", 2)
    queue.enqueue_many(NewJob(NOTED.format(3), queue="media", priority=1) for _ in range(8))
    queue.enqueue_many(NewJob(NOTED.format(3), queue="other") for _ in range(4))
    with WorkerProcess(queue.path, slots=3), working(queue, slots=3):
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 12)
    assert most_at_once(tmp_path / "ledger", "media") == 2
    assert most_at_once(tmp_path / "ledger") > 2


def test_a_limit_that_is_lifted_lets_jobs_go_on(queue: Queue) -> None:
    """The change is seen by a worker that sits idle before the limit."""
    queue.limit("media", 0)
    job_id = queue.enqueue("true", queue="media").id
    with working(queue):
        time.sleep(0.15)
        assert queue.job(job_id).state is State.PENDING
        queue.limit("media", None)
        wait_for_state(queue, job_id, State.COMPLETED)


@pytest.mark.parametrize("lane", [None, "media"])
def test_a_paused_queue_starts_nothing_and_ends_what_runs(queue: Queue, tmp_path: Path, lane: str | None) -> None:
    """One queue or everything; on resume it goes on by itself."""
    with working(queue, slots=2):
        running = queue.enqueue("while ! test -e go; do sleep 0.02; done", queue="media").id
        wait_for_state(queue, running, State.RUNNING)
        queue.pause(lane)
        held = queue.enqueue("true", queue="media").id
        other = queue.enqueue("true", queue="other").id
        (tmp_path / "go").touch()
        wait_for_state(queue, running, State.COMPLETED)
        if lane is None:
            time.sleep(0.1)
            assert queue.job(other).state is State.PENDING
        else:
            wait_for_state(queue, other, State.COMPLETED)
        assert queue.job(held).state is State.PENDING
        queue.resume(lane)
        wait_for_state(queue, held, State.COMPLETED)


def test_two_workers_share_the_work_and_no_job_runs_twice(queue: Queue, tmp_path: Path) -> None:
    """Two processes and one thread race for 150 short jobs."""
    queue.enqueue_many(NewJob("echo $QUEUECTL_JOB_ID >> ledger") for _ in range(150))
    with WorkerProcess(queue.path, slots=2), WorkerProcess(queue.path, slots=2), working(queue, slots=2):
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 150)
    assert sorted(map(int, (tmp_path / "ledger").read_text().split())) == list(range(1, 151))
    assert {attempt.number for job_id in range(1, 151) for attempt in queue.attempts(job_id)} == {1}


# --- how soon


def test_a_wake_up_is_heard_at_once(queue: Queue) -> None:
    """The same process need not even wait for the next look."""
    with working(queue) as (worker, _):
        job_id = queue.add("true")
        worker.wake()
        wait_for_state(queue, job_id, State.COMPLETED)
