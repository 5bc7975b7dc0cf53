"""Writers take turns, nobody waits for ever, and nothing is acknowledged that is not in the file at the path."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import DatabaseBusy, DatabaseReplaced
from core.model import NewJob, Outcome, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.processes import python, run_python, start_python, wait_for
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand, dump

# --- turns

_CONTENDER = """
import json, sys, time
from core import Queue
queue = Queue(sys.argv[1])
sys.stdin.readline()
waits, errors, end = [], [], time.monotonic() + 3
while time.monotonic() < end:
    begin = time.monotonic()
    try:
        queue.add("true")
    except Exception as error:
        errors.append(repr(error))
    waits.append(time.monotonic() - begin)
print(json.dumps({"commits": len(waits), "worst": max(waits), "errors": errors}))
"""


def test_eight_processes_write_without_an_error_and_in_turn(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """For three seconds each commits as fast as it can: nobody hears "locked", none starves (SQLite: 9,174 to 1)."""
    path = tmp_path / "queue.db"
    Queue(path).close()
    crowd = [start_python(_CONTENDER, path) for _ in range(8)]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = []
    for process in crowd:
        with process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    record_property("worst_wait_s", max(result["worst"] for result in results))
    assert [error for result in results for error in result["errors"]] == []
    commits = [result["commits"] for result in results]
    assert min(commits) * 20 > max(commits), commits
    with Queue(path) as queue:
        assert queue.count(View()) == sum(commits)
        assert queue.ids(View()) == list(range(1, sum(commits) + 1))


def test_threads_of_one_queue_take_turns(queue: Queue) -> None:
    """One object, eight threads, each with a connection of its own: every job is added once."""

    def add() -> None:
        for _ in range(25):
            queue.add("true")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert queue.count(View()) == 200


_HOLD_THE_LOCK = """
import sys
from core import Queue
queue = Queue(sys.argv[1])
with queue.storage.write() as connection:
    print("held", flush=True)
    sys.stdin.readline()
print("done", flush=True)
"""


@contextlib.contextmanager
def lock_holder(path: str) -> Iterator[int]:
    """Hold the write lock in another process; yield its pid."""
    with python(_HOLD_THE_LOCK, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid


def test_a_wait_for_the_lock_is_bounded_and_names_its_holder(queue: Queue) -> None:
    """A stopped process holds the lock: after the busy timeout one line says which, and nothing was changed."""
    queue.storage.set_busy_timeout(0.3)
    before = dump(queue.path)
    with lock_holder(queue.path) as pid:
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(DatabaseBusy, match=rf"process {pid} has held the write lock for more than 0\.3 s"):
            queue.enqueue("true")
        assert time.monotonic() - begin > 0.25
        os.kill(pid, signal.SIGCONT)
    assert dump(queue.path) == before
    assert queue.enqueue("true").id == 1


def test_waiting_in_vain_again_and_again_costs_one_thread(queue: Queue) -> None:
    """A worker that tries for hours while the lock is held keeps its one place in line."""
    queue.enqueue("true")  # which opens what a writer keeps open
    queue.storage.set_busy_timeout(0.02)
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with lock_holder(queue.path):
        for _ in range(10):
            with pytest.raises(DatabaseBusy):
                queue.enqueue("true")
        assert threading.active_count() <= threads + 1
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 4
    assert queue.enqueue("true").id == 2
    wait_for(lambda: threading.active_count() == threads, "the waiting thread is gone")


def test_a_place_in_line_that_comes_too_late_is_given_up(queue: Queue) -> None:
    """Nobody holds the lock after a wait was abandoned and its turn came: others go on at once."""
    queue.storage.set_busy_timeout(0.05)
    with lock_holder(queue.path), pytest.raises(DatabaseBusy):
        queue.enqueue("true")
    threads = [thread for thread in threading.enumerate() if thread.name == "queuectl-write-lock"]
    for thread in threads:
        thread.join(60)
    with Queue(queue.path, busy_timeout_s=30) as other:
        other.enqueue("true")


def test_a_killed_holder_frees_the_lock(queue: Queue) -> None:
    """The kernel drops the lock of a dead process, and its half-done work is rolled back."""
    with lock_holder(queue.path) as pid:
        os.kill(pid, signal.SIGKILL)
        assert queue.enqueue("true").id == 1


@contextlib.contextmanager
def foreign_holder(path: str) -> Iterator[None]:
    """Lock the database as another program does, without our write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def test_a_foreign_lock_is_an_error_after_the_busy_timeout(queue: Queue) -> None:
    """One line that says so; the time is that of the setting, also for the connection that was open before it."""
    queue.set("busy-timeout", "250ms")
    before = dump(queue.path)
    with Queue(queue.path) as other, foreign_holder(queue.path):
        assert other.count(View()) == 0  # reading goes on
        begin = time.monotonic()
        with pytest.raises(DatabaseBusy, match=r"another program holds .* locked"):
            other.enqueue("true")
        assert time.monotonic() - begin > 0.2
    assert dump(queue.path) == before


