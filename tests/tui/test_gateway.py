"""The gateway on a real queue: threads in, messages out, errors told and the last good data kept."""

from __future__ import annotations

import os
import shlex
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from textual.message import Message

from core.clock import to_datetime
from core.errors import DatabaseBusy, DatabaseReadOnly, DiskFull
from core.model import Act, Counts, Ending, NewJob, Outcome, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter
from queuectl_tui.gateway import pacing
from queuectl_tui.gateway.gateway import DetailRequest, Gateway
from queuectl_tui.gateway.results import result_of
from queuectl_tui.gateway.writer import Write, Writer
from queuectl_tui.messages import (
    ActDone,
    ActRefused,
    JobEnqueued,
    SnapshotTaken,
    UndoOffered,
    WorkerEnded,
    WorkerReported,
)
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.troubles import troubles_of
from tests.fakes import FakeClock
from tests.full_disk import fill, mounted, remount
from tests.storage.by_hand import Hand


class Listener:
    """Takes the gateway's messages as the dashboard does: each picture is taken before the next one comes."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.messages: list[Message] = []
        self.snapshots: list[Snapshot] = []
        self.most_in_flight = 0
        self._news = threading.Condition()
        gateway.connect(self._hear)

    def _hear(self, message: Message) -> bool:
        with self._news:
            self.messages.append(message)
            self._news.notify()
        return True

    def until(self, is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Handle what comes until something is true."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._news:
                pictures = [message for message in self.messages if isinstance(message, SnapshotTaken)]
                self.messages = [message for message in self.messages if not isinstance(message, SnapshotTaken)]
            self.most_in_flight = max(self.most_in_flight, len(pictures))
            if pictures:
                self.snapshots.append(self.gateway.take())
            if is_true():
                return
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, "it did not become true in time"
            with self._news:
                self._news.wait(min(0.05, left_s))

    @property
    def last(self) -> Snapshot:
        return self.snapshots[-1]

    def has(self, kind: type[Message]) -> bool:
        return any(isinstance(message, kind) for message in self.messages)


@pytest.fixture
def idle(queue: Queue) -> Iterator[Listener]:
    """Return a listener to a gateway that runs no jobs."""
    gateway = Gateway(queue, slots=0)
    listener = Listener(gateway)
    listener.until(lambda: bool(listener.snapshots))
    yield listener
    gateway.close()


def ids(listener: Listener, pane: Pane) -> list[int]:
    return [row.job.id for row in listener.last.panes[pane].rows]


def test_what_another_process_commits_is_seen(idle: Listener, queue: Queue) -> None:
    with Queue(queue.path) as other:
        job_id = other.add(NewJob("true"))
    idle.until(lambda: ids(idle, Pane.PENDING) == [job_id])


def test_one_picture_is_in_flight_at_most_and_the_latest_wins(idle: Listener, queue: Queue) -> None:
    """Hundreds of commits while nobody takes a picture make one message, and the next picture has them all."""
    for _ in range(100):
        queue.add(NewJob("true"))
    time.sleep(0.3)
    with idle._news:
        assert sum(isinstance(message, SnapshotTaken) for message in idle.messages) <= 1
    idle.until(lambda: idle.last.panes[Pane.PENDING].total == 100)
    assert idle.most_in_flight <= 1


def test_an_idle_queue_makes_no_pictures(idle: Listener) -> None:
    """What the first looks found is shown; then a second passes without a picture."""

    def is_quiet() -> bool:
        seen = len(idle.snapshots)
        time.sleep(1.0)
        idle.until(lambda: True)
        return len(idle.snapshots) == seen

    idle.until(is_quiet)


def test_a_calm_queue_is_looked_at_less_often_until_something_changes(
    idle: Listener, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pacing.CALM_POLL_S <= 0.1  # what another process commits is to be seen within 150 ms, after a calm as well
    looks: list[float] = []
    look = queue.data_version

    def counted() -> int:
        looks.append(time.monotonic())
        return look()

    monkeypatch.setattr(queue, "data_version", counted)
    monkeypatch.setattr(pacing, "CALM_POLL_S", 60.0)
    monkeypatch.setattr(pacing, "CALM_AFTER_S", 0.5)
    deadline_s = time.monotonic() + 60.0
    while not looks or time.monotonic() - looks[-1] < 1.0:
        assert time.monotonic() < deadline_s, "it looks as often as ever"
        time.sleep(0.05)
    calm = len(looks)
    queue.add(NewJob("true"))
    idle.gateway.refresh()
    idle.until(lambda: len(looks) >= calm + 3)


def test_a_job_is_enqueued_off_the_ui_thread_and_told(idle: Listener) -> None:
    idle.gateway.enqueue(NewJob("true"))
    idle.until(lambda: idle.has(JobEnqueued))
    idle.until(lambda: idle.last.panes[Pane.PENDING].total == 1)


def test_a_refusal_is_told_with_its_reason(idle: Listener) -> None:
    idle.gateway.enqueue(NewJob(""))
    idle.until(lambda: idle.has(ActRefused))
    [refusal] = [message for message in idle.messages if isinstance(message, ActRefused)]
    assert "command" in refusal.reason


def test_a_write_whose_result_cannot_be_read_is_done_and_the_next_one_is_performed() -> None:
    """A cancel reads the jobs that still run; the database may be gone by then."""

    def fail(_: Act | None) -> str:
        raise OSError("gone")

    messages: list[Message] = []
    writer = Writer(messages.append, lambda: None)
    writer.start()
    writer.submit(Write("cancel", lambda _: Act(1, "cancel", 1), fail))
    writer.submit(Write("purge", lambda _: Act(2, "purge", 1), lambda act: f"Purged {act.count}."))
    writer.submit(Write("pause", lambda _: None, "Paused."))
    writer.stop(60.0)
    said = [(message.verb, message.text) for message in messages if isinstance(message, ActDone)]
    assert said == [
        ("cancel", "The cancel is done; what became of each job could not be read: gone"),
        ("purge", "Purged 1."),
        ("pause", "Paused."),
    ]


def test_an_act_says_what_it_did_and_undo_takes_it_back(idle: Listener, queue: Queue) -> None:
    first, second = queue.add(NewJob("true")), queue.add(NewJob("true"))
    idle.gateway.cancel([first, second])
    idle.until(lambda: ids(idle, Pane.PENDING) == [] and idle.has(ActDone))
    idle.gateway.offer_undo()
    idle.until(lambda: idle.has(UndoOffered))
    [offer] = [message.last for message in idle.messages if isinstance(message, UndoOffered)]
    assert offer is not None
    assert (offer.title, offer.sample, offer.obstacle) == ("cancel of 2 jobs", "true", None)
    idle.gateway.undo(offer.act.id)
    idle.until(lambda: sorted(ids(idle, Pane.PENDING)) == [first, second])
    said = [message.text for message in idle.messages if isinstance(message, ActDone) and message.text]
    assert said == ["Cancelled 2 jobs. z undoes it.", "Undone: cancel of 2 jobs."]


def test_a_view_is_acted_on_as_a_whole(idle: Listener, queue: Queue) -> None:
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(300))
    view = View(states=(State.PENDING,), terms=parse_filter('"echo 1"'))
    idle.gateway.cancel(view)
    idle.until(lambda: idle.last.counts.of(State.CANCELLED) == 111)


def test_a_filtered_pane_shows_and_counts_what_matches(idle: Listener, queue: Queue) -> None:
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(300))
    view = View(states=(State.PENDING,), terms=parse_filter('"echo 1"'))
    idle.gateway.reader.show_view(Pane.PENDING, view)
    idle.until(lambda: idle.last.panes[Pane.PENDING].view == view and idle.last.panes[Pane.PENDING].is_counted)
    assert idle.last.panes[Pane.PENDING].total == 111


def test_detail_and_output_follow_a_job_through_its_life(queue: Queue, tmp_path: Path) -> None:
    """Waiting, running, completed: the same detail shows all of it, with what it wrote so far."""
    gateway = Gateway(queue, slots=1)
    listener = Listener(gateway)
    try:
        job_id = queue.add(
            NewJob(f"echo one; while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done; echo two")
        )
        gateway.reader.show_detail(DetailRequest(job_id))
        listener.until(lambda: bool(listener.snapshots))
        listener.until(lambda: listener.last.detail is not None and listener.last.detail.job.state is State.RUNNING)
        detail = listener.last.detail
        assert detail is not None
        assert detail.output is not None
        listener.until(lambda: detail.output is not None and detail.output.size() == 4)
        (tmp_path / "go").touch()
        listener.until(lambda: listener.last.detail is not None and listener.last.detail.job.state is State.COMPLETED)
        assert detail.output.read(0, 100) == b"one\ntwo\n"
        listener.until(lambda: listener.last.own_worker_id is not None)
        assert [worker.slots for worker in listener.last.workers] == [1]
        gateway.resize(2)
        listener.until(lambda: listener.last.workers[0].slots == 3)
    finally:
        gateway.host.stop("wait")
        assert gateway.host.has_ended(60)
        gateway.close()


def test_how_far_a_shown_job_is_comes_with_the_snapshots_though_nothing_commits(queue: Queue, tmp_path: Path) -> None:
    """What it writes is no commit. Of how long it takes usually nothing is said before three such jobs completed."""
    wait = "while ! test -e %s; do sleep 0.02; done\n"
    (tmp_path / "job.sh").write_text(f"echo 1/4\n{wait % '$1.more'}echo 3/4\n{wait % '$1.end'}")
    gateway = Gateway(queue, slots=1)
    listener = Listener(gateway)

    def run(number: int) -> int:
        return queue.add(NewJob(f"sh job.sh {number}", cwd=str(tmp_path)))

    def words(job_id: int) -> str | None:
        told = listener.last.progress.get(job_id)
        return None if told is None or told.progress is None else told.progress.words

    try:
        listener.until(lambda: bool(listener.snapshots))
        for number in range(1, 4):
            job_id = run(number)
            listener.until(lambda job_id=job_id: words(job_id) == "1/4")  # type: ignore[misc]
            assert listener.last.progress[job_id].usual_s is None
            (tmp_path / f"{number}.more").touch()
            listener.until(lambda job_id=job_id: words(job_id) == "3/4")  # type: ignore[misc]
            (tmp_path / f"{number}.end").touch()
            listener.until(lambda: not listener.last.progress)
        job_id = run(4)
        listener.until(lambda: words(job_id) == "1/4")
        assert listener.last.progress[job_id].runs == 3
        assert listener.last.progress[job_id].usual_s is not None
        for name in ("4.more", "4.end"):
            (tmp_path / name).touch()
        listener.until(lambda: listener.last.panes[Pane.COMPLETED].total == 4 and not listener.last.progress)
    finally:
        gateway.host.stop("wait")
        assert gateway.host.has_ended(60)
        gateway.close()


def test_a_file_that_is_gone_is_told_and_the_last_data_kept(idle: Listener, queue: Queue) -> None:
    queue.add(NewJob("true"))
    idle.until(lambda: idle.last.panes[Pane.PENDING].total == 1)
    os.rename(queue.path, queue.path + ".moved")
    idle.until(lambda: idle.last.error is not None)
    assert "deleted or moved" in (idle.last.error or "")
    assert idle.last.panes[Pane.PENDING].total == 1
    time.sleep(2.5)  # whichever way it is noticed, it is told in the same words
    assert len({snapshot.error for snapshot in idle.snapshots if snapshot.error}) == 1
    os.rename(queue.path + ".moved", queue.path)
    idle.until(lambda: idle.last.error is None)


def test_a_long_path_leaves_room_for_the_reason(idle: Listener, queue: Queue) -> None:
    full = DiskFull(f"the disk of {queue.path} is full; make room")
    snapshot = idle.last._replace(write_error=full)
    found = troubles_of(snapshot, f"{full}; 1 result waits to be recorded", idle.gateway.now(), idle.gateway.shorten)
    words = "the disk of queue.db is full; make room; 1 result waits to be recorded"
    assert [trouble.text for trouble in found] == [words]


def test_a_job_that_becomes_due_is_shown_in_its_place_though_nothing_commits(idle: Listener, queue: Queue) -> None:
    later = queue.now() + timedelta(milliseconds=1500)
    urgent = queue.add(NewJob("true", priority=1, run_at=later))
    waiting = queue.add(NewJob("true"))
    idle.until(lambda: ids(idle, Pane.PENDING) == [waiting, urgent] and idle.last.counts.delayed == 1)
    idle.until(lambda: ids(idle, Pane.PENDING) == [urgent, waiting] and idle.last.counts.delayed == 0)


def test_a_job_that_becomes_due_while_all_is_read_is_seen_by_the_next_look(tmp_path: Path) -> None:
    """Right behind the count that has it as delayed; nothing commits after that."""
    clock, passing_s = FakeClock(), [0.0]

    class Slow(Queue):
        def counts(self) -> Counts:
            found = super().counts()
            clock.advance(passing_s.pop() if passing_s else 0.0)
            return found

    with Slow(tmp_path / "slow.db", clock=clock) as queue:
        queue.add(NewJob("true", run_at=to_datetime(clock.now_ms() + 3000)))
        gateway = Gateway(queue, slots=0)
        listener = Listener(gateway)
        try:
            listener.until(lambda: bool(listener.snapshots) and listener.last.counts.delayed == 1)
            passing_s.append(5.0)
            queue.add(NewJob("true"))
            listener.until(lambda: any(one.counts.of(State.PENDING) == 2 for one in listener.snapshots))
            assert not passing_s
            listener.until(lambda: listener.last.counts.delayed == 0)
        finally:
            gateway.close()


def test_a_lock_that_is_held_for_long_is_told_for_as_long_as_it_is(idle: Listener, queue: Queue) -> None:
    """Also without a worker here that would meet it."""
    with closing(sqlite3.connect(queue.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        idle.until(lambda: isinstance(idle.last.write_error, DatabaseBusy))
        other.rollback()
    idle.until(lambda: idle.last.write_error is None)


def test_a_full_disk_is_told_for_as_long_as_it_is(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk, Queue(disk / "queue.db") as queue:
        gateway = Gateway(queue, slots=0)
        listener = Listener(gateway)
        try:
            filler = fill(disk)
            listener.until(lambda: bool(listener.snapshots) and isinstance(listener.last.write_error, DiskFull))
            filler.unlink()
            listener.until(lambda: listener.last.write_error is None)
        finally:
            gateway.close()


def test_a_database_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk:
        Queue(disk / "queue.db").close()
        remount(disk, "ro")
        with Queue(disk / "queue.db") as queue:
            gateway = Gateway(queue, slots=0)
            listener = Listener(gateway)
            try:
                listener.until(
                    lambda: bool(listener.snapshots) and isinstance(listener.last.write_error, DatabaseReadOnly)
                )
            finally:
                gateway.close()


def test_a_read_only_gateway_runs_no_worker(tmp_path: Path) -> None:
    Queue(tmp_path / "queue.db").close()
    with Queue(tmp_path / "queue.db", is_read_only=True) as queue:
        gateway = Gateway(queue, slots=4)
        assert gateway.host.slots is None
        listener = Listener(gateway)
        listener.until(lambda: bool(listener.snapshots))
        gateway.pause(None, True)
        listener.until(lambda: listener.has(ActRefused))
        gateway.close()


@pytest.mark.parametrize(
    ("verb", "count", "skipped", "line"),
    [
        ("purge", 17, 0, "Purged 17 jobs. z undoes it."),
        ("retry", 1, 2, "Retried 1 job, 2 skipped. z undoes it."),
        ("purge", 0, 3, "Nothing to purge: 3 skipped."),
        ("cancel", 0, 0, "Nothing to cancel."),
    ],
)
def test_the_line_about_what_an_act_did(verb: str, count: int, skipped: int, line: str) -> None:
    from core.model import Act

    assert result_of(verb, Act(1 if count else 0, verb, count, skipped)) == line


def test_a_slow_filter_is_given_up_for_the_next_one(idle: Listener, queue: Queue) -> None:
    """A scan that takes seconds ends when the person types on: what comes next is the newest filter."""
    queue.enqueue_many(NewJob(f"echo {number} " + "of a long command " * 8) for number in range(10_000))
    slow_terms = tuple(Term("text", f"no{number}such word", is_negated=True) for number in range(200))
    slow = View(states=(State.PENDING,), terms=(*slow_terms, Term("text", "nowhere")))
    idle.until(lambda: bool(idle.snapshots) and idle.last.panes[Pane.PENDING].total == 10_000)
    seen = len(idle.snapshots)
    idle.gateway.reader.show_view(Pane.PENDING, slow)
    time.sleep(0.1)  # the scan has begun, on a machine that has time
    quick = View(states=(State.PENDING,), terms=parse_filter("id:7"))
    idle.gateway.reader.show_view(Pane.PENDING, quick)
    idle.until(lambda: idle.last.panes[Pane.PENDING].view == quick)
    assert [row.job.id for row in idle.last.panes[Pane.PENDING].rows] == [7]
    assert not any(snapshot.panes[Pane.PENDING].view == slow for snapshot in idle.snapshots[seen:])
    assert idle.last.error is None
    new = queue.add(NewJob("true"))
    idle.gateway.reader.show_view(Pane.PENDING, View(states=(State.PENDING,)))
    idle.until(lambda: idle.last.panes[Pane.PENDING].total == 10_001)
    idle.gateway.reader.show_detail(DetailRequest(new))
    idle.until(lambda: idle.last.detail is not None)


def test_moving_about_does_not_keep_a_slow_list_away_for_ever(idle: Listener, queue: Queue) -> None:
    """Keys that come faster than a list can be read give it up a few times; then it is read to its end."""
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(5_000))
    terms = tuple(Term("text", f"no{number}such word", is_negated=True) for number in range(100))
    slow = View(states=(State.PENDING,), terms=(*terms, Term("text", "4999")))
    idle.gateway.reader.show_view(Pane.PENDING, slow)
    numbers = iter(range(1, 5_000))

    def is_there() -> bool:
        idle.gateway.reader.show_detail(DetailRequest(next(numbers)))
        return idle.last.panes[Pane.PENDING].view == slow

    idle.until(is_there)
    assert len(idle.last.panes[Pane.PENDING].rows) == 1


def test_what_did_not_change_is_the_same_object_again(idle: Listener, queue: Queue) -> None:
    """One job changes; the other panes and the other rows are what they were, so that nothing else is painted."""
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(12))
    idle.until(lambda: bool(idle.snapshots) and idle.last.panes[Pane.PENDING].total == 12)
    before = idle.last.panes
    queue.edit(5, command="echo changed")
    idle.until(lambda: idle.last.panes[Pane.PENDING].rows[4].job.command == "echo changed")
    after = idle.last.panes
    assert all(after[pane] is before[pane] for pane in (Pane.RUNNING, Pane.COMPLETED, Pane.DLQ))
    same = [new is old for new, old in zip(after[Pane.PENDING].rows, before[Pane.PENDING].rows, strict=True)]
    assert same == [number != 4 for number in range(12)]


def test_why_the_shown_job_waits_is_always_the_newest_reason(idle: Listener, queue: Queue) -> None:
    """It is asked again when a pause, a limit or the workers change, though the job itself does not."""
    job_id = queue.add(NewJob("true", queue="mail"))
    idle.gateway.reader.show_detail(DetailRequest(job_id))

    def reason() -> str:
        detail = idle.last.detail
        return detail.waiting.reason if detail is not None and detail.waiting is not None else ""

    idle.until(lambda: reason() != "")
    first = reason()

    def shows(word: str) -> Callable[[], bool]:
        return lambda: reason().partition("; also, ")[0] == word

    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: queue.pause(), "everything is paused"),
        (lambda: queue.resume(), first),
        (lambda: queue.pause("mail"), "queue mail is paused"),
        (lambda: queue.resume("mail"), first),
        (lambda: queue.limit("mail", 0), "queue mail has a limit of 0"),
        (lambda: queue.limit("mail", None), first),
    ]
    for change, word in changes:
        change()
        idle.until(shows(word))


def test_why_a_job_waits_is_not_asked_again_without_need(
    idle: Listener, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = queue.add(NewJob("true"))
    other = queue.add(NewJob("true"))
    idle.gateway.reader.show_detail(DetailRequest(shown))
    idle.until(lambda: idle.last.detail is not None and len(ids(idle, Pane.PENDING)) == 2)
    asked: list[str] = []
    for name in ("waiting", "oldest_pending_at", "job"):
        monkeypatch.setattr(queue, name, lambda *_, name=name: asked.append(name))

    def change(command: str) -> None:
        with Queue(queue.path) as elsewhere:
            elsewhere.edit(other, command=command)
        idle.until(lambda: any(row.job.command == command for row in idle.last.panes[Pane.PENDING].rows))

    change("echo 1")
    asked.clear()
    change("echo 2")
    assert asked == []
    with Queue(queue.path) as elsewhere:
        elsewhere.limit("default", 5)  # what uses it up may change though no number does
    idle.until(lambda: idle.last.queues[0].limit == 5)
    asked.clear()
    change("echo 3")
    assert asked == ["waiting"]


def test_the_oldest_waiting_job_is_looked_for_when_jobs_move(idle: Listener, queue: Queue) -> None:
    queue.enqueue_many(NewJob("true") for _ in range(2))
    idle.until(lambda: idle.last.oldest_pending_at is not None)
    queue.cancel([1, 2])
    idle.until(lambda: idle.last.oldest_pending_at is None)


def test_a_reason_that_was_gone_before_the_next_picture_is_not_kept(
    idle: Listener, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused, another job shown, resumed, all between two pictures of the whole: to both of them nothing is paused."""
    first, second = queue.add(NewJob("true")), queue.add(NewJob("true"))
    idle.gateway.reader.show_detail(DetailRequest(first))

    def reason_of(job_id: int) -> str:
        detail = idle.last.detail
        is_it = detail is not None and detail.job.id == job_id and detail.waiting is not None
        return detail.waiting.reason if is_it and detail is not None and detail.waiting is not None else ""

    idle.until(lambda: reason_of(first) != "")
    usual = reason_of(first)
    monkeypatch.setattr(pacing, "SPACING_S", 2.0)
    queue.edit(first, command="echo changed")
    idle.until(lambda: any(row.job.command == "echo changed" for row in idle.last.panes[Pane.PENDING].rows))
    queue.pause()
    idle.gateway.reader.show_detail(DetailRequest(second))
    idle.until(lambda: reason_of(second).startswith("everything is paused"))
    queue.resume()
    idle.until(lambda: reason_of(second) == usual)


