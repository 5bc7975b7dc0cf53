"""Opening a database: made privately and once, migrated whole or not at all, and never one that is not ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import locks
from core.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseTooNew,
    NotOurDatabase,
)
from core.model import State, View
from core.queue import Queue
from core.storage.sqlite import migrations as schema
from core.storage.sqlite.migrations import APPLICATION_ID, SCHEMA_VERSION
from tests.processes import run_python, start_python
from tests.storage.by_hand import Hand, dump


def bytes_beside(path: Path) -> dict[str, bytes | None]:
    """Return the name and content of everything in the directory of a database."""
    return {
        str(found.relative_to(path.parent)): found.read_bytes() if found.is_file() else None
        for found in sorted(path.parent.rglob("*"))
    }


def pragma(path: str | Path, name: str) -> object:
    """Return what another program reads from a database."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


# --- a new database


def test_a_new_database_says_whose_it_is(queue: Queue) -> None:
    """Application, schema and write-ahead log are set when the first open returns."""
    assert pragma(queue.path, "application_id") == APPLICATION_ID
    assert pragma(queue.path, "user_version") == SCHEMA_VERSION
    assert pragma(queue.path, "journal_mode") == "wal"
    assert pragma(queue.path, "integrity_check") == "ok"


def test_directories_on_the_way_are_made(tmp_path: Path) -> None:
    """A first use needs no preparation."""
    with Queue(tmp_path / "a" / "b" / "queue.db") as queue:
        assert queue.enqueue("true").id == 1
    for directory in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_each_new_directory_is_synced_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the first job takes none of the names on the way to it back."""
    synced: list[str] = []
    monkeypatch.setattr(locks, "sync_directory", lambda path: synced.append(path))
    Queue(tmp_path / "a" / "b" / "queue.db").close()
    # those of the spool, too: outputs that are synced there would be lost with them
    spool = "a/b/queue.db.spool"
    assert synced == [str(tmp_path / path) for path in ("a", "", "a/b", "a", "a/b", spool, spool)]


def test_asking_not_to_create_creates_nothing(tmp_path: Path) -> None:
    """Neither the file nor a directory for it."""
    path = tmp_path / "deep" / "queue.db"
    with pytest.raises(DatabaseMissing, match="no database at"):
        Queue(path, create=False)
    with pytest.raises(DatabaseMissing, match="no database at"):
        Queue(path, is_read_only=True)
    assert list(tmp_path.iterdir()) == []


_OPEN_AND_ENQUEUE = """
import sys
from core import Queue
sys.stdin.readline()
with Queue(sys.argv[1]) as queue:
    print(queue.enqueue("true").id)
"""


def test_many_processes_may_create_one_database_at_once(tmp_path: Path) -> None:
    """Six that start together, three times over, all get in, and all their jobs are there."""
    for turn in range(3):
        path = tmp_path / f"queue-{turn}.db"
        crowd = [start_python(_OPEN_AND_ENQUEUE, path) for _ in range(6)]
        results = []
        for process in crowd:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in crowd:
            with process:
                results.append((*process.communicate(timeout=60), process.returncode))
        assert sorted(out.strip() for out, _, _ in results) == ["1", "2", "3", "4", "5", "6"], results
        assert pragma(path, "journal_mode") == "wal"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_private_whatever_the_umask(open_directory: Path, umask: int) -> None:
    """Everything that is ours is 0600, directories 0700; also for a user whose umask takes all rights away."""
    program = f"""
import os, sys, tempfile
from core import Queue, Worker

def use(path):
    with Queue(path) as queue:
        queue.enqueue("head -c 100000 /dev/zero")
        queue.enqueue("true")
        Worker(queue, once=True).run()
        queue.backup(path + ".copy")
        return [oct(os.stat(path + name).st_mode & 0o777) for name in ("", "-wal", "-shm")]

with tempfile.TemporaryDirectory() as elsewhere:
    use(elsewhere + "/queue.db")  # loads everything: the other user may not be able to read the installation
