"""Connections: an error after close, none left by ended threads, none used across a fork, and never the wrong log."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DatabaseClosed, DatabaseReplaced
from core.model import NewJob, View
from core.queue import Queue
from tests.processes import run_python, wait_for
from tests.sqlite import sqlite_of

_OPEN = "/proc/self/fd"

needs_proc = pytest.mark.skipif(not Path(_OPEN).is_dir(), reason="only /proc shows what a process has open")


def open_files(directory: Path) -> list[str]:
    """Return what this process has open below a directory."""
    found = []
    for name in os.listdir(_OPEN):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"{_OPEN}/{name}"))
    return sorted(path for path in found if path.startswith(str(directory)))


# --- close

_USES: dict[str, Callable[[Queue], object]] = {
    "add": lambda queue: queue.add("true"),
    "enqueue": lambda queue: queue.enqueue("true"),
    "enqueue_many": lambda queue: queue.enqueue_many([NewJob("true")]),
    "job": lambda queue: queue.job(1),
    "rows": lambda queue: queue.rows(View()),
    "jobs": lambda queue: queue.jobs(View()),
    "count": lambda queue: queue.count(View()),
    "counts": lambda queue: queue.counts(),
    "attempts": lambda queue: queue.attempts(1),
    "output": lambda queue: queue.output(1),
    "data_version": lambda queue: queue.data_version(),
    "cancel": lambda queue: queue.cancel(1),
    "retry": lambda queue: queue.retry(1),
    "edit": lambda queue: queue.edit(1, priority=3),
    "purge": lambda queue: queue.purge(View()),
    "restore": lambda queue: queue.restore(),
    "undo": lambda queue: queue.undo(),
    "pause": lambda queue: queue.pause(),
    "limit": lambda queue: queue.limit("default", 1),
    "settings": lambda queue: queue.settings(),
    "set": lambda queue: queue.set("jitter", "0.1"),
    "workers": lambda queue: queue.workers(),
    "prune": lambda queue: queue.prune(),
    "empty_trash": lambda queue: queue.empty_trash(),
    "doctor": lambda queue: queue.doctor(),
    "backup": lambda queue: queue.backup(queue.path + ".copy"),
    "snapshot": lambda queue: queue.snapshot().__enter__(),
    "set_busy_timeout": lambda queue: queue.storage.set_busy_timeout(1.0),
}


@pytest.mark.parametrize("name", _USES)
def test_a_closed_queue_is_an_error_in_every_thread(tmp_path: Path, name: str) -> None:
    """It acknowledges nothing and opens nothing again; closing it once more is fine."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.add("true")
    seen: list[BaseException] = []

    def use() -> None:
        try:
            _USES[name](queue)
        except DatabaseClosed as error:
            seen.append(error)

    use()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join(10)
    assert [str(error) for error in seen] == [
        f"the queue at {queue.path} was closed; open it again with Queue({queue.path!r})"
    ] * 2
    queue.close()
    with Queue(queue.path) as again:
        assert again.count(View()) == 1
    assert not Path(queue.path + ".copy").exists()


@needs_proc
def test_close_closes_what_other_threads_have(tmp_path: Path) -> None:
    """Also of those that live on; one in the middle of a transaction ends that first, and it counts."""
    queue = Queue(tmp_path / "queue.db")
    is_inside, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with sqlite_of(queue).write() as connection:
            connection.execute("INSERT INTO facts (key, value) VALUES ('x', 1)")
            is_inside.set()
            may_end.wait(20)

    def idle() -> None:
        queue.counts()
        is_idle.set()
        may_end.wait(20)

    is_idle = threading.Event()
    threads = [threading.Thread(target=write), threading.Thread(target=idle)]
    for thread in threads:
        thread.start()
    assert is_inside.wait(20)
    assert is_idle.wait(20)
    before = len(open_files(tmp_path))
    queue.close()
    assert 0 < len(open_files(tmp_path)) < before
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert open_files(tmp_path) == []
    with Queue(queue.path) as again, sqlite_of(again).read() as connection:
        assert connection.execute("SELECT value FROM facts WHERE key = 'x'").fetchone() == (1,)


def test_a_transaction_may_end_after_its_own_thread_closed_the_queue(tmp_path: Path) -> None:
    """What was begun is finished, and then the error begins."""
    queue = Queue(tmp_path / "queue.db")
    with queue.snapshot():
        queue.close()
        assert queue.count(View()) == 0
    with pytest.raises(DatabaseClosed):
        queue.counts()


