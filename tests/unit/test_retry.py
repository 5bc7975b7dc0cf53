"""When a failed job is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.backoff import Backoff, capped_delay_s, delay_ms, jittered_s

bases = st.floats(1, 1000)
caps = st.floats(0, 365 * 86400)
shares = st.floats(0, 1)
factors = st.floats(-1, 1)
attempt_counts = st.integers(1, 1_000_000)
curves = st.builds(Backoff, bases, caps, shares)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 2), (2, 4), (3, 8), (4, 16), (10, 1024), (11, 2048), (12, 3600), (13, 3600), (1024, 3600), (1_000_000, 3600)],
)
def test_the_default_delays_double_from_two_seconds_to_an_hour(attempts: int, seconds: int) -> None:
    """Without any setting a job waits 2 s, 4 s, 8 s and so on, and never longer than an hour."""
    assert capped_delay_s(attempts, Backoff()) == seconds
    assert delay_ms(attempts, Backoff()) == seconds * 1000


@pytest.mark.parametrize("attempts", [1, 2, 50, 10_000])
def test_base_one_waits_a_second_each_time(attempts: int) -> None:
    """A base of 1 makes the delay constant."""
    assert capped_delay_s(attempts, Backoff(base=1.0)) == 1.0


def test_a_fractional_base_is_rounded_only_to_the_millisecond() -> None:
    """The curve is not cut to whole seconds."""
    assert delay_ms(3, Backoff(base=1.5)) == 3375


@pytest.mark.parametrize("attempts", [1, 2, 1000])
def test_a_cap_of_zero_retries_at_once(attempts: int) -> None:
    """Somebody who sets the cap to zero gets no waiting at all."""
    assert delay_ms(attempts, Backoff(cap_s=0.0)) == 0


def test_a_power_too_large_for_a_float_is_the_cap() -> None:
    """The millionth attempt of a steep curve waits the cap; it does not raise."""
    assert capped_delay_s(1_000_000, Backoff(base=1000.0, cap_s=60.0)) == 60.0


@given(attempt_counts, curves)
def test_the_delay_is_never_above_the_cap(attempts: int, backoff: Backoff) -> None:
    """Before jitter no delay exceeds the cap, whatever the base and the attempts."""
    assert 0 <= capped_delay_s(attempts, backoff) <= backoff.cap_s


@given(attempt_counts, curves)
def test_the_delay_never_shrinks_from_one_attempt_to_the_next(attempts: int, backoff: Backoff) -> None:
    """A job that has failed once more waits at least as long."""
    assert capped_delay_s(attempts, backoff) <= capped_delay_s(attempts + 1, backoff)


@given(attempt_counts, curves, factors)
def test_jitter_stays_within_its_share_of_the_delay(attempts: int, backoff: Backoff, factor: float) -> None:
    """A delay is moved by no more than the jitter's share either way, to the millisecond."""
    delay = capped_delay_s(attempts, backoff) * 1000
    moved = delay_ms(attempts, backoff, factor)
    assert delay * (1 - backoff.jitter) - 1 <= moved <= delay * (1 + backoff.jitter) + 1
    assert moved >= 0


@given(st.integers(12, 10_000), st.floats(0.01, 1))
def test_jitter_still_spreads_jobs_that_wait_for_the_cap(attempts: int, jitter: float) -> None:
    """Jitter comes after the cap, so that jobs which all wait the longest do not start on the same second."""
    backoff = Backoff(jitter=jitter)
    earliest, latest = (delay_ms(attempts, backoff, factor) for factor in (-1.0, 1.0))
    assert earliest < 3_600_000 < latest
    assert latest - earliest == pytest.approx(2 * jitter * 3_600_000, abs=1)


@given(attempt_counts, curves)
def test_a_factor_of_zero_moves_nothing(attempts: int, backoff: Backoff) -> None:
    """The middle of the jitter is the delay itself."""
    assert delay_ms(attempts, backoff, 0.0) == round(capped_delay_s(attempts, backoff) * 1000)


@given(attempt_counts, bases, caps, factors)
def test_no_jitter_means_the_factor_does_not_matter(attempts: int, base: float, cap_s: float, factor: float) -> None:
    """With jitter 0 a draw changes nothing."""
    backoff = Backoff(base, cap_s, 0.0)
    assert delay_ms(attempts, backoff, factor) == delay_ms(attempts, backoff)


@given(st.floats(0, 1e9), factors)
def test_full_jitter_never_makes_a_delay_negative(delay_s: float, factor: float) -> None:
    """Even a jitter of the whole delay ends at now, not before."""
    assert 0.0 <= jittered_s(delay_s, 1.0, factor) <= 2 * delay_s
