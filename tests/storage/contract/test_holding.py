"""Jobs that a user holds: never claimed, counted and listed apart, due anew when they are released."""

from __future__ import annotations

import pytest

from core.clock import to_datetime
from core.errors import InvalidTransition, UsageError
from core.model import NewJob, Page, Phase, State, View
from core.queue import Queue
from core.rules.filters import parse_filter
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand

PENDING = View((State.PENDING,))


def test_a_held_job_is_not_claimed_until_it_is_released(queue: Queue, hand: Hand) -> None:
    """Whether it was added held, one by one or in a batch, or held later."""
    first = queue.enqueue(NewJob("true", is_held=True)).id
    second, third = queue.enqueue_many([NewJob("true", is_held=True), NewJob("true")])
    queue.hold(third)
    assert hand.claim(9) == []
    for job_id in (first, second, third):
        queue.release(job_id)
        (claim,) = hand.claim(9)
        assert (claim.job.id, claim.job.is_held, claim.job.blocks) == (job_id, False, 0)


def test_a_held_job_has_its_phase_and_reason(queue: Queue) -> None:
    """As a job of a queue that is paused has one."""
    job_id = queue.enqueue(NewJob("true", is_held=True)).id
    job, waiting = queue.job(job_id), queue.waiting(job_id)
    assert (job.is_held, job.blocks, job.phase(queue.now())) == (True, 1, Phase.HELD)
    assert waiting is not None
    assert waiting.phase is Phase.HELD
    assert waiting.reason.startswith("held by a user since ")


def test_held_jobs_are_counted_and_listed_behind_the_others(queue: Queue, clock: FakeClock) -> None:
    """By priority and id, in every direction and by every way to read a list."""
    later = to_datetime(clock.now_ms() + 60_000)
    ids = queue.enqueue_many(
        [
            NewJob("true", is_held=True, run_at=later),
            NewJob("true", run_at=later),
            NewJob("true", is_held=True, priority=5, queue="media"),
            NewJob("true"),
        ]
    )
    order = [ids[3], ids[1], ids[2], ids[0]]
    assert queue.ids(PENDING) == order
    rows = queue.rows(PENDING)
    assert [row.job.id for row in rows] == order
    assert [queue.key_of(PENDING, row.job) for row in rows] == [row.key for row in rows]
    for at, row in enumerate(rows):
        assert [one.job.id for one in queue.rows(PENDING, after=row.key)] == order[at + 1 :]
        assert [one.job.id for one in queue.rows(PENDING, before=row.key)] == order[:at]
        assert queue.position_of(PENDING, row.key) == at
        assert queue.key_at(PENDING, at) == row.key
    (page,) = queue.first_pages([(PENDING, 10)], [Page()])
    assert list(page.rows) == rows
    assert queue.ids(View((State.PENDING,), parse_filter("queue:media"))) == [ids[2]]
    counts = queue.counts()
    assert (counts.delayed_by_queue, counts.blocked_by_queue) == ({"default": 1}, {"default": 1, "media": 1})
    assert (counts.of(State.PENDING), counts.delayed, counts.blocked) == (4, 1, 2)
    assert {found.name: (found.delayed, found.blocked) for found in queue.queues()} == {
        "default": (1, 1),
        "media": (0, 1),
    }


def test_a_released_job_waits_from_then_on(queue: Queue, clock: FakeClock) -> None:
    """The time that it was held is no wait for a slot; a time to come stays its time."""
    later = to_datetime(clock.now_ms() + 60_000)
    soon, late = queue.enqueue_many([NewJob("true", is_held=True), NewJob("true", is_held=True, run_at=later)])
    clock.advance(10)
    queue.release([soon, late])
    assert queue.oldest_pending_at() == queue.now()
    assert queue.next_due_at() == later
    assert queue.job(late).phase(queue.now()) is Phase.DELAYED


def test_a_held_job_whose_time_has_come_is_not_due(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """It waits for its release, and is due at once then."""
    job_id = queue.enqueue(NewJob("true", is_held=True, run_at=to_datetime(clock.now_ms() + 1000))).id
    clock.advance(5)
    assert (hand.claim(), queue.next_due_at(), queue.oldest_pending_at()) == ([], None, None)
    queue.release(job_id)
    assert [claim.job.id for claim in hand.claim()] == [job_id]


def test_a_retry_does_not_release(queue: Queue, clock: FakeClock) -> None:
    """Nor make a held job due that is delayed as well."""
    job_id = queue.enqueue(NewJob("true", is_held=True, run_at=to_datetime(clock.now_ms() + 1000))).id
    before = queue.job(job_id)
    with pytest.raises(InvalidTransition, match="it is held; release it"):
        queue.retry(job_id)
    assert queue.retry([job_id, queue.enqueue("true").id]).count == 0
    assert queue.job(job_id) == before


def test_an_edit_neither_holds_nor_releases(queue: Queue) -> None:
    """A held job can be edited, and is held afterwards."""
    job_id = queue.enqueue(NewJob("true", is_held=True)).id
    queue.edit(job_id, command="false")
    assert (queue.job(job_id).is_held, queue.job(job_id).blocks) == (True, 1)
    with pytest.raises(UsageError, match="there are verbs for it"):
        queue.edit(job_id, is_held=False)


def test_a_cancelled_job_comes_back_held(queue: Queue, hand: Hand) -> None:
    """By undo as by replay: what a user said of it holds."""
    job_id = queue.enqueue(NewJob("true", is_held=True)).id
    queue.cancel(job_id)
    assert queue.counts().blocked == 0
    queue.undo()
    assert queue.counts().blocked == 1
    queue.cancel(job_id)
    queue.replay(job_id)
    assert hand.claim() == []
    queue.release(job_id)
    assert len(hand.claim()) == 1


def test_a_drain_does_not_wait_for_held_jobs(queue: Queue) -> None:
    """They would keep a worker for ever."""
    job_id = queue.enqueue(NewJob("true", is_held=True)).id
    assert queue.storage.drain(()).is_over()
    queue.release(job_id)
    assert not queue.storage.drain(()).is_over()
