"""``metrics --prometheus``: the text format that node_exporter's textfile collector and Prometheus read. Pure.

It is the classic format and not OpenMetrics, which the textfile collector refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from core.model import ENDED_STATES, OPEN_STATES, QueueInfo, Totals

#: Queues with a name of their own in the labels; what the others have is added up without a label.
MAX_QUEUES = 100
_STATES = (*OPEN_STATES, *ENDED_STATES)
#: Borders of the histograms: 6 ms, 14 ms, … 18.6 hours. An attempt of ``b`` ms is in bucket ``floor(4 * log2(b + 1))``,
#: so every fourth bucket begins at a whole number of milliseconds, and the last one below it is the border.
_BORDERS = tuple((4 * power, (2**power - 2) / 1000) for power in range(3, 27))


class Standing(NamedTuple):
    """How things stand, as read in one snapshot; ``oldest_due_age_s`` is 0 when no job is due."""

    queues: Sequence[QueueInfo]
    is_all_paused: bool
    workers: int
    slots: int
    oldest_due_age_s: float
    totals: Totals


def exposition(now: Standing, version: str) -> str:
    """Return all metrics; the labels are ``queue``, ``state`` and ``result`` alone, whose values are few."""
    return "".join(f"{line}\n" for line in _lines(now, version))


def _lines(now: Standing, version: str) -> Iterator[str]:
    totals = now.totals
    yield from _metric("build_info", "gauge", "The version of queuectl that wrote this.", [({"version": version}, 1)])
    yield from _metric(
        "jobs", "gauge", "Jobs by queue and state; delayed and blocked ones are not among the pending ones.", _jobs(now)
    )
    yield from _metric(
        "queue_paused",
        "gauge",
        "Whether no jobs of the queue are started, because it or everything is paused.",
        [({"queue": queue.name}, int(queue.is_paused or now.is_all_paused)) for queue in now.queues[:MAX_QUEUES]],
    )
    yield from _single(
        "oldest_due_job_age_seconds", "gauge", "For how long the oldest job has been due.", now.oldest_due_age_s
    )
    yield from _single("workers", "gauge", "Workers that are alive.", now.workers)
    yield from _single("worker_slots", "gauge", "Jobs that they may run at once.", now.slots)
    yield from _single("jobs_enqueued_total", "counter", "Jobs that were ever added.", totals.enqueued)
    yield from _single("attempts_started_total", "counter", "Attempts that were ever claimed.", totals.attempts_started)
    yield from _metric(
        "attempts_ended_total",
        "counter",
        "Attempts that succeeded or failed.",
        [({"result": "succeeded"}, totals.succeeded), ({"result": "failed"}, totals.failed)],
    )
    yield from _single("jobs_died_total", "counter", "Jobs that went into the dead letter queue.", totals.dead)
    yield from _histogram("attempt_run_seconds", "How long attempts ran.", totals.run_histogram, totals.run_s)
    yield from _histogram(
        "attempt_wait_seconds", "How long due jobs waited to be claimed.", totals.wait_histogram, totals.wait_s
    )


def _jobs(now: Standing) -> Iterator[tuple[Mapping[str, str], float]]:
    for queue in now.queues[:MAX_QUEUES]:
        numbers = _by_state([queue])
        yield from (({"queue": queue.name, "state": state}, number) for state, number in numbers.items())
    if rest := now.queues[MAX_QUEUES:]:
        yield from (({"state": state}, number) for state, number in _by_state(rest).items())


def _by_state(queues: Iterable[QueueInfo]) -> dict[str, int]:
    numbers = dict.fromkeys((*(state.value for state in _STATES), "delayed", "blocked"), 0)
    for queue in queues:
        for state in _STATES:
            numbers[state.value] += queue.counts.get(state, 0)
        numbers["pending"] -= queue.delayed + queue.blocked
        numbers["delayed"] += queue.delayed
        numbers["blocked"] += queue.blocked
    return numbers


def _single(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    return _metric(name, kind, text, [({}, value)])


def _metric(name: str, kind: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield f"# HELP queuectl_{name} {text}"
    yield f"# TYPE queuectl_{name} {kind}"
    for labels, value in samples:
        yield _sample(name, labels, value)


def _histogram(name: str, text: str, buckets: Iterable[tuple[int, int]], total_s: float) -> Iterator[str]:
    yield from _metric(name, "histogram", text, [])
    numbers = list(buckets)
    for border, seconds in _BORDERS:
        below = sum(number for bucket, number in numbers if bucket < border)
        yield _sample(f"{name}_bucket", {"le": repr(seconds)}, below)
    total = sum(number for _, number in numbers)
    yield _sample(f"{name}_bucket", {"le": "+Inf"}, total)
    yield _sample(f"{name}_sum", {}, total_s)
    yield _sample(f"{name}_count", {}, total)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"queuectl_{name}{f'{{{inside}}}' if inside else ''} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
