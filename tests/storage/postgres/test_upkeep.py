"""Upkeep on a server: what the doctor finds, which files of this host are leftovers, and what keeps writes off."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import psycopg
import pytest

from core.errors import DatabaseBusy, DatabaseReadOnly, Refused
from core.model import Ending, Finding, Outcome, State
from core.queue import Queue
from tests.fakes import FakeClock
from tests.postgres import Databases, dump, postgres_of
from tests.processes import wait_for
from tests.storage.by_hand import Hand, job_in


def _findings(queue: Queue) -> dict[str, Finding]:
    storage = postgres_of(queue)
    return {
        found.check: found for found in (*storage.maintenance.check_data(), *storage.maintenance.check_surroundings())
    }


def _change(queue: Queue, statement: str, *values: object) -> None:
    postgres_of(queue).query(statement, values)


def test_the_doctor_is_content_with_a_queue_that_is_well(queue: Queue, hand: Hand) -> None:
    """In all states at once; that the server of the tests does not sync is all there is to say."""
    for state in reversed(State):
        job_in(queue, hand, state)
    assert {found.check for found in _findings(queue).values() if found.level != "ok"} <= {"durability"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ready",
        "INSERT INTO delayed SELECT job_id, queue, priority, due_at FROM ready",
        "UPDATE jobs SET state = 'completed'",
    ],
    ids=["none", "two", "one of a finished job"],
)
def test_the_doctor_sees_a_job_that_has_not_its_one_token(queue: Queue, statement: str) -> None:
    """No worker would ever run it, or two would."""
    queue.enqueue("true")
    _change(queue, statement)
    assert _findings(queue)["tokens"].level == "error"


def test_the_doctor_sees_a_token_of_no_job(queue: Queue) -> None:
    """A claim would fail on it, again and again."""
    _change(queue, "INSERT INTO ready (job_id, queue, priority, due_at) VALUES (7, 'default', 0, 0)")
    found = _findings(queue)["tokens"]
    assert (found.level, found.message.startswith("1 ")) == ("error", True)


def test_the_doctor_sees_wrong_counts(queue: Queue) -> None:
    """A count that no job has, and one that is short."""
    queue.enqueue("true")
    _change(queue, "UPDATE counts SET n = n + 1")
    assert _findings(queue)["counters"].level == "error"


def test_the_doctor_sees_rows_that_refer_to_nothing(queue: Queue, hand: Hand) -> None:
    """Attempts, chunks and history of a job that is not there: the tables refer to each other without keys."""
    job = job_in(queue, hand, State.DEAD)
    assert _findings(queue)["references"].level == "ok"
    _change(queue, "INSERT INTO chunks VALUES (12345, 0, 'x')")
    _change(queue, "UPDATE attempts SET job_id = job_id + 100 WHERE job_id = %s", job)
    found = _findings(queue)["references"]
    assert (found.level, found.message) == ("error", "2 rows refer to rows that are not there")


def test_the_doctor_names_the_session_that_holds_back_vacuum(
    queue: Queue, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of this database: an older one elsewhere holds back nothing here. Any transaction counts as a long one."""
    monkeypatch.setattr("core.storage.postgres.checks.LONG_TRANSACTION_S", -1)
    elsewhere = databases.new_empty()
    with (
        psycopg.connect(elsewhere, application_name="elsewhere") as older,
        psycopg.connect(queue.path, application_name="left-open") as other,
    ):
        for session in (older, other):
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            session.execute("SELECT 1")
        found = _findings(queue)["vacuum"]
    databases.drop(elsewhere)
    assert found.level == "warning"
    assert "left-open" in found.message


def test_the_doctor_says_of_a_server_that_does_not_sync(queue: Queue) -> None:
    """A crash of it could lose jobs that were promised."""
    assert _findings(queue)["durability"].level == (
        "ok" if postgres_of(queue).query("SHOW fsync") == [("on",)] else "warning"
    )


def test_the_doctor_sees_a_spool_that_others_may_read(queue: Queue) -> None:
    """Outputs may hold secrets."""
    Path(queue.storage.spool.root).chmod(0o755)
    assert _findings(queue)["permissions"].level == "warning"


# --- what keeps it from being written


def test_a_sound_database_can_be_written_and_the_look_writes_nothing(queue: Queue) -> None:
    """Not even a transaction number is used up; other tests use some of the same server, so it is looked for."""
    with psycopg.connect(queue.path, autocommit=True) as other:

        def next_number() -> object:
            return other.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())").fetchone()

        def looks_without_a_number() -> bool:
            before = next_number()
            assert queue.write_error() is None
            return next_number() == before

        wait_for(looks_without_a_number, "a look during which the server gave no number away")


