"""Files of ended attempts that become those of the next ones: only ever where nobody can tell the difference."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from core.liveness import create_afresh
from core.model import NewJob, State
from core.process import HEADING, read_status
from core.queue import Queue
from core.spares import MAX_MISSES, Spares
from core.upkeep import doctor
from tests.processes import WorkerProcess, wait_for
from tests.worker.at_work import drain, output, working

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells who has a file open")


#: How many spares there may be.
_ROOM = 16


def _file(directory: Path, name: str, text: str = "") -> str:
    path = directory / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@linux
def test_a_spare_is_the_old_file_under_a_new_name(tmp_path: Path) -> None:
    """Same inode, and the old name is gone."""
    spares = Spares(_ROOM)
    old = _file(tmp_path, "1.out")
    inode = os.stat(old).st_ino
    spares.keep(old)
    new = str(tmp_path / "2.out")
    assert spares.take(new)
    assert (os.stat(new).st_ino, os.path.exists(old)) == (inode, False)
    assert not spares.take(new)


@linux
@pytest.mark.parametrize("mode", [os.O_RDONLY, os.O_WRONLY])
def test_a_file_that_somebody_has_open_is_no_spare(tmp_path: Path, mode: int) -> None:
    """Neither a reader's (it would see another's output) nor a writer's (it would write into that)."""
    spares = Spares(_ROOM)
    spares.keep(_file(tmp_path, "1.out"))
    theirs = os.open(tmp_path / "1.out", mode)
    try:
        assert not spares.take(str(tmp_path / "2.out"))
    finally:
        os.close(theirs)
    assert os.listdir(tmp_path) == []


@linux
def test_a_file_that_was_written_to_later_is_no_spare(tmp_path: Path) -> None:
    """Its bytes must not begin the next attempt's output."""
    spares = Spares(_ROOM)
    spares.keep(_file(tmp_path, "1.out"))
    (tmp_path / "1.out").write_text("late")
    assert not spares.take(str(tmp_path / "2.out"))
    assert os.listdir(tmp_path) == []


def test_no_more_spares_are_kept_than_are_of_use(tmp_path: Path) -> None:
    """A thousand slots do not leave a thousand files; and all are removed in the end."""
    spares = Spares(_ROOM)
    for number in range(3 * _ROOM):
        spares.keep(_file(tmp_path, f"{number}.out"))
    assert len(os.listdir(tmp_path)) <= _ROOM
    spares.clear()
    assert os.listdir(tmp_path) == []
    assert not spares.take(str(tmp_path / "x"))


@linux
def test_where_no_lease_is_given_no_spares_are_kept_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems of containers never give one: then a try costs more than a new file."""
    monkeypatch.setattr("core.spares._is_open_here_alone", lambda descriptor: False)
    spares = Spares(_ROOM)
    for number in range(2 * MAX_MISSES):
        spares.keep(_file(tmp_path, f"{number}.out"))
        assert not spares.take(str(tmp_path / "new"))
    spares.keep(_file(tmp_path, "x.out"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_an_idle_worker_keeps_no_files(queue: Queue, durability: str) -> None:
    """Nor one that is busy with something long."""
    queue.set("durability", durability)
    with working(queue, slots=2):
        queue.enqueue_many([NewJob("true"), NewJob("sleep 60"), NewJob("true")])
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 2)
        wait_for(lambda: len(os.listdir(queue.database.spool.attempts)) == 2, "only the running one's are there")
        queue.cancel(2, kill=True)
        wait_for(lambda: os.listdir(queue.database.spool.attempts) == [], "none is there")


def test_a_spare_that_somebody_removed_is_no_error(tmp_path: Path) -> None:
    """The next one is taken, or none."""
    spares = Spares(_ROOM)
    spares.keep(_file(tmp_path, "1.out"))
    os.unlink(tmp_path / "1.out")
    assert not spares.take(str(tmp_path / "2.out"))


def test_a_run_file_with_another_attempts_words_says_nothing(queue: Queue) -> None:
    """After a power cut the new name may be on the disk and the old words still in the file."""
    spool = queue.database.spool
    Path(spool.run_file(18)).write_text(f"{HEADING}17\n4711\n0\n")
    status = read_status(spool, 18)
    assert (status.pid, status.exit_code) == (None, None)


@linux
def test_a_busy_worker_makes_few_files(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred jobs need as many files as two slots do, and none is left."""
    made: list[str] = []

    def count(path: str, flags: int) -> int:
        made.append(path)
        return create_afresh(path, flags)

    monkeypatch.setattr("core.process.create_afresh", count)
    queue.enqueue_many([NewJob("true")] * 100)
    drain(queue, slots=2)
    assert queue.counts().of(State.COMPLETED) == 100
    assert len(made) <= 12, "a run file for each wrapper, two wrappers a slot, and as many outputs"
    assert os.listdir(queue.database.spool.attempts) == []


@linux
def test_what_a_command_left_behind_never_writes_into_the_next_output(queue: Queue) -> None:
    """A process that let go of the lock, but not of its stdout, outlives its attempt."""
    program = "import os, time; os.closerange(3, 200); time.sleep(0.4); os.write(1, b'late')"
    queue.enqueue(f"{sys.executable} -c {shlex.quote(program)} & exit 0")
    ids = [queue.enqueue(f"sleep 0.{number}; true").id for number in (1, 8, 1)]
    drain(queue)
    for job_id in ids:
        assert output(queue, queue.job(job_id)) == b""


@linux
def test_spares_of_a_living_worker_are_no_leftovers_and_those_of_a_dead_one_are_removed(queue: Queue) -> None:
    """doctor does not complain of a busy worker; the next worker tidies up after one that was killed."""
    with WorkerProcess(queue.path) as worker:
        queue.enqueue_many([NewJob("true"), NewJob("sleep 60")])
        wait_for(lambda: queue.counts().of(State.COMPLETED) == 1 and queue.counts().of(State.RUNNING) == 1)
        assert not [finding for finding in doctor(queue.database) if finding.check == "leftovers" and finding.advice]
        worker.kill()
    queue.cancel(2, kill=True)
    drain(queue)
    assert os.listdir(queue.database.spool.attempts) == []
