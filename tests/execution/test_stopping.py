"""Stopping: one command that takes too long or is not wanted any more, and a whole worker."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import WorkerNotFound
from core.execution.events import AttemptAdopted, AttemptEnded, WorkerStopped, WorkerStopping
from core.execution.worker import StopMode, Worker
from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from core.rules.units import parse_size
from tests.execution.at_work import UNTIL_GO, Told, drain, endings, output, run, wait_for_state, working
from tests.processes import group_of, is_alive, processes_of_group, wait_for

ENGINES = ("sqlite", "postgres")

#: A command whose whole family does not care about TERM; it writes their pids.
STUBBORN = "trap '' TERM; (trap '' TERM; sleep 60) & echo $!; echo $$; sleep 60; wait"


# --- one command: timeouts


def test_a_command_that_takes_too_long_gets_a_term(queue: Queue) -> None:
    """It may clean up; the attempt has timed out whatever it exits with, and that costs an attempt."""
    begin = time.monotonic()
    job = run(queue, "trap 'echo cleaning up; exit 0' TERM; sleep 60 & wait", timeout_s=2, max_attempts=2)
    assert time.monotonic() - begin > 1.95
    assert (job.state, job.attempts, job.last_outcome) == (State.PENDING, 1, Outcome.TIMED_OUT)
    assert (job.last_exit_code, output(queue, job)) == (0, b"cleaning up\n")


def test_a_command_that_ignores_term_is_killed_with_all_its_family(queue: Queue) -> None:
    """After the grace nothing of its group is left."""
    begin = time.monotonic()
    job = run(queue, STUBBORN, timeout_s=2)
    assert time.monotonic() - begin > 2.25
    assert (job.last_outcome, job.last_signal) == (Outcome.TIMED_OUT, signal.SIGKILL)
    pids = [int(pid) for pid in output(queue, job).split()]
    assert len(pids) == 2
    wait_for(lambda: not any(map(is_alive, pids)), "all of the family are gone")


def test_a_grandchild_that_ignores_term_is_gone_too(queue: Queue) -> None:
    """The shell takes its TERM at once, but the attempt ends only when its group is empty."""
    job = run(queue, "(trap '' TERM; sleep 60) & echo $!; sleep 60", timeout_s=2)
    (pid,) = [int(pid) for pid in output(queue, job).split()]
    assert (job.last_outcome, job.last_exit_code) == (Outcome.TIMED_OUT, 143)
    assert not is_alive(pid)


def test_a_timeout_that_is_not_reached_changes_nothing(queue: Queue) -> None:
    """A job that ends in time is what it is."""
    assert run(queue, "sleep 0.1; exit 3", timeout_s=30).last_exit_code == 3


def test_a_result_that_was_there_before_the_timeout_was_noticed_counts(queue: Queue) -> None:
    """The worker was held up (stopped, suspended): a command that had ended in time has not timed out."""
    told = Told()
    worker = Worker(queue, once=True, on_event=told)
    job_id = queue.enqueue("echo quick", timeout_s=0.2).id
    collect = worker._running.collect

    def be_late(*, is_stopping: Callable[[], bool] = lambda: False) -> None:
        if len(worker._running):
            wait_for(lambda: b"\n0\n" in Path(queue.storage.spool.run_file(1)).read_bytes(), "it has ended")
            time.sleep(0.3)
        collect(is_stopping=is_stopping)

    worker._running.collect = be_late  # type: ignore[method-assign]
    worker.start()
    assert worker.join(60)
    assert endings(told) == [(job_id, "succeeded")]


def test_a_daemon_that_left_the_group_does_not_hold_up_a_stop(queue: Queue) -> None:
    """A process in a session of its own is beyond the group's KILL; the attempt ends all the same."""
    daemon = (
        f"{shlex.quote(sys.executable)}"
        " -c 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)' &"
        " trap '' TERM; sleep 60"
    )
    job = run(queue, daemon, timeout_s=3)
    pid = int(output(queue, job))
    try:
        assert (job.last_outcome, is_alive(pid)) == (Outcome.TIMED_OUT, True)
    finally:
        os.kill(pid, signal.SIGKILL)


# --- one command: cancel


