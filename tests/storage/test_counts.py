"""The counters that triggers keep are what counting would say, whatever was done."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import to_datetime
from core.errors import InvalidTransition
from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from core.storage.sqlite import queues as queues_of_sqlite
from core.storage.values import Claim
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand

QUEUES = ("default", "media")


class Bench:
    """A queue, a hand and a clock, and the random acts that may happen to them."""

    def __init__(self, path: str) -> None:
        self.clock = FakeClock()
        self.queue = Queue(path, clock=self.clock)
        self.hand = Hand(self.queue)
        self.open: list[Claim] = []

    def close(self) -> None:
        self.hand.die()
        self.queue.close()

    def enqueue(self, number: int) -> None:
        delay = to_datetime(self.clock.now_ms() + 2000) if number % 3 == 0 else None
        self.queue.enqueue(NewJob("true", queue=QUEUES[number % 2], run_at=delay, max_attempts=1 + number % 2))

    def enqueue_many(self, number: int) -> None:
        self.queue.enqueue_many(NewJob("true", queue=QUEUES[place % 2]) for place in range(number % 4))

    def claim(self, number: int) -> None:
        self.open += self.hand.claim(1 + number % 3)

    def record(self, number: int) -> None:
        if self.open:
            self.hand.record(self.open.pop(number % len(self.open)), list(Outcome)[number % len(Outcome)])

    def give_back(self, number: int) -> None:
        if self.open:
            self.hand.attempts.give_back([self.open.pop(number % len(self.open)).attempt_id])

    def one(self, verb: Callable[[int], object], number: int) -> None:
        ids = self.queue.ids(View(states=tuple(State)))
        if ids:
            try:
                verb(ids[number % len(ids)])
            except InvalidTransition:
                return

    def edit(self, number: int) -> None:
        self.one(lambda job_id: self.queue.edit(job_id, queue=QUEUES[number % 2], priority=number), number)

    def undo(self, number: int) -> None:
        last = self.queue.last_act()
        if last is not None and last.obstacle is None:
            self.queue.undo()

    def purge_all(self, number: int) -> None:
        self.queue.purge(View())

    def replay_all(self, number: int) -> None:
        self.queue.replay(View(states=(State.DEAD, State.CANCELLED)))

    def cancel(self, number: int) -> None:
        self.one(self.queue.cancel, number)

    def replay(self, number: int) -> None:
        self.one(self.queue.replay, number)

    def retry(self, number: int) -> None:
        self.one(self.queue.retry, number)

    def restore(self, number: int) -> None:
        self.one(self.queue.restore, number)

    def empty_trash(self, number: int) -> None:
        if number % 4 == 0:
            self.queue.empty_trash()

    def wait(self, number: int) -> None:
        self.clock.advance(number % 5)


ACTS = tuple(
    name
    for name, act in vars(Bench).items()
    if callable(act) and not name.startswith("_") and name not in ("close", "one")
)


@given(steps=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 50)), max_size=40))
@settings(max_examples=40)
def test_counters_equal_counting_after_anything(steps: list[tuple[str, int]]) -> None:
    """After each random sequence of verbs and outcomes, by queue, state and delay, and doctor finds nothing."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(f"{directory}/queue.db")
        try:
            for name, number in steps:
                getattr(bench, name)(number)
            _assert_counters(bench.queue)
        finally:
            bench.close()


def _assert_counters(queue: Queue) -> None:
    connection = sqlite3.connect(queue.path)
    try:
        counted = connection.execute(
            "SELECT queue, state, run_at IS NOT NULL, count(*) FROM jobs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ).fetchall()
        kept = connection.execute(
            "SELECT queue, state, is_delayed, n FROM counts WHERE n > 0 ORDER BY 1, 2, 3"
        ).fetchall()
        now = queue.storage.clock.now_ms()
        delayed = connection.execute("SELECT count(*) FROM jobs WHERE run_at > ?", (now,)).fetchone()[0]
    finally:
        connection.close()
    assert kept == counted
    counts = queue.counts()
    for state in State:
        assert counts.of(state) == sum(row[3] for row in counted if row[1] == state.value)
        assert queue.count(View(states=(state,))) == counts.of(state)
    assert counts.delayed == delayed, "what is over by the clock is due, whether or not a worker has moved it"
    assert {lane.name: dict(lane.counts) for lane in queue.queues()} == {
        name: dict(states) for name, states in counts.by_queue.items()
    }
    findings = {finding.check: finding.level for finding in queue.doctor()}
    assert (findings["counters"], findings["integrity"]) == ("ok", "ok")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE counts SET n = n + 1 WHERE state = 'pending'",
        "DELETE FROM counts",
        "INSERT INTO counts (queue, state, is_delayed, n) VALUES ('ghost', 'dead', 0, 3)",
    ],
)
def test_doctor_sees_counters_that_are_wrong(queue: Queue, damage: str) -> None:
    """Too many, too few, or of jobs that do not exist."""
    queue.enqueue("true")
    connection = sqlite3.connect(queue.path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert [finding.check for finding in queue.doctor() if finding.level == "error"] == ["counters"]


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


def test_what_is_due_of_one_queue_is_told_from_the_rest(queue: Queue, clock: FakeClock) -> None:
    """Its rows are counted in the index."""
    for after_ms in (1000, 1000, 9000):
        queue.enqueue(NewJob("true", run_at=to_datetime(clock.now_ms() + after_ms)))
    clock.advance(2)
    assert queue.counts().delayed_by_queue == {"default": 1}


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
