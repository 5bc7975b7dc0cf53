"""What each attempt used: processor time and peak memory as the kernel counted them, or nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import shlex
import sys
from pathlib import Path

import pytest

from core.cli import program
from core.execution.events import SpawningPaused
from core.model import Outcome, Sort, State, View
from core.queue import Queue
from core.wording import used_words
from tests.execution.at_work import drain, output, run, wait_for_state, working
from tests.processes import WorkerProcess, wait_for

pytestmark = pytest.mark.long

linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux counts")

_BURN = f"{shlex.quote(sys.executable)} -c 'import time\nwhile time.process_time() < 0.3: pass'"


def _bloat(more_bytes: int) -> tuple[str, int]:
    """Return a command that takes so much more memory than this process ever had, and how much it takes."""
    unit = 1 if sys.platform == "darwin" else 1024
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + more_bytes
    return f"{shlex.quote(sys.executable)} -c 'len(b\"x\" * {taken})'", taken


def test_processor_time_and_peak_memory_are_those_of_the_command(queue: Queue) -> None:
    """Also of what it started and waited for; with the attempt, and with the job of which it is the newest."""
    bloat, taken = _bloat(100 << 20)
    job = run(queue, f"({_BURN}); {bloat}; exit 3")
    (attempt,) = queue.attempts(job.id)
    for cpu_s, peak in ((attempt.cpu_s, attempt.max_rss_bytes), (job.cpu_s, job.max_rss_bytes)):
        assert cpu_s is not None
        assert peak is not None
        assert cpu_s >= 0.3
        assert taken <= peak <= taken + (100 << 20)


@linux
def test_the_memory_of_the_worker_is_not_taken_for_that_of_a_command(queue: Queue) -> None:
    """Until a shim is a program of its own Linux counts the worker's memory as its own: then nothing is known."""
    ballast = bytearray(b"x") * (50 << 20)
    job = run(queue, "true && true")
    assert len(ballast) == 50 << 20
    assert job.max_rss_bytes is None
    assert job.cpu_s is not None


def test_each_attempt_has_its_own_figures(queue: Queue, tmp_path: Path) -> None:
    """While one runs there are none; the next attempt's are the job's then."""
    job_id = queue.enqueue(
        f"test -e second && exec sh -c 'while ! test -e go; do sleep 0.02; done'; touch second; {_BURN}; exit 1",
        max_attempts=2,
        backoff_base=1,
    ).id
    queue.set("backoff-cap", "0")
    with working(queue):
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: len(queue.attempts(job_id)) == 2, "the second runs")
        job = wait_for_state(queue, job_id, State.RUNNING)
        assert (job.cpu_s, job.max_rss_bytes) == (None, None)
        (tmp_path / "go").touch()
        job = wait_for_state(queue, job_id, State.COMPLETED)
    first, second = (attempt.cpu_s for attempt in queue.attempts(job_id))
    assert first is not None
    assert first >= 0.3
    assert job.cpu_s == second


@pytest.mark.parametrize("command", ["kill -9 $PPID; exit 0", "exec sleep 60"])
def test_what_is_not_known_is_not_told(queue: Queue, command: str) -> None:
    """A shim that was killed says nothing of its command: its own figures would be taken for those."""
    queue.set("kill-grace", "0")
    job_id = queue.enqueue(f"trap '' TERM; {_BURN}; {command}", max_attempts=1, timeout_s=1.5).id
    with working(queue):
        wait_for(lambda: [one.ended_at for one in queue.attempts(job_id)][:1] not in ([], [None]), "it has ended")
    attempt = queue.attempts(job_id)[0]
    assert attempt.outcome in (Outcome.LOST, Outcome.TIMED_OUT)
    assert (attempt.cpu_s, attempt.max_rss_bytes) == (None, None)


def test_of_an_adopted_command_nothing_is_known(queue: Queue, tmp_path: Path) -> None:
    """The kernel tells the parent alone."""
    job_id = queue.enqueue(f"{_BURN}; echo begun; while ! test -e go; do sleep 0.02; done").id
    with WorkerProcess(queue.path) as doomed:
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: output(queue, job_id) == b"begun\n", "it has begun")
        doomed.kill()
    (tmp_path / "go").touch()
    drain(queue)
    job = queue.job(job_id)
    assert (job.state, job.cpu_s, job.max_rss_bytes) == (State.COMPLETED, None, None)


def test_a_directory_that_is_gone_used_nothing(queue: Queue, tmp_path: Path) -> None:
    """The shim's own time is not the command's."""
    gone = tmp_path / "gone"
    gone.mkdir()
    job_id = queue.enqueue("true", cwd=str(gone), max_attempts=1).id
    gone.rmdir()
    drain(queue)
    assert queue.job(job_id).last_outcome is Outcome.SPAWN_ERROR
    assert queue.job(job_id).cpu_s is None


def test_the_hungriest_come_first(queue: Queue) -> None:
    """By processor time and by memory; those of which nothing is known at the end."""
    little, lot = (queue.add(_bloat(more << 20)[0]) for more in (30, 60))
    burner = queue.add(_BURN)
    drain(queue)
    waiting = queue.add("true")
    by_time = queue.jobs(View(sort=Sort.CPU))
    assert (by_time[-1].id, by_time[-1].cpu_s) == (waiting, None)
    times = [job.cpu_s or 0.0 for job in by_time]
    assert times == sorted(times, reverse=True)
    assert sum(job.cpu_s or 0.0 for job in by_time if job.id == burner) >= 0.25
    assert [job.id for job in queue.jobs(View(sort=Sort.MEMORY))][:2] == [lot, little]


def test_show_and_json_tell_what_was_used(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    """For people in the job and a line an attempt, for programs as ``cpu_s`` and ``max_rss_bytes``."""
    bloat, taken = _bloat(20 << 20)
    job = run(queue, f"{_BURN}; {bloat}")
    program.run(["--db", queue.path, "show", str(job.id), "--json"])
    shown = json.loads(capsys.readouterr().out)
    for one in (shown, shown["attempt_list"][0]):
        assert one["cpu_s"] >= 0.3
        assert one["max_rss_bytes"] >= taken
    program.run(["--db", queue.path, "list", "--json", "--sort", "memory"])
    assert json.loads(capsys.readouterr().out)[0]["cpu_s"] == shown["cpu_s"]
    program.run(["--db", queue.path, "show", str(job.id)])
    text = capsys.readouterr().out
    assert f"{used_words(shown['cpu_s'], shown['max_rss_bytes'])}\n" in text
    headings = text[text.index("ATTEMPT") :].split()
    assert headings[:6] == ["ATTEMPT", "STARTED", "TOOK", "CPU", "MEMORY", "OUTCOME"]


def test_a_refused_start_leaves_the_figures_of_the_attempt_before(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is undone, and the job speaks of its newest attempt again."""

    def refuse(*arguments: object, **options: object) -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    job = run(queue, f"{_BURN}; exit 1")
    queue.replay([job.id])
    monkeypatch.setattr(os, "posix_spawn", refuse)
    with working(queue) as (_, told):
        told.wait_for(SpawningPaused)
    refused = queue.job(job.id)
    assert (refused.state, refused.cpu_s) == (State.PENDING, job.cpu_s)
