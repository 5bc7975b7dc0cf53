"""A file of the spool that is missing proves nothing: no attempt is lost, and none started again, because of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.execution import recovery
from core.execution.events import AttemptAdopted, AttemptEnded, LockFileRemoved, RecoveryBlocked, RecoveryUnblocked
from core.execution.worker import StopMode
from core.model import Outcome, Presence, State
from core.queue import Queue
from tests.execution.at_work import wait_for_state, working
from tests.execution.test_adoption import started
from tests.processes import WorkerProcess, group_of, processes_of_group, wait_for

#: Says in a ledger that it runs, until it is let go, or until its directory is removed with the ledger.
COMMAND = "echo run >> ledger; echo begun; while test -e ledger && ! test -e go; do sleep 0.02; done"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    """Return where the command writes a line each time that it is started; let it go in the end."""
    yield tmp_path / "ledger"
    (tmp_path / "go").touch()


@pytest.fixture
def doomed(queue: Queue, ledger: Path) -> Iterator[WorkerProcess]:
    """Return a worker that runs the command of job 1, in a process of its own."""
    queue.enqueue(COMMAND)
    with WorkerProcess(queue.path) as doomed:
        started(queue, 1, b"begun")
        yield doomed


def remove(queue: Queue, what: str) -> None:
    """Remove files from the spool as a cleaner of temporary directories does."""
    spool = queue.storage.spool
    if what == "all":
        os.rename(spool.root, f"{spool.root}.aside")  # at once: a worker may make it again
        shutil.rmtree(f"{spool.root}.aside")
        return
    for directory in (spool.workers,) * ("lock" in what) + (spool.attempts,) * ("run" in what):
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))


@pytest.mark.parametrize("what", ["all", "lock", "run", "lock+run"])
def test_a_living_worker_makes_its_lock_file_again(
    queue: Queue, doomed: WorkerProcess, ledger: Path, what: str
) -> None:
    """Another worker takes nothing of it for lost meanwhile; the command runs once, to its true end."""
    remove(queue, what)
    with Queue(queue.path) as other, working(other) as (_, told):
        wait_for(lambda: [worker.presence for worker in other.workers()] == [Presence.ALIVE] * 2, "both live")
        (ledger.parent / "go").touch()
        wait_for_state(other, 1, State.COMPLETED)
        assert not told.of(AttemptAdopted)
    assert ledger.read_text() == "run\n"
    assert [attempt.outcome for attempt in queue.attempts(1)] == [Outcome.SUCCEEDED]


def test_a_worker_says_that_its_files_were_removed(queue: Queue) -> None:
    """Once, and goes on: jobs that come after it run, and it is woken again."""
    with working(queue) as (worker, told):
        remove(queue, "all")
        assert queue.enqueue("true").id == 1
        wait_for_state(queue, 1, State.COMPLETED)
        removed = told.wait_for(LockFileRemoved)
        assert (removed.spool, removed.running) == (queue.storage.spool.root, 0)
        wait_for(lambda: os.path.exists(queue.storage.spool.worker_wakeup(worker.id)), "its pipe is there again")
        queue.enqueue("true")
        wait_for_state(queue, 2, State.COMPLETED)
        assert len(told.of(LockFileRemoved)) == 1


def test_an_attempt_without_a_run_file_is_not_lost(queue: Queue, doomed: WorkerProcess, ledger: Path) -> None:
    """Its worker is dead and its command may run: it is left alone, which is said once with what to do."""
    remove(queue, "run")
    doomed.kill()
    with working(queue) as (worker, told):
        blocked = told.wait_for(RecoveryBlocked)
        assert "Job 1 may be running and is left alone" in blocked.message
        assert worker.trouble == blocked.message, "it is there to see for as long as it lasts"
        assert "queuectl cancel 1" in blocked.message
        queue.enqueue("true")
        wait_for_state(queue, 2, State.COMPLETED)
        assert queue.job(1).state is State.RUNNING
        assert len(told.of(RecoveryBlocked)) == 1
    assert ledger.read_text() == "run\n"


def test_a_cancel_settles_what_is_in_doubt(
    queue: Queue, doomed: WorkerProcess, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person knows that nothing runs any more; nothing is signalled, and the doubt is over."""
    group = group_of(queue, 1)
    remove(queue, "run")
    doomed.kill()
    monkeypatch.setattr(recovery, "UNKNOWN_S", 0.0)
    with working(queue) as (_, told):
        told.wait_for(RecoveryBlocked)
        queue.cancel(1)
        wait_for_state(queue, 1, State.CANCELLED)
        told.wait_for(RecoveryUnblocked)
    assert processes_of_group(group), "it was signalled"
    assert ledger.read_text() == "run\n"