def test_a_comparison_is_read_again_when_an_output_grows(idle: Listener, queue: Queue) -> None:
    """Also of an attempt that runs; an unchanged one is the same object, so that nothing is painted."""
    job_id = queue.add(NewJob("true", max_attempts=2))
    with Hand(queue) as hand:
        hand.record(hand.claim()[0], Outcome.FAILED)
        queue.retry(job_id)
        (claim,) = hand.claim()
        file = Path(queue.outputs_directory, f"{claim.attempt_id}.out")

        def output() -> bytes:
            detail = idle.last.detail
            if detail is None or detail.output is None or detail.compared_with != 1:
                return b""
            return detail.output.read(0, 1000)

        file.write_bytes(b"first\n")
        idle.gateway.reader.show_detail(DetailRequest(job_id, None, True))
        idle.until(lambda: b"+first" in output())
        shown = idle.last.detail
        queue.add("echo other")
        idle.until(lambda: len(ids(idle, Pane.PENDING)) == 1)
        assert idle.last.detail is shown
        file.write_bytes(b"first\nsecond\n")
        queue.add("echo another")
        idle.until(lambda: b"+second" in output())
        assert b"+++ attempt 2: running" in output()
        hand.record(claim)


def test_a_filter_on_outputs_shows_what_was_printed(idle: Listener, queue: Queue) -> None:
    """Also by a job that ends while the filter stands; the view is the one that was asked for."""
    view = View((State.DEAD,), parse_filter("output:ENOSPC"))
    with Hand(queue) as hand:
        for _ in range(2):
            queue.add(NewJob("true", max_attempts=1))
        ending = Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=b"enospc", output_bytes=6)
        first = hand.claim()[0]
        hand.step([(first, ending)])
        idle.gateway.reader.show_view(Pane.DLQ, view)
        idle.until(lambda: ids(idle, Pane.DLQ) == [first.job.id])
        idle.until(lambda: (idle.last.panes[Pane.DLQ].view, idle.last.panes[Pane.DLQ].searched) == (view, 1))
        second = hand.claim()[0]
        hand.step([(second, ending)])
        idle.until(lambda: sorted(ids(idle, Pane.DLQ)) == [first.job.id, second.job.id])


