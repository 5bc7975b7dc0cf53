"""Every arrow of the lifecycle works on the real database, and every other move changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.clock import to_datetime
from core.errors import InvalidTransition, JobNotFound
from core.model import FAILURES, Act, NewJob, Outcome, State, Verb
from core.queue import Queue
from core.rules.states import MAX_INTERRUPTS, states_of
from tests.fakes import FakeClock
from tests.storage.by_hand import ENDINGS, Hand, job_in
from tests.storage.contract.engines import contents

DO: dict[Verb, Callable[[Queue, int], Act]] = {
    Verb.CANCEL: lambda queue, job_id: queue.cancel(job_id),
    Verb.REPLAY: lambda queue, job_id: queue.replay(job_id),
    Verb.RETRY: lambda queue, job_id: queue.retry(job_id),
    Verb.EDIT: lambda queue, job_id: queue.edit(job_id, command="false"),
    Verb.PURGE: lambda queue, job_id: queue.purge(job_id),
    Verb.RESTORE: lambda queue, job_id: queue.restore(job_id),
    Verb.HOLD: lambda queue, job_id: queue.hold(job_id),
    Verb.RELEASE: lambda queue, job_id: queue.release(job_id),
}

FINISHED = (State.COMPLETED, State.DEAD, State.CANCELLED)
#: Where a verb leads from a state that allows it; running jobs are only asked to stop.
LEADS_TO = {
    Verb.CANCEL: {State.PENDING: State.CANCELLED, State.RUNNING: State.RUNNING},
    Verb.REPLAY: dict.fromkeys(FINISHED, State.PENDING),
    Verb.RETRY: dict.fromkeys(FINISHED, State.PENDING),
    Verb.EDIT: {State.PENDING: State.PENDING, State.DEAD: State.DEAD},
    Verb.PURGE: dict.fromkeys(FINISHED, State.PURGED),
    Verb.RESTORE: {State.PURGED: State.COMPLETED},
    Verb.HOLD: {State.PENDING: State.PENDING},
}
#: What depends on more than the state: a job that is due already cannot be made due, one that is not held not released.
DUE_ALREADY = (Verb.RETRY, State.PENDING)
NOT_HELD = (Verb.RELEASE, State.PENDING)


ARROWS = [(verb, state) for verb in Verb for state in states_of(verb) if (verb, state) not in (DUE_ALREADY, NOT_HELD)]
REFUSED = [
    *((verb, state) for verb in Verb for state in State if state not in states_of(verb)),
    DUE_ALREADY,
    NOT_HELD,
]


@pytest.mark.parametrize(("verb", "state"), ARROWS)
def test_an_allowed_verb_leads_where_the_table_says(queue: Queue, hand: Hand, verb: Verb, state: State) -> None:
    """Each arrow that a person can take, from a job that really got into its state."""
    job_id = job_in(queue, hand, state)
    act = DO[verb](queue, job_id)
    assert (act.verb, act.count, act.skipped) == (verb.value, 1, 0)
    assert queue.job(job_id).state is LEADS_TO[verb][state]
    assert [event.verb for event in queue.history(job_id)][-1] == verb.value


@pytest.mark.parametrize(("verb", "state"), REFUSED)
def test_a_refused_verb_changes_not_one_row(queue: Queue, hand: Hand, verb: Verb, state: State) -> None:
    """Every other move raises and leaves every table as it was."""
    job_id = job_in(queue, hand, state)
    before = contents(queue)
    with pytest.raises(InvalidTransition) as raised:
        DO[verb](queue, job_id)
    assert (raised.value.job_id, raised.value.state, raised.value.verb) == (job_id, state.value, verb.value)
    assert contents(queue) == before


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("reference", [999, "999", "nobody", "-1", "1.0", "9" * 40])
def test_a_job_that_is_not_there_is_an_error_that_changes_nothing(
    queue: Queue, verb: Verb, reference: int | str
) -> None:
    """No verb is silent about an unknown job, whatever it was called."""
    queue.enqueue("true")
    before = contents(queue)
    with pytest.raises(JobNotFound):
        DO[verb](queue, reference)  # type: ignore[arg-type]
    assert contents(queue) == before


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_leads_where_the_table_says(queue: Queue, hand: Hand, clock: FakeClock, outcome: Outcome) -> None:
    """The arrows that a worker takes, with what they do to the counters and the next run."""
    job_id = queue.enqueue("true").id
    (claim,) = hand.claim()
    assert (claim.job.state, claim.job.attempts, claim.number) == (State.RUNNING, 1, 1)
    clock.advance(1)
    (done,) = hand.record(claim, outcome)
    assert (done.claim.job.id, done.claim, done.ending.outcome) == (job_id, claim, outcome)

    job = queue.job(job_id)
    assert job.last_outcome is outcome
    if outcome in FAILURES:
        assert (job.state, job.attempts, job.interrupts) == (State.PENDING, 1, 0)
        assert job.run_at == to_datetime(clock.now_ms()) + timedelta(seconds=2)
    elif outcome in (Outcome.INTERRUPTED, Outcome.LOST):
        assert (job.state, job.attempts, job.interrupts, job.run_at) == (State.PENDING, 0, 1, None)
    else:
        assert job.state is (State.COMPLETED if outcome is Outcome.SUCCEEDED else State.CANCELLED)
        assert (job.attempts, job.run_at) == (1, None)
    (attempt,) = queue.attempts(job_id)
    ending = ENDINGS[outcome]
    assert (attempt.outcome, attempt.exit_code, attempt.signal) == (outcome, ending.exit_code, ending.signal)
    assert attempt.ended_at == to_datetime(clock.now_ms())


@pytest.mark.parametrize("outcome", sorted(FAILURES))
def test_the_last_attempt_allowed_makes_a_failure_dead(
    queue: Queue, hand: Hand, clock: FakeClock, outcome: Outcome
) -> None:
    """Attempts run out exactly at max_attempts, with 2 s and then 4 s in between."""
    job_id = queue.enqueue("true", max_attempts=3).id
    for wait_s in (2, 4):
        hand.do_next(outcome)
        assert queue.job(job_id).run_at == to_datetime(clock.now_ms()) + timedelta(seconds=wait_s)
        clock.advance(wait_s - 0.001)
        assert not hand.claim()
        clock.advance(0.001)
    hand.do_next(outcome)
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.run_at) == (State.DEAD, 3, None)
    assert [attempt.number for attempt in queue.attempts(job_id)] == [1, 2, 3]


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.INTERRUPTED])
def test_the_sixth_interruption_in_a_row_is_dead_and_says_why(queue: Queue, hand: Hand, outcome: Outcome) -> None:
    """A job that kills its machine cannot loop for ever; none of it counts as an attempt."""
    job_id = queue.enqueue("true", max_attempts=1).id
    for count in range(1, MAX_INTERRUPTS + 1):
        hand.do_next(outcome)
        assert (queue.job(job_id).state, queue.job(job_id).interrupts) == (State.PENDING, count)
    hand.do_next(outcome)
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.last_error) == (State.DEAD, 0, f"{outcome.value} 6 times")
    assert [attempt.number for attempt in queue.attempts(job_id)] == [1, 2, 3, 4, 5, 6]


def test_a_real_result_ends_a_row_of_interruptions(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Only interruptions in a row count; a failure in between starts the count again."""
    job_id = queue.enqueue("true", max_attempts=9).id
    for _ in range(MAX_INTERRUPTS):
        hand.do_next(Outcome.LOST)
    hand.do_next(Outcome.FAILED)
    assert (queue.job(job_id).interrupts, queue.job(job_id).attempts) == (0, 1)
    clock.advance(10)
    for _ in range(MAX_INTERRUPTS):
        hand.do_next(Outcome.LOST)
    assert queue.job(job_id).state is State.PENDING


