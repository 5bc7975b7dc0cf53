"""Upkeep: what is pruned and when, copies of a queue in use, and what ``doctor`` finds."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from core.errors import DatabaseError, OutputUnavailable, Refused
from core.model import NewJob, State, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.processes import python
from tests.storage.by_hand import Hand, dump, job_in

# --- pruning


def test_old_minutes_are_pruned(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Rollups are kept for 90 days."""
    job_in(queue, hand, State.COMPLETED)
    clock.advance(91 * 86400)
    job_in(queue, hand, State.COMPLETED)
    queue.prune()
    tables = dump(queue.path)
    assert [row[0] for row in tables["minutes"]] == [clock.now_ms() // 60_000]
    assert {row[0] for row in tables["durations"]} == {clock.now_ms() // 60_000}


def test_pruning_nothing_writes_nothing(queue: Queue, hand: Hand) -> None:
    """A worker looks now and then; that is free."""
    job_in(queue, hand, State.COMPLETED)
    with Queue(queue.path) as other:
        version = other.data_version()
        assert (queue.prune(), queue.empty_trash()) == (0, 0)
        assert other.data_version() == version


# --- rollups


# --- copies


def test_a_copy_is_a_queue_of_its_own(queue: Queue, hand: Hand, tmp_path: Path) -> None:
    """All rows, private, one file, and it opens as a queue."""
    job_in(queue, hand, State.DEAD)
    target = tmp_path / "copy.db"
    queue.backup(str(target))
    assert sorted(found.name for found in tmp_path.iterdir() if found.name.startswith("copy")) == ["copy.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert dump(str(target)) == dump(queue.path)
    with Queue(target) as copy:
        assert copy.counts().of(State.DEAD) == 1


def test_an_output_in_a_file_that_is_gone_is_missed_not_empty(queue: Queue, hand: Hand, tmp_path: Path) -> None:
    """A copy has none of them, and says how many; doctor, and whoever reads one, says that it is not there."""
    job = job_in(queue, hand, State.DEAD)
    attempt = queue.attempts(job)[-1]
    connection = sqlite3.connect(queue.path)
    with connection:
        connection.execute("UPDATE attempts SET output = NULL, output_bytes = 70000 WHERE id = ?", (attempt.id,))
    connection.close()
    file = Path(queue.storage.spool.output_file(attempt.id))
    file.write_bytes(b"x" * 70_000)
    assert queue.output(job).size() == 70_000
    assert [found.level for found in queue.doctor() if found.check == "outputs"] == ["ok"]
    assert queue.backup(str(tmp_path / "copy.db")) == 1
    with Queue(tmp_path / "copy.db") as copy:
        for read in (copy.output(job).size, lambda: copy.output(job).read(0, 10), lambda: copy.output(job).lines(1)):
            with pytest.raises(OutputUnavailable, match="is gone"):
                read()
        assert [found.level for found in copy.doctor() if found.check == "outputs"] == ["warning"]


def test_a_copy_never_replaces_a_file(queue: Queue, tmp_path: Path) -> None:
    """Not a file, not a link to nothing; and a place that is not there is refused."""
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path / "there", tmp_path / "link", Path(queue.path)):
        with pytest.raises(Refused, match="exists"):
            queue.backup(str(target))
    with pytest.raises(Refused, match="is not a directory"):
        queue.backup(str(tmp_path / "no" / "copy.db"))
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_that_fails_leaves_nothing(queue: Queue, tmp_path: Path) -> None:
    """One line, and no half a file."""
    (tmp_path / "queue.db.spool" / "x").mkdir()
    before = sorted(found.name for found in tmp_path.iterdir())
    with pytest.raises(DatabaseError, match=r"backup to .* failed"):
        queue.backup(str(tmp_path / ("n" * 300)))
    assert sorted(found.name for found in tmp_path.iterdir()) == before


_BUSY_WRITER = """
import sys, time
from core import Queue
queue = Queue(sys.argv[1])
print("writing", flush=True)
while True:
    queue.add("true")
"""


def test_a_copy_is_finished_while_somebody_writes_all_the_time(queue: Queue, tmp_path: Path) -> None:
    """It does not begin again at each commit, and holds one moment of the queue."""
    queue.enqueue_many(NewJob("x" * 1000) for _ in range(20_000))
    with python(_BUSY_WRITER, queue.path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        copying = threading.Thread(target=queue.backup, args=[str(tmp_path / "copy.db")], daemon=True)
        copying.start()
        copying.join(60)
        assert not copying.is_alive()
    with Queue(tmp_path / "copy.db") as copy:
        assert copy.count(View()) >= 20_000
        assert {finding.level for finding in copy.doctor() if finding.check in ("integrity", "counters")} == {"ok"}


# --- doctor and leftovers


def findings(queue: Queue, level: str) -> list[str]:
    """Return the checks that came out with a level."""
    return [finding.check for finding in queue.doctor() if finding.level == level]


def test_doctor_is_content_with_a_queue_that_is_well(queue: Queue, hand: Hand) -> None:
    """Nothing but ``ok`` for jobs in all states with their worker alive; and it changes nothing."""
    for state in reversed(State):
        job_in(queue, hand, state)
    before = dump(queue.path)
    assert {finding.level for finding in queue.doctor()} == {"ok"}
    assert dump(queue.path) == before


def test_doctor_sees_what_a_dead_worker_left(queue: Queue, hand: Hand) -> None:
    """Its attempts and its name, with what to do about them."""
    job_in(queue, hand, State.RUNNING)
    hand.die()
    assert findings(queue, "warning") == ["orphans", "workers"]


def test_doctor_sees_jobs_that_nobody_will_run(queue: Queue) -> None:
    """They wait and no worker is alive."""
    assert findings(queue, "warning") == []
    queue.enqueue("true")
    assert findings(queue, "warning") == ["workers"]


def test_doctor_sees_files_that_others_may_read(queue: Queue) -> None:
    """Somebody changed their permissions."""
    os.chmod(queue.path, 0o644)
    assert findings(queue, "warning") == ["permissions"]


def test_doctor_sees_rows_that_refer_to_nothing(queue: Queue, hand: Hand) -> None:
    """Another tool removed rows without their dependants."""
    job_in(queue, hand, State.COMPLETED)
    with contextlib.closing(sqlite3.connect(queue.path)) as other:
        other.execute("DELETE FROM jobs")
        other.commit()
    assert findings(queue, "error") == ["references"]


def test_leftover_files_are_removed_and_no_others(queue: Queue, hand: Hand) -> None:
    """Only run and output files of attempts that are over; not what is locked, kept or somebody else's."""
    spool = queue.storage.spool
    queue.enqueue_many([NewJob("true")] * 3)
    with Hand(queue) as dead:
        dead.do_next()
        dead.do_next()
    hand.do_next()
    running = job_in(queue, hand, State.RUNNING)
    (attempt,) = queue.attempts(running)
    kept = [
        spool.run_file(attempt.id),
        spool.output_file(attempt.id),
        f"{spool.attempts}/notes.txt",
        spool.run_file(77),
        spool.run_file(3),  # its worker lives: it has a use for it
    ]
    gone = [spool.run_file(1), spool.output_file(2), spool.run_file(88), spool.output_file(99)]
    for path in (*kept, *gone):
        Path(path).touch()
    os.symlink(queue.path, spool.run_file(66))
    with open(spool.run_file(77), encoding="utf-8") as claim_under_way:
        fcntl.flock(claim_under_way, fcntl.LOCK_EX)
        assert "leftovers" in findings(queue, "warning")
        assert queue.storage.maintenance.remove_leftovers() == len(gone) + 1
    assert sorted(os.listdir(spool.attempts)) == sorted(os.path.basename(path) for path in kept)
    assert os.path.getsize(queue.path) > 0


def test_doctor_says_that_the_shell_is_gone(queue: Queue, tmp_path: Path) -> None:
    """Every job would fail; the default is always there."""
    assert "shell" not in findings(queue, "error")
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\n")
    shell.chmod(0o755)
    queue.set("shell", str(shell))
    assert "shell" not in findings(queue, "error")
    shell.unlink()
    assert "shell" in findings(queue, "error")


def test_reading_from_many_threads_at_once(queue: Queue) -> None:
    """Each thread has its own connection; closing the queue closes them all."""
    queue.enqueue_many(NewJob("true") for _ in range(100))
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(queue.count(View()))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [100] * 10


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EXDEV])
def test_a_backup_needs_no_hard_links(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """On a file system that has none it gets its name otherwise, and never in place of another file."""

    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    queue.enqueue("true")
    copy = tmp_path / "copy.db"
    queue.backup(str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    with Queue(copy) as copied:
        assert copied.job(1).command == "true"
    taken = tmp_path / "taken.db"
    taken.write_text("mine")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it comes to be while the copy is made
    with pytest.raises(DatabaseError, match="failed"):
        queue.backup(str(taken))
    assert taken.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
