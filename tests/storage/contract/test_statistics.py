"""Totals of a window and the oldest job that waits."""

from __future__ import annotations

import pytest

from core.model import Ending, NewJob, Outcome, State, View
from core.queue import Queue
from core.rules.histogram import bucket_of
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand


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


def test_the_newest_runs_are_those_of_jobs_that_completed_last(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Newest first; failed ones are none; with an instant only those that completed after it."""
    assert queue.newest_runs(10) == []
    for number, outcome in enumerate((Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED, Outcome.SUCCEEDED)):
        queue.enqueue(f"echo {number}", max_attempts=1)
        hand.do_next(outcome)
        clock.advance(1)
    runs = queue.newest_runs(10)
    assert [(run.command, run.run_s) for run in runs] == [("echo 3", 0.01), ("echo 2", 0.01), ("echo 0", 0.01)]
    assert queue.newest_runs(1) == runs[:1]
    assert queue.newest_runs(10, after=runs[2].ended_at) == runs[:2]
    assert queue.newest_runs(10, after=runs[0].ended_at) == []


def test_of_a_long_command_the_start_is_enough(queue: Queue, hand: Hand) -> None:
    queue.enqueue("echo " + "x" * 5000)
    hand.do_next()
    assert len(queue.newest_runs(1)[0].command) == 1000
