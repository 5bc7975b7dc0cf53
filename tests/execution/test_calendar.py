"""A worker while the calendar jumps: what it waits for comes as it would have."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import since_boot_s, to_ms
from core.execution import command, recovery, running_attempts
from core.execution.events import AttemptAdopted, AttemptEnded
from core.model import Outcome, State
from core.process_place import Place, here
from core.queue import Queue
from tests.execution.at_work import UNTIL_GO, output, wait_for_state, working
from tests.fakes import JumpingClock
from tests.processes import WorkerProcess, wait_for


@pytest.fixture
def clock() -> JumpingClock:
    """Return the machine's clocks, with a calendar that can be set."""
    return JumpingClock()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: JumpingClock) -> Iterator[Queue]:
    """Open a queue on that clock, whose jobs run in the temporary directory."""
    monkeypatch.chdir(tmp_path)
    with Queue(tmp_path / "queue.db", clock=clock) as opened:
        yield opened


def failed_once(queue: Queue) -> int:
    """Return a job that has failed once and waits 900 s; its next attempt would succeed."""
    job_id = queue.enqueue("test -e ok || { : > ok; exit 1; }", backoff_base=900.0).id
    with working(queue):
        wait_for(lambda: queue.job(job_id).run_at is not None, "it waits for its second attempt")
    return job_id


def left_running(queue: Queue) -> int:
    """Return a job with a timeout of an hour that runs until ``go`` is there, and whose worker was killed."""
    job_id = queue.enqueue(f"echo begun; {UNTIL_GO}", timeout_s=3600).id
    with WorkerProcess(queue.path) as doomed:
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: output(queue, job_id) == b"begun\n", "it has begun")
        doomed.kill()
    return job_id


def wait_s(queue: Queue, job_id: int, clock: JumpingClock) -> float:
    """Return in how many seconds a delayed job is due."""
    run_at = queue.job(job_id).run_at
    assert run_at is not None
    return (to_ms(run_at) - clock.now_ms()) / 1000


def test_a_worker_keeps_back_offs_short_when_the_calendar_goes_back(queue: Queue, clock: JumpingClock) -> None:
    """It notices by itself; nothing else happens in the database."""
    job_id = failed_once(queue)
    with working(queue):
        # its look at the start, which would do it as well, is over once it has run another job
        wait_for_state(queue, queue.enqueue("true").id, State.COMPLETED)
        clock.jump(-3600)
        wait_for(lambda: wait_s(queue, job_id, clock) <= 900, "its back-off is as long as it was")


def test_a_worker_that_starts_after_the_jump_does_so_too(queue: Queue, clock: JumpingClock) -> None:
    """As after a boot with a clock that has no battery; and the job runs when its back-off is over."""
    job_id = failed_once(queue)
    clock.jump(-3600)
    with working(queue):
        wait_for(lambda: wait_s(queue, job_id, clock) <= 900, "its back-off is as long as it was")
        clock.jump(900)
        assert wait_for_state(queue, job_id, State.COMPLETED).attempts == 2


@pytest.mark.parametrize("seconds", [86400, -86400])
def test_a_jump_times_out_nothing_and_is_no_part_of_how_long_it_took(
    queue: Queue, tmp_path: Path, clock: JumpingClock, seconds: float
) -> None:
    """Both go by the stopwatch."""
    job_id = queue.enqueue("while ! test -e go; do sleep 0.02; done", timeout_s=3600).id
    with working(queue) as (_, told):
        wait_for_state(queue, job_id, State.RUNNING)
        clock.jump(seconds)
        (tmp_path / "go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.SUCCEEDED
    attempt = queue.attempts(job_id)[0]
    assert attempt.run_s is not None
    assert attempt.run_s < 3600
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at


# --- a command whose worker died

needs_start_times = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to read start times from")


@needs_start_times
@pytest.mark.parametrize("seconds", [86400, -86400])
def test_an_adopted_command_is_not_timed_out_by_a_jump(
    queue: Queue, tmp_path: Path, clock: JumpingClock, seconds: float
) -> None:
    """Its process knows for how long it has run; the instant that is stored is the calendar's."""
    job_id = left_running(queue)
    clock.jump(seconds)
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
        (tmp_path / "go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.SUCCEEDED
    run_s = queue.attempts(job_id)[0].run_s
    assert run_s is not None
    assert 0 < run_s < 3600


def start_two_hours_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process, and the system, be two hours older than it is; the calendar knows nothing of it."""
    for module in (command, running_attempts):
        monkeypatch.setattr(module, "since_boot_s", lambda: since_boot_s() + 7200)


@needs_start_times
def test_an_adopted_command_that_has_run_for_too_long_is_timed_out_whatever_the_calendar_says(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the calendar was set back after its start."""
    left_running(queue)
    start_two_hours_ago(monkeypatch)
    with working(queue) as (_, told):
        ending = told.wait_for(AttemptEnded).ending
    assert ending.outcome is Outcome.TIMED_OUT
    assert ending.run_ms is not None
    assert ending.run_ms >= 7_200_000


def test_the_stored_instant_counts_where_a_process_has_no_start_time(
    queue: Queue, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that passed before the adoption is part of the timeout, as far as the calendar can say."""
    left_running(queue)
    start_two_hours_ago(monkeypatch)
    monkeypatch.setattr(running_attempts, "age_of_leader_s", lambda pid: None)
    clock.jump(7200)
    with working(queue) as (_, told):
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.TIMED_OUT


@needs_start_times
def test_the_age_of_a_process_counts_only_where_its_number_is_its_own(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another container the number is a stranger's; then the stored instant is all there is."""
    left_running(queue)
    start_two_hours_ago(monkeypatch)
    elsewhere = Place(here().boot_id, here().pid_namespace + 1)
    monkeypatch.setattr(recovery, "here", lambda: elsewhere)
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
        (tmp_path / "go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.SUCCEEDED


@needs_start_times
def test_a_process_that_leads_no_session_has_no_age() -> None:
    """A shim leads one; its number may have been given to another since."""
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as leader,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        age_s = command.age_of_leader_s(leader.pid)
        assert age_s is not None
        assert 0 <= age_s < 3600
        assert command.age_of_leader_s(other.pid) is None
        leader.kill()
        other.kill()
    assert command.age_of_leader_s(leader.pid) is None
