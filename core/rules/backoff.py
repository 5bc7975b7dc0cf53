"""When a failed job is tried again: exponential back-off, its cap and its jitter. Pure."""

# annotations are evaluated here, as in core.model

from typing import NamedTuple


class Backoff(NamedTuple):
    """The three numbers of the curve: ``base`` >= 1, ``cap_s`` > 0 in seconds, ``jitter`` a share from 0 to 1."""

    base: float = 2.0
    cap_s: float = 3600.0
    jitter: float = 0.0


def capped_delay_s(attempts: int, backoff: Backoff) -> float:
    """Return ``min(cap, base ** attempts)`` seconds for a job that has failed ``attempts`` >= 1 times."""
    try:
        delay = backoff.base**attempts
    except OverflowError:
        return backoff.cap_s
    return min(backoff.cap_s, delay)


def jittered_s(delay_s: float, jitter: float, factor: float) -> float:
    """Return the delay moved by up to ``jitter`` of itself either way; ``factor`` is drawn from -1 to 1.

    It comes after the cap: jobs that all wait for the cap are spread too ("full jitter" applied before a cap would
    put them all back on the same second).
    """
    return max(0.0, delay_s * (1.0 + jitter * factor))


def delay_ms(attempts: int, backoff: Backoff, jitter_factor: float = 0.0) -> int:
    """Return the whole delay before the next attempt, in milliseconds."""
    return round(jittered_s(capped_delay_s(attempts, backoff), backoff.jitter, jitter_factor) * 1000)
