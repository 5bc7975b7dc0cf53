"""The calendar is set back or forward: a back-off keeps its length, a time that a person gave stays that time."""

from __future__ import annotations

from core.clock import to_datetime, to_ms
from core.model import Job, Outcome
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand


def wait_s(queue: Queue, job: Job, clock: FakeClock) -> float:
    """Return in how many seconds a job is due."""
    run_at = queue.job(job.id).run_at
    assert run_at is not None
    return (to_ms(run_at) - clock.now_ms()) / 1000


def backing_off(queue: Queue, hand: Hand, base: float = 60.0) -> Job:
    """Return a job that has failed once and waits ``base`` seconds."""
    job = queue.enqueue("false", backoff_base=base)
    assert hand.do_next(Outcome.FAILED) == job.id
    return job


def test_a_back_off_is_no_longer_than_it_was_when_the_calendar_goes_back(
    queue: Queue, hand: Hand, clock: FakeClock
) -> None:
    job = backing_off(queue, hand)
    clock.jump(-3600)
    assert wait_s(queue, job, clock) == 3660
    assert queue.storage.attempts().shorten_backoffs() == 1
    assert wait_s(queue, job, clock) == 60
    clock.advance(60)
    assert hand.do_next() == job.id


def test_a_back_off_within_its_length_is_left_alone(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Whether the calendar stood still, went on, or went back by less than has passed."""
    job = backing_off(queue, hand)
    assert queue.storage.attempts().shorten_backoffs() == 0
    clock.advance(50)
    clock.jump(-20)
    assert queue.storage.attempts().shorten_backoffs() == 0
    assert wait_s(queue, job, clock) == 30


def test_times_that_a_person_gave_stay(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """For a new job as for one whose back-off an edit replaced; undoing the edit brings the back-off back as one."""
    at = to_datetime(clock.now_ms() + 30_000)
    new = queue.enqueue("true", run_at=at)
    edited = backing_off(queue, hand)
    edit = queue.edit(edited.id, run_at=at)
    clock.jump(-3600)
    assert queue.storage.attempts().shorten_backoffs() == 0
    assert (queue.job(new.id).run_at, queue.job(edited.id).run_at) == (at, at)
    queue.undo(edit.id)
    assert queue.storage.attempts().shorten_backoffs() == 1
    assert wait_s(queue, edited, clock) == 60
