"""One of several dead jobs is replayed first; how it ends decides about the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.errors import Refused
from core.model import NewJob, Outcome, State
from core.queue import Queue
from tests.storage.by_hand import ENDINGS, Hand


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Return a worker by hand."""
    with Hand(queue) as opened:
        yield opened


def dead(queue: Queue, hand: Hand, number: int) -> list[int]:
    """Return so many dead jobs."""
    ids = list(queue.enqueue_many([NewJob("exit 7", max_attempts=1, priority=5)] * number))
    for _ in ids:
        hand.do_next(Outcome.FAILED)
    return ids


def states(queue: Queue, ids: list[int]) -> list[State]:
    return [queue.job(job_id).state for job_id in ids]


def test_the_others_follow_when_the_canary_completes(queue: Queue, hand: Hand) -> None:
    """By the step of the worker that records it; all of them are one act, undone at once."""
    ids = dead(queue, hand, 3)
    act = queue.canary(ids)
    assert (act.verb, act.count, act.skipped) == ("replay", 1, 0)
    assert states(queue, ids) == [State.PENDING, State.DEAD, State.DEAD]
    assert queue.canaries(ids) == {ids[1]: ids[0], ids[2]: ids[0]}
    assert hand.do_next() == ids[0]
    assert states(queue, ids) == [State.COMPLETED, State.PENDING, State.PENDING]
    assert (queue.canaries(ids), [queue.job(job_id).attempts for job_id in ids]) == ({}, [1, 0, 0])
    last = queue.last_act()
    assert last is not None
    assert (last.act.id, last.act.count) == (act.id, 3)
    undone = queue.undo()
    assert (undone.count, undone.skipped) == (2, 1)
    assert states(queue, ids) == [State.COMPLETED, State.DEAD, State.DEAD]


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_the_others_stay_dead_when_it_does_not_complete(queue: Queue, hand: Hand, is_cancelled: bool) -> None:
    """It died again, or was cancelled; nothing is left of it, and it may be tried again."""
    ids = dead(queue, hand, 3)
    queue.canary(ids)
    if is_cancelled:
        queue.cancel(ids[0])
    else:
        hand.do_next(Outcome.FAILED)
    assert states(queue, ids)[1:] == [State.DEAD, State.DEAD]
    assert queue.canaries(ids) == {}
    queue.canary(ids[1:])
    assert hand.do_next() == ids[1]
    assert states(queue, ids)[2] is State.PENDING


def test_a_retry_by_back_off_decides_nothing(queue: Queue, hand: Hand) -> None:
    """Nor does an attempt that was interrupted."""
    ids = dead(queue, hand, 2)
    queue.edit(ids[0], max_attempts=3)
    queue.canary(ids)
    assert hand.do_next(Outcome.FAILED) == ids[0]
    queue.retry(ids[0])
    assert hand.do_next(Outcome.INTERRUPTED) == ids[0]
    assert queue.canaries(ids) == {ids[1]: ids[0]}
    assert hand.do_next() == ids[0]
    assert states(queue, ids)[1] is State.PENDING


def test_an_undo_before_it_has_ended_lets_the_others_stay_dead(queue: Queue, hand: Hand) -> None:
    """Whether the canary waits, and is dead again, or runs, and goes on."""
    ids = dead(queue, hand, 2)
    queue.canary(ids)
    assert queue.undo().count == 1
    assert (states(queue, ids), queue.canaries(ids)) == ([State.DEAD, State.DEAD], {})
    act = queue.canary(ids)
    (claim,) = hand.claim()
    assert queue.undo(act.id).skipped == 1
    hand.record(claim)
    assert states(queue, ids) == [State.COMPLETED, State.DEAD]


def test_those_that_went_their_own_way_do_not_follow(queue: Queue, hand: Hand) -> None:
    """One was replayed by hand and runs, one was purged."""
    ids = dead(queue, hand, 4)
    queue.canary(ids)
    queue.purge(ids[1])
    queue.replay(ids[2])
    canary, other = hand.claim(2)
    hand.record(canary)
    assert states(queue, ids) == [State.COMPLETED, State.PURGED, State.RUNNING, State.PENDING]
    hand.record(other)


def test_a_group_has_one_canary_at_a_time(queue: Queue, hand: Hand) -> None:
    """And jobs that are not dead have none."""
    ids = dead(queue, hand, 3)
    queue.canary(ids[:2])
    with pytest.raises(Refused, match=f"of these jobs 1 wait for how job {ids[0]} ends"):
        queue.canary(ids[1:])
    waiting = queue.add("true")
    with pytest.raises(Refused, match="none of these jobs is dead"):
        queue.canary([waiting])
    assert queue.canary([waiting, ids[2]]).skipped == 1
    assert queue.canaries(ids) == {ids[1]: ids[0]}


def test_more_than_one_transaction_takes_follow_all(queue: Queue, hand: Hand) -> None:
    """They follow in several steps, of whichever worker, and each once."""
    ids = dead(queue, hand, 1)
    more = list(queue.enqueue_many([NewJob("exit 7", max_attempts=1)] * 1200))
    while claims := hand.claim(200):
        hand.step([(claim, ENDINGS[Outcome.FAILED]) for claim in claims])
    act = queue.canary([*ids, *more])
    hand.do_next()
    while queue.canaries(more):
        hand.step()
    assert set(states(queue, more)) == {State.PENDING}
    last = queue.last_act()
    assert last is not None
    assert (last.act.id, last.act.count) == (act.id, 1201)


@pytest.mark.parametrize("turn", range(4))
def test_an_undo_while_they_follow_takes_all_back(queue: Queue, hand: Hand, turn: int) -> None:
    """Whichever of its transactions another worker's step comes before, the last one of them included: none is left."""
    ids = dead(queue, hand, 1)
    more = list(queue.enqueue_many([NewJob("exit 7", max_attempts=1)] * 700))
    while claims := hand.claim(200):
        hand.step([(claim, ENDINGS[Outcome.FAILED]) for claim in claims])
    act = queue.canary([*ids, *more])
    hand.do_next()
    followed = [job_id for job_id in more if queue.job(job_id).state is State.PENDING]
    assert len(more) > len(followed) > 100
    steps: list[int] = []

    def step(transaction: int) -> None:
        if transaction >= turn:
            steps.append(transaction)
            hand.step()

    with before_each_transaction(queue, step):
        undone = queue.undo(act.id)
    assert steps
    hand.step()
    assert set(states(queue, more)) == {State.DEAD}
    assert undone.count in (len(followed), len(more))
    assert queue.canaries(more) == {}


@contextlib.contextmanager
def before_each_transaction(queue: Queue, act: Callable[[int], None]) -> Iterator[None]:
    """Have ``act`` called with its number before each transaction of the queue, but for those of ``act`` itself."""
    database: Any = queue.storage
    started, is_acting = 0, False

    def acting_before(begin: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **more: Any) -> Any:
            nonlocal started, is_acting
            if not is_acting:
                is_acting = True
                act(started)
                is_acting = False
                started += 1
            return begin(*args, **more)

        return wrapper

    names = [name for name in ("read", "write", "query", "transact") if hasattr(database, name)]
    try:
        for name in names:
            setattr(database, name, acting_before(getattr(database, name)))
        yield
    finally:
        for name in names:
            delattr(database, name)