def test_an_attempt_is_recorded_once(queue: Queue, hand: Hand) -> None:
    """Of two who saw an attempt end, the second finds it closed and does nothing, without an error."""
    queue.enqueue("true")
    (claim,) = hand.claim()
    assert len(hand.record(claim)) == 1
    before = contents(queue)
    assert not hand.record(claim, Outcome.FAILED)
    assert contents(queue) == before


def test_an_ending_of_an_unknown_attempt_does_nothing(queue: Queue, hand: Hand) -> None:
    """An attempt that was pruned meanwhile is nobody's business any more."""
    queue.enqueue("true")
    (claim,) = hand.claim()
    before = contents(queue)
    assert not hand.record(claim._replace(attempt_id=12345))
    assert contents(queue) == before


def test_a_claim_that_is_given_back_leaves_no_trace(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A start that the system refused costs no attempt, and the result of the attempt before stands again."""
    job_id = queue.enqueue("true").id
    hand.do_next(Outcome.FAILED)
    clock.advance(10)
    (claim,) = hand.claim()
    hand.attempts.give_back([claim.attempt_id])
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.last_outcome, job.last_exit_code) == (
        State.PENDING, 1, Outcome.FAILED, 7
    )  # fmt: skip
    assert len(queue.attempts(job_id)) == 1
    (again,) = hand.claim()
    assert (again.job.id, again.number, again.attempt_id > claim.attempt_id) == (job_id, 2, True)


def test_replay_gives_a_fresh_budget_and_keeps_the_history(queue: Queue, hand: Hand) -> None:
    """A replayed job starts from nothing; its old attempts stay, and the numbers go on."""
    job_id = job_in(queue, hand, State.DEAD)
    queue.replay(job_id)
    job = queue.job(job_id)
    assert (job.state, job.attempts, job.interrupts, job.run_at) == (State.PENDING, 0, 0, None)
    hand.do_next()
    assert [(attempt.number, attempt.outcome) for attempt in queue.attempts(job_id)] == [
        (1, Outcome.FAILED),
        (2, Outcome.SUCCEEDED),
    ]


def test_a_delayed_job_is_made_due_by_retry(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Retry does not wait for the back-off, and keeps the attempts that were spent."""
    queue.enqueue(NewJob("true"))
    job_id = hand.do_next(Outcome.FAILED)
    assert not hand.claim()
    queue.retry(job_id)
    job = queue.job(job_id)
    assert (job.run_at, job.attempts) == (None, 1)
    assert hand.do_next() == job_id


def test_a_cancelled_running_job_is_a_request_to_its_worker(queue: Queue, hand: Hand) -> None:
    """Cancel and kill leave a note on the open attempt; kill is never taken back by a later cancel."""
    job_id = job_in(queue, hand, State.RUNNING)
    queue.cancel(job_id)
    assert queue.attempts(job_id)[0].stop_requested == "cancel"
    queue.cancel(job_id, kill=True)
    queue.cancel(job_id)
    assert queue.attempts(job_id)[0].stop_requested == "kill"
    assert queue.job(job_id).state is State.RUNNING
