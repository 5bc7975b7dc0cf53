"""The counts are what counting would say, whatever was done: random operations and outcomes on one queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import to_datetime
from core.errors import InvalidTransition
from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from core.storage.values import Claim
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand
from tests.storage.contract.engines import Engine

pytestmark = pytest.mark.long

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
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_equal_counting_after_anything(
    engine: Engine, request: pytest.FixtureRequest, steps: list[tuple[str, int]]
) -> None:
    """After each random sequence of verbs and outcomes, by queue, state and delay, and the doctor finds no error."""
    with engine.database(request) as address:
        bench = Bench(address)
        try:
            for name, number in steps:
                getattr(bench, name)(number)
            _assert_counts(bench.queue)
        finally:
            bench.close()


def _assert_counts(queue: Queue) -> None:
    now = queue.now()
    jobs = [row.job for row in queue.rows(View(states=tuple(State)), limit=10_000)]
    counted: dict[str, Counter[State]] = {}
    for job in jobs:
        counted.setdefault(job.queue, Counter())[job.state] += 1
    counts = queue.counts()
    assert {name: Counter(states) for name, states in counts.by_queue.items()} == counted
    for state in State:
        assert queue.count(View(states=(state,))) == counts.of(state)
    delayed = Counter(job.queue for job in jobs if job.run_at is not None and job.run_at > now)
    assert counts.delayed_by_queue == delayed, "what is over by the clock is due, whether or not a worker has moved it"
    assert {found.name: Counter(found.counts) for found in queue.queues()} == counted
    assert [finding for finding in queue.doctor() if finding.level == "error"] == []
