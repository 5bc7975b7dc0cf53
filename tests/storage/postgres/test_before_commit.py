"""A server: what is called before a start is called after the commit; its failure gives the claims back."""

from __future__ import annotations

import pytest

from core.model import Outcome, State
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, StepTerms
from tests.storage.by_hand import ENDINGS, Hand


def test_an_error_before_the_start_gives_the_claims_back(queue: Queue, hand: Hand) -> None:
    """The ending that came in with it is recorded all the same: it is committed by then."""
    queue.enqueue_many(["true", "true"])
    (claim,) = hand.claim(1)

    def before_commit(claim: Claim) -> None:
        raise ValueError("a bug")

    ended = [(claim, ENDINGS[Outcome.SUCCEEDED])]
    with pytest.raises(ValueError, match="a bug"):
        hand.attempts.record_and_claim(ended, ClaimCapacity(hand.id, 1), before_commit, StepTerms(queue.settings()))
    assert [queue.job(job_id).state for job_id in (1, 2)] == [State.COMPLETED, State.PENDING]
    assert queue.job(2).attempts == 0


def test_a_claim_whose_answer_was_lost_is_given_back_at_the_next_step(queue: Queue, hand: Hand) -> None:
    """The server had committed it; nothing of it was started."""
    queue.enqueue_many(["true", "true"])
    attempts = queue.storage.attempts()
    capacity, terms = ClaimCapacity(hand.id, 1), StepTerms(queue.settings())
    query = queue.storage.query  # type: ignore[attr-defined]

    def cut(statement: str, parameters: object = None, *, repeats: int = 3) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = query(statement, parameters, repeats=repeats)
        if "FROM turn(" in statement:
            raise ConnectionError("the answer was lost")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue.storage, "query", cut)
        with pytest.raises(ConnectionError):
            attempts.record_and_claim([], capacity, lambda claim: None, terms)
    assert queue.job(1).state is State.RUNNING
    step = attempts.record_and_claim([], capacity, lambda claim: None, terms)
    assert [claim.job.id for claim in step.claimed] == [1]
    assert [(queue.job(job_id).state, queue.job(job_id).attempts) for job_id in (1, 2)] == [
        (State.RUNNING, 1),
        (State.PENDING, 0),
    ]
