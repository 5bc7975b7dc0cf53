"""A dead worker costs nothing: what it ran goes on, and whoever comes next records the truth, once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from core.execution.events import AttemptAdopted, AttemptEnded
from core.execution.worker import StopMode
from core.model import Outcome, State
from core.queue import Queue
from tests.execution.at_work import UNTIL_GO, change, drain, output, wait_for_state, working
from tests.processes import WorkerProcess, group_of, is_alive, start_python, wait_for

pytestmark = pytest.mark.long

ENGINES = ("sqlite", "postgres")


def started(queue: Queue, job_id: int, text: bytes) -> None:
    """Wait until a job runs and has written a text."""
    wait_for_state(queue, job_id, State.RUNNING)
    wait_for(lambda: text in output(queue, job_id), f"it wrote {text!r}")


def test_a_killed_workers_command_is_adopted_with_its_true_end(queue: Queue, tmp_path: Path) -> None:
    """``kill -9`` in mid-job: another worker records exit 7 and all the output; it ran once."""
    job_id = queue.enqueue(
        "echo run >> ledger; echo begun; while ! test -e go; do sleep 0.02; done; echo end; exit 7"
    ).id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"begun")
        doomed.kill()
    assert [worker.is_alive for worker in queue.workers()] == [False]
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
        (tmp_path / "go").touch()
        ended = told.wait_for(AttemptEnded)
    assert (ended.ending.outcome, ended.ending.exit_code) == (Outcome.FAILED, 7)
    assert output(queue, job_id) == b"begun\nend\n"
    assert (tmp_path / "ledger").read_text() == "run\n"
    assert len(queue.attempts(job_id)) == 1
    assert [worker for worker in queue.workers() if not worker.is_alive] == []


def test_a_command_that_ended_while_nobody_looked_is_recorded_as_it_ended(queue: Queue, tmp_path: Path) -> None:
    """Its exit code, its output, how long it took and when it ended; not when somebody came to look."""
    job_id = queue.enqueue(f"echo begun; {UNTIL_GO}; echo end; exit 0").id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"begun")
        doomed.kill()
    run_file = Path(queue.storage.spool.run_file(1))
    (tmp_path / "go").touch()
    wait_for(lambda: run_file.read_text().endswith("\n0\n"), "it has ended")
    began_at = queue.attempts(job_id)[0].started_at
    took_s = run_file.stat().st_mtime - began_at.timestamp()
    change(queue, f"UPDATE jobs SET timeout_ms = {round(took_s * 1000) + 250}")
    time.sleep(0.5)  # its timeout passes, too late to matter
    drain(queue)
    job = queue.job(job_id)
    assert (job.state, job.last_outcome, job.attempts) == (State.COMPLETED, Outcome.SUCCEEDED, 1)
    assert job.run_s is not None
    assert abs(job.run_s - took_s) < 0.2
    assert output(queue, job_id) == b"begun\nend\n"
    assert os.listdir(queue.storage.spool.attempts) == []


@pytest.mark.parametrize(("code", "note"), [(0, ""), (3, "exit 3; ")])
def test_a_command_that_ended_by_itself_has_its_result_and_its_output_is_cut(
    queue: Queue, tmp_path: Path, code: int, note: str
) -> None:
    """What nobody saw pass the limit is no runaway; it is kept to the limit all the same, and that is said."""
    queue.set("output-limit", "100K")
    job_id = queue.enqueue(f"echo begun; {UNTIL_GO}; head -c 300000 /dev/zero; exit {code}", max_attempts=1).id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"begun")
        doomed.kill()
    (tmp_path / "go").touch()
    run_file = Path(queue.storage.spool.run_file(1))
    wait_for(lambda: run_file.read_text().endswith(f"\n{code}\n"), "it has ended")
    drain(queue)
    job = queue.job(job_id)
    assert job.state is (State.DEAD if code else State.COMPLETED)
    assert (job.last_exit_code, job.last_error) == (code, f"{note}output cut to the limit of 100K")
    assert queue.output(job_id).size() == 100 << 10


def test_a_killed_shim_is_running_until_its_command_is_gone(queue: Queue, tmp_path: Path) -> None:
    """The lock in the command's tree says so; then nobody knows how it ended: lost, and started again for free."""
    job_id = queue.enqueue(
        "echo $$; test -e second && exit 0; touch second; while ! test -e go; do sleep 0.02; done"
    ).id
    with working(queue) as (_, told):
        started(queue, job_id, b"\n")
        os.kill(group_of(queue, job_id), signal.SIGKILL)
        (tmp_path / "look").touch()
        time.sleep(0.3)
        assert queue.job(job_id).state is State.RUNNING
        assert told.of(AttemptEnded) == []
        (tmp_path / "go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.LOST
        job = wait_for_state(queue, job_id, State.COMPLETED)
    assert (job.attempts, job.interrupts) == (1, 0)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


def test_worker_and_command_both_gone_costs_no_attempt(queue: Queue) -> None:
    """As after a reboot: lost, due at once, the attempts whole."""
    job_id = queue.enqueue("test -e second && exit 0; touch second; echo $$; sleep 60", max_attempts=1).id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"\n")
        doomed.kill()
    os.killpg(group_of(queue, job_id), signal.SIGKILL)
    drain(queue)
    job = queue.job(job_id)
    assert (job.state, job.attempts) == (State.COMPLETED, 1)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