def set_boot(path: str, boot_id: str) -> None:
    """Have everything that a database knows come from another boot of the system."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE places SET boot_id = ?", (boot_id,))


@pytest.mark.parametrize("what", ["all", "run"])
def test_after_a_reboot_it_is_lost_and_started_again(
    queue: Queue, doomed: WorkerProcess, ledger: Path, what: str
) -> None:
    """Nothing outlives a boot, with a spool or without one."""
    os.killpg(group_of(queue, 1), signal.SIGKILL)
    doomed.kill()
    remove(queue, what)
    set_boot(queue.path, "an earlier one")
    (ledger.parent / "go").touch()
    with working(queue) as (_, told):
        wait_for_state(queue, 1, State.COMPLETED)
        assert not told.of(RecoveryBlocked)
    assert [attempt.outcome for attempt in queue.attempts(1)] == [Outcome.LOST, Outcome.SUCCEEDED]


@pytest.mark.parametrize("has_spool", [False, True])
def test_a_copy_leaves_what_the_original_runs_alone(
    queue: Queue, doomed: WorkerProcess, ledger: Path, tmp_path: Path, has_spool: bool
) -> None:
    """Of the database alone, or with its spool, whose locks are free in the copy: its worker says whose they are."""
    copy = tmp_path / "elsewhere" / "queue.db"
    copy.parent.mkdir()
    queue.backup(str(copy))
    if has_spool:
        shutil.copytree(queue.storage.spool.root, f"{copy}.spool", ignore=shutil.ignore_patterns("*.bell"))
    with Queue(copy) as other, working(other) as (_, told):
        assert "another copy of this database" in told.wait_for(RecoveryBlocked).message
        assert [finding.level for finding in other.doctor() if finding.check == "in doubt"] == ["warning"]
        other.enqueue("true")
        wait_for_state(other, 2, State.COMPLETED)
        assert other.job(1).state is State.RUNNING
        assert not told.of(AttemptAdopted)
    (ledger.parent / "go").touch()
    wait_for_state(queue, 1, State.COMPLETED)
    assert ledger.read_text() == "run\n"


def test_a_copy_forgets_the_workers_of_the_original(queue: Queue, tmp_path: Path) -> None:
    """One that runs nothing is struck: the copy never had it."""
    with working(queue) as (worker, _):
        copy = tmp_path / "copy.db"
        queue.backup(str(copy))
        with Queue(copy) as other, working(other) as (heir, _):
            wait_for(lambda: [found.id for found in other.workers()] == [heir.id], "the original's worker is struck")
        assert [found.is_alive for found in queue.workers()] == [True]
        assert worker.is_alive


def test_a_database_moved_with_its_spool_is_gone_on_with(queue: Queue, doomed: WorkerProcess, tmp_path: Path) -> None:
    """Its lock files are the same ones at another path: a dead worker's command is adopted there."""
    doomed.kill()
    queue.close()
    moved = tmp_path / "moved.db"
    for ending in ("", "-wal", "-shm", ".spool"):
        if os.path.exists(queue.path + ending):
            os.rename(queue.path + ending, f"{moved}{ending}")
    with Queue(moved) as other, working(other) as (_, told):
        told.wait_for(AttemptAdopted)
        (tmp_path / "go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.SUCCEEDED


def test_a_worker_that_leaves_its_commands_stays_known_as_dead(queue: Queue, ledger: Path) -> None:
    """Its lock file stays as long as its row: else it would be one that may live, and its commands left alone."""
    queue.enqueue(COMMAND)
    with working(queue) as (worker, _):
        started(queue, 1, b"begun")
        worker.stop(StopMode.DETACH)
        assert worker.join(10)
        assert [found.presence for found in queue.workers()] == [Presence.DEAD]
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