def test_a_worker_that_could_not_start_is_tried_again(tmp_path: Path) -> None:
    """It says so for as long as another program holds the database, and runs jobs once that lets go."""
    path = tmp_path / "queue.db"
    with Queue(path, busy_timeout_s=0.05) as queue:
        job_id = queue.add("true")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gateway = Gateway(queue, slots=1)
            listener = Listener(gateway)
            listener.until(lambda: listener.has(WorkerReported))
            assert str(gateway.host.trouble).startswith("could not start yet, it is tried again: ")
            assert not listener.has(WorkerEnded)
            queue.storage.set_busy_timeout(60)
            other.execute("ROLLBACK")
        listener.until(lambda: queue.job(job_id).state is State.COMPLETED)
        assert gateway.host.trouble is None
        gateway.host.stop("stop")
        assert gateway.host.has_ended(60)
        gateway.close()


def test_a_worker_is_not_tried_again_once_the_dashboard_leaves(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with Queue(path, busy_timeout_s=0.05) as queue, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        gateway = Gateway(queue, slots=1)
        listener = Listener(gateway)
        listener.until(lambda: listener.has(WorkerReported))
        gateway.host.stop("leave")
        assert gateway.host.has_ended(60)
        gateway.close()
    with Queue(path) as queue:
        assert queue.workers() == []