@pytest.mark.parametrize("kill", [False, True])
def test_a_running_job_is_cancelled(queue: Queue, kill: bool) -> None:
    """TERM, a grace, KILL; or KILL at once; in the end it is cancelled, and nothing is left in its group."""
    queue.set("kill-grace", "1h" if kill else "300ms")
    with working(queue):
        job_id = queue.enqueue(STUBBORN).id
        wait_for_state(queue, job_id, State.RUNNING)
        group = group_of(queue, job_id)
        wait_for(lambda: queue.output(job_id).read(0, 99).count(b"\n") == 2, "the traps are set")
        begin = time.monotonic()
        queue.cancel(job_id, kill=kill)
        job = wait_for_state(queue, job_id, State.CANCELLED)
        assert kill or time.monotonic() - begin > 0.25
    assert (job.last_outcome, job.attempts, job.last_signal) == (Outcome.CANCELLED, 1, signal.SIGKILL)
    assert wait_for(lambda: not processes_of_group(group), "the group is empty")


def test_a_cancelled_job_may_end_politely(queue: Queue) -> None:
    """It takes its TERM, its output is kept, and it is not tried again."""
    with working(queue):
        job_id = queue.enqueue("trap 'echo bye; exit 5' TERM; echo ready; sleep 60 & wait").id
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: queue.output(job_id).size() == 6, "it is ready")
        queue.cancel(job_id)
        job = wait_for_state(queue, job_id, State.CANCELLED)
    assert (job.last_exit_code, output(queue, job)) == (5, b"ready\nbye\n")


def test_a_stopped_job_can_be_cancelled(queue: Queue) -> None:
    """A command that was stopped by SIGSTOP goes on for its TERM."""
    with working(queue):
        job_id = queue.enqueue("echo up; kill -STOP $$; sleep 60").id
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: queue.output(job_id).size() == 3, "its shell is up: until then a TERM is the shim's")
        queue.set("kill-grace", "1h")
        queue.cancel(job_id)
        assert wait_for_state(queue, job_id, State.CANCELLED).last_signal == signal.SIGTERM


def test_kill_after_cancel_is_at_once(queue: Queue) -> None:
    """A person who loses patience with the grace need not wait for it."""
    queue.set("kill-grace", "1h")
    with working(queue):
        job_id = queue.enqueue(STUBBORN).id
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: queue.output(job_id).read(0, 99).count(b"\n") == 2, "the traps are set")
        queue.cancel(job_id)
        wait_for(lambda: queue.attempts(job_id)[0].stop_requested == "cancel", "the request is there")
        queue.cancel(job_id, kill=True)
        wait_for_state(queue, job_id, State.CANCELLED)


def test_a_cancelled_waiting_job_never_starts(queue: Queue, tmp_path: Path) -> None:
    """It leaves the queue at once."""
    mark = tmp_path / "mark"
    job_id = queue.enqueue(f"touch {mark}").id
    queue.cancel(job_id)
    drain(queue)
    assert not mark.exists()
    assert queue.attempts(job_id) == []


def test_only_the_job_that_was_meant_is_cancelled(queue: Queue, tmp_path: Path) -> None:
    """Its neighbours run on."""
    with working(queue, slots=3):
        ids = [queue.enqueue(UNTIL_GO).id for _ in range(3)]
        for job_id in ids:
            wait_for_state(queue, job_id, State.RUNNING)
        queue.cancel(ids[1])
        wait_for_state(queue, ids[1], State.CANCELLED)
        (tmp_path / "go").touch()
        states = [wait_for_state(queue, job_id, State.COMPLETED, State.CANCELLED).state for job_id in ids]
    assert states == [State.COMPLETED, State.CANCELLED, State.COMPLETED]


@pytest.mark.parametrize("limit", ["1M", "1000"])
def test_a_runaway_output_is_ended_at_once_and_cut(queue: Queue, limit: str) -> None:
    """``output-limit`` stops a command that would fill the disk, and says so. No grace: it would write on."""
    queue.set("output-limit", limit)
    queue.set("kill-grace", "1h")
    job = run(queue, "trap '' TERM; yes")
    assert (job.state, job.last_outcome, job.last_signal) == (State.DEAD, Outcome.FAILED, signal.SIGKILL)
    assert job.last_error == f"output limit of {limit} exceeded; cut to it"
    assert queue.output(job.id).size() == parse_size(limit)
    assert queue.output(job.id).read(0, 4) == b"y\ny\n"
    assert queue.attempts(job.id)[0].output_bytes == parse_size(limit)