def test_the_sixth_loss_in_a_row_is_dead(queue: Queue) -> None:
    """A job that takes its machine down each time ends in the DLQ with the reason."""
    job_id = queue.enqueue("kill -9 0", max_attempts=1).id
    drain(queue)
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.interrupts, job.last_error) == (State.DEAD, 0, 6, "lost 6 times")
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST] * 6


def test_a_stopped_worker_keeps_its_commands(queue: Queue, tmp_path: Path) -> None:
    """SIGSTOP or suspend: its lock is held, nobody takes over, and it goes on where it was."""
    job_id = queue.enqueue(f"echo begun; {UNTIL_GO}").id
    with WorkerProcess(queue.path) as stopped:
        started(queue, job_id, b"begun")
        stopped.signal(signal.SIGSTOP)
        with working(queue) as (_, told):
            time.sleep(1.5)  # more than one look at dead workers
            assert told.of(AttemptAdopted) == []
            assert queue.job(job_id).state is State.RUNNING
            assert all(worker.is_alive for worker in queue.workers())
        (tmp_path / "go").touch()
        stopped.signal(signal.SIGCONT)
        job = wait_for_state(queue, job_id, State.COMPLETED)
        assert job.attempts == 1
        assert queue.attempts(job_id)[0].worker_id == stopped.id
        queue.stop_worker(stopped.id)
        stopped.process.communicate(timeout=60)


def test_a_stopped_worker_does_not_time_out_what_ended_in_time(queue: Queue, tmp_path: Path) -> None:
    """Ctrl-Z for longer than the timeout: what was done by then is done."""
    begun, go, ended = marks = [tmp_path / name for name in ("begun", "go", "ended")]
    for timeout_s in (3, 12, 48):  # the next one where the machine was too busy to end it in time
        for mark in marks:
            mark.unlink(missing_ok=True)
        job_id = queue.enqueue(f"touch begun; {UNTIL_GO}; touch ended", timeout_s=timeout_s, max_attempts=1).id
        with WorkerProcess(queue.path) as stopped:
            wait_for(begun.exists, "it has begun")
            stopped.signal(signal.SIGSTOP)
            go.touch()
            time.sleep(timeout_s + 0.3)
            began_at = queue.attempts(job_id)[0].started_at.timestamp()
            is_in_time = ended.exists() and ended.stat().st_mtime - began_at < timeout_s - 0.5
            stopped.signal(signal.SIGCONT)
            job = wait_for_state(queue, job_id, State.COMPLETED, State.DEAD)
        if is_in_time:
            break
    assert job.last_outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("kill", [False, True])
def test_a_cancel_while_no_worker_lives_is_done_by_the_next_one(queue: Queue, kill: bool) -> None:
    """The request is with the attempt, and whoever adopts it acts on it."""
    job_id = queue.enqueue("echo $$; trap '' TERM; sleep 60", max_attempts=1).id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"\n")
        doomed.kill()
    queue.cancel(job_id, kill=kill)
    with working(queue):
        assert wait_for_state(queue, job_id, State.CANCELLED).last_outcome is Outcome.CANCELLED
    assert not is_alive(int(output(queue, job_id)))


def test_two_heirs_adopt_a_command_once(queue: Queue, tmp_path: Path) -> None:
    """Of two workers that look at the same time one takes it over, and one ending is recorded."""
    ids = [queue.enqueue("echo begun; while ! test -e go; do sleep 0.02; done").id for _ in range(6)]
    with WorkerProcess(queue.path, slots=6) as doomed:
        for job_id in ids:
            started(queue, job_id, b"begun")
        doomed.kill()
    with working(queue, slots=6) as (_, one), Queue(queue.path) as same, working(same, slots=6) as (_, other):
        wait_for(lambda: len(one.of(AttemptAdopted)) + len(other.of(AttemptAdopted)) >= 6, "all are adopted")
        (tmp_path / "go").touch()
        for job_id in ids:
            wait_for_state(queue, job_id, State.COMPLETED)
    assert sorted(event.job.id for told in (one, other) for event in told.of(AttemptAdopted)) == ids
    assert sorted(event.job.id for told in (one, other) for event in told.of(AttemptEnded)) == ids
    assert [len(queue.attempts(job_id)) for job_id in ids] == [1] * 6


