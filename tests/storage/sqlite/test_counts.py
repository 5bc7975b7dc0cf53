"""The counters that triggers keep: what it costs to read them, and that damage to them is seen."""

from __future__ import annotations

import sqlite3

import pytest

from core.clock import to_datetime
from core.model import NewJob
from core.queue import Queue
from core.storage.sqlite import queues as queues_of_sqlite
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of

QUEUES = ("default", "media")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE counts SET n = n + 1 WHERE state = 'pending'",
        "DELETE FROM counts",
        "INSERT INTO counts (queue, state, gate, n) VALUES ('ghost', 'dead', 0, 3)",
        "UPDATE counts SET gate = 1",
        "UPDATE counts SET queue = 'media'",
        "UPDATE counts SET state = 'dead'",
    ],
)
def test_doctor_sees_counters_that_are_wrong(queue: Queue, damage: str) -> None:
    """Too many, too few, of jobs that do not exist, or the right number in the wrong place."""
    queue.enqueue("true")
    connection = sqlite3.connect(queue.path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert [finding.check for finding in queue.doctor() if finding.level == "error"] == ["counters"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE jobs SET blocks = blocks + 1 WHERE id = 1",
        "UPDATE jobs SET blocks = 0",
        "UPDATE dependencies SET is_met = 1",
        "DELETE FROM dependencies",
        "UPDATE dependencies SET job_id = 1, on_id = 2",
        "UPDATE jobs SET state = 'completed' WHERE id = 1; DELETE FROM settling",
    ],
)
def test_doctor_sees_jobs_that_do_not_wait_for_what_they_say(queue: Queue, damage: str) -> None:
    """Too much or too little, by the column or by the edges."""
    queue.enqueue_many([NewJob("true"), NewJob("true")], chain=True)
    connection = sqlite3.connect(queue.path)
    connection.executescript(damage)
    connection.commit()
    connection.close()
    assert "blocks" in [finding.check for finding in queue.doctor() if finding.level == "error"]


def test_what_is_due_costs_nothing_to_count_however_much_it_is(queue: Queue, clock: FakeClock) -> None:
    """While no worker lives thousands of retries may become due: where all delayed jobs are, none is looked at."""
    steps = []
    for number in (10, 3000):
        due = to_datetime(clock.now_ms() + 1000)
        queue.enqueue_many(NewJob("true", queue=QUEUES[each % 2], run_at=due) for each in range(number))
        clock.advance(2)
        steps.append(_steps(queue))
        assert queue.counts().delayed == 0
    assert steps[1] <= steps[0] * 1.3


def test_what_is_due_beside_what_comes_later_costs_the_fewer_of_them(queue: Queue, clock: FakeClock) -> None:
    """However many retries became due while no worker lived, and of however many queues."""
    queue.enqueue_many(NewJob("true", queue=name, run_at=to_datetime(clock.now_ms() + 10**6)) for name in QUEUES)
    steps = []
    for number in (queues_of_sqlite._FEW, 3 * queues_of_sqlite._FEW):
        due = to_datetime(clock.now_ms() + 1000)
        queue.enqueue_many(NewJob("true", queue=QUEUES[each % 2], run_at=due) for each in range(number))
        clock.advance(2)
        steps.append(_steps(queue))
        assert queue.counts().delayed_by_queue == dict.fromkeys(QUEUES, 1)
    assert steps[1] <= steps[0] * 1.1


@pytest.mark.parametrize("queues", [QUEUES[:1], QUEUES])
@pytest.mark.parametrize("later", range(6))
@pytest.mark.parametrize("overdue", range(6))
def test_what_is_due_is_told_from_the_rest_whichever_is_more(
    queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, overdue: int, later: int, queues: tuple[str, ...]
) -> None:
    """Below, at and above what is counted of one of them."""
    monkeypatch.setattr(queues_of_sqlite, "_FEW", 3)
    for number, after_ms in ((overdue, 1000), (later, 9000)):
        due = to_datetime(clock.now_ms() + after_ms)
        queue.enqueue_many(NewJob("true", queue=queues[each % len(queues)], run_at=due) for each in range(number))
    clock.advance(1)
    expected = {name: len(range(place, later, len(queues))) for place, name in enumerate(queues)}
    assert queue.counts().delayed_by_queue == {name: number for name, number in expected.items() if number}


def _steps(queue: Queue) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection = sqlite_of(queue).connection()
    connection.set_progress_handler(count, 1)
    queue.counts()
    connection.set_progress_handler(None, 1)
    return steps