os.umask({umask})
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
print(*use(sys.argv[1]))
"""
    home = open_directory / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 65534, 65534)
    assert run_python(program, home / "queue.db", cwd="/").split() == ["0o600", "0o600", "0o600"]
    for found in [
        home / "queue.db",
        home / "queue.db.copy",
        *home.rglob("queue.db.spool"),
        *home.rglob("*.spool/**/*"),
    ]:
        assert stat.S_IMODE(found.stat().st_mode) == (0o700 if found.is_dir() else 0o600), found
    assert list(home.rglob("*.out")), "the long output should be among the files that were looked at"


def test_a_spool_that_others_may_use_is_closed_to_them(tmp_path: Path) -> None:
    """A directory that was made too open before we came is ours alone afterwards."""
    (tmp_path / "queue.db.spool").mkdir(mode=0o777)
    (tmp_path / "queue.db.spool").chmod(0o777)
    with Queue(tmp_path / "queue.db"):
        assert stat.S_IMODE((tmp_path / "queue.db.spool").stat().st_mode) == 0o700


# --- symlinks


@pytest.mark.parametrize("name", ["queue.db.spool", "queue.db.spool/workers", "queue.db.spool/attempts"])
def test_a_planted_symlink_in_place_of_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing of ours is written where somebody else points."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(DatabaseError, match="is not a directory"):
        Queue(tmp_path / "queue.db")
    assert list(elsewhere.iterdir()) == []


def test_a_planted_symlink_in_place_of_the_write_lock_is_refused(tmp_path: Path) -> None:
    """The target is neither made nor locked."""
    (tmp_path / "queue.db.spool").mkdir()
    (tmp_path / "queue.db.spool" / "write.lock").symlink_to(tmp_path / "target")
    with pytest.raises(DatabaseError, match=r"write\.lock"):
        Queue(tmp_path / "queue.db")
    assert not (tmp_path / "target").exists()


def test_one_database_under_two_names_is_one_queue(tmp_path: Path) -> None:
    """Through a symlink the same locks are seen: a worker under one name is alive under the other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "alias.db").symlink_to(tmp_path / "real" / "queue.db")
    with Queue(tmp_path / "real" / "queue.db") as queue, Hand(queue) as hand:
        for name in (tmp_path / "link" / "queue.db", tmp_path / "alias.db"):
            with Queue(name) as other:
                assert other.path == queue.path
                assert [(worker.id, worker.is_alive) for worker in other.workers()] == [(hand.id, True)]
    assert not (tmp_path / "alias.db.spool").exists()


# --- files that are not ours


def _foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 1234")
        connection.execute("CREATE TABLE jobs (id)")
        connection.commit()


