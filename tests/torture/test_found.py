"""What the torture found, each as a plain test of its own."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DatabaseCorrupt
from core.execution.selector import Selector
from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of
from tests.torture import migrating
from tests.torture.ledger import Ledger
from tests.torture.mutants import MUTANTS, Mutant


def test_a_creation_that_the_power_interrupted_is_begun_again(tmp_path: Path) -> None:
    """A header that never reached the disk, beside SQLite's journal, is not taken for somebody else's file."""
    torn = tmp_path / "queue.db"
    connection = sqlite3.connect(tmp_path / "under-way", isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE big (text TEXT)")
    connection.executemany("INSERT INTO big VALUES (?)", [("x" * 3000,)] * 100)
    shutil.copy(tmp_path / "under-way", torn)
    shutil.copy(tmp_path / "under-way-journal", f"{torn}-journal")
    connection.close()
    with open(torn, "r+b") as file:
        file.write(bytes(512))
    with Queue(torn) as queue:
        assert queue.enqueue("true").id == 1


def test_a_journal_of_another_kind_does_not_make_a_file_ours(tmp_path: Path) -> None:
    """Zeros beside something that is no journal of SQLite's stay as they are."""
    path = tmp_path / "queue.db"
    path.write_bytes(bytes(4096))
    Path(f"{path}-journal").write_bytes(b"notes of somebody's")
    with pytest.raises(Exception, match="not an SQLite database"):
        Queue(path)
    assert path.read_bytes() == bytes(4096)


def test_the_backup_before_a_migration_is_made_again_if_it_was_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that died while it copied leaves a part under another name, which the next one replaces."""
    from core.storage.sqlite import migrations

    path = str(tmp_path / "queue.db")
    migrating.prepare(path, Ledger(str(tmp_path)).create())
    scripts = (*migrations.migrations(), (migrations.SCHEMA_VERSION + 1, migrating.NEXT))
    monkeypatch.setattr(migrations, "migrations", lambda: iter(scripts))
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", migrations.SCHEMA_VERSION + 1)
    Path(f"{path}.schema-{migrations.SCHEMA_VERSION - 1}.backup.partial").write_bytes(b"half a copy")
    with Queue(path) as queue:
        assert migrating.check(queue) == []
    assert not list(tmp_path.glob("*.partial"))


def test_the_trash_is_emptied_though_the_clock_was_set_back(queue: Queue, clock: FakeClock) -> None:
    """Jobs that were purged "in the future" are removed for good like any others."""
    queue.cancel(queue.add("true"))
    queue.purge(1)
    clock.jump(-3600)
    assert queue.empty_trash() == 1


def test_what_was_committed_is_acknowledged_though_the_turn_cannot_be_given_back(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the commit would have the caller enqueue again."""
    flock = fcntl.flock

    def refusing(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            raise OSError(37, "No locks available")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refusing)
    assert [queue.add("true"), queue.add("true")] == [1, 2]


def test_the_files_of_workers_that_nobody_knows_are_removed(queue: Queue) -> None:
    """A worker that died while it took itself out of the register leaves a lock file and a bell."""
    for kind in ("lock", "bell"):
        Path(queue.storage.spool.workers, f"7.{kind}").touch()
    queue.storage.maintenance.remove_leftovers()
    assert os.listdir(queue.storage.spool.workers) == []


