"""A file: what is called before the commit of a claim is called before anyone sees it, and may undo the whole step."""

from __future__ import annotations

import pytest

from core.model import Outcome, State
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, StepTerms
from tests.storage.by_hand import ENDINGS, Hand


def test_a_claim_is_made_known_before_anyone_sees_it(queue: Queue, hand: Hand) -> None:
    """What is called before the commit sees the job still pending, from outside."""
    job_id = queue.add("true")
    seen: list[tuple[State, int]] = []

    def before_commit(claim: Claim) -> None:
        with Queue(queue.path) as outside:
            seen.append((outside.job(claim.job.id).state, len(outside.attempts(claim.job.id))))

    hand.attempts.record_and_claim([], ClaimCapacity(hand.id, 1), before_commit, StepTerms(queue.settings()))
    assert seen == [(State.PENDING, 0)]
    assert queue.job(job_id).state is State.RUNNING


def test_any_other_error_before_the_commit_changes_nothing(queue: Queue, hand: Hand) -> None:
    """Also not the ending that came in with it."""
    queue.enqueue_many(["true", "true"])
    (claim,) = hand.claim(1)

    def before_commit(claim: Claim) -> None:
        raise ValueError("a bug")

    ended = [(claim, ENDINGS[Outcome.SUCCEEDED])]
    with pytest.raises(ValueError, match="a bug"):
        hand.attempts.record_and_claim(ended, ClaimCapacity(hand.id, 1), before_commit, StepTerms(queue.settings()))
    assert [queue.job(job_id).state for job_id in (1, 2)] == [State.RUNNING, State.PENDING]
