"""A service manager's stop signals the worker and all its commands: what it ended costs no attempt."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from core.execution import running_attempts
from core.execution.events import WorkerStopping
from core.execution.worker import StopMode, Worker
from core.model import Outcome, State
from core.queue import Queue
from tests.execution.at_work import Told, drain, wait_for_state
from tests.processes import WorkerProcess, group_of, wait_for

#: Runs until it is signalled, and ends well the second time.
TWICE = "test -e second && exit 0; touch second; echo begun; sleep 600"


def begun(queue: Queue, job_id: int) -> int:
    """Wait until a job has begun to write; return its process group."""
    wait_for_state(queue, job_id, State.RUNNING)
    wait_for(lambda: queue.output(job_id).size() > 0, "it has begun")
    return group_of(queue, job_id)


def end_command(queue: Queue, job_id: int, group: int, number: signal.Signals) -> None:
    """Signal a command as a stop does, all its processes (its shim survives TERM), and wait until it has ended."""
    attempt_id = queue.attempts(job_id)[-1].id
    path = Path(queue.storage.spool.run_file(attempt_id))

    def has_ended() -> bool:
        if not path.exists() or len(path.read_text().splitlines()) == 3:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)  # again and again: it may have been about to start the process that runs now
        return False

    wait_for(has_ended, "it has ended")


def outcomes(queue: Queue, job_id: int) -> list[Outcome | None]:
    return [attempt.outcome for attempt in queue.attempts(job_id)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_command_whose_end_came_before_the_workers_own_stop_is_interrupted(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Both were signalled at the same time; the job keeps its only attempt."""
    monkeypatch.setattr(running_attempts, "_HOLD_S", 3600.0)
    worker = Worker(queue)
    worker.start()
    job_id = queue.enqueue(TWICE, max_attempts=1).id
    end_command(queue, job_id, begun(queue, job_id), number)
    worker.stop()
    assert worker.join(60)
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.interrupts) == (State.PENDING, 0, 1)
    assert outcomes(queue, job_id) == [Outcome.INTERRUPTED]
    drain(queue)
    assert outcomes(queue, job_id) == [Outcome.INTERRUPTED, Outcome.SUCCEEDED]


def test_a_command_that_is_ended_while_its_worker_waits_for_it_is_interrupted(queue: Queue) -> None:
    """The worker drains; then the manager loses patience with what it left."""
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    job_id = queue.enqueue(TWICE, max_attempts=1).id
    group = begun(queue, job_id)
    worker.stop()
    told.wait_for(WorkerStopping)
    end_command(queue, job_id, group, signal.SIGTERM)
    assert worker.join(60)
    assert outcomes(queue, job_id) == [Outcome.INTERRUPTED]


def test_a_command_that_was_left_running_by_a_stop_is_interrupted(queue: Queue) -> None:
    """``--on-stop detach``: the worker is gone before its command is; who comes next knows that it was told to stop."""
    worker = Worker(queue)
    worker.start()
    job_id = queue.enqueue(TWICE, max_attempts=1).id
    group = begun(queue, job_id)
    worker.stop(StopMode.DETACH)
    assert worker.join(60)
    end_command(queue, job_id, group, signal.SIGTERM)
    drain(queue)
    assert outcomes(queue, job_id) == [Outcome.INTERRUPTED, Outcome.SUCCEEDED]


def test_a_signal_when_nobody_was_told_to_stop_costs_an_attempt(queue: Queue) -> None:
    """A person killed the command; or the worker, without asking it to stop, and then the command."""
    worker = Worker(queue)
    worker.start()
    job_id = queue.enqueue(TWICE, max_attempts=1).id
    end_command(queue, job_id, begun(queue, job_id), signal.SIGTERM)
    assert wait_for_state(queue, job_id, State.DEAD).last_outcome is Outcome.SIGNALLED
    worker.stop()
    assert worker.join(60)
    os.unlink("second")
    with WorkerProcess(queue.path) as doomed:
        again = queue.enqueue(TWICE, max_attempts=1).id
        group = begun(queue, again)
        doomed.kill()
    end_command(queue, again, group, signal.SIGTERM)
    drain(queue)
    assert outcomes(queue, again) == [Outcome.SIGNALLED]


def test_what_a_command_exits_with_after_its_signal_is_its_own_word(queue: Queue) -> None:
    """It took the signal, cleaned up and said that it failed: that is an attempt like any other."""
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    job_id = queue.enqueue("trap 'exit 3' TERM; echo begun; sleep 600 & wait", max_attempts=1).id
    group = begun(queue, job_id)
    worker.stop()
    told.wait_for(WorkerStopping)
    end_command(queue, job_id, group, signal.SIGTERM)
    assert worker.join(60)
    assert (queue.job(job_id).state, queue.job(job_id).last_exit_code) == (State.DEAD, 3)


def test_a_worker_that_was_told_to_stop_by_its_program_says_so_to_others(queue: Queue) -> None:
    """As one that was asked from another terminal does."""
    told = Told()
    worker = Worker(queue, on_event=told)
    worker.start()
    job_id = queue.enqueue(TWICE).id
    begun(queue, job_id)
    worker.stop()
    told.wait_for(WorkerStopping)
    assert [info.stop_requested for info in queue.workers()] == ["drain"]
    worker.stop(StopMode.NOW)
    assert worker.join(60)
