"""Queues: when they are there, what holds their jobs, and what is due in them."""

from __future__ import annotations

import pytest

from core.clock import to_datetime
from core.errors import QueueNotFound, UsageError
from core.model import NewJob, Outcome
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand


def test_what_is_due_of_one_queue_is_told_from_the_rest(queue: Queue, clock: FakeClock) -> None:
    """Its rows are counted in the index."""
    for after_ms in (1000, 1000, 9000):
        queue.enqueue(NewJob("true", run_at=to_datetime(clock.now_ms() + after_ms)))
    clock.advance(2)
    assert queue.counts().delayed_by_queue == {"default": 1}


def test_a_queue_keeps_what_a_lost_host_is_to_it(queue: Queue) -> None:
    """Beside its limit and its pause flag, also without jobs; the default leaves nothing behind."""

    def told() -> dict[str, str | None]:
        return {info.name: info.on_lost_host for info in queue.queues()}

    queue.set_on_lost_host("media", "hold")
    queue.limit("media", 2)
    queue.limit("media", None)
    assert told() == {"media": "hold"}
    queue.limit("media", 2)
    queue.set_on_lost_host("media", "rerun")
    assert told() == {"media": None}
    assert [info.limit for info in queue.queues()] == [2]
    queue.limit("media", None)
    assert told() == {}
    with pytest.raises(UsageError, match="rerun or hold, not 'keep'"):
        queue.set_on_lost_host("media", "keep")


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
    """A queue that has neither jobs nor a flag nor a limit is not kept."""
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


def test_the_rate_of_a_queue_is_of_its_jobs_that_ended_in_the_last_minute(
    queue: Queue, hand: Hand, clock: FakeClock
) -> None:
    """Completed and dead ones; those of other queues and of the minute before are not in it."""
    for lane in ("media", "media", "media", "mail"):
        queue.enqueue("true", queue=lane, max_attempts=1)
    hand.do_next()
    clock.advance(61)
    hand.do_next()
    hand.do_next(Outcome.FAILED)
    assert queue.queue_rates() == {"media": pytest.approx(2 / 60)}
    hand.do_next()
    assert queue.queue_rates() == {"media": pytest.approx(2 / 60), "mail": pytest.approx(1 / 60)}
    clock.advance(61)
    assert queue.queue_rates() == {}


def test_the_newest_500_decide_the_rate_of_busy_queues(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A queue of thousands a second is read no further than they reach back, and the rate is of that time."""
    queue.enqueue_many(NewJob("true") for _ in range(600))
    for _ in range(6):
        for claim in hand.claim(100):
            hand.record(claim)
        clock.advance(1)
    assert queue.queue_rates() == {"default": pytest.approx(500 / 5)}