def test_a_worker_does_not_try_for_ever_with_a_damaged_database(tmp_path: Path) -> None:
    """It ends with the error, as nothing will mend by itself."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.add("true")
        sqlite_of(queue).connection().execute("DROP TABLE attempts")
        worker = Worker(queue)
        worker.start()
        assert worker.join(10.0)
        assert isinstance(worker.error, DatabaseCorrupt)


def test_a_damaged_database_that_is_refused_keeps_its_wal(tmp_path: Path) -> None:
    """SQLite would copy the WAL back into the file that was refused."""
    source, copy = tmp_path / "queue.db", tmp_path / "copy.db"
    with Queue(source) as queue:
        queue.enqueue_many([NewJob("true")] * 50)
    with Queue(source) as queue:
        queue.cancel(View(states=(State.PENDING,)))
        for kind in ("", "-wal"):
            shutil.copy(f"{source}{kind}", f"{copy}{kind}")
    data = copy.read_bytes()
    copy.write_bytes(data.replace(b"CHECK (attempts BETWEEN 0", b"CHECK (attemptz BETWEEN 0"))
    before = [hashlib.sha256(Path(f"{copy}{kind}").read_bytes()).digest() for kind in ("", "-wal")]
    with pytest.raises(DatabaseCorrupt):
        Queue(copy)
    assert [hashlib.sha256(Path(f"{copy}{kind}").read_bytes()).digest() for kind in ("", "-wal")] == before


def test_a_worker_leaves_when_its_statements_do_not_fit_the_tables(tmp_path: Path) -> None:
    """A bit in the schema's text renames a column: nothing to try again for ever, and nothing that was told is lost."""
    path = str(tmp_path / "queue.db")
    with Queue(path) as queue:
        queue.enqueue("echo hi")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA writable_schema = ON")
    changed = connection.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'run_ms', 'run_mr') WHERE name = 'minutes'"
    )
    assert changed.rowcount == 1
    connection.close()
    with Queue(path) as queue:
        ended: list[BaseException] = []

        def work() -> None:
            try:
                Worker(queue, once=True).run()
            except DatabaseCorrupt as error:
                ended.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(10.0)
        assert not thread.is_alive()
        assert "doctor" in str(ended[0])


def test_a_descriptor_that_the_system_goes_on_watching_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """epoll_ctl failed (ENOSPC) when the end of a command had been told: it is told again, and taken out then."""
    remove, refusals = Selector.remove, iter(range(3))
    monkeypatch.setattr(Selector, "remove", lambda selector, it: next(refusals, None) is None and remove(selector, it))
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue_many([NewJob("sleep 0.05")] * 6)
        Worker(queue, slots=2, once=True).run()
        assert queue.counts().of(State.COMPLETED) == 6
    assert next(refusals, None) is None


@pytest.mark.parametrize(
    ("table", "column", "value", "ask"),
    [
        ("durations", "n", None, lambda queue: queue.metrics(3600)),
        ("durations", "bucket", b"x", lambda queue: queue.metrics(3600)),
        ("minutes", "succeeded", b"x", lambda queue: queue.metrics(3600)),
        ("minutes", "succeeded", b"x", lambda queue: queue.minutes()),
        ("minutes", "run_ms", None, lambda queue: queue.minutes()),
    ],
)
def test_totals_that_are_no_numbers_are_told_as_damage(
    tmp_path: Path, table: str, column: str, value: bytes | None, ask: Callable[[Queue], object]
) -> None:
    """A flipped bit makes a number nothing: the metrics ended with a TypeError."""
    path = str(tmp_path / "queue.db")
    with Queue(path) as queue:
        queue.enqueue("true")
        Worker(queue, once=True).run()
        assert queue.metrics(3600).succeeded == 1
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA writable_schema = ON")
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    loose = re.sub(rf"\b{column}\s+INTEGER NOT NULL", f"{column} ANY", sql)
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (loose, table))
    connection.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    connection.close()
    with Queue(path) as queue, pytest.raises(DatabaseCorrupt, match="doctor"):
        ask(queue)


def test_a_queue_whose_name_is_no_text_is_told_as_damage(tmp_path: Path) -> None:
    """A flipped bit makes a text a blob: names that cannot be sorted ended with a TypeError."""
    path = str(tmp_path / "queue.db")
    with Queue(path) as queue:
        queue.enqueue("true")
        queue.limit("media", 1)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'TEXT', 'ANY') WHERE name = 'queues'")
    connection.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE queues SET name = CAST(name AS BLOB)")
    connection.close()
    with Queue(path) as queue, pytest.raises(DatabaseCorrupt, match="doctor"):
        queue.queues()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_module_that_it_changes(mutant: Mutant) -> None:
    """One whose text is gone takes nothing out, and would show nothing."""
    found = importlib.util.find_spec(mutant.module)
    assert found is not None
    assert found.origin is not None
    text = Path(found.origin).read_text(encoding="utf-8")
    assert not [old for old, _ in mutant.changes if old not in text]
