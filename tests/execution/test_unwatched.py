"""A running job whose worker is dead is told from one that is watched, and one whose command has ended from both."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import main
from core.cli.verbs import cancel
from core.clock import FILE_TIME_LAG_MS, to_datetime, to_ms
from core.model import Job, NewJob, Phase, State, Term, Unwatched, View
from core.queue import Queue
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.gateway.results import result_of_cancel
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.columns import RANKED, Circumstances, Needs, columns_for
from queuectl_tui.widgets.detail_lines import Facts, attempts, overview
from queuectl_tui.widgets.glyphs import UNICODE, glyph
from queuectl_tui.widgets.job_line import tail
from tests.execution.at_work import drain, working
from tests.execution.test_adoption import started
from tests.processes import WorkerProcess, group_of, wait_for
from tests.tui.test_gateway import Listener

COMMAND = "echo begun; while ! test -e go; do sleep 0.02; done"


@pytest.fixture
def orphan(queue: Queue, tmp_path: Path) -> Iterator[int]:
    """Return a job whose command runs and whose worker was killed; let it go in the end."""
    job_id = queue.enqueue(COMMAND).id
    with WorkerProcess(queue.path) as doomed:
        started(queue, job_id, b"begun")
        doomed.kill()
    yield job_id
    (tmp_path / "go").touch()


def seen(queue: Queue, job_id: int) -> Job:
    """Return a job with what is known of an unwatched one."""
    return queue.watched([queue.job(job_id)])[0]


def end(queue: Queue, job_id: int) -> Unwatched:
    """Let the command end, and return what is known of it then."""
    Path("go").touch()
    now = to_datetime(queue.storage.clock.now_ms())
    wait_for(lambda: seen(queue, job_id).phase(now) is Phase.ENDED, "its end is seen")
    found = seen(queue, job_id).unwatched
    assert found is not None
    return found


def test_a_cancel_that_comes_after_the_end_changes_nothing_about_it(queue: Queue, orphan: int) -> None:
    """It is said so, and the next worker records the true result; one that came before the end cancels."""
    end(queue, orphan)
    os.utime(queue.storage.spool.run_file(queue.attempts(orphan)[0].id), (0, 0))  # long ago, for any clock
    act = queue.cancel(orphan)
    job = seen(queue, orphan)
    assert job.unwatched is not None
    assert job.unwatched.has_ended
    assert "has ended already" in cancel.fate(job, State.RUNNING, (), is_waiting=False)[1]
    assert result_of_cancel(queue, "cancel", act, [orphan]).startswith("1 job ended already")
    drain(queue)
    assert queue.job(orphan).state is State.COMPLETED


def test_a_cancel_of_others_says_nothing_of_one_that_had_ended(queue: Queue, orphan: int) -> None:
    """It tells of the jobs that it was for, and of a part of them which part."""
    end(queue, orphan)
    queue.cancel(orphan)
    others = View(states=(State.PENDING,))
    queue.enqueue("true")
    assert result_of_cancel(queue, "cancel", queue.cancel(others), others) == "Cancelled 1 job. z undoes it."
    elsewhere = View(terms=(Term("queue", "elsewhere"),))
    other = queue.enqueue(NewJob("true", queue="elsewhere")).id
    assert result_of_cancel(queue, "cancel", queue.cancel(elsewhere), elsewhere) == "Cancelled 1 job. z undoes it."
    queue.replay(other)
    both = [orphan, other]
    said = result_of_cancel(queue, "cancel", queue.cancel(both), both)
    assert said.endswith(" 1 of them ended already; a worker records how, once one is alive.")


def test_a_cancel_that_came_before_the_end_counts(queue: Queue, orphan: int) -> None:
    queue.cancel(orphan)
    end(queue, orphan)
    drain(queue)
    assert queue.job(orphan).state is State.CANCELLED


@pytest.mark.parametrize(("earlier_ms", "state"), [(0, State.CANCELLED), (1, State.COMPLETED)])
def test_the_time_of_a_file_lags(queue: Queue, orphan: int, earlier_ms: int, state: State) -> None:
    """By up to a tick of the kernel: an end that may have come after the cancel is none before it."""
    queue.cancel(orphan)
    asked_ms = to_ms(queue.history(orphan)[-1].at)
    end(queue, orphan)
    time_ns = (asked_ms - FILE_TIME_LAG_MS - earlier_ms) * 1_000_000
    os.utime(queue.storage.spool.run_file(queue.attempts(orphan)[0].id), ns=(time_ns, time_ns))
    drain(queue)
    assert queue.job(orphan).state is state


def test_a_watched_job_is_just_running(queue: Queue, tmp_path: Path) -> None:
    """Its worker is alive."""
    job_id = queue.enqueue(COMMAND).id
    with working(queue):
        started(queue, job_id, b"begun")
        assert seen(queue, job_id).unwatched is None
        (tmp_path / "go").touch()


def test_a_dead_workers_job_is_unwatched_until_its_command_ends(queue: Queue, orphan: int) -> None:
    """Then it is known when that was, and the next worker records it: what was unwatched is nothing special then."""
    found = seen(queue, orphan).unwatched
    assert found is not None
    assert (found.phase, found.ended_at) == (Phase.UNWATCHED, None)
    assert "no living worker watches it" in found.reason
    ended = end(queue, orphan)
    assert ended.ended_at is not None
    assert "a worker records how" in ended.reason
    drain(queue)
    assert (seen(queue, orphan).state, seen(queue, orphan).unwatched) == (State.COMPLETED, None)


def test_a_command_that_is_gone_is_not_said_to_run(queue: Queue, orphan: int) -> None:
    """Killed with its shim: there is no result, and a worker will start it again."""
    os.killpg(group_of(queue, orphan), signal.SIGKILL)
    wait_for(lambda: (found := seen(queue, orphan).unwatched) and found.phase is Phase.ENDED, "it is seen to be gone")
    assert "gone without a result" in seen(queue, orphan).unwatched.reason  # type: ignore[union-attr]


def test_the_cli_says_so(queue: Queue, orphan: int, capsys: pytest.CaptureFixture[str]) -> None:
    """In list, show and status, for people and as JSON; a cancel that does not wait says when it will come true."""

    def said(*words: str) -> str:
        assert main(["--db", queue.path, *words]) == 0
        return capsys.readouterr().out

    assert "unwatched" in said("list")
    assert '"phase": "unwatched"' in said("list", "--json")
    assert "running, unwatched" in said("show", str(orphan))
    assert "no living worker watches it" in said("show", str(orphan))
    assert "1 (1 unwatched" in said("status")
    assert '"unwatched": 1' in said("status", "--json")
    assert "will be cancelled when a worker comes" in said("cancel", "--no-wait", str(orphan))
    assert "it will be cancelled once there is one" in said("show", str(orphan))
    end(queue, orphan)
    assert "ended" in said("list")
    assert "running, ended" in said("show", str(orphan))


def test_the_dashboard_says_so(queue: Queue, orphan: int) -> None:
    """Without a commit of anybody's; the line has a sign of its own, and its clock stops with the command."""
    own = Queue(queue.path)
    gateway = Gateway(own, slots=0)
    listener = Listener(gateway)
    try:
        assert orphan_of(listener, Phase.UNWATCHED) == orphan
        said: list[str] = []
        act = queue.cancel(orphan)
        said.append(result_of_cancel(queue, "cancel", act, [orphan]))
        said.append(result_of_cancel(queue, "cancel", act, View(states=(State.RUNNING,))))
        assert said == ["1 job will be cancelled when a worker comes: no living one watches it."] * 2
        Path("go").touch()
        orphan_of(listener, Phase.ENDED)
        job, now = listener.last.panes[Pane.RUNNING].rows[0].job, listener.last.taken_at
        assert glyph(job, now, UNICODE)[0] == "◌"
        columns = columns_for(RANKED[Pane.RUNNING], 100, Needs(RANKED[Pane.RUNNING]))
        assert "".join(text for text, _ in tail(job, columns, Circumstances(now, UNICODE))).split() == ["ended"]
        facts = Facts(job, tuple(queue.attempts(orphan)), (), None, {})
        lines = [
            "".join(text for text, _ in line) for line in (*overview(facts, now, 200), *attempts(facts, now, 80, 1))
        ]
        assert any("ended, not yet recorded" in line for line in lines)
        assert any("◌ ended" in line and ":" not in line.split("ended")[1][:20] for line in lines)
    finally:
        gateway.close()
        own.close()


def orphan_of(listener: Listener, phase: Phase) -> int:
    """Return the running job, once the dashboard's picture shows it in a phase."""

    def is_shown() -> bool:
        rows = listener.last.panes[Pane.RUNNING].rows if listener.snapshots else ()
        return any(row.job.unwatched is not None and row.job.unwatched.phase is phase for row in rows)

    listener.until(is_shown)
    return listener.last.panes[Pane.RUNNING].rows[0].job.id