_WATCH_OPEN = """
import os, sys
from core import Queue, Worker
from core.model import View
path = sys.argv[1]
seen = []
def watch(event, arguments):
    if event == "open" and str(arguments[0]) in (path, path + "-wal", path + "-shm"):
        if not arguments[2] & getattr(os, "O_PATH", 0):  # which opens nothing that could be locked
            seen.append(arguments)
queue = Queue(path)
queue.enqueue("true")
sys.addaudithook(watch)
with Queue(path) as second, Queue(path, is_read_only=True) as reader:
    second.enqueue("true")
    Worker(second, drain=True).run()
    assert reader.count(View()) == 2
    second.doctor(), reader.doctor()
    second.backup(path + ".copy")
    second.purge(View()), second.empty_trash(), second.prune()
queue.enqueue("true")
queue.close()
Queue(path).close()
print(seen)
"""


def test_no_file_of_the_database_is_ever_opened_by_hand(tmp_path: Path) -> None:
    """To close one would drop every lock that this process has on it in SQLite."""
    assert run_python(_WATCH_OPEN, tmp_path / "queue.db").strip() == "[]"


def test_a_queue_leaves_the_locks_of_other_connections_alone(tmp_path: Path) -> None:
    """Also those of a connection that the program made itself: another process does not take it for gone."""
    path = tmp_path / "queue.db"
    Queue(path).close()
    with contextlib.closing(sqlite3.connect(path)) as own:
        assert own.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        log = os.stat(f"{path}-wal").st_ino
        Queue(path).close()
        run_python("import sys; from core import Queue; Queue(sys.argv[1]).add('true')", path)
        assert os.stat(f"{path}-wal").st_ino == log  # the last one to close removes it


# --- threads


@needs_proc
def test_ended_threads_leave_nothing_open(tmp_path: Path) -> None:
    """Each use of a new thread lets go of what the ended ones had: files and memory do not grow with their number."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.add("true")
        before = len(open_files(tmp_path))
        for _ in range(40):
            thread = threading.Thread(target=lambda: queue.add("true"))
            thread.start()
            thread.join()
        assert len(open_files(tmp_path)) <= before * 2  # this thread's and the last one's
        assert queue.count(View()) == 41


def test_without_a_free_descriptor_the_reason_is_the_right_one(tmp_path: Path) -> None:
    """It is not the file that is missing."""
    program = """
import os, resource, sys, threading
from core import Queue
from core.errors import DatabaseError
queue = Queue(sys.argv[1])
queue.add("true")
resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/dev/fd"))) + 1,) * 2)
def add():
    try:
        queue.add("true")
    except DatabaseError as error:
        print(error)
thread = threading.Thread(target=add)
thread.start()
thread.join()
"""
    assert "too many files open" in run_python(program, tmp_path / "queue.db")


# --- forks

_FILES_OF = """
def files():
    import os
    found = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return sorted(path for path in found if path.startswith(os.path.dirname(sys.argv[1])))
"""

_DAEMONISE = f"""
import os, subprocess, sys, time
from core import Queue
{_FILES_OF}
queue = Queue(sys.argv[1])
print(queue.add("echo parent"), flush=True)
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
assert files() == [], files()
# the parent is gone: to this process nobody uses the database, and it removes the log as it ends
subprocess.run([sys.executable, "-c", "import sys; from core import Queue; print(Queue(sys.argv[1]).add('echo other'))",
    sys.argv[1]], check=True)
print(queue.add("echo child"), flush=True)
"""


@needs_proc
def test_a_queue_goes_on_in_a_daemon(tmp_path: Path) -> None:
    """The parent ends, another process takes the database for unused, and what the child acknowledges is there."""
    path = tmp_path / "queue.db"
    assert run_python(_DAEMONISE, path).split() == ["1", "2", "3"]
    with Queue(path) as queue:
        assert [job.command for job in queue.jobs(View())] == ["echo parent", "echo other", "echo child"]


_CHILDREN = """
import multiprocessing, sys, threading
from core import Queue, View
queue = Queue(sys.argv[1])
def add(number):
    for _ in range(20):
        queue.add("true")
threads = [threading.Thread(target=add, args=(0,)) for _ in range(2)]
for thread in threads:
    thread.start()
context = multiprocessing.get_context("fork")
children = [context.Process(target=add, args=(number,)) for number in range(4)]
for child in children:
    child.start()
add(0)
for one in (*children, *threads):
    one.join()
