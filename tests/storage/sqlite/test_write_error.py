"""What a write would meet is found out without a write: rights, room, locks; each caused for real."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DatabaseBusy, DatabaseReadOnly, DiskFull, UsageError
from core.model import NewJob
from core.queue import Queue
from tests.full_disk import fill, mounted, remount
from tests.sqlite import sqlite_of


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue.db") as opened:
        opened.add(NewJob("true"))
        yield opened


def test_a_sound_database_has_none_and_is_not_written_to(queue: Queue) -> None:
    before = os.stat(queue.path + "-wal")
    with Queue(queue.path) as other:
        version = other.data_version()
        assert queue.write_error() is None
        assert other.data_version() == version
    after = os.stat(queue.path + "-wal")
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_lock_that_another_program_holds_counts_for_as_long_as_it_lasts(queue: Queue) -> None:
    with closing(sqlite3.connect(queue.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = queue.write_error(0.05)
        assert isinstance(error, DatabaseBusy)
        assert queue.path in str(error)
        other.rollback()
    assert queue.write_error() is None
    queue.add(NewJob("true"))  # the timeout of writes is what it was


def test_the_turn_of_a_writer_that_hangs_counts_as_well(queue: Queue) -> None:
    with sqlite_of(queue).write(), closing(Queue(queue.path)) as other:
        assert isinstance(other.write_error(0.05), DatabaseBusy)
    assert queue.write_error() is None


def test_others_that_write_in_turn_are_no_trouble(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database changes while a lock is waited for, somebody gets on."""
    versions = iter((1, 2))
    monkeypatch.setattr(queue.storage, "data_version", lambda: next(versions))
    with closing(sqlite3.connect(queue.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert queue.write_error(0.01) is None


def test_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk, Queue(disk / "queue.db") as queue:
        filler = fill(disk)
        error = queue.write_error()
        assert isinstance(error, DiskFull)
        assert "nothing was changed" not in str(error)
        with Queue(disk / "queue.db", is_read_only=True) as looking:
            assert isinstance(looking.write_error(), DiskFull)
        filler.unlink()
        assert queue.write_error() is None


def test_a_database_that_was_opened_without_the_right_to_write_it(tmp_path: Path) -> None:
    """It is read all the same, and says why nothing can be done, also once it could be opened again."""
    with mounted(tmp_path / "disk", "16m") as disk:
        Queue(disk / "queue.db").close()
        remount(disk, "ro")
        with Queue(disk / "queue.db") as queue:
            assert queue.is_read_only
            error = queue.write_error()
            assert isinstance(error, DatabaseReadOnly)
            assert "file system is read-only" in str(error)
            assert [found.level for found in queue.doctor() if found.check == "writes"] == ["error"]
            remount(disk, "rw")
            assert "start again" in str(queue.write_error())
        with Queue(disk / "queue.db") as queue:
            assert queue.write_error() is None
        remount(disk, "ro")
        with Queue(disk / "queue.db", is_read_only=True) as queue:
            assert queue.write_error() is None  # asked only to look


def test_a_file_that_this_user_may_not_write(open_directory: Path) -> None:
    """Asked as another user where the tests run as root, whom no permission keeps from anything."""
    with Queue(open_directory / "queue.db") as queue:
        os.chmod(queue.path, 0o444)
        if os.geteuid() != 0:
            assert isinstance(queue.write_error(), DatabaseReadOnly)
            return
        script = (
            "import os; from types import SimpleNamespace as N; from core.storage.sqlite.write_check import _right;"
            f" os.setuid(65534); n = N(path={queue.path!r}, spool=N(root={queue.storage.spool.root!r}));"
            " print(type(_right(n)).__name__)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.strip() == DatabaseReadOnly.__name__, done.stderr


def test_a_patience_that_is_no_number_is_refused(queue: Queue) -> None:
    with pytest.raises(UsageError, match="patience_s"):
        queue.write_error(-1)
