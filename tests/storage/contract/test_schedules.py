"""Schedules as an engine keeps them: each instant is decided once, by the policies, however many workers there are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.clock import to_datetime
from core.errors import Refused, ScheduleNotFound, UsageError
from core.model import NewJob, Outcome, State
from core.queue import Queue
from core.rules import occurrences
from core.rules.schedules import KEPT, ScheduleInfo
from core.rules.settings import Settings
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand

HOUR_S = 3600.0


@pytest.fixture
def other(queue: Queue, clock: FakeClock) -> Iterator[Queue]:
    """Open the same queue again, as another process does."""
    with Queue(queue.path, clock=clock) as opened:
        yield opened


def hourly(queue: Queue, name: str = "sync", **fields: Any) -> ScheduleInfo:
    """Add a schedule that is due at each full hour."""
    return queue.add_schedule(name, "true", cron="0 * * * *", zone="UTC", **fields)


def tick(queue: Queue) -> int:
    """Have what is due decided, as a worker does; return how many jobs were added."""
    return queue.storage.schedules.tick()


def due(queue: Queue, name: str = "sync") -> list[tuple[str, int | None, str]]:
    """Return the occurrences, the oldest first: the wall in UTC, the job, and why."""
    found = reversed(queue.occurrences(name, 5000))
    return [(f"{one.due_at:%d %H:%M}", one.job_id, one.why) for one in found]


def in_an_hour(queue: Queue) -> datetime:
    """Return the full hour after the present one."""
    return queue.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


# --- what is stored


def test_a_schedule_is_stored_as_it_was_meant(queue: Queue) -> None:
    """With its plan, its policies and its job; it is due for the first time after now."""
    job = NewJob("make", queue="nightly", priority=3, max_attempts=2, timeout_s=60.0, env={"A": "b"}, cwd="/")
    info = queue.add_schedule("build", job, cron="30  2 * * *", zone="Europe/Berlin", missed="all", overlap="allow")
    assert (info.name, info.when, info.cron, info.every_s) == ("build", "30 2 * * *", "30 2 * * *", None)
    assert (info.zone, info.missed, info.overlap, info.is_paused) == ("Europe/Berlin", "all", "allow", False)
    assert info.next_at == datetime.fromisoformat("2030-01-02T01:30:00+00:00")
    assert (info.added_at, info.last_job_id, info.last_state, info.note) == (queue.now(), None, None, None)
    assert info.job == job._replace(backoff_base=2.0)  # what no field says is the setting's at that moment
    every = queue.add_schedule("sync", "true", every_s=90)
    assert (every.when, every.cron, every.every_s) == ("every 1m30s", None, 90.0)
    assert every.next_at == queue.now() + timedelta(seconds=90)
    assert [one.name for one in queue.schedules()] == ["build", "sync"]
    assert queue.schedule("build") == info
    assert queue.occurrences("build") == []


def test_names_are_unique(queue: Queue) -> None:
    """Also for one that is renamed; a removed one's name is free."""
    hourly(queue, "a")
    hourly(queue, "b")
    with pytest.raises(Refused, match="a schedule 'a' exists already"):
        hourly(queue, "a")
    with pytest.raises(Refused, match="a schedule 'a' exists already"):
        queue.edit_schedule("b", new_name="a")
    assert queue.edit_schedule("b", new_name="c").name == "c"
    queue.remove_schedule("a")
    hourly(queue, "a")
    assert [one.name for one in queue.schedules()] == ["a", "c"]


def test_what_is_asked_of_a_schedule_that_is_not_there(queue: Queue) -> None:
    """Is refused in words that say where they are listed."""
    for verb in (
        queue.schedule,
        queue.occurrences,
        queue.edit_schedule,
        queue.pause_schedule,
        queue.resume_schedule,
        queue.run_schedule,
        queue.remove_schedule,
    ):
        with pytest.raises(ScheduleNotFound, match="no schedule 'nightly'; see 'queuectl schedule list'"):
            verb("nightly")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "7"}, "is no name"),
        ({"name": " "}, "is no name"),
        ({"cron": None}, "either a cron line"),
        ({"every_s": 60}, "either a cron line"),
        ({"cron": "0 2 * *"}, "has 4 fields"),
        ({"zone": "Mars/Olympus"}, "no zone 'Mars/Olympus'"),
        ({"missed": "some"}, "missed 'some' is none of: once, skip, all"),
        ({"overlap": "no"}, "overlap 'no' is none of: skip, queue, replace, allow"),
        ({"run_at": datetime.fromisoformat("2031-01-01T00:00:00+00:00")}, "cannot have run_at"),
        ({"is_held": True}, "cannot have is_held"),
        ({"max_attempts": 0}, "max"),
    ],
)
def test_what_is_no_schedule_is_refused(queue: Queue, change: dict[str, Any], words: str) -> None:
    """And nothing is stored."""
    fields: dict[str, Any] = {"name": "sync", "cron": "0 * * * *", **change}
    with pytest.raises(UsageError, match=words):
        queue.add_schedule(fields.pop("name"), "true", **fields)
    assert queue.schedules() == []


