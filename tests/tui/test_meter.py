"""Rates and pulses from minutes that grow."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from core.model import Minute
from queuectl_tui.gateway.meter import Meter
from queuectl_tui.snapshot import Pulse

START = datetime(2026, 1, 2, 10, 30, tzinfo=timezone.utc)


def minute(offset: int, succeeded: int, failed: int = 0) -> Minute:
    """Return a minute in which so many attempts ended."""
    return Minute(START + timedelta(minutes=offset), 0, succeeded, failed, 0, 0.0, 0.0)


def test_what_was_there_at_the_start_is_no_news() -> None:
    """The first look sets the mark: it would be a lie to show an hour's work as one second's."""
    meter = Meter()
    meter.feed([minute(0, 500)], 1000)
    assert meter.pulses() == ()


def test_what_is_new_is_booked_on_its_second() -> None:
    """Two looks within a second add up; the next second has its own pulse."""
    meter = Meter()
    meter.feed([minute(0, 5)], 1000)
    meter.feed([minute(0, 7, 1)], 1001)
    meter.feed([minute(0, 8, 1)], 1001)
    meter.feed([minute(0, 8, 1), minute(1, 2)], 1002)
    assert meter.pulses() == (Pulse(1001, 3, 1), Pulse(1002, 2, 0))


def test_the_rate_looks_back_ten_seconds() -> None:
    """Twenty jobs in the last ten seconds are two a second, and tell when forty more will be done."""
    meter = Meter()
    meter.feed([minute(0, 0)], 1000)
    meter.feed([minute(0, 30)], 1005)
    meter.feed([minute(0, 50)], 1020)
    rates = meter.rates([minute(0, 45, 5)], 40, 1020)
    assert rates.per_s == 2.0
    assert rates.eta_s == 20.0
    assert rates.failure_share == 0.1


def test_without_anything_done_there_is_no_share_and_no_estimate() -> None:
    """Nothing is made up."""
    meter = Meter()
    rates = meter.rates([], 10, 1000)
    assert (rates.per_s, rates.failure_share, rates.eta_s) == (0.0, None, None)
