"""What the steps of a busy worker write: how much, and how soon others see it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from core.execution import timers
from core.execution.events import AttemptEnded, WorkerEvent
from core.execution.worker import CACHE_KIB, Worker
from core.model import NewJob, State
from core.queue import Queue
from core.storage.sqlite.file import PAGE_BYTES, WAL_BYTES
from tests.execution.at_work import drain, working
from tests.processes import wait_for
from tests.sqlite import sqlite_of


def _succeeded(queue: Queue) -> int:
    return queue.metrics(3600).succeeded


def _count_updates(path: str) -> None:
    """Have the database count how often the totals of a minute are written."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE seen (n INTEGER)")
        other.execute("INSERT INTO seen VALUES (0)")
        for event in ("INSERT", "UPDATE"):
            other.execute(f"CREATE TRIGGER seen_{event} AFTER {event} ON minutes BEGIN UPDATE seen SET n = n + 1; END")
        other.commit()


def _updates(path: str) -> int:
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute("SELECT n FROM seen").fetchone()[0])


def test_a_job_that_ends_alone_is_counted_with_its_ending(queue: Queue) -> None:
    """A worker that has time writes at once, also while something long runs beside it."""
    with working(queue, slots=2):
        queue.add("sleep 60")
        for number in (1, 2):
            job_id = queue.add("true")
            wait_for(lambda job_id=job_id: queue.job(job_id).state is State.COMPLETED)  # type: ignore[misc]
            wait_for(lambda number=number: _succeeded(queue) == number)  # type: ignore[misc]
        queue.cancel(1, kill=True)


def test_what_a_burst_counted_is_written_while_the_worker_lives(queue: Queue) -> None:
    """The last ones of a burst do not wait for the next job."""
    with working(queue, slots=2):
        queue.enqueue_many([NewJob("true")] * 50)
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 50)
        wait_for(lambda: _succeeded(queue) == 50)


def test_a_busy_worker_counts_several_times_a_second(queue: Queue) -> None:
    """A chart by the second shows a steady rate as steady: two seconds of work are written in many parts."""
    queue.enqueue_many([NewJob("sleep 0.05")] * 40)
    _count_updates(queue.path)
    drain(queue, slots=1)
    assert _succeeded(queue) == 40
    assert _updates(queue.path) >= 7


def test_short_jobs_share_the_writing_of_the_totals(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred jobs change the rows of a minute once, when the time to write them does not come before their end."""
    monkeypatch.setattr(timers, "ROLL_UP_S", 3600.0)
    monkeypatch.setattr(timers, "SYNC_S", 3600.0)
    queue.enqueue_many([NewJob("true")] * 200)
    _count_updates(queue.path)
    drain(queue, slots=2)
    assert _succeeded(queue) == 200
    assert _updates(queue.path) < 20


def test_a_job_writes_few_bytes_to_the_log(queue: Queue) -> None:
    """A claim and an ending change about eleven small pages, each of them once."""
    queue.enqueue_many([NewJob("true")] * 110)
    connection = sqlite_of(queue).connection()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log = queue.path + "-wal"
    with closing(sqlite3.connect(queue.path)) as other:
        other.execute("SELECT count(*) FROM jobs").fetchone()  # stays open, so that the log stays, too
        drain(queue, slots=1)
        assert os.path.getsize(log) < 110 * 31_000


def test_the_log_is_copied_back_at_the_same_size_whatever_the_pages(queue: Queue) -> None:
    """A new database has small pages; one from before keeps its own, and its log does not get longer for it."""
    (pages,) = sqlite_of(queue).connection().execute("PRAGMA page_size").fetchone()
    (after,) = sqlite_of(queue).connection().execute("PRAGMA wal_autocheckpoint").fetchone()
    assert (pages, pages * after) == (PAGE_BYTES, WAL_BYTES)
    path = queue.path
    queue.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("PRAGMA page_size = 4096")
        other.execute("VACUUM")
    with Queue(path) as old:
        (pages,) = sqlite_of(old).connection().execute("PRAGMA page_size").fetchone()
        (after,) = sqlite_of(old).connection().execute("PRAGMA wal_autocheckpoint").fetchone()
        assert (pages, pages * after) == (4096, WAL_BYTES)
        old.add("true")
        drain(old)
        assert old.counts().of(State.COMPLETED) == 1


def test_a_worker_keeps_less_of_the_database_in_memory_than_sqlite_would(queue: Queue) -> None:
    """On the connection of its thread, whether that is a thread of its own or the caller's; not on others."""
    sizes: list[int] = []

    def cache_kib() -> int:
        return -int(sqlite_of(queue).connection().execute("PRAGMA cache_size").fetchone()[0])

    def look(event: WorkerEvent) -> None:
        if isinstance(event, AttemptEnded):
            sizes.append(cache_kib())

    usual = cache_kib()
    assert usual > CACHE_KIB
    for run_in in ("its own", "the caller's"):
        queue.enqueue("true")
        worker = Worker(queue, once=True, on_event=look)
        if run_in == "its own":
            worker.start()
            assert worker.join(60)
        else:
            worker.run()
        assert cache_kib() == usual, "the caller goes on as before"
    assert sizes == [CACHE_KIB] * 2