def test_an_error_inside_a_transaction_rolls_it_back(queue: Queue) -> None:
    """Whatever the error was, and the next writer finds the lock free."""

    def be_interrupted() -> None:
        with sqlite_of(queue).write() as connection:
            connection.execute("INSERT INTO facts (key, value) VALUES ('x', 1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert dump(queue.path)["facts"] == []
    assert queue.enqueue("true").id == 1


# --- the file at the path


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for found in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        found.unlink()
    shutil.rmtree(path.with_name(path.name + ".spool"))


def _replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    os.replace(path.with_name("copy.db"), path)


def _move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


@pytest.mark.parametrize("harm", [_delete, _delete_all, _replace, _move])
def test_a_database_that_is_gone_acknowledges_nothing(queue: Queue, hand: Hand, harm: object) -> None:
    """Every verb says so; nothing is created anew at the path, and no row went into the file that was there."""
    queue.enqueue("true")
    (claim,) = hand.claim()
    path = Path(queue.path)
    keep = sqlite3.connect(path)  # looks into the old file, whatever its name is now
    keep.execute("SELECT * FROM jobs").fetchall()
    harm(path)  # type: ignore[operator]
    verbs = (
        lambda: queue.enqueue("true"),
        lambda: queue.enqueue_many([NewJob("true")]),
        lambda: hand.record(claim),
        lambda: hand.claim(),
        lambda: queue.cancel([1, 2]),
        lambda: queue.pause(),
        lambda: queue.set("jitter", "0.1"),
        lambda: queue.counts(),
        lambda: queue.rows(View()),
        lambda: queue.prune(),
    )
    for verb in verbs:
        with pytest.raises(DatabaseReplaced, match=r"was (deleted|replaced) while in use"):
            verb()
    assert path.exists() is (harm is _replace)
    if path.exists():
        assert keep.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    keep.close()


def test_a_thread_that_comes_later_does_not_use_the_wrong_file(queue: Queue) -> None:
    """A new connection is not opened on whatever is at the path now."""
    _replace(Path(queue.path))
    seen: list[BaseException] = []

    def add() -> None:
        try:
            queue.enqueue("true")
        except DatabaseReplaced as error:
            seen.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join(60)
    assert len(seen) == 1


def test_a_database_that_is_put_back_goes_on(queue: Queue) -> None:
    """The very same file under its old name is the queue again."""
    path = Path(queue.path)
    path.rename(path.with_name("away.db"))
    with pytest.raises(DatabaseReplaced):
        queue.enqueue("true")
    path.with_name("away.db").rename(path)
    assert queue.enqueue("true").id == 1


def test_a_look_at_the_file_says_whether_it_was_deleted_or_replaced(queue: Queue) -> None:
    path = Path(queue.path)
    queue.check_identity()
    path.rename(path.with_name("away.db"))
    with pytest.raises(DatabaseReplaced) as deleted:
        queue.check_identity()
    path.touch()
    with pytest.raises(DatabaseReplaced) as replaced:
        queue.check_identity()
    assert (deleted.value.is_deleted, replaced.value.is_deleted) == (True, False)
    path.with_name("away.db").rename(path)
    queue.check_identity()


# --- durability and the log


def test_an_enqueue_is_synced_and_a_claim_need_not_be(queue: Queue, hand: Hand) -> None:
    """``synchronous`` is FULL for what is acknowledged to a person and NORMAL for a worker's own commits."""
    seen: list[str] = []
    sqlite_of(queue).connection().set_trace_callback(seen.append)
    level = {"now": ""}

    def level_of_commit(sql: str) -> None:
        if match := re.match(r"PRAGMA synchronous = (\w+)", sql):
            level["now"] = match[1]
        if sql == "COMMIT":
            seen.append(level["now"])

    sqlite_of(queue).connection().set_trace_callback(level_of_commit)
    hand.step(is_durable=False)
    queue.enqueue("true")
    hand.step(slots=1, is_durable=False)
    queue.enqueue_many([NewJob("true")])
    hand.step(is_durable=True)
    queue.pause()
    sqlite_of(queue).connection().set_trace_callback(None)
    commits = [entry for entry in seen if entry in ("FULL", "NORMAL")]
    # the batch commits twice: once its own temporary table, which touches no file
    assert commits == ["NORMAL", "FULL", "NORMAL", "NORMAL", "FULL", "FULL", "FULL"]


def test_the_log_stays_small_under_many_commits(queue: Queue, hand: Hand) -> None:
    """Readers beside the writer never keep the log from being written back."""
    queue.enqueue_many(NewJob("true") for _ in range(300))
    with Queue(queue.path) as reader:
        for number in range(4000):
            hand.step(slots=1 if number < 300 else 0, is_durable=False)
            with sqlite_of(queue).write(is_durable=False) as connection:
                connection.execute("UPDATE jobs SET label = ? WHERE id = ?", (f"label {number}", 1 + number % 300))
            if number % 10 == 0:
                reader.rows(View(), limit=50)
                reader.counts()
    assert os.path.getsize(queue.path + "-wal") < 20 << 20


def test_what_one_process_commits_another_sees_at_once(queue: Queue) -> None:
    """No cache in between: the change number moves and the rows are there."""
    version = queue.data_version()
    run_python("import sys; from core import Queue; Queue(sys.argv[1]).enqueue('true')", queue.path)
    assert queue.data_version() != version
    assert queue.count(View()) == 1


# --- rows that other tools spoilt


def test_a_spoilt_row_does_not_blind_the_list(queue: Queue) -> None:
    """Invalid UTF-8, NULs and broken JSON in one job: it is shown as well as it can be, and so are the others."""
    for _ in range(3):
        queue.enqueue("true", env={"A": "1"})
    with contextlib.closing(sqlite3.connect(queue.path)) as other:
        other.execute(
            "UPDATE jobs SET command = CAST(x'65ff00c3' AS TEXT), label = CAST(x'fe' AS TEXT),"
            " cwd = CAST(x'2fff' AS TEXT), env = '{broken',"
            " name = CAST(x'ffff' AS TEXT), error = CAST(x'80' AS TEXT) WHERE id = 2"
        )
        other.execute("INSERT INTO settings VALUES ('max-attempts', 'many'), ('colour', 'blue')")
        other.commit()
    assert [job.id for job in queue.jobs(View())] == [1, 2, 3]
    spoilt = queue.job(2)
    assert (spoilt.command, spoilt.label, spoilt.cwd, dict(spoilt.env)) == ("e\ufffd\0\ufffd", "\ufffd", "/\ufffd", {})
    assert queue.settings().max_attempts == 3
    assert [finding.check for finding in queue.doctor() if finding.level == "warning"] == ["settings", "workers"]
    assert queue.cancel(2).count == 1


def test_a_spoilt_environment_is_an_empty_one(queue: Queue) -> None:
    """The job can still be looked at."""
    queue.enqueue("true")
    with contextlib.closing(sqlite3.connect(queue.path)) as other:
        other.execute("UPDATE environments SET variables = '[1, 2'")
        other.commit()
    assert queue.environment(1) == {}


def test_times_beyond_the_calendar_are_shown_at_its_edge(queue: Queue) -> None:
    """A number of milliseconds that no date can hold is clipped, not an error."""
    queue.enqueue("true")
    with contextlib.closing(sqlite3.connect(queue.path)) as other:
        other.execute(f"UPDATE jobs SET run_at = {1 << 62}, enqueued_at = {-(1 << 62)}")
        other.commit()
    (job,) = queue.jobs(View())
    assert job.run_at is not None
    assert (job.run_at.year, job.enqueued_at.year) == (9999, 1)


class _SlowLock:
    """A database of which each write waits ten seconds for its lock, by the fake clock."""

    def __init__(self, queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = sqlite_of(queue)
        write = storage.write

        @contextlib.contextmanager
        def waiting(**terms: bool) -> Iterator[sqlite3.Connection]:
            with write(**terms) as connection:
                clock.advance(10)
                yield connection

        monkeypatch.setattr(storage, "write", waiting)


def test_what_a_write_stores_as_now_is_read_inside_the_lock(
    queue: Queue, hand: Hand, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job could seem to start before the one that it waits for had ended: that was written by who came later."""
    _SlowLock(queue, clock, monkeypatch)
    first = queue.add("true", max_attempts=1)
    assert queue.job(first).enqueued_at == queue.now()
    (second,) = queue.enqueue_many([NewJob("true", after_end=[first])])
    assert queue.job(second).enqueued_at == queue.now()
    (claim,) = hand.claim()
    assert claim.started_ms == clock.now_ms()
    hand.record(claim, Outcome.FAILED)
    assert queue.job(first).finished_at == queue.now()
    hand.claim()
    ended, started = queue.job(first).finished_at, queue.job(second).started_at
    assert ended is not None
    assert started is not None
    assert ended < started == queue.now()
    queue.replay(first)
    assert queue.job(first).since == queue.now()
    queue.edit(first, run_at=None)
    queue.cancel(first)
    assert queue.job(first).since == queue.now()
