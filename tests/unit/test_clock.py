"""Reading the clocks: what the calendar does, seen from the stopwatch."""

from __future__ import annotations

import time

import pytest

from core.clock import CalendarWatch, SystemClock
from tests.fakes import FakeClock


def looked_at(clock: FakeClock) -> CalendarWatch:
    """Return a watch that has looked once and found nothing since."""
    watch = CalendarWatch()
    assert watch.look(clock), "what was before the first look is not known"
    watch.was_set_back = False
    return watch


def test_time_that_passes_is_no_jump() -> None:
    clock = FakeClock()
    watch = looked_at(clock)
    for seconds in (0.0, 0.05, 3600.0, 86400.0):
        clock.advance(seconds)
        assert not watch.look(clock)


@pytest.mark.parametrize(
    ("seconds", "is_back"), [(-3600, True), (-1.5, True), (-0.5, False), (0.5, False), (86400, False)]
)
def test_only_a_calendar_set_back_is_told(seconds: float, is_back: bool) -> None:
    """Small steps are how clocks are kept right; one set forward makes nothing late."""
    clock = FakeClock()
    watch = looked_at(clock)
    clock.advance(10)
    clock.jump(seconds)
    assert watch.look(clock) is is_back


def test_a_jump_is_told_until_somebody_acted_on_it() -> None:
    clock = FakeClock()
    watch = looked_at(clock)
    clock.jump(-60)
    assert (watch.look(clock), watch.look(clock)) == (True, True)
    watch.was_set_back = False
    assert not watch.look(clock)


def test_a_jump_forward_and_back_again_is_told() -> None:
    """What was stamped in between lies in the future now."""
    clock = FakeClock()
    watch = looked_at(clock)
    clock.jump(86400)
    assert not watch.look(clock)
    clock.jump(-86400)
    assert watch.look(clock)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts a suspend")
def test_the_stopwatch_counts_the_time_of_a_suspend() -> None:
    """It reads CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= SystemClock().monotonic_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