# --- an instant


def test_an_instant_adds_its_job_once(queue: Queue, other: Queue, clock: FakeClock) -> None:
    """At its time and not before, whoever looks, and however often."""
    at = hourly(queue).next_at
    assert at == in_an_hour(queue)
    clock.advance(HOUR_S - 0.001)
    assert (tick(queue), tick(other)) == (0, 0)
    clock.advance(0.001)
    assert [tick(queue), tick(other), tick(queue)] == [1, 0, 0]
    info = other.schedule("sync")
    assert info.next_at == at + timedelta(hours=1)
    assert (info.last_job_id, info.last_state) == (1, State.PENDING)
    assert [(one.due_at, one.job_id, one.why) for one in queue.occurrences("sync")] == [(at, 1, "")]
    job = queue.job(1)
    assert (job.command, job.label, job.queue, job.state) == ("true", "sync", "default", State.PENDING)
    assert job.env == {"QUEUECTL_SCHEDULE": "sync", "QUEUECTL_DUE_AT": "2030-01-01T13:00:00Z"}


def test_a_job_is_as_the_schedule_says(queue: Queue, clock: FakeClock) -> None:
    """All fields of a job that a schedule can give."""
    job = NewJob(
        "make", queue="nightly", priority=3, max_attempts=2, timeout_s=60.0, label="x", env={"A": "b"}, cwd="/"
    )
    queue.add_schedule("build", job, every_s=60)
    clock.advance(60)
    assert tick(queue) == 1
    made = queue.job(1)
    assert (made.command, made.queue, made.priority, made.max_attempts) == ("make", "nightly", 3, 2)
    assert (made.timeout_s, made.label, made.cwd, (made.env or {})["A"]) == (60.0, "x", "/", "b")
    assert queue.counts().by_queue["nightly"][State.PENDING] == 1


def test_several_schedules_are_due_together(queue: Queue, clock: FakeClock) -> None:
    """The longest due first, each with its own job; what is next is the earliest of all."""
    queue.add_schedule("b", "echo b", every_s=60)
    queue.add_schedule("a", "echo a", every_s=59)
    queue.add_schedule("c", "echo c", every_s=3600)
    assert queue.storage.queues.next_schedule_at() == clock.now_ms() + 59_000
    clock.advance(60)
    assert tick(queue) == 2
    assert [queue.job(job_id).command for job_id in (1, 2)] == ["echo a", "echo b"]
    assert queue.storage.queues.next_schedule_at() == clock.now_ms() + 58_000


def test_what_a_job_needs_is_looked_at_when_it_is_planned(queue: Queue, clock: FakeClock) -> None:
    """More than there is of it is refused; when there is less later, its jobs wait."""
    queue.set_resource("gpu", 2)
    with pytest.raises(Refused, match="gpu"):
        queue.add_schedule("train", "true", every_s=60, needs={"gpu": 3})
    queue.add_schedule("train", "true", every_s=60, needs={"gpu": 2, "license": 1})
    with pytest.raises(Refused, match="gpu"):
        queue.edit_schedule("train", needs={"gpu": 3})
    clock.advance(60)
    assert tick(queue) == 1
    assert queue.job(1).needs == {"gpu": 2, "license": 1}
    queue.cancel(1)
    queue.set_resource("gpu", 1)
    clock.advance(60)
    assert tick(queue) == 1
    with pytest.raises(Refused, match="gpu"):
        queue.run_schedule("train")