def test_a_command_in_its_grace_is_killed_when_its_output_runs_away(queue: Queue, tmp_path: Path) -> None:
    """What it was asked to stop for stays the outcome."""
    queue.set("output-limit", "1M")
    queue.set("kill-grace", "1h")
    job_id = queue.enqueue(f"trap '' TERM; echo begun; {UNTIL_GO}; yes").id
    with working(queue):
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: output(queue, job_id) == b"begun\n", "TERM is ignored")
        queue.cancel(job_id)
        assert queue.attempts(job_id)[0].stop_requested == "cancel"
        (tmp_path / "go").touch()
        job = wait_for_state(queue, job_id, State.CANCELLED, timeout_s=60)
    assert (job.last_outcome, job.last_error) == (Outcome.CANCELLED, "cancelled; output cut to the limit of 1M")
    assert queue.output(job_id).size() == 1 << 20


# --- a worker


def test_a_drained_stop_lets_commands_finish(queue: Queue, tmp_path: Path) -> None:
    """No more claims, but what runs is run to its end and recorded."""
    told = Told()
    worker = Worker(queue, slots=1, on_event=told)
    worker.start()
    first = queue.enqueue(UNTIL_GO).id
    wait_for_state(queue, first, State.RUNNING)
    second = queue.enqueue("true").id
    worker.stop()
    told.wait_for(WorkerStopping)
    (tmp_path / "go").touch()
    assert worker.join(60)
    assert (queue.job(first).state, queue.job(second).state) == (State.COMPLETED, State.PENDING)
    assert told.of(WorkerStopping)[0].mode == "drain"
    assert told.of(WorkerStopped)[0].detached == 0
    assert not worker.is_alive
    assert queue.workers() == []


def test_a_second_stop_ends_the_commands_without_cost(queue: Queue) -> None:
    """Drain first, then now: TERM, the attempt is interrupted, the job due again with its attempts whole."""
    told = Told()
    worker = Worker(queue, slots=2, on_event=told)
    worker.start()
    polite = queue.enqueue("sleep 60", max_attempts=1).id
    stubborn = queue.enqueue(STUBBORN, max_attempts=1).id
    for job_id in (polite, stubborn):
        wait_for_state(queue, job_id, State.RUNNING)
    wait_for(lambda: queue.output(stubborn).read(0, 99).count(b"\n") == 2, "the traps are set")
    worker.stop()
    told.wait_for(WorkerStopping)
    assert not worker.join(0.2)
    worker.stop(StopMode.NOW)
    assert worker.join(60)
    assert [event.mode for event in told.of(WorkerStopping)] == ["drain", "now"]
    for job_id in (polite, stubborn):
        job = queue.job(job_id)
        assert (job.state, job.attempts, job.interrupts, job.run_at) == (State.PENDING, 0, 1, None)
        assert job.last_outcome is Outcome.INTERRUPTED
    assert os.listdir(queue.storage.spool.attempts) == []


def test_a_result_that_was_there_before_the_stop_counts(queue: Queue) -> None:
    """A command that had ended by itself is not interrupted, or it would be run twice."""
    told = Told()
    worker = Worker(queue, on_event=told)
    job_id = queue.enqueue("echo once").id
    collect = worker._running.collect

    def be_late(*, is_stopping: Callable[[], bool] = lambda: False) -> None:
        if len(worker._running):
            wait_for(lambda: b"\n0\n" in Path(queue.storage.spool.run_file(1)).read_bytes(), "it has ended")
            worker._running.interrupt_all()
        collect(is_stopping=is_stopping)

    worker._running.collect = be_late  # type: ignore[method-assign]
    worker.start()
    wait_for_state(queue, job_id, State.COMPLETED)
    worker.stop()
    assert worker.join(60)
    assert endings(told) == [(job_id, "succeeded")]


def test_a_detached_command_is_adopted_by_the_next_worker(queue: Queue, tmp_path: Path) -> None:
    """The first worker leaves at once, the second records the end; the command never noticed."""
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    job_id = queue.enqueue("echo started; while ! test -e go; do sleep 0.02; done; echo survived; exit 7").id
    wait_for_state(queue, job_id, State.RUNNING)
    wait_for(lambda: queue.output(job_id).size() == 8, "it has begun")
    worker.stop(StopMode.DETACH)
    assert worker.join(60)
    assert told.of(WorkerStopped)[0].detached == 1
    assert [info.is_alive for info in queue.workers()] == [False]
    assert queue.job(job_id).state is State.RUNNING
    with working(queue) as (_, later):
        adopted = later.wait_for(AttemptAdopted)
        assert (adopted.job.id, adopted.number) == (job_id, 1)
        (tmp_path / "go").touch()
        ended = later.wait_for(AttemptEnded)
    assert (ended.ending.exit_code, output(queue, job_id)) == (7, b"started\nsurvived\n")
    assert len(queue.attempts(job_id)) == 1


