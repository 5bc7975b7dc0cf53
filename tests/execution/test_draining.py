"""A worker that drains waits for retries; one that runs once does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock, to_datetime
from core.errors import UsageError
from core.execution.events import AttemptEnded
from core.execution.worker import StopMode, Worker
from core.model import State
from core.queue import Queue
from tests.execution.at_work import Told, wait_for_state, working
from tests.processes import wait_for

ENGINES = ("sqlite", "postgres")

_DEADLINE_S = 30.0


def _drained(queue: Queue, **options: object) -> Told:
    told = Told()
    worker = Worker(queue, drain=True, on_event=told, **options)  # type: ignore[arg-type]
    worker.start()
    if not worker.join(_DEADLINE_S):
        worker.stop(StopMode.NOW)
        worker.join(_DEADLINE_S)
        raise AssertionError(f"not drained: {queue.counts()}")
    return told


def _later(queue: Queue) -> object:
    return to_datetime(SystemClock().now_ms()) + timedelta(hours=1)


def test_a_draining_worker_waits_for_retries(queue: Queue) -> None:
    """A job that failed and backs off has not come to its end."""
    job_id = queue.add("exit 3", max_attempts=3, backoff_base=1)
    queue.set("backoff-cap", "200ms")
    told = _drained(queue)
    assert queue.job(job_id).state is State.DEAD
    assert len(told.of(AttemptEnded)) == 3


def test_a_worker_that_runs_once_leaves_retries_to_others(queue: Queue) -> None:
    """It ends when nothing is due."""
    job_id = queue.add("exit 3", max_attempts=3, backoff_base=1000)
    worker = Worker(queue, once=True)
    worker.start()
    assert worker.join(_DEADLINE_S)
    assert (queue.job(job_id).state, queue.job(job_id).attempts) == (State.PENDING, 1)


def test_a_draining_worker_waits_for_what_others_run(queue: Queue) -> None:
    """A job that fails at another worker may be this one's to try again."""
    job_id = queue.add("until [ -e go ]; do sleep 0.02; done; exit 3", max_attempts=2, queue="first")
    queue.set("backoff-cap", "200ms")
    with working(queue, queues=("first",)) as (other, _):
        wait_for_state(queue, job_id, State.RUNNING)
        draining = Worker(queue, drain=True)
        draining.start()
        assert not draining.join(0.3)
        other.stop()  # it starts no more: the retry is left to the draining one
        Path("go").touch()
        assert draining.join(_DEADLINE_S)
    assert queue.job(job_id).state is State.DEAD


def test_what_a_person_holds_back_is_not_waited_for(queue: Queue) -> None:
    """Jobs scheduled for later, of a paused queue, of a queue with a limit of 0, of a queue that is not served."""
    later = [queue.add("true", run_at=_later(queue)), queue.add("true", queue="other"), queue.add("true", queue="zero")]
    paused = queue.add("true", queue="paused")
    queue.pause("paused")
    queue.limit("zero", 0)
    done = queue.add("true")
    _drained(queue, queues=("default", "paused", "zero"))
    assert queue.job(done).state is State.COMPLETED
    assert [queue.job(job_id).state for job_id in (*later, paused)] == [State.PENDING] * 4


def test_nothing_is_waited_for_while_everything_is_paused(queue: Queue) -> None:
    """Nothing would come of it."""
    job_id = queue.add("true")
    queue.pause()
    _drained(queue)
    assert queue.job(job_id).state is State.PENDING


def test_a_person_may_schedule_a_failed_job_for_later(queue: Queue) -> None:
    """Its back-off is over then: the new time is a person's, unless the edit is undone or was about something else."""
    job_id = queue.add("exit 3", max_attempts=2, backoff_base=1000)
    other = queue.add("exit 3", max_attempts=2, backoff_base=1000)
    worker = Worker(queue, once=True)
    worker.start()
    assert worker.join(_DEADLINE_S)
    queue.edit(job_id, run_at=_later(queue))
    queue.edit(job_id, label="x")
    queue.cancel(other)
    _drained(queue)
    assert queue.job(job_id).attempts == 1
    queue.edit(job_id, run_at=None)  # due now: it fails and dies
    _drained(queue)
    assert queue.job(job_id).state is State.DEAD


def test_an_edit_of_something_else_leaves_the_back_off_a_back_off(queue: Queue) -> None:
    """The job is waited for all the same."""
    queue.set("backoff-cap", "1s")
    job_id = queue.add("exit 3", max_attempts=2)
    worker = Worker(queue, once=True)
    worker.start()
    assert worker.join(_DEADLINE_S)
    queue.edit(job_id, label="x")
    _drained(queue)
    assert queue.job(job_id).state is State.DEAD


def test_a_job_that_is_cancelled_while_it_backs_off_is_waited_for_no_more(queue: Queue) -> None:
    """The draining worker sees it and ends."""
    job_id = queue.add("exit 3", max_attempts=2, backoff_base=1000)
    worker = Worker(queue, drain=True)
    worker.start()
    wait_for(lambda: queue.job(job_id).last_outcome, "it failed")
    assert not worker.join(0.3)
    queue.cancel(job_id)
    assert worker.join(_DEADLINE_S)


def test_drain_and_once_exclude_each_other(queue: Queue) -> None:
    """They contradict each other."""
    with pytest.raises(UsageError, match="exclude"):
        Worker(queue, drain=True, once=True)
