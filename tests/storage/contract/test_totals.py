"""Totals since the database was made: what monitors read as counters, which must never fall."""

from __future__ import annotations

import pytest

from core.model import Outcome, Totals
from core.queue import Queue
from core.rules.histogram import bucket_of
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand

DAY_S = 86400


def numbers_of(found: Totals) -> tuple[float, ...]:
    """Return all that must never fall, the histograms as their sums."""
    run, wait = (sum(number for _, number in one) for one in (found.run_histogram, found.wait_histogram))
    return (*found[:7], run, wait)


def test_totals_of_a_new_database_are_zero(queue: Queue) -> None:
    """Nothing happened: no error, no missing number."""
    assert queue.totals() == Totals(0, 0, 0, 0, 0, 0.0, 0.0, (), ())


def test_totals_count_what_happened(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Each attempt is in the numbers and in the bucket of its duration."""
    for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED):
        queue.enqueue("true", max_attempts=1)
        clock.advance(2)
        hand.do_next(outcome)
    found = queue.totals()
    assert (found.enqueued, found.attempts_started, found.succeeded, found.failed, found.dead) == (3, 3, 2, 1, 1)
    assert found.wait_s == pytest.approx(6)
    assert found.wait_histogram == ((bucket_of(2000), 3),)
    assert sum(number for _, number in found.run_histogram) == 3


def test_totals_are_read_where_nothing_can_be_written(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A monitor needs no right to write."""
    queue.enqueue("true")
    hand.do_next(Outcome.SUCCEEDED)
    with Queue(queue.path, is_read_only=True, clock=clock) as reader:
        assert reader.totals() == queue.totals()
