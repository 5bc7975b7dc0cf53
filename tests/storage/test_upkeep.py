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

from core.errors import DatabaseError, JobNotFound, OutputUnavailable, Refused, UsageError
from core.model import Ending, NewJob, Outcome, State, View
from core.queue import Queue
from core.storage.sqlite.rollups import bucket_of
from tests.fakes import FakeClock
from tests.processes import python
from tests.storage.by_hand import Hand, dump, job_in

# --- pruning


def test_nothing_is_pruned_before_its_time(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Completed jobs stay for ever unless the setting says otherwise; the trash is emptied after a week."""
    kept, thrown = job_in(queue, hand, State.COMPLETED), job_in(queue, hand, State.PURGED)
    clock.advance(7 * 86400 - 1)
    assert queue.prune() == 0
    clock.advance(1)
    assert queue.prune() == 1
    assert queue.job(kept).state is State.COMPLETED
    with pytest.raises(JobNotFound):
        queue.job(thrown)


def test_old_completed_jobs_are_pruned_when_asked_for(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Only completed ones, only old enough ones, with everything that belongs to them."""
    queue.set("keep-completed", "1h")
    old = job_in(queue, hand, State.COMPLETED)
    queue.replay(old)
    hand.do_next()
    dead = job_in(queue, hand, State.DEAD)
    clock.advance(3600)
    young = job_in(queue, hand, State.COMPLETED)
    assert queue.prune() == 1
    assert queue.ids(View()) == [dead, young]
    tables = dump(queue.path)
    assert {row[1] for row in tables["attempts"]} == {dead, young}
    assert tables["history"] == []


def test_pruning_works_in_chunks(queue: Queue) -> None:
    """More jobs than fit into one transaction are all removed."""
    queue.enqueue_many(NewJob("true") for _ in range(1200))
    queue.cancel(View())
    queue.purge(View())
    assert queue.empty_trash() == 1200
    assert dump(queue.path)["jobs"] == []


def test_pruning_takes_the_output_files_along(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """The file of a long output goes with its job, and only that."""
    files = []
    for _ in range(2):
        queue.enqueue("true")
        (claim,) = hand.claim()
        path = Path(queue.storage.spool.output_file(claim.attempt_id))
        path.write_bytes(b"x" * 100_000)
        hand.step([(claim, Ending(Outcome.SUCCEEDED, exit_code=0, output_bytes=100_000))])
        files.append(path)
    assert (queue.output(1).size(), queue.output(1).path) == (100_000, str(files[0]))
    queue.purge(1)
    queue.empty_trash()
    assert [path.exists() for path in files] == [False, True]


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


def test_metrics_add_up_what_happened(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Totals by window, a share of successes, and minutes without a gap."""
    for outcome in (Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED):
        queue.enqueue("true", max_attempts=1)
        clock.advance(3)
        hand.do_next(outcome)
        queue.cancel(View(states=(State.PENDING,)))
    found = queue.metrics(600)
    assert (found.enqueued, found.succeeded, found.failed, found.dead) == (5, 2, 1, 1)
    assert found.success_share == pytest.approx(2 / 3)
    assert found.per_s == pytest.approx(3 / 600)
    clock.advance(120)
    queue.enqueue("true")
    minutes = queue.minutes(5)
    assert [minute.enqueued for minute in minutes] == [0, 0, 5, 0, 1]
    assert (minutes[2].succeeded, minutes[2].failed, minutes[2].dead) == (2, 1, 1)
    assert minutes[2].run_s == pytest.approx(0.05)
    assert minutes[2].wait_s == pytest.approx(15)
    assert [round(minute.at.timestamp()) - round(minutes[0].at.timestamp()) for minute in minutes] == [
        0, 60, 120, 180, 240
    ]  # fmt: skip
    clock.advance(600)
    assert queue.metrics(60).enqueued == 0
    assert queue.metrics(60).success_share is None


@pytest.mark.parametrize("runs_ms", [[5], [0], [0, 0, 1], list(range(1, 1001)), [10] * 90 + [60_000] * 10, [1 << 40]])
def test_percentiles_are_within_a_step_of_the_truth(queue: Queue, hand: Hand, runs_ms: list[int]) -> None:
    """The histogram's steps are 19 %, and that is how far a percentile may be off."""
    queue.enqueue_many(NewJob("true") for _ in runs_ms)
    claimed = hand.claim(len(runs_ms))
    hand.step(
        [
            (claim, Ending(Outcome.SUCCEEDED, exit_code=0, run_ms=run_ms))
            for claim, run_ms in zip(claimed, runs_ms, strict=True)
        ]
    )
    found = queue.metrics(60)
    for value, share in ((found.run_p50_s, 0.50), (found.run_p95_s, 0.95)):
        assert value is not None
        truth = sorted(runs_ms)[max(0, round(share * len(runs_ms)) - 1)]
        assert truth * 0.83 - 1 <= value * 1000 <= truth * 1.2 + 1


def test_buckets_grow_with_the_duration() -> None:
    """Each bucket holds what the next one does not, from 0 ms on."""
    assert bucket_of(0) == 0
    buckets = [bucket_of(milliseconds) for milliseconds in range(100_000)]
    assert buckets == sorted(buckets)
    assert bucket_of(-5) == 0


def test_a_retry_waits_from_when_it_is_due(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """The back-off is not counted as waiting for a slot."""
    queue.enqueue("true")
    hand.do_next(Outcome.FAILED)
    clock.advance(2.5)
    hand.do_next()
    wait = queue.metrics(60).wait_p95_s
    assert wait is not None
    assert wait == pytest.approx(0.5, rel=0.2)


def test_the_oldest_pending_job_is_found_among_the_next(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Since when it has been due, not since when it exists."""
    assert queue.oldest_pending_at() is None
    job = queue.enqueue("true")
    clock.advance(60)
    queue.enqueue("true", priority=5)
    assert queue.oldest_pending_at() == job.enqueued_at


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


def test_why_a_job_waits(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Every reason there is, in a few words, with the time when time alone mends it."""
    from core.clock import to_datetime
    from core.model import Phase

    def told(job_id: int) -> tuple[Phase, str]:
        waiting = queue.waiting(job_id)
        assert waiting is not None
        return waiting.phase, waiting.reason

    later = queue.enqueue("true", run_at=to_datetime(clock.now_ms() + 1000)).id
    assert told(later) == (Phase.DELAYED, "it was scheduled for later")
    job_id = queue.enqueue("true", queue="media").id
    assert told(job_id) == (Phase.READY, "it is due; the next free slot takes it in its turn")
    queue.limit("media", 0)
    assert told(job_id) == (Phase.HELD, "queue media has a limit of 0")
    queue.limit("media", 1)
    running = queue.enqueue("true", queue="media", priority=1).id
    hand.claim()
    assert told(job_id) == (Phase.HELD, f"queue media runs 1 of at most 1: job {running}")
    queue.limit("media", None)
    queue.pause("media")
    assert told(job_id) == (Phase.HELD, "queue media is paused")
    queue.pause()
    assert told(job_id) == (Phase.HELD, "everything is paused")
    assert queue.waiting(running) is None
    queue.resume()
    queue.resume("media")
    hand.do_next(Outcome.FAILED)
    assert told(job_id) == (Phase.RETRYING, "it waits for its next attempt")
    queue.retry(job_id)
    running = queue.enqueue("true", priority=1).id
    hand.claim()
    assert told(job_id) == (Phase.READY, "it is due, and every slot is busy; the next free one takes it in its turn")
    hand.die()
    no_one = "no worker is alive; start one with 'queuectl worker'"
    assert told(job_id) == (Phase.READY, no_one)
    assert told(later) == (Phase.DELAYED, f"it was scheduled for later; also, {no_one}")
    queue.pause()
    assert told(job_id) == (Phase.HELD, f"everything is paused; also, {no_one}")


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


def test_what_is_due_is_due_by_the_clock(queue: Queue, clock: FakeClock) -> None:
    """No worker lives to find it so: it is not delayed any more, and it waits since it was due."""
    from core.clock import to_datetime

    due = to_datetime(clock.now_ms() + 1000)
    queue.enqueue_many(NewJob("true", queue=name, run_at=due) for name in ("a", "a", "b"))
    queue.enqueue("true", queue="b", run_at=to_datetime(clock.now_ms() + 3_600_000))
    assert (queue.counts().delayed, queue.oldest_pending_at()) == (4, None)
    clock.advance(2.0)
    assert queue.counts().delayed_by_queue == {"b": 1}
    assert [(lane.name, lane.delayed) for lane in queue.queues()] == [("a", 0), ("b", 1)]
    assert queue.oldest_pending_at() == due


def test_lanes_come_and_go_with_what_they_hold(queue: Queue) -> None:
    """A lane that has neither jobs nor a flag nor a limit is not kept."""
    from core.errors import QueueNotFound

    with pytest.raises(QueueNotFound):
        queue.resume("media")
    queue.limit("media", 2)
    queue.pause("media")
    (lane,) = queue.queues()
    assert (lane.name, lane.is_paused, lane.limit) == ("media", True, 2)
    queue.resume("media")
    queue.limit("media", None)
    assert queue.queues() == []
    with pytest.raises(UsageError):
        queue.limit("media", -1)


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
