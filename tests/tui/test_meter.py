"""Rates from minutes that grow."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.model import Minute, QueueInfo, State, WorkerInfo
from core.queue import Queue
from queuectl_tui.gateway.meter import Meter, may_estimate
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.snapshot_reader import SnapshotReader
from queuectl_tui.snapshot import empty_snapshot
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand

START = datetime(2026, 1, 2, 10, 30, tzinfo=timezone.utc)


def minute(offset: int, succeeded: int, failed: int = 0) -> Minute:
    """Return a minute in which so many attempts ended."""
    return Minute(START + timedelta(minutes=offset), 0, succeeded, failed, 0, 0.0, 0.0)


def test_what_was_there_at_the_start_is_no_news() -> None:
    """The first look sets the mark: it would be a lie to show an hour's work as one second's."""
    meter = Meter()
    meter.feed([minute(0, 500)], 1000)
    assert meter.rates([], 0, 1001).per_s == 0.0


def test_what_is_new_is_booked_on_its_second() -> None:
    """Two looks within a second add up; each second leaves the window ten seconds later."""
    meter = Meter()
    meter.feed([minute(0, 5)], 1000)
    meter.feed([minute(0, 7, 1)], 1001)
    meter.feed([minute(0, 8, 1)], 1001)
    meter.feed([minute(0, 8, 1), minute(1, 2)], 1002)
    assert [meter.rates([], 0, second).per_s for second in (1002, 1010, 1011, 1012)] == [3.0, 0.6, 0.2, 0.0]


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


OPEN = QueueInfo("media", False, None, {State.PENDING: 5}, 2)
WORKER = WorkerInfo(1, 4711, "workstation", 4, (), START, True, None, 4)


def test_when_nothing_waits_any_more_is_estimated_where_nothing_holds_what_waits() -> None:
    """Held queues without waiting jobs, or with later ones alone, do not matter."""
    assert may_estimate([OPEN], False, [WORKER])
    assert may_estimate([OPEN, OPEN._replace(is_paused=True, delayed=5)], False, [WORKER])
    assert may_estimate([OPEN], False, [WORKER, WORKER._replace(is_alive=False, queues=("mail",))])


@pytest.mark.parametrize(
    ("queue", "is_paused", "worker"),
    [
        (OPEN, True, WORKER),
        (OPEN._replace(is_paused=True), False, WORKER),
        (OPEN._replace(limit=2), False, WORKER),
        (OPEN, False, WORKER._replace(is_alive=False)),
        (OPEN, False, WORKER._replace(slots=0)),
        (OPEN, False, WORKER._replace(stop_requested="drain")),
        (OPEN, False, WORKER._replace(queues=("mail",))),
    ],
)
def test_nothing_is_estimated_of_what_is_held(queue: QueueInfo, is_paused: bool, worker: WorkerInfo) -> None:
    assert not may_estimate([queue], is_paused, [worker])


def test_a_snapshot_has_no_estimate_while_a_queue_with_waiting_jobs_has_a_limit(tmp_path: Path) -> None:
    clock = FakeClock()
    with Queue(tmp_path / "queue.db", clock=clock) as queue, Hand(queue) as hand:
        reader, snapshot = SnapshotReader(queue, OutputFinder(queue, lambda: None)), empty_snapshot(queue.now())
        queue.enqueue_many(["true"] * 9)
        reader.read_all(snapshot, None)
        clock.advance(2)
        hand.do_next()
        assert reader.read_all(snapshot, None).rates.eta_s is not None
        queue.limit("default", 1)
        limited = reader.read_all(snapshot, None).rates
        assert limited.per_s > 0
        assert limited.eta_s is None