def test_a_table_that_another_session_holds_counts_for_as_long_as_it_does(queue: Queue) -> None:
    """A forgotten VACUUM FULL, or a migration by hand."""
    with psycopg.connect(queue.path) as other:
        other.execute("LOCK TABLE queuectl.jobs IN SHARE MODE")
        assert isinstance(queue.write_error(0.01), DatabaseBusy)
        other.rollback()
        assert queue.write_error() is None


def test_a_user_without_rights(address: str, queue: Queue) -> None:
    """It says whom to ask, and the doctor says the same."""
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("CREATE ROLE queuectl_test_reader")
        try:
            other.execute("GRANT USAGE ON SCHEMA queuectl TO queuectl_test_reader")
            other.execute("GRANT SELECT ON ALL TABLES IN SCHEMA queuectl TO queuectl_test_reader")
            _change(queue, "SET ROLE queuectl_test_reader")
            error = queue.write_error()
            assert isinstance(error, DatabaseReadOnly)
            assert "may not write" in str(error)
            _change(queue, "RESET ROLE")
        finally:
            other.execute("DROP OWNED BY queuectl_test_reader")
            other.execute("DROP ROLE queuectl_test_reader")


def test_a_read_only_queue_needs_no_rights(address: str) -> None:
    """It is not going to write."""
    with Queue(address, is_read_only=True) as reader:
        assert reader.write_error() is None


# --- pruning


def test_pruning_removes_all_that_belongs_to_a_job(queue: Queue, hand: Hand) -> None:
    """Attempts, chunks of outputs, history and counts; nothing refers to what is gone."""
    job = job_in(queue, hand, State.DEAD)
    attempt = queue.attempts(job)[-1]
    _change(queue, "INSERT INTO chunks VALUES (%s, 0, 'x')", attempt.id)
    queue.purge(job)
    assert queue.empty_trash() == 1
    tables = dump(queue.path)
    assert [tables[name] for name in ("jobs", "attempts", "chunks", "history", "counts")] == [[]] * 5


def test_pruning_nothing_writes_nothing(queue: Queue, hand: Hand) -> None:
    """A worker looks now and then; that is free. The version is the whole server's, which other tests write to."""
    job_in(queue, hand, State.COMPLETED)

    def prunes_without_a_write() -> bool:
        version = queue.data_version()
        assert (queue.prune(), queue.empty_trash()) == (0, 0)
        return queue.data_version() == version

    wait_for(prunes_without_a_write, "a prune during which nothing was written to the server")


def test_old_minutes_are_pruned(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Rollups are kept for 90 days."""
    job_in(queue, hand, State.COMPLETED)
    clock.advance(91 * 86400)
    job_in(queue, hand, State.COMPLETED)
    queue.prune()
    tables = dump(queue.path)
    assert {row[0] for row in tables["minutes"]} == {clock.now_ms() // 60_000}
    assert {row[0] for row in tables["durations"]} <= {clock.now_ms() // 60_000}


def test_a_copy_in_a_file_is_refused_with_what_to_do_instead(queue: Queue, tmp_path: Path) -> None:
    """A server has its own means."""
    with pytest.raises(Refused, match=r"pg_dump.*queuectl export"):
        queue.backup(tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


# --- leftovers


def test_leftover_files_are_removed_and_no_others(queue: Queue, hand: Hand) -> None:
    """Of dead workers and of attempts that are over; never what a running command or a living worker needs."""
    queue.enqueue("true")
    queue.enqueue("true")
    (running,) = hand.claim()
    (ended,) = hand.claim()
    hand.step([(ended, Ending(Outcome.SUCCEEDED, exit_code=0, output_bytes=100_000))])
    spool = queue.storage.spool
    needed = [spool.run_file(running.attempt_id), spool.output_file(running.attempt_id)]
    needed += [spool.output_file(ended.attempt_id), spool.run_file(ended.attempt_id), spool.run_file(500)]
    gone = [spool.run_file(501), spool.output_file(501), spool.worker_lock(700)]
    for path in (*needed, *gone):
        Path(path).touch()
    with open(spool.run_file(500)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sorted(queue.storage.maintenance.leftovers()) == sorted(gone)
        assert queue.storage.maintenance.remove_leftovers() == len(gone)
    assert [os.path.exists(path) for path in needed] == [True] * len(needed)
    hand.die()
    assert sorted(queue.storage.maintenance.leftovers()) == sorted(
        [spool.run_file(500), spool.run_file(ended.attempt_id)]
    )


def test_the_run_file_of_a_command_that_outlives_its_attempt_is_kept(queue: Queue, hand: Hand) -> None:
    """The attempt of a host that was given up is over before its command is: the file says what is to be ended."""
    job_in(queue, hand, State.DEAD)
    (attempt,) = queue.attempts(1)
    path = queue.storage.spool.run_file(attempt.id)
    Path(path).touch()
    hand.die()
    with open(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert queue.storage.maintenance.leftovers() == []
    assert queue.storage.maintenance.leftovers() == [path]