def test_an_adopter_that_dies_is_followed_by_another(queue: Queue, tmp_path: Path) -> None:
    """Adoption is not the end of the chain: three workers die, the fourth records."""
    job_id = queue.enqueue("echo begun; while ! test -e go; do sleep 0.02; done; exit 3", max_attempts=1).id
    for _ in range(3):
        with WorkerProcess(queue.path) as doomed:
            started(queue, job_id, b"begun")
            wait_for(lambda: queue.attempts(job_id)[0].worker_id == doomed.id, "it is this worker's now")
            doomed.kill()
    (tmp_path / "go").touch()
    drain(queue)
    assert (queue.job(job_id).last_exit_code, len(queue.attempts(job_id))) == (3, 1)


def test_more_commands_may_be_adopted_than_there_are_slots(queue: Queue, tmp_path: Path) -> None:
    """They run already; but nothing new is claimed until there is room."""
    ids = [queue.enqueue("echo begun; while ! test -e go; do sleep 0.02; done").id for _ in range(3)]
    with WorkerProcess(queue.path, slots=3) as doomed:
        for job_id in ids:
            started(queue, job_id, b"begun")
        doomed.kill()
    waiting = queue.enqueue("true").id
    with working(queue, slots=1) as (worker, told):
        wait_for(lambda: len(told.of(AttemptAdopted)) == 3, "all are adopted")
        assert worker.running_count == 3
        assert queue.job(waiting).state is State.PENDING
        (tmp_path / "go").touch()
        wait_for_state(queue, waiting, State.COMPLETED)


def test_a_worker_killed_inside_a_claim_leaves_nothing_in_the_way(queue: Queue) -> None:
    """A run file of a claim that never was is nobody's; the same number is given again and works."""
    Path(queue.storage.spool.run_file(1)).write_text("queuectl attempt 1\n")
    Path(queue.storage.spool.output_file(1)).write_text("old")
    job_id = queue.enqueue("echo new").id
    drain(queue)
    assert (queue.job(job_id).state, output(queue, job_id)) == (State.COMPLETED, b"new\n")
    assert os.listdir(queue.storage.spool.attempts) == []


def test_a_worker_killed_between_claim_and_start_costs_nothing(queue: Queue) -> None:
    """The attempt is visible, its lock is free, it has no pid: lost, and the job runs with its attempts whole."""
    program = """
import os, signal, sys
from core import Queue, Worker
from core.execution import running_attempts
running_attempts.start = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
Worker(Queue(sys.argv[1])).run()
"""
    job_id = queue.enqueue("echo ran", max_attempts=1).id
    with start_python(program, queue.path) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert queue.job(job_id).state is State.RUNNING
    drain(queue)
    job = queue.job(job_id)
    assert (job.state, job.attempts, output(queue, job_id)) == (State.COMPLETED, 1, b"ran\n")
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


def test_detached_and_cancelled_before_anyone_looks(queue: Queue) -> None:
    """Detach, cancel, adopt: in that order nothing is forgotten."""
    with working(queue) as (worker, _):
        job_id = queue.enqueue("echo $$; sleep 60").id
        started(queue, job_id, b"\n")
        worker.stop(StopMode.DETACH)
        assert worker.join(60)
    queue.cancel(job_id)
    drain(queue)
    assert queue.job(job_id).state is State.CANCELLED


#: A worker that is killed when it has claimed a job, before it makes the run file: on a server the claim is committed.
KILLED_AT_CLAIM = """
import os, signal, sys
from core import Queue, Worker
from core.execution.running_attempts import RunningAttempts

RunningAttempts.open = lambda self, claim: os.kill(os.getpid(), signal.SIGKILL)
Worker(Queue(sys.argv[1])).run()
"""

#: One that is killed when it has adopted an attempt, before it records what became of it.
KILLED_AT_ADOPTION = """
import os, signal, sys
from core import Queue, Worker
from core.execution.running_attempts import RunningAttempts

RunningAttempts.adopt = lambda self, adopted: os.kill(os.getpid(), signal.SIGKILL)
Worker(Queue(sys.argv[1]), slots=0).run()
"""


def test_an_attempt_that_was_never_started_outlives_its_adopters(queue: Queue) -> None:
    """However many workers die over it, the next one knows that nothing of it runs, and the job is done."""
    if queue.path.endswith(".db"):
        pytest.skip("in a file a claim is not seen before its run file is there")
    job_id = queue.add("true")
    for program in (KILLED_AT_CLAIM, KILLED_AT_ADOPTION, KILLED_AT_ADOPTION):
        killed = start_python(program, queue.path)
        assert (killed.communicate(timeout=60)[1], killed.returncode) == ("", -signal.SIGKILL)
        assert queue.job(job_id).state is State.RUNNING
    drain(queue)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]
