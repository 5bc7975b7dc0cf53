"""``metrics --prometheus``: what the client library's own parser makes of it, and what it must say."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime, timezone

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from core.cli.prometheus import MAX_QUEUES, Standing, exposition
from core.cli.verbs.metrics import prometheus_text
from core.model import NewJob, QueueInfo, State, Totals
from core.queue import Queue
from core.rules.histogram import bucket_of
from core.version import __version__
from tests.cli.conftest import Cli, Terminal, drain

pytestmark = pytest.mark.each_engine

ODD = 'we"ird\\q'


def families(text: str) -> dict[str, Metric]:
    """Return what a scraper reads, by name, after the rules that promtool checks hold."""
    found = list(text_string_to_metric_families(text))
    names = Counter(family.name for family in found)
    assert [name for name, number in names.items() if number > 1] == []
    series = Counter((sample.name, tuple(sorted(sample.labels.items()))) for one in found for sample in one.samples)
    assert [name for name, number in series.items() if number > 1] == []
    for family in found:
        assert family.name.startswith("queuectl_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter")
            assert set(sample.labels) <= {"queue", "state", "result", "le", "version"}
            assert math.isfinite(sample.value)
    assert text.endswith("\n")
    return {family.name: family for family in found}


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    """Return the value of one series."""
    family = next(one for one in found.values() if name in (one.name, *(sample.name for sample in one.samples)))
    (match,) = [one.value for one in family.samples if one.name == name and one.labels == labels]
    return float(match)


def test_jobs_and_attempts_are_counted(cli: Cli, open_queue: Queue) -> None:
    """Jobs by queue and state, delayed ones apart; counters of all that happened."""
    open_queue.enqueue_many([NewJob("true"), NewJob("exit 1", max_attempts=1), NewJob("exit 1", backoff_base=1000)])
    drain(open_queue)
    open_queue.enqueue("true", queue="media")
    open_queue.cancel(open_queue.enqueue("true").id)
    found = families(cli.ok("metrics", "--prometheus"))
    jobs = {
        (one.labels["queue"], one.labels["state"]): one.value for one in found["queuectl_jobs"].samples if one.value
    }
    assert jobs == {
        ("default", "completed"): 1, ("default", "dead"): 1, ("default", "delayed"): 1, ("default", "cancelled"): 1,
        ("media", "pending"): 1,
    }  # fmt: skip
    assert len(found["queuectl_jobs"].samples) == 14
    assert value(found, "queuectl_jobs_enqueued_total") == 5
    assert value(found, "queuectl_attempts_started_total") == 3
    assert value(found, "queuectl_attempts_ended_total", result="succeeded") == 1
    assert value(found, "queuectl_attempts_ended_total", result="failed") == 2
    assert value(found, "queuectl_jobs_died_total") == 1
    assert value(found, "queuectl_build_info", version=__version__) == 1


def test_workers_and_pauses_are_gauges(cli: Cli, open_queue: Queue, terminal: Terminal) -> None:
    """Living workers and their slots; a queue is paused by itself or with everything."""
    open_queue.enqueue_many([NewJob("true", queue="a"), NewJob("true", queue="b")])
    open_queue.pause("a")
    terminal.worker("-c", "3", "--queue", "other")
    found = families(cli.ok("metrics", "--prometheus"))
    assert (value(found, "queuectl_workers"), value(found, "queuectl_worker_slots")) == (1, 3)
    paused = [value(found, "queuectl_queue_paused", queue=name) for name in "ab"]
    assert paused == [1, 0]
    assert value(found, "queuectl_oldest_due_job_age_seconds") > 0
    open_queue.pause()
    found = families(cli.ok("metrics", "--prometheus"))
    assert value(found, "queuectl_queue_paused", queue="b") == 1


def test_a_queue_may_have_any_name(cli: Cli, open_queue: Queue) -> None:
    """Quotes and backslashes are escaped: the parser gives the name back as it is."""
    open_queue.enqueue("true", queue=ODD)
    found = families(cli.ok("metrics", "--prometheus"))
    assert value(found, "queuectl_jobs", queue=ODD, state="pending") == 1
    assert value(found, "queuectl_queue_paused", queue=ODD) == 0


def standing(*, lanes: list[QueueInfo] | None = None, runs_ms: tuple[int, ...] = ()) -> Standing:
    """Return a queue that stands still, with these queues and attempts."""
    histogram = tuple(sorted(Counter(map(bucket_of, runs_ms)).items()))
    totals = Totals(0, 0, 0, 0, 0, sum(runs_ms) / 1000, 0.0, histogram, ())
    return Standing(lanes or [], False, 0, 0, 0.0, totals)


def test_more_queues_than_a_hundred_are_added_up_without_a_name(open_queue: Queue) -> None:
    """Labels stay few, and sums over all series still have every job."""
    lanes = [QueueInfo(f"q{number:03}", False, None, {State.DEAD: 2, State.PENDING: 3}, 1) for number in range(150)]
    found = families(exposition(standing(lanes=lanes), "1"))
    samples = found["queuectl_jobs"].samples
    assert len({one.labels.get("queue") for one in samples}) == MAX_QUEUES + 1
    by_state = Counter[str]()
    for one in samples:
        by_state[one.labels["state"]] += int(one.value)
    assert (by_state["dead"], by_state["pending"], by_state["delayed"]) == (300, 300, 150)
    assert len(found["queuectl_queue_paused"].samples) == MAX_QUEUES


@pytest.mark.parametrize("power", range(3, 27))
def test_a_border_of_a_histogram_is_a_whole_millisecond(power: int) -> None:
    """An attempt that took exactly as long as ``le`` is below it, one that took a millisecond more is above."""
    border_ms = 2**power - 2
    found = families(exposition(standing(runs_ms=(0, border_ms, border_ms + 1)), "1"))
    assert value(found, "queuectl_attempt_run_seconds_bucket", le=repr(border_ms / 1000)) == 2
    assert value(found, "queuectl_attempt_run_seconds_bucket", le="+Inf") == 3


def test_histograms_add_up(cli: Cli, open_queue: Queue) -> None:
    """Buckets only grow, the last one is the count, and the sum is that of all durations."""
    open_queue.enqueue_many(["true"] * 5)
    drain(open_queue)
    found = families(cli.ok("metrics", "--prometheus"))
    for name in ("queuectl_attempt_run_seconds", "queuectl_attempt_wait_seconds"):
        buckets = [one.value for one in found[name].samples if one.name == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert len(buckets) == 25
        assert buckets[-1] == value(found, f"{name}_count") == 5
        assert value(found, f"{name}_sum") > 0


def test_a_monitor_needs_no_right_to_write(open_queue: Queue) -> None:
    """A database that is open read-only gives the same text."""
    open_queue.enqueue("true")
    drain(open_queue)
    now = datetime.now(timezone.utc)
    with Queue(open_queue.path, is_read_only=True) as reader:
        assert families(prometheus_text(reader, now))
        assert prometheus_text(reader, now) == prometheus_text(open_queue, now)


def test_a_database_that_is_not_there_has_no_jobs(cli: Cli) -> None:
    """All counters are there and 0, so that rates over them have a beginning."""
    found = families(cli("metrics", "--prometheus").out)
    assert value(found, "queuectl_jobs_enqueued_total") == 0
    assert found["queuectl_jobs"].samples == []


@pytest.mark.parametrize("arguments", [("--json",), ("--window", "5m")])
def test_options_of_the_table_are_refused(cli: Cli, open_queue: Queue, arguments: tuple[str, ...]) -> None:
    """They would be ignored in silence."""
    assert cli("metrics", "--prometheus", *arguments).code == 2
