"""Claims: each job goes to one worker, in order, within limits and pauses; and what becomes of an attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.errors import WorkerNotFound
from core.model import NewJob, Outcome, State
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, StepTerms
from tests.storage.by_hand import ENDINGS, Hand


@pytest.fixture
def other(queue: Queue) -> Iterator[Hand]:
    """Return a second registered worker, on a connection of its own."""
    with Queue(queue.path, clock=queue.storage.clock) as opened, Hand(opened) as registered:
        yield registered


def test_no_job_is_claimed_by_two_workers(queue: Queue, hand: Hand, other: Hand) -> None:
    """Whoever asks gets the next ones; together they get each job once."""
    ids = queue.enqueue_many("true" for _ in range(10))
    claimed = [claim.job.id for turn in range(4) for claim in (hand if turn % 2 else other).claim(3)]
    assert claimed == list(ids)
    assert hand.claim(1) == other.claim(1) == []


def test_claims_go_by_priority_and_then_by_number(queue: Queue, hand: Hand) -> None:
    """A clock has no say in it."""
    low, high, same = (queue.add(NewJob("true", priority=priority)) for priority in (0, 5, 0))
    assert [claim.job.id for claim in hand.claim(3)] == [high, low, same]


def test_a_worker_claims_of_its_queues_alone(queue: Queue, hand: Hand, other: Hand) -> None:
    """Those of others are left to others."""
    queue.add("true")
    wanted = queue.add(NewJob("true", queue="media"))
    assert [claim.job.id for claim in hand.claim(5, queues=("media",))] == [wanted]
    assert [claim.job.queue for claim in other.claim(5)] == ["default"]


def test_a_limit_holds_over_all_workers(queue: Queue, hand: Hand, other: Hand) -> None:
    """One that is running anywhere counts, and its ending makes room in the same transaction."""
    queue.enqueue_many("true" for _ in range(5))
    queue.limit("default", 2)
    (first,) = hand.claim(1)
    assert len(other.claim(5)) == 1
    assert hand.claim(5) == []
    step = hand.step([(first, ENDINGS[Outcome.SUCCEEDED])], slots=5)
    assert (len(step.recorded), len(step.claimed)) == (1, 1)


@pytest.mark.parametrize("name", [None, "default"])
def test_nothing_is_claimed_while_paused(queue: Queue, hand: Hand, name: str | None) -> None:
    """Neither of one paused queue nor while all are; then all of it."""
    queue.add("true")
    queue.pause(name)
    assert hand.claim(1) == []
    queue.resume(name)
    assert len(hand.claim(1)) == 1


def test_a_refusal_before_the_commit_ends_the_claiming(queue: Queue, hand: Hand) -> None:
    """The job that had no file stays pending, as do those after it; the one before it is claimed."""
    ids = queue.enqueue_many("true" for _ in range(3))

    def before_commit(claim: Claim) -> None:
        if claim.job.id != ids[0]:
            raise OSError("no file left")

    step = hand.attempts.record_and_claim([], ClaimCapacity(hand.id, 3), before_commit, StepTerms(queue.settings()))
    assert [claim.job.id for claim in step.claimed] == [ids[0]]
    assert str(step.refusal) == "no file left"
    assert [queue.job(job_id).state for job_id in ids[1:]] == [State.PENDING] * 2
    assert [queue.job(job_id).attempts for job_id in ids] == [1, 0, 0]


def test_an_ending_is_recorded_once(queue: Queue, hand: Hand, other: Hand) -> None:
    """Whoever comes second finds the attempt closed, and changes nothing."""
    queue.add("true")
    (claim,) = hand.claim(1)
    assert len(hand.record(claim, Outcome.SUCCEEDED)) == 1
    assert other.record(claim, Outcome.LOST) == []
    assert [attempt.outcome for attempt in queue.attempts(claim.job.id)] == [Outcome.SUCCEEDED]


def test_one_worker_adopts_an_attempt(queue: Queue, hand: Hand, other: Hand) -> None:
    """The second that tries is told that another was faster."""
    queue.add("true")
    (claim,) = hand.claim(1)
    (seen,) = other.attempts.open_elsewhere(other.id)
    assert (seen.id, seen.worker_id, seen.job_id) == (claim.attempt_id, hand.id, claim.job.id)
    adopted = other.attempts.adopt(seen.id, dead_worker=hand.id, worker_id=other.id)
    assert adopted is not None
    assert adopted.job.state is State.RUNNING
    assert hand.attempts.adopt(seen.id, dead_worker=hand.id, worker_id=99) is None
    assert [attempt.worker_id for attempt in queue.attempts(claim.job.id)] == [other.id]


def test_a_claim_that_is_given_back_was_no_attempt(queue: Queue, hand: Hand) -> None:
    """The job is pending as before; one that a user has asked to stop meanwhile stays open."""
    queue.enqueue_many(["true", "true"])
    first, second = hand.claim(2)
    queue.cancel(second.job.id)
    assert hand.attempts.give_back([first.attempt_id, second.attempt_id]) == {second.attempt_id}
    job = queue.job(first.job.id)
    assert (job.state, job.attempts, queue.attempts(job.id)) == (State.PENDING, 0, [])
    assert queue.job(second.job.id).state is State.RUNNING


def test_a_stop_is_asked_of_the_worker_that_runs_the_job(queue: Queue, hand: Hand, other: Hand) -> None:
    """By attempt, and how hard; KILL replaces a milder request and stays."""
    queue.enqueue_many(["true", "true"])
    (mine,), (its,) = hand.claim(1), other.claim(1)
    queue.cancel(mine.job.id)
    assert (hand.attempts.stop_requests(hand.id), other.attempts.stop_requests(other.id)) == (
        {mine.attempt_id: "cancel"},
        {},
    )
    queue.cancel(its.job.id, kill=True)
    queue.cancel(its.job.id)
    assert other.attempts.stop_requests(other.id) == {its.attempt_id: "kill"}


def test_a_worker_is_asked_to_stop_by_its_number(queue: Queue, hand: Hand) -> None:
    """And seen to be; one that is not registered cannot be asked."""
    assert queue.storage.workers.requested_stop(hand.id) is None
    queue.stop_worker(hand.id)
    assert queue.storage.workers.requested_stop(hand.id) == "drain"
    with pytest.raises(WorkerNotFound):
        queue.stop_worker(hand.id + 1)


def test_a_worker_with_open_attempts_stays_in_the_register(queue: Queue, hand: Hand) -> None:
    """They name it; without them it is forgotten."""
    queue.add("true")
    (claim,) = hand.claim(1)
    queue.storage.workers.forget(hand.id)
    assert [worker.id for worker in queue.workers()] == [hand.id]
    hand.record(claim)
    queue.storage.workers.forget(hand.id)
    assert queue.workers() == []
