"""How soon an output that passes its limit is found, and how seldom one that does not is looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.execution.output_limit import FIRST_S, LEAST_S, MOST_S, OutputWatch

MB = 1 << 20


def looks(size_at: Callable[[float], float], limit: int, until_s: float) -> tuple[list[float], int | None]:
    """Return when an output is looked at from its start on, and the size that is found to be beyond the limit."""
    watch = OutputWatch(0.0)
    times: list[float] = []
    while watch.look_at_s <= until_s:
        now = watch.look_at_s
        times.append(now)
        size = int(size_at(now))
        if watch.saw(size, limit, now):
            return times, size
    return times, None


@pytest.mark.parametrize("rate", [1 * MB, 10 * MB, 100 * MB, 1000 * MB])
@pytest.mark.parametrize("limit", [10 * MB, 1000 * MB])
def test_a_steady_output_is_found_within_a_hundredth_of_a_second(rate: int, limit: int) -> None:
    """Or at the first look, if it passes the limit before that."""
    times, size = looks(lambda now: rate * now, limit, 10_000.0)
    assert size is not None
    assert size - limit <= rate * (LEAST_S if limit / rate >= FIRST_S else FIRST_S) * 1.001
    assert len(times) < 40 + limit / rate / MOST_S, "and it takes few looks"


def test_a_quiet_output_is_looked_at_once_a_second() -> None:
    times, size = looks(lambda now: 0, MB, 100.0)
    assert size is None
    assert len(times) <= 105
    assert times[:3] == [FIRST_S, 3 * FIRST_S, 7 * FIRST_S]


def test_a_slow_output_is_looked_at_as_seldom_as_a_quiet_one() -> None:
    """It has hours to go."""
    assert looks(lambda now: 1000 * now, 1000 * MB, 100.0) == looks(lambda now: 0, 1000 * MB, 100.0)


def test_one_that_stops_short_of_its_limit_is_left_alone_again() -> None:
    """It is looked at often for a moment, then seldom."""
    times, size = looks(lambda now: min(now, 1.0) * 9.99 * MB, 10 * MB, 100.0)
    assert size is None
    assert len(times) < 130
    assert times[-1] - times[-2] == MOST_S


def test_one_that_begins_after_a_long_silence_is_found_within_a_second() -> None:
    times, size = looks(lambda now: max(0.0, now - 60) * 100 * MB, 10 * MB, 100.0)
    assert size is not None
    assert times[-1] <= 60 + MOST_S + 2 * LEAST_S


def test_an_output_at_its_limit_is_not_beyond_it() -> None:
    assert not OutputWatch(0.0).saw(10, 10, 0.05)
    assert OutputWatch(0.0).saw(11, 10, 0.05)


def test_one_that_was_cut_short_by_its_command_counts_anew() -> None:
    """``: > $file`` of a command that can see its own output; nothing divides by what did not grow."""
    watch = OutputWatch(0.0)
    assert not watch.saw(9, 10, 0.05)
    assert not watch.saw(0, 10, 0.06)
    assert not watch.saw(0, 10, 0.06)