def test_many_workers_decide_at_once(queue: Queue, clock: FakeClock) -> None:
    """Each instant once."""
    for number in range(20):
        queue.add_schedule(f"s{number}", "true", every_s=10, overlap="allow")
    barrier = threading.Barrier(4)
    added: list[int] = []

    def work() -> None:
        with Queue(queue.path, clock=clock) as mine:
            for _ in range(3):
                barrier.wait(60)
                added.append(tick(mine))
                barrier.wait(60)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        clock.advance(10)
        barrier.wait(60)
        barrier.wait(60)
    for thread in threads:
        thread.join(60)
    tick(queue)  # on a server one may have left a schedule to another, and gone
    assert queue.counts().of(State.PENDING) == 60
    for number in range(20):
        assert len({job_id for _, job_id, _ in due(queue, f"s{number}")}) == 3


# --- missed


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [("01 14:00", None, "missed, with 1 before it"), ("01 15:00", 1, "")]),
        ("skip", [("01 15:00", None, "missed, with 2 before it")]),
        ("all", [("01 13:00", 1, ""), ("01 14:00", 2, ""), ("01 15:00", 3, "")]),
    ],
)
def test_instants_were_missed(
    queue: Queue, clock: FakeClock, missed: str, expected: list[tuple[str, int | None, str]]
) -> None:
    """No worker was alive at three of them: one job for all, none, or one each."""
    hourly(queue, missed=missed, overlap="allow")
    clock.advance(3.5 * HOUR_S)
    assert tick(queue) == sum(job_id is not None for _, job_id, _ in expected)
    assert due(queue) == expected
    info = queue.schedule("sync")
    assert info.next_at == in_an_hour(queue)
    assert info.note == (None if missed != "skip" else "missed, with 2 before it")
    assert tick(queue) == 0


def test_a_minute_late_is_not_missed(queue: Queue, clock: FakeClock) -> None:
    """Even where missed ones are skipped; a bit more is."""
    hourly(queue, missed="skip", overlap="allow")
    clock.advance(HOUR_S + 60)
    assert tick(queue) == 1
    clock.advance(HOUR_S + 0.001)
    assert tick(queue) == 0
    assert due(queue) == [("01 13:00", 1, ""), ("01 14:00", None, "missed")]


def test_thousands_were_missed(queue: Queue, clock: FakeClock) -> None:
    """The newest thousand are made up for, in their order, and the schedule says that there were more."""
    queue.add_schedule("sync", "true", every_s=60, missed="all", overlap="allow")
    clock.advance(1500 * 60 + 30)
    assert tick(queue) == occurrences.MAX_MISSED + 1  # with the one that is on time
    found = due(queue)
    assert [job_id for _, job_id, _ in found[-1001:]] == list(range(1, 1002))
    assert found[-1002][2].startswith("missed, with ")
    assert queue.counts().of(State.PENDING) == 1001


# --- the calendar


def test_the_calendar_was_set_forward(queue: Queue, clock: FakeClock) -> None:
    """Is as if instants had been missed."""
    hourly(queue)
    clock.jump(3.5 * HOUR_S)
    assert tick(queue) == 1
    assert due(queue)[-1] == ("01 15:00", 1, "")


def test_the_calendar_was_set_back(queue: Queue, clock: FakeClock) -> None:
    """What is planned for later than its next instant is planned anew; what has run does not run again."""
    hourly(queue, overlap="allow")
    clock.jump(48 * HOUR_S)
    assert tick(queue) == 1
    clock.jump(-48 * HOUR_S)
    assert tick(queue) == 0
    queue.storage.schedules.renew()
    assert queue.schedule("sync").next_at == in_an_hour(queue)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    clock.jump(-HOUR_S)
    queue.storage.schedules.renew()
    clock.advance(HOUR_S)
    assert tick(queue) == 0  # that instant has had its job
    assert queue.schedule("sync").next_at == in_an_hour(queue)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert [wall for wall, job_id, _ in due(queue) if job_id] == ["01 13:00", "01 14:00", "03 12:00"]


# --- overlap


