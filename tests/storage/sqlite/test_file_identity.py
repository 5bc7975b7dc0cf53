"""One file has one name, and files of the queue belong to the database's owner, whoever makes them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import DatabaseError
from core.execution.worker import Worker
from core.model import State
from core.queue import Queue
from tests.processes import run_python, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or become another user")
#: The user "nobody" of most systems.
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a database that was used once and closed."""
    path = tmp_path / "first" / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("true")
    return path


def other_name(path: Path) -> Path:
    """Return a path in another directory."""
    directory = path.parent.parent / "second"
    directory.mkdir()
    return directory / "queue.db"


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_hard_link_is_refused_and_the_first_name_goes_on(path: Path, is_read_only: bool) -> None:
    """Its log and locks would be others; nothing appears beside it, and the remedy is named."""
    second = other_name(path)
    os.link(path, second)
    with pytest.raises(DatabaseError, match=r"hard links.*find / -xdev -samefile.*remove the rest"):
        Queue(second, is_read_only=is_read_only)
    assert os.listdir(second.parent) == ["queue.db"]
    with Queue(path) as queue:
        assert queue.enqueue("true").id == 2
        assert [finding.level for finding in queue.doctor() if finding.check == "names"] == ["warning"]


def test_a_tree_copied_as_hard_links_is_refused(path: Path) -> None:
    """``cp -al`` links the spool's files as well: the numbers of its directories are others."""
    second = other_name(path)
    os.link(path, second)
    os.mkdir(f"{second}.spool")
    os.link(f"{path}.spool/database", f"{second}.spool/database")
    with pytest.raises(DatabaseError, match="hard links"):
        Queue(second)


def test_the_name_that_is_left_is_let_in(path: Path) -> None:
    """A rename by link and unlink leaves a database with one name, which is then the one that counts."""
    second = other_name(path)
    os.link(path, second)
    path.unlink()
    with Queue(second) as queue:
        assert queue.enqueue("true").id == 2
    third = second.with_name("third.db")
    os.link(second, third)
    with Queue(second):
        pass
    with pytest.raises(DatabaseError, match="hard links"):
        Queue(third)


def test_a_symlink_is_no_second_name(path: Path) -> None:
    """It leads to the same log and the same locks."""
    second = other_name(path)
    second.symlink_to(path)
    with Queue(second) as queue, Queue(path) as same:
        assert queue.path == same.path
    assert os.listdir(second.parent) == ["queue.db"]


@pytest.fixture
def mounted_alone(path: Path) -> Iterator[Path]:
    """Mount the database's file alone at another path, as 'docker run -v queue.db:/data/queue.db' does."""
    second = other_name(path)
    second.touch()
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", path, second], check=False).returncode != 0:
        pytest.skip("mounting takes root")
    yield second
    subprocess.run(["umount", "-l", second], check=True)


def test_a_file_that_is_mounted_alone_is_refused(mounted_alone: Path) -> None:
    """The container has none of its log and locks; the directory is what is to be mounted."""
    with pytest.raises(DatabaseError, match=r"mounted by itself.*mount its directory"):
        Queue(mounted_alone)
    assert os.listdir(mounted_alone.parent) == ["queue.db"]


@needs_root
def test_a_directory_that_is_mounted_is_let_in(path: Path) -> None:
    """Both paths lead to one log and one set of locks."""
    second = other_name(path).parent
    subprocess.run(["mount", "--bind", path.parent, second], check=True)
    try:
        with Queue(second / "queue.db") as queue, Queue(path) as same:
            queue.enqueue("true")
            assert same.job(2).state is State.PENDING
    finally:
        subprocess.run(["umount", "-l", second], check=True)


# --- root and others


def owners(directory: Path) -> set[int]:
    """Return the users that own a directory and what is in it."""
    return {found.lstat().st_uid for found in [directory, *directory.rglob("*")]}


@needs_root
def test_what_root_makes_belongs_to_the_databases_owner(open_directory: Path) -> None:
    """The database, its log, and every lock, bell, run and output file, while root's worker runs a command."""
    os.chown(open_directory, NOBODY, NOBODY)
    with Queue(open_directory / "queue.db") as queue:
        job_id = queue.enqueue("echo x; while ! test -e go; do sleep 0.02; done", cwd=str(open_directory)).id
        worker = Worker(queue, once=True)
        worker.start()
        wait_for(lambda: queue.job(job_id).state is State.RUNNING, "it runs")
        names = {found.suffix for found in (open_directory / "queue.db.spool").rglob("*")}
        assert {".run", ".out", ".lock", ".bell"} <= names
        assert owners(open_directory) == {NOBODY}
        (open_directory / "go").touch()
        assert worker.join(60)


@needs_root
def test_a_database_of_a_user_in_a_directory_of_roots_stays_theirs(open_directory: Path) -> None:
    """The spool takes the database's owner, not the directory's."""
    with Queue(open_directory / "queue.db"):
        pass
    shutil.rmtree(open_directory / "queue.db.spool")
    os.chown(open_directory / "queue.db", NOBODY, NOBODY)
    with Queue(open_directory / "queue.db") as queue:
        queue.enqueue("true")
        assert owners(open_directory / "queue.db.spool") == {NOBODY}


@needs_root
@pytest.mark.parametrize("name", ["queue.db.spool", "queue.db.spool/attempts"])
def test_root_refuses_a_strangers_spool(open_directory: Path, name: str) -> None:
    """Who owns the directory could put links to root's own files in place of outputs."""
    os.chmod(open_directory, 0o1777)
    with Queue(open_directory / "queue.db"):
        pass
    os.chown(open_directory / name, NOBODY, NOBODY)
    with pytest.raises(DatabaseError, match=f"belongs to user {NOBODY}; move it away"):
        Queue(open_directory / "queue.db")


@needs_root
def test_a_strangers_database_in_an_open_directory_is_refused(open_directory: Path) -> None:
    """Its owner could have jobs run as whoever starts a worker on it; in a directory of its owner it is let in."""
    path = open_directory / "queue.db"
    with Queue(path):
        pass
    for found in [path, *path.with_name("queue.db.spool").rglob("*"), path.with_name("queue.db.spool")]:
        os.chown(found, NOBODY, NOBODY)
    os.chmod(open_directory, 0o1777)
    with pytest.raises(DatabaseError, match="all users may write to"):
        Queue(path)
    os.chmod(open_directory, 0o755)
    with Queue(path) as queue:
        assert queue.enqueue("true").id == 1


_GO_ON_AS = """
import os, sys, tempfile
from core import Queue, Worker

def use(path):
    with Queue(path) as queue:
        queue.enqueue("true")
        Worker(queue, once=True).run()

with tempfile.TemporaryDirectory() as elsewhere:
    use(elsewhere + "/queue.db")
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
use(sys.argv[1])
"""


@needs_root
def test_a_user_goes_on_after_root(open_directory: Path) -> None:
    """``sudo queuectl enqueue`` locks nobody out of their own queue."""
    os.chown(open_directory, NOBODY, NOBODY)
    path = open_directory / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("true")
    # a first use loads everything: the other user may not be able to read the installation
    run_python(_GO_ON_AS, path, NOBODY, cwd=open_directory)
    with Queue(path) as queue:
        assert [queue.job(job_id).state for job_id in (1, 2)] == [State.COMPLETED] * 2
