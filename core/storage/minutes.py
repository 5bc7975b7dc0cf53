"""Values of the statistics from their rows: minutes, the metrics of a window, totals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from core.clock import to_datetime
from core.errors import DatabaseCorrupt
from core.model import Metrics, Minute, Totals
from core.rules.histogram import percentile_s

#: As far back as ``minutes`` looks: a year and a day.
MOST_MINUTES = 366 * 1440
#: A minute is summed up once it is this old, in minutes: a worker may write to one that is over, if it was suspended.
SETTLED_MINUTES = 24 * 60
#: The most minutes that one transaction sums up.
SUM_CHUNK_MINUTES = 24 * 60
#: The sums that the totals have of all minutes.
TOTALS = ("succeeded", "failed", "dead", "run_ms", "wait_ms")


def metrics_of(window_s: int, sums: Sequence[int], durations: Iterable[tuple[str, int, int]]) -> Metrics:
    """Return the metrics of a window from its sums (enqueued, succeeded, failed, dead) and its histograms.

    ``durations`` has rows of kind, bucket and number, in order. Raises ``DatabaseCorrupt`` for what is no number.
    """
    histograms: dict[str, list[tuple[int, int]]] = {"run": [], "wait": []}
    for kind, bucket, number in durations:
        check_totals((bucket, number))
        histograms.setdefault(kind, []).append((bucket, number))
    check_totals(sums)
    enqueued, succeeded, failed, dead = sums
    ended = succeeded + failed
    return Metrics(
        window_s=window_s,
        enqueued=enqueued,
        succeeded=succeeded,
        failed=failed,
        dead=dead,
        per_s=ended / window_s if window_s else 0.0,
        success_share=succeeded / ended if ended else None,
        wait_p50_s=percentile_s(histograms["wait"], 0.50),
        wait_p95_s=percentile_s(histograms["wait"], 0.95),
        run_p50_s=percentile_s(histograms["run"], 0.50),
        run_p95_s=percentile_s(histograms["run"], 0.95),
    )


def totals_of(
    kept: Mapping[str, int],
    newer: Sequence[object],
    durations: Iterable[tuple[str, int, int]],
    *,
    enqueued: int,
    attempts_started: int,
) -> Totals:
    """Return the totals from the sums that are ``kept`` under their keys, and what is newer than those.

    ``newer`` has the sums of ``TOTALS``, ``durations`` rows of kind, bucket and number.
    """
    sums = dict(kept)
    for column, number in zip(TOTALS, newer, strict=True):
        _add(sums, f"total_{column}", number)
    for kind, bucket, number in durations:
        _add(sums, f"total_{kind}_{bucket}", number)
    return Totals(
        enqueued=enqueued,
        attempts_started=attempts_started,
        succeeded=sums["total_succeeded"],
        failed=sums["total_failed"],
        dead=sums["total_dead"],
        run_s=sums["total_run_ms"] / 1000,
        wait_s=sums["total_wait_ms"] / 1000,
        run_histogram=_histogram(sums, "total_run_"),
        wait_histogram=_histogram(sums, "total_wait_"),
    )


def _add(sums: dict[str, int], key: str, number: object) -> None:
    check_totals((number,))
    assert isinstance(number, int)
    sums[key] = sums.get(key, 0) + number


def _histogram(sums: Mapping[str, int], prefix: str) -> tuple[tuple[int, int], ...]:
    buckets = [(key.removeprefix(prefix), number) for key, number in sums.items() if key.startswith(prefix)]
    return tuple(sorted((int(bucket), number) for bucket, number in buckets if bucket.isdigit()))


# Minutes that passed do not change, nor does a calm one, and the dashboard asks ten times a second.


@lru_cache(maxsize=2)
def filled(newest: int, count: int, found: tuple[tuple[int, ...], ...]) -> tuple[Minute, ...]:
    """Return the minutes, those in which nothing happened included."""
    for row in found:
        check_totals(row)
    rows = {row[0]: row for row in found}
    return tuple(
        _minute(*rows.get(minute, (minute, 0, 0, 0, 0, 0, 0))) for minute in range(newest - count + 1, newest + 1)
    )


@lru_cache(maxsize=256)
def _minute(minute: int, enqueued: int, succeeded: int, failed: int, dead: int, run_ms: int, wait_ms: int) -> Minute:
    return Minute(to_datetime(minute * 60_000), enqueued, succeeded, failed, dead, run_ms / 1000, wait_ms / 1000)


def check_totals(totals: Iterable[object]) -> None:
    """Refuse what a flipped bit has made of a number."""
    if not all(isinstance(total, int) for total in totals):
        raise DatabaseCorrupt("the totals of a minute are damaged; run 'queuectl doctor', restore a backup")