def test_an_unfinished_job_skips_the_next_instant(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """Whether it waits or runs; once it has ended the next one runs."""
    hourly(queue)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    clock.advance(HOUR_S)
    assert tick(queue) == 0
    assert queue.schedule("sync").note == "skipped: 1 is unfinished"
    (claim,) = hand.claim()
    clock.advance(HOUR_S)
    assert tick(queue) == 0
    hand.record(claim)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert due(queue) == [
        ("01 13:00", 1, ""),
        ("01 14:00", None, "skipped: 1 is unfinished"),
        ("01 15:00", None, "skipped: 1 is unfinished"),
        ("01 16:00", 2, ""),
    ]
    assert queue.schedule("sync").note is None


def test_of_missed_ones_one_runs_where_others_are_skipped(queue: Queue, clock: FakeClock) -> None:
    """Each but the first comes while the first is unfinished."""
    hourly(queue, missed="all", overlap="skip")
    clock.advance(2.5 * HOUR_S)
    assert tick(queue) == 1
    assert due(queue) == [("01 13:00", 1, ""), ("01 14:00", None, "skipped: the one before is unfinished")]


def test_what_is_all_made_up_for_runs_one_after_the_other(queue: Queue, clock: FakeClock) -> None:
    """Unless something else is asked for: skipping would make one of all of them."""
    hourly(queue, missed="all")
    assert queue.schedules()[0].overlap == "queue"
    clock.advance(2.5 * HOUR_S)
    assert tick(queue) == 2
    assert due(queue) == [("01 13:00", 1, ""), ("01 14:00", 2, "after the one before")]


@pytest.mark.parametrize("end", ["dead", "cancelled", "purged", "pruned"])
def test_a_job_that_has_ended_is_no_obstacle(queue: Queue, clock: FakeClock, hand: Hand, end: str) -> None:
    """However it ended."""
    hourly(queue, max_attempts=1)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    if end == "dead":
        hand.do_next(Outcome.FAILED)
        assert queue.schedule("sync").last_state is State.DEAD
    else:
        queue.cancel(1)
    if end in ("purged", "pruned"):
        queue.purge(1)
    if end == "pruned":
        queue.empty_trash()
        assert queue.schedule("sync").last_state is None
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert due(queue)[-1] == ("01 14:00", 2, "")


def test_a_delayed_retry_is_unfinished(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """A job that waits for its next attempt has not ended; a dead one that is replayed has not, either."""
    hourly(queue, max_attempts=2, backoff_base=1000.0)
    clock.advance(HOUR_S)
    tick(queue)
    clock.advance(HOUR_S - 600)
    hand.do_next(Outcome.FAILED)
    assert queue.counts().delayed == 1
    clock.advance(600)
    assert tick(queue) == 0
    queue.retry(1)
    hand.do_next(Outcome.FAILED)
    queue.replay(1)
    clock.advance(HOUR_S)
    assert tick(queue) == 0


def test_allowed_jobs_run_beside_each_other(queue: Queue, clock: FakeClock) -> None:
    """As many as there are instants."""
    hourly(queue, overlap="allow")
    for _ in range(3):
        clock.advance(HOUR_S)
        assert tick(queue) == 1
    assert queue.counts().of(State.PENDING) == 3


def test_queued_jobs_run_one_after_the_other(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """Each after the end of those before it, however they end."""
    hourly(queue, overlap="queue", max_attempts=1)
    for _ in range(3):
        clock.advance(HOUR_S)
        assert tick(queue) == 1
    assert [queue.job(job_id).blocks > 0 for job_id in (1, 2, 3)] == [False, True, True]
    for outcome in (Outcome.FAILED, Outcome.SUCCEEDED, Outcome.FAILED):
        (claim,) = hand.claim(9)
        hand.record(claim, outcome)
    assert hand.claim(9) == []
    assert due(queue) == [("01 13:00", 1, ""), ("01 14:00", 2, "after 1"), ("01 15:00", 3, "after 2")]


def test_missed_jobs_run_one_after_the_other(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """Made up for together they are queued all the same, behind one that was run by hand."""
    hourly(queue, overlap="queue", missed="all")
    assert queue.run_schedule("sync") == 1
    clock.advance(2.5 * HOUR_S)
    assert tick(queue) == 2
    assert [hand.do_next() for _ in range(3)] == [1, 2, 3]
    assert [why for _, _, why in due(queue)] == ["run by hand", "after 1", "after the one before"]


def test_a_queued_job_waits_for_all_that_is_unfinished(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """Also for what no other queued job waits for: one that is held, or that was run by hand after they were queued."""
    hourly(queue, overlap="queue")
    clock.advance(HOUR_S)
    tick(queue)
    (first,) = hand.claim()
    clock.advance(HOUR_S)
    tick(queue)
    queue.run_schedule("sync")
    queue.hold(3)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert [edge.on_id for edge in queue.edges_of([4])] == [2, 3]
    queue.release(3)
    assert hand.do_next() == 3
    assert hand.claim(9) == []  # the first one runs on, the second waits for it
    hand.record(first)
    assert [hand.do_next() for _ in range(2)] == [2, 4]
    assert [why for _, _, why in due(queue)] == ["", "after 1", "run by hand", "after 2 and 1 more"]


def test_a_job_that_is_to_be_done_again_is_unfinished(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """The next one waits for it and for the newest one, though it is held."""
    hourly(queue, overlap="queue")
    clock.advance(HOUR_S)
    tick(queue)
    hand.do_next()
    clock.advance(HOUR_S)
    tick(queue)
    queue.replay(1)
    queue.hold(1)
    clock.advance(HOUR_S)
    tick(queue)
    assert [edge.on_id for edge in queue.edges_of([3])] == [1, 2]


def test_a_replaced_job_is_cancelled(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """A waiting one is; a running one is asked to stop, and the new one starts after its end."""
    hourly(queue, overlap="replace")
    clock.advance(HOUR_S)
    tick(queue)
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert [queue.job(job_id).state for job_id in (1, 2)] == [State.CANCELLED, State.PENDING]
    (claim,) = hand.claim()
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert hand.attempts.stop_requests(hand.id) == {claim.attempt_id: "cancel"}
    assert hand.claim(9) == []
    # one more replaces the one that waits, and waits for the one that runs
    clock.advance(HOUR_S)
    assert tick(queue) == 1
    assert (queue.job(3).state, hand.claim(9)) == (State.CANCELLED, [])
    hand.record(claim, Outcome.CANCELLED)
    assert [one.job.id for one in hand.claim(9)] == [4]
    assert [why for _, _, why in due(queue)] == ["", "instead of 1", "instead of 2", "instead of 2 and 1 more"]


# --- verbs


def test_a_paused_schedule_is_not_due(queue: Queue, clock: FakeClock) -> None:
    """Resumed it goes on from then: what would have been due meanwhile is not made up for."""
    hourly(queue, missed="all")
    queue.pause_schedule("sync")
    info = queue.schedule("sync")
    assert (info.is_paused, info.next_at, queue.storage.queues.next_schedule_at()) == (True, None, None)
    clock.advance(2.5 * HOUR_S)
    assert tick(queue) == 0
    queue.storage.schedules.renew()
    queue.resume_schedule("sync")
    assert queue.schedule("sync").next_at == in_an_hour(queue)
    queue.resume_schedule("sync")
    assert tick(queue) == 0
    clock.advance(0.5 * HOUR_S)
    assert tick(queue) == 1
    assert due(queue) == [("01 15:00", 1, "")]


def test_an_edited_schedule_keeps_its_history(queue: Queue, clock: FakeClock) -> None:
    """What is not given stays; it is planned anew."""
    hourly(queue, missed="skip", priority=3)
    clock.advance(HOUR_S)
    tick(queue)
    queue.edit_schedule("sync", command="false", overlap="allow")
    info = queue.edit_schedule("sync", cron="30 * * * *")
    assert (info.cron, info.missed, info.overlap, info.job.command, info.job.priority) == (
        *("30 * * * *", "skip", "allow", "false", 3),
    )
    assert info.next_at == queue.now() + timedelta(minutes=30)
    assert due(queue) == [("01 13:00", 1, "")]
    clock.advance(HOUR_S / 2)
    assert tick(queue) == 1
    assert queue.job(2).command == "false"
    every = queue.edit_schedule("sync", every_s=120)
    assert (every.cron, every.every_s, every.next_at) == (None, 120.0, queue.now() + timedelta(seconds=120))
    queue.pause_schedule("sync")
    assert queue.edit_schedule("sync", priority=4).is_paused


def test_two_who_edit_a_schedule_at_once(queue: Queue, other: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each of them was given holds: neither brings back what the other one has changed."""
    hourly(queue, priority=3)
    real = queue._settings

    def settings() -> Settings:
        other.edit_schedule("sync", cron="30 * * * *", priority=4, overlap="queue")
        return real()

    monkeypatch.setattr(queue, "_settings", settings)
    info = queue.edit_schedule("sync", label="x", missed="skip")
    assert (info.cron, info.overlap, info.missed) == ("30 * * * *", "queue", "skip")
    assert (info.job.priority, info.job.label) == (4, "x")
    with pytest.raises(UsageError, match="is no name"):
        other.edit_schedule("sync", new_name="")


def test_a_schedule_is_run_by_hand(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """Besides its plan, also while it is paused; what is planned minds that it is unfinished."""
    at = hourly(queue).next_at
    assert [queue.run_schedule("sync"), queue.run_schedule("sync")] == [1, 2]
    info = queue.schedule("sync")
    assert (info.next_at, info.last_job_id) == (at, 2)
    clock.advance(HOUR_S)
    hand.record(hand.claim()[0])
    (second,) = hand.claim()
    assert tick(queue) == 0
    assert queue.schedule("sync").note == "skipped: 2 is unfinished"
    hand.record(second)
    queue.pause_schedule("sync")
    assert queue.run_schedule("sync") == 3
    assert queue.schedule("sync").is_paused


def test_an_older_job_is_an_obstacle_too(queue: Queue, clock: FakeClock, hand: Hand) -> None:
    """One that runs on while a later one was run by hand and has ended."""
    hourly(queue)
    clock.advance(HOUR_S)
    tick(queue)
    (first,) = hand.claim()
    assert queue.run_schedule("sync") == 2
    hand.do_next()
    clock.advance(HOUR_S)
    assert tick(queue) == 0
    hand.record(first)
    clock.advance(HOUR_S)
    assert tick(queue) == 1


def test_a_removed_schedule_leaves_its_jobs(queue: Queue, clock: FakeClock) -> None:
    """And nothing else."""
    hourly(queue)
    clock.advance(HOUR_S)
    tick(queue)
    queue.remove_schedule("sync")
    assert (queue.schedules(), queue.storage.queues.next_schedule_at()) == ([], None)
    hourly(queue)
    assert (due(queue), queue.job(1).state) == ([], State.PENDING)


# --- what is kept


def test_so_many_occurrences_are_kept(queue: Queue, clock: FakeClock) -> None:
    """The newest; and that of a job which is unfinished, however long it runs."""
    queue.add_schedule("sync", "true", every_s=60)
    for _ in range(KEPT + 20):
        clock.advance(60)
        tick(queue)
    found = due(queue)
    assert (len(found), found[0][1:], found[-1][1:]) == (KEPT + 2, (1, ""), (None, "skipped: 1 is unfinished"))
    queue.cancel(1)
    clock.advance(60)
    assert tick(queue) == 1
    assert len(due(queue)) == KEPT + 1


# --- zones


def test_a_zone_that_is_not_known_here(queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its schedule says so and waits for a host that knows it; the others are not kept up, however many there are."""
    queue.add_schedule("b", "true", cron="0 * * * *", zone="Europe/Berlin")
    hourly(queue, "a")
    real = occurrences.zone_of
    unknown = UsageError("no zone 'Europe/Berlin' on this host")

    def zone_of(name: str) -> Any:
        if name == "Europe/Berlin":
            raise unknown
        return real(name)

    clock.advance(HOUR_S)
    with monkeypatch.context() as patch:
        patch.setattr(occurrences, "zone_of", zone_of)
        for engine in ("sqlite", "postgres"):  # as if there were as many as one tick decides about
            patch.setattr(f"core.storage.{engine}.schedules.TICK", 1)
        assert tick(queue) == 1
        assert tick(queue) == 0
        queue.storage.schedules.renew()
    assert (queue.schedule("b").note, due(queue, "b")) == (str(unknown), [])
    assert tick(queue) == 1
    assert (queue.schedule("b").note, due(queue, "b")) == (None, [("01 13:00", 2, "")])


def test_an_occurrence_is_json(queue: Queue, clock: FakeClock) -> None:
    """Its fields are plain values; the environment that is stored is the one of the process that added it."""
    hourly(queue, env={"A": "b"})
    clock.advance(HOUR_S)
    tick(queue)
    assert json.loads(json.dumps([str(value) for value in queue.occurrences("sync")[0]]))
    assert to_datetime(clock.now_ms()) == queue.occurrences("sync")[0].decided_at
    variables, _ = queue.storage.jobs.environment(1)
    assert (variables["A"], variables["QUEUECTL_SCHEDULE"]) == ("b", "sync")