@pytest.mark.parametrize("now", [False, True])
def test_a_worker_is_stopped_from_another_connection(queue: Queue, tmp_path: Path, now: bool) -> None:
    """``worker stop`` in another terminal is a row that the worker reads."""
    queue.set("kill-grace", "1h")
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    job_id = queue.enqueue(f"trap '' TERM; echo begun; {UNTIL_GO}").id
    wait_for_state(queue, job_id, State.RUNNING)
    wait_for(lambda: queue.output(job_id).size() == 6, "the trap is set")
    with Queue(queue.path) as other:
        other.stop_worker(worker.id, now=now)
        assert [info.stop_requested for info in other.workers()] == ["now" if now else "drain"]
        told.wait_for(WorkerStopping)
        (tmp_path / "go").touch()
        assert worker.join(60)
        assert other.workers() == []
        with pytest.raises(WorkerNotFound):
            other.stop_worker(worker.id)
    assert queue.job(job_id).state is (State.PENDING if now else State.COMPLETED)
    assert told.of(WorkerStopping)[0].mode == ("now" if now else "drain")


def test_a_worker_that_is_about_to_go_adopts_nothing(queue: Queue, tmp_path: Path) -> None:
    """Its own last command takes a while to end; another worker's death in that time is for the next worker."""
    first, second = Worker(queue), Worker(queue)
    told = Told()
    first.start()
    orphan = queue.enqueue("sleep 60").id
    wait_for_state(queue, orphan, State.RUNNING)
    second = Worker(queue, on_event=told)
    second.start()
    own = queue.enqueue(UNTIL_GO).id
    wait_for_state(queue, own, State.RUNNING)
    second.stop()
    told.wait_for(WorkerStopping)
    first.stop(StopMode.DETACH)
    assert first.join(60)
    time.sleep(1.5)  # more than one look at dead workers
    (tmp_path / "go").touch()
    assert second.join(60)
    assert told.of(AttemptAdopted) == []
    with working(queue) as (_, later):
        later.wait_for(AttemptAdopted)
        queue.cancel(orphan, kill=True)
        wait_for_state(queue, orphan, State.CANCELLED)


def test_a_stop_before_the_start_stops_at_once(queue: Queue) -> None:
    """A signal may come while the worker is still getting up."""
    queue.enqueue("true")
    worker = Worker(queue)
    worker.stop()
    worker.start()
    assert worker.join(60)
    assert queue.counts().of(State.PENDING) == 1


def test_waking_a_worker_that_has_ended_touches_nothing(queue: Queue, tmp_path: Path) -> None:
    """Its descriptors may belong to somebody else by now: not a byte is written to them."""
    worker = Worker(queue, once=True)
    worker.run()
    victims = [(tmp_path / f"victim-{number}").open("wb") for number in range(20)]
    worker.wake()
    worker.slots = 5
    worker.stop(StopMode.NOW)
    for victim in victims:
        victim.close()
        assert os.path.getsize(victim.name) == 0


def test_an_interrupted_job_runs_again_and_the_sixth_time_is_dead(queue: Queue) -> None:
    """Workers come and go; the job's attempts are whole, but it cannot be interrupted for ever."""
    job_id = queue.enqueue("sleep 60", max_attempts=1).id
    for _ in range(6):
        with working(queue) as (_, told):
            wait_for_state(queue, job_id, State.RUNNING)
        assert endings(told) == [(job_id, "interrupted")]
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.last_error) == (State.DEAD, 0, "interrupted 6 times")


def test_a_drained_worker_does_not_wait_for_what_is_not_due(queue: Queue) -> None:
    """Delayed jobs, paused lanes and full lanes are not "due"."""
    queue.enqueue("exit 1")
    queue.limit("full", 0)
    queue.enqueue_many([NewJob("true", queue="full"), NewJob("true", queue="paused"), NewJob("true")])
    queue.pause("paused")
    told = drain(queue)
    assert sorted(endings(told)) == [(1, "failed"), (4, "succeeded")]
    assert queue.count(View(states=(State.PENDING,))) == 3