assert [child.exitcode for child in children] == [0] * 4
print(queue.count(View()))
"""


def test_children_of_multiprocessing_add_beside_their_parent(tmp_path: Path) -> None:
    """Its threads write at the very moment of each fork; no job is lost, no child hangs."""
    path = tmp_path / "queue.db"
    assert run_python(_CHILDREN, path, timeout_s=60).strip() == "140"
    with Queue(path) as queue:
        assert queue.ids(View()) == list(range(1, 141))
        assert {finding.level for finding in queue.doctor() if finding.check == "integrity"} == {"ok"}


@needs_proc
def test_a_child_holds_no_lock_of_its_parent(tmp_path: Path) -> None:
    """The parent waits for its turn in one thread and is killed while the child lives: others may write."""
    program = f"""
import os, signal, sys, threading
from core import Queue
from core.errors import DatabaseBusy
{_FILES_OF}
queue = Queue(sys.argv[1], busy_timeout_s=0.05)
queue.add("true")
def wait_in_line():
    try:
        queue.add("true")
    except DatabaseBusy:
        pass
with Queue(sys.argv[1]) as other, other.storage.write():
    thread = threading.Thread(target=wait_in_line)
    thread.start()
    thread.join()
if os.fork() == 0:
    print(files(), flush=True)
    sys.stdin.readline()
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    from tests.processes import python

    with python(program, tmp_path / "queue.db") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "[]"
        with Queue(tmp_path / "queue.db", busy_timeout_s=5) as queue:
            assert queue.add("true") == 2
        assert process.stdin is not None
        process.stdin.close()


def test_a_child_that_was_forked_off_inside_a_transaction_is_refused(tmp_path: Path) -> None:
    """It could only use the locks that it believes to have; the parent goes on."""
    program = """
import os, sys
from core import Queue
from core.errors import DatabaseError
queue = Queue(sys.argv[1])
queue.add("true")
with queue.snapshot():
    child = os.fork()
    if child == 0:
        for use in (lambda: queue.add("true"), lambda: Queue(sys.argv[1])):
            try:
                use()
            except DatabaseError as error:
                print(error, flush=True)
        os._exit(0)
os.waitpid(child, 0)
print(queue.add("true"))
"""
    path = tmp_path / "queue.db"
    *refused, last = run_python(program, path).splitlines()
    assert len(refused) == 2
    assert all("was in use at the moment that this process was forked off" in line for line in refused)
    assert last == "2"


# --- the write-ahead log


def _replace(path: Path) -> None:
    shutil.copy(path, f"{path}.copy")
    os.replace(f"{path}.copy", path)


@pytest.mark.parametrize(("harm", "what"), [(Path.unlink, "deleted"), (_replace, "replaced")])
def test_a_log_that_is_gone_acknowledges_nothing(tmp_path: Path, harm: Callable[[Path], None], what: str) -> None:
    """What went into it would be in no database; and closing does not touch the log that is there now."""
    path = tmp_path / "queue.db"
    queue = Queue(path)
    queue.add("true")
    log = Path(f"{path}-wal")
    harm(log)
    for _ in range(2):
        with pytest.raises(DatabaseReplaced, match=rf"queue\.db-wal was {what} while in use; nothing was changed"):
            queue.add("true")
    was_there = log.exists()
    queue.close()
    assert log.exists() is was_there


def test_a_log_that_sqlite_makes_anew_is_no_error(tmp_path: Path) -> None:
    """The last connection to close removes it; the next one makes another."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.add("true")
        queue.storage.close_thread()
        wait_for(lambda: not Path(queue.path + "-wal").exists(), "the log is gone")
        assert queue.add("true") == 2


_CHILD_WHILE_LOADING = """
import os, signal, sys, threading, time
from core import Queue

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "core.storage.sqlite.groups" and not is_loading.is_set():
            is_loading.set()
            time.sleep(1)

is_loading = threading.Event()
sys.meta_path.insert(0, Slow())
queue = Queue(sys.argv[1])
thread = threading.Thread(target=queue.dead_groups)
thread.start()
is_loading.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    queue.dead_groups()
    os._exit(0)
print(os.waitpid(child, 0)[1])
thread.join()
"""


def test_a_fork_waits_for_a_part_of_the_storage_that_is_being_loaded(tmp_path: Path) -> None:
    """The child would wait for the other thread's lock of that module for ever."""
    assert run_python(_CHILD_WHILE_LOADING, tmp_path / "queue.db", timeout_s=60).strip() == "0"
