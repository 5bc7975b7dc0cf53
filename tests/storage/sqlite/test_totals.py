"""The totals as the file keeps them: minutes are summed up before they are removed, and damage is an error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.errors import DatabaseCorrupt
from core.model import Outcome, State, Totals, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand, dump

DAY_S = 86400


def numbers_of(found: Totals) -> tuple[float, ...]:
    """Return all that must never fall, the histograms as their sums."""
    run, wait = (sum(number for _, number in one) for one in (found.run_histogram, found.wait_histogram))
    return (*found[:7], run, wait)


def test_no_prune_lowers_a_total(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Over two hundred days, of which the minutes of the last ninety stay, jobs removed for good included."""
    before = numbers_of(queue.totals())
    for day in range(1, 201):
        queue.enqueue("true", max_attempts=1)
        clock.advance(DAY_S)
        hand.do_next(Outcome.FAILED if day % 5 == 0 else Outcome.SUCCEEDED)
        queue.purge(View((State.DEAD,)))
        queue.prune()
        now = numbers_of(queue.totals())
        assert all(new >= old for new, old in zip(now, before, strict=True)), day
        before = now
        found = queue.totals()
        assert (found.enqueued, found.attempts_started) == (day, day)
        assert (found.succeeded, found.failed, found.dead) == (day - day // 5, day // 5, day // 5)
    assert len(dump(queue.path)["minutes"]) < 200
    assert before[-2:] == (200, 200)
    assert queue.totals().wait_s == pytest.approx(200 * DAY_S)


def test_minutes_that_were_never_summed_up_are_not_removed(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A database of an older version has months of them: a prune sums up one day's worth and removes no other."""
    for _ in range(10):
        queue.enqueue("true")
        hand.do_next(Outcome.SUCCEEDED)
        clock.advance(3 * DAY_S)
    clock.advance(100 * DAY_S)
    for left in range(9, -1, -1):
        queue.prune()
        assert len(dump(queue.path)["minutes"]) == left
        assert queue.totals().succeeded == 10


def test_a_minute_is_summed_up_when_nothing_is_added_to_it_any_more(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A worker that was suspended may write to a minute that is over; what it adds is in the totals, too."""
    queue.enqueue("true")
    hand.do_next(Outcome.SUCCEEDED)
    clock.advance(3600)
    queue.prune()
    connection = sqlite3.connect(queue.path)
    with connection:
        connection.execute("UPDATE minutes SET succeeded = succeeded + 1")
    connection.close()
    clock.advance(2 * DAY_S)
    queue.prune()
    assert queue.totals().succeeded == 2


def test_damaged_totals_are_an_error(queue: Queue, hand: Hand, tmp_path: Path) -> None:
    """A number that a flipped bit made a text is said to be damaged; it is no traceback."""
    queue.enqueue("true")
    hand.do_next(Outcome.SUCCEEDED)
    connection = sqlite3.connect(queue.path)
    with connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'minutes'")
    connection.close()
    connection = sqlite3.connect(queue.path)
    with connection:
        connection.execute("UPDATE minutes SET succeeded = x'00'")
    connection.close()
    with Queue(queue.path) as again, pytest.raises(DatabaseCorrupt, match="totals of a minute are damaged"):
        again.totals()