def _nobodys(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE mine (id)")


@pytest.mark.parametrize("is_read_only", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_foreign, "belongs to another application"),
        (_nobodys, "belongs to another application"),
        (lambda path: path.write_bytes(b"PNG" * 1000), "not an SQLite database"),
        (lambda path: path.write_bytes(b"SQLite format 3\0"), "not an SQLite database"),
        (lambda path: path.write_bytes(b"\0" * 8192), "not an SQLite database"),
        (lambda path: path.mkdir(), "is not a file"),
        (os.mkfifo, "is not a file"),
    ],
    ids=["foreign", "no application", "not SQLite", "short", "zeros", "directory", "fifo"],
)
def test_a_file_that_is_not_ours_is_not_touched(tmp_path: Path, make: object, message: str, is_read_only: bool) -> None:
    """Refused in one line, byte for byte as it was, and nothing was put beside it."""
    path = tmp_path / "queue.db"
    make(path)  # type: ignore[operator]
    before = bytes_beside(path)
    with pytest.raises(NotOurDatabase, match=message):
        Queue(path, is_read_only=is_read_only)
    assert bytes_beside(path) == before


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    """An older program leaves a newer one's data alone."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("true")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = bytes_beside(path)
    with pytest.raises(DatabaseTooNew, match="newer queuectl"):
        Queue(path)
    after = bytes_beside(path)
    assert {name: data for name, data in after.items() if name in before} == before


def test_a_link_to_nothing_is_a_place_for_a_new_database(tmp_path: Path) -> None:
    """A symlink that a person made to where the database is to be is followed."""
    (tmp_path / "alias.db").symlink_to(tmp_path / "real.db")
    with pytest.raises(DatabaseMissing):
        Queue(tmp_path / "alias.db", create=False)
    with Queue(tmp_path / "alias.db") as queue:
        assert queue.path == str(tmp_path / "real.db")


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    """That is what a process leaves that was killed just after it made the file."""
    path = tmp_path / "queue.db"
    path.touch()
    with pytest.raises(DatabaseMissing, match="is empty"):
        Queue(path, is_read_only=True)
    with Queue(path) as queue:
        assert queue.enqueue("true").id == 1


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_a_truncated_database_is_called_damaged(tmp_path: Path, keep: float) -> None:
    """One clear line at the first use that meets the damage; ``doctor`` says it too when it can be opened."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        queue.enqueue_many([])
        for number in range(200):
            queue.enqueue(f"echo {'x' * 500} {number}")
    size = path.stat().st_size
    os.truncate(path, int(size * keep) // 4096 * 4096)
    seen = ""
    try:
        with Queue(path, is_read_only=True) as queue:
            seen = " ".join(finding.check for finding in queue.doctor() if finding.level == "error")
            queue.jobs(View(), limit=1000)
    except DatabaseCorrupt as error:
        seen = str(error)
    # it depends on the place of the cut who meets it first
    assert "integrity" in seen or "damaged" in seen
    assert "\n" not in seen


def test_ours_by_name_but_without_tables_is_called_damaged(tmp_path: Path) -> None:
    """A file that lost its tables is an error of its own, not a traceback."""
    path = tmp_path / "queue.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(DatabaseCorrupt, match="does not have the tables"):
        Queue(path)


# --- migrations


_DIE_IN_MIGRATION = """
import os, signal, sys
from core.storage.sqlite import file as database, migrations as schema
place, real = int(sys.argv[2]), schema.statements

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def statements(script):
    for number, statement in enumerate(real(script)):
        if number == place:
            die()
        yield statement

schema.statements = statements
if place == -1:
    database.Database._use_wal = lambda self, connection: die()
database.Database(sys.argv[1])
"""


@pytest.mark.parametrize("place", [0, 1, 12, 20, -1])
def test_a_process_killed_while_it_migrates_leaves_old_or_new(tmp_path: Path, place: int) -> None:
    """The next one finds an empty file or a finished schema, and works, with the write-ahead log on."""
    path = tmp_path / "queue.db"
    process = start_python(_DIE_IN_MIGRATION, path, place)
    with process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with Queue(path) as queue:
        assert queue.enqueue("true").id == 1
        assert [finding for finding in queue.doctor() if finding.level == "error"] == []
    assert pragma(path, "journal_mode") == "wal"


@pytest.fixture
def next_schema(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Teach the program one more migration; return the list of all of them."""
    known = [*schema.migrations(), (SCHEMA_VERSION + 1, "ALTER TABLE jobs ADD COLUMN colour TEXT;\n")]

    def migrations() -> Iterator[tuple[int, str]]:
        yield from known

    monkeypatch.setattr(schema, "migrations", migrations)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    return known


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a database with a job in it that today's program wrote."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("true", name="etl")
    return path


def test_an_older_schema_is_copied_and_then_migrated(old: Path, next_schema: list[tuple[int, str]]) -> None:
    """The jobs are all there, and the copy is the database as it was."""
    before = dump(str(old))
    with Queue(old) as queue:
        assert queue.job("etl").state is State.PENDING
    assert pragma(old, "user_version") == SCHEMA_VERSION + 1
    copy = old.with_name(f"queue.db.schema-{SCHEMA_VERSION}.backup")
    assert (pragma(copy, "user_version"), dump(str(copy))) == (SCHEMA_VERSION, before)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_migration_that_fails_changes_nothing(old: Path, next_schema: list[tuple[int, str]]) -> None:
    """All steps are one transaction, the number of the schema with them."""
    next_schema.append((SCHEMA_VERSION + 2, "ALTER TABLE nowhere ADD COLUMN x;\n"))
    before = dump(str(old))
    with pytest.raises(DatabaseError):
        Queue(old)
    assert (pragma(old, "user_version"), dump(str(old))) == (SCHEMA_VERSION, before)


def test_an_older_schema_is_not_migrated_by_a_reader(old: Path, next_schema: list[tuple[int, str]]) -> None:
    """Reading only means reading only."""
    before = old.read_bytes()
    with pytest.raises(DatabaseReadOnly, match="older schema"):
        Queue(old, is_read_only=True)
    assert old.read_bytes() == before


def test_the_migrations_are_numbered_without_a_gap() -> None:
    """One file for each step, and the last one is the schema that the program writes."""
    assert [number for number, _ in schema.migrations()] == list(range(1, SCHEMA_VERSION + 1))


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """Spaces, quotes, percent signs and question marks are parts of a name."""
    path = tmp_path / "a b'c%20?mode=ro#x é.db"
    with Queue(path) as queue:
        queue.enqueue("true")
    assert path.stat().st_size > 0
    with Queue(path, is_read_only=True) as queue:
        assert queue.count(View()) == 1


def test_a_file_that_waits_for_its_log_is_opened(tmp_path: Path) -> None:
    """A power cut, or a full disk, while the log is copied back leaves a file that is shorter than it says."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        before = path.stat().st_size
        queue.enqueue_many(["echo " + "x" * 3000] * 50)
        copied = tmp_path / "copied" / "queue.db"
        copied.parent.mkdir()
        shutil.copy(f"{path}-wal", f"{copied}-wal")
    os.truncate(path, before)
    shutil.copy(path, copied)
    with Queue(copied) as queue:
        assert queue.count(View()) == 50
