"""Every move of every verb, from the table of verbs, made and undone on the real database; every other one refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from core.clock import to_datetime
from core.errors import InvalidTransition, Refused, UsageError
from core.model import Act, Job, NewJob, Outcome, State, Verb
from core.queue import Queue
from core.rules.settings import Settings
from core.rules.states import VERBS, Condition, Move, Value, states_of
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand, job_in

APPLY: dict[Verb, Callable[[Queue, list[int]], Act]] = {
    Verb.CANCEL: lambda queue, ids: queue.cancel(ids),
    Verb.REPLAY: lambda queue, ids: queue.replay(ids),
    Verb.RETRY: lambda queue, ids: queue.retry(ids),
    Verb.EDIT: lambda queue, ids: queue.edit(ids[0], command="false"),
    Verb.PURGE: lambda queue, ids: queue.purge(ids, older_than_s=60),
    Verb.RESTORE: lambda queue, ids: queue.restore(ids),
    Verb.HOLD: lambda queue, ids: queue.hold(ids),
    Verb.RELEASE: lambda queue, ids: queue.release(ids),
}


class Case(NamedTuple):
    """One row of the table, from one of its states."""

    verb: Verb
    move: Move
    state: State


CASES = [
    pytest.param(Case(verb, move, state), id=f"{verb.value} {state.value}")
    for verb, rule in VERBS.items()
    for move in rule.moves
    for state in move.from_states
]
REFUSED = [pytest.param(verb, state) for verb in Verb for state in State if state not in states_of(verb)]


def job_for(queue: Queue, hand: Hand, clock: FakeClock, move: Move, state: State) -> int:
    """Return the id of a job with a past that is in a state and meets the condition of a move."""
    if move.condition is Condition.IS_DELAYED:
        queue.enqueue(NewJob("true", max_attempts=3, priority=1000))
        job_id = hand.do_next(Outcome.FAILED)
    else:
        job_id = job_in(queue, hand, state)
        if move.condition is Condition.IS_HELD:
            queue.hold(job_id)
    clock.advance(61)  # old enough for a purge; what failed is due again, but only a worker's next claim makes it so
    assert queue.job(job_id).state is state
    return job_id


def changed(job: Job, move: Move, clock: FakeClock, before_purge: Job | None) -> Job:
    """Return what a move makes of a job, as far as a job shows it."""
    fields: dict[str, object] = {} if move.to_state is None else {"state": move.to_state}
    fields.update({field: value for field, value in move.sets.items() if field in Job._fields})
    if "is_held" in fields:
        fields["blocks"] = fields["is_held"]
    for field, value in fields.items():
        if value is Value.NOW:
            fields[field] = to_datetime(clock.now_ms())
        elif value is Value.STATE_BEFORE_PURGE:
            assert before_purge is not None
            fields[field] = before_purge.state
        elif value is Value.SINCE_BEFORE_PURGE:
            assert before_purge is not None
            fields[field] = before_purge.since
    return job._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES)
def test_a_move_changes_what_its_row_says_and_undo_puts_it_back(
    queue: Queue, hand: Hand, clock: FakeClock, case: Case
) -> None:
    """State, fields, history and undo of one move, and a second undo refused."""
    verb, move, state = case
    before_purge = None
    job_id = job_for(queue, hand, clock, move, State.DEAD if state is State.PURGED else state)
    if state is State.PURGED:
        before_purge = queue.job(job_id)
        queue.purge(job_id)
        clock.advance(5)
    before = queue.job(job_id)

    act = APPLY[verb](queue, [job_id])
    assert (act.verb, act.count, act.skipped) == (verb.value, 1, 0)
    expected = changed(before, move, clock, before_purge)
    if verb is Verb.EDIT:
        expected = expected._replace(command="false")
    assert queue.job(job_id) == expected
    assert queue.purged_from(job_id) == (before.state if move.to_state is State.PURGED else None)
    stop = queue.attempts(job_id)[-1].stop_requested if state is State.RUNNING else None
    assert stop == ("cancel" if move.stops_command else None)
    event = queue.history(job_id)[-1]
    assert (event.verb, event.before["state"]) == (verb.value, state.value)
    assert set(event.before) == {
        *(name.replace("_ms", "_s") for name in move.keeps),
        *(["command"] if verb is Verb.EDIT else []),
    }

    clock.advance(7)
    if move.obstacle is None:
        undone = queue.undo()
        assert (undone.verb, undone.count, undone.skipped) == (f"undo {verb.value}", 1, 0)
        assert queue.job(job_id) == before
        assert queue.purged_from(job_id) is None
    else:
        with pytest.raises(Refused, match=move.obstacle):
            queue.undo()
        assert queue.job(job_id) == expected


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].move.obstacle is None])  # type: ignore[union-attr]
def test_undo_passes_over_a_job_that_moved_on(queue: Queue, hand: Hand, clock: FakeClock, case: Case) -> None:
    """What happened to the job since is not taken back with the move."""
    verb, move, state = case
    job_id = job_for(queue, hand, clock, move, state)
    act = APPLY[verb](queue, [job_id])
    later = next(
        verb for verb in (Verb.CANCEL, Verb.REPLAY, Verb.RESTORE) if queue.job(job_id).state in states_of(verb)
    )
    APPLY[later](queue, [job_id])
    moved_on = queue.job(job_id)
    undone = queue.undo(act.id)
    assert (undone.count, undone.skipped) == (0, 1)
    assert queue.job(job_id) == moved_on


@pytest.mark.parametrize(("verb", "state"), REFUSED)
def test_another_state_is_refused_for_one_job_and_skipped_among_several(
    queue: Queue, hand: Hand, clock: FakeClock, verb: Verb, state: State
) -> None:
    """The refusal ends with the hint of the table; neither changes the job or leaves a trace in its history."""
    ids = [job_in(queue, hand, state), job_in(queue, hand, state)]
    clock.advance(61)
    before = [(queue.job(job_id), queue.history(job_id)) for job_id in ids]
    with pytest.raises(InvalidTransition) as refusal:
        APPLY[verb](queue, ids[:1])
    hint = VERBS[verb].hints.get(state, "")
    assert str(refusal.value) == f"cannot {verb.value} job {ids[0]}: it is {state.value}" + (
        f"; {hint}" if hint else ""
    )
    if verb is not Verb.EDIT:
        act = APPLY[verb](queue, ids)
        assert (act.id, act.count, act.skipped) == (0, 0, 2)
    assert [(queue.job(job_id), queue.history(job_id)) for job_id in ids] == before


def test_a_move_whose_condition_is_not_met_is_refused_with_its_hint(queue: Queue) -> None:
    """A pending job that is due cannot be made due."""
    job_id = queue.enqueue("true").id
    with pytest.raises(InvalidTransition, match=r"^cannot retry job 1: it is pending; it is due already$"):
        queue.retry(job_id)


def test_a_job_that_is_too_young_is_left_by_a_purge_without_an_error(
    queue: Queue, hand: Hand, clock: FakeClock
) -> None:
    """Its state allows the purge, so there is nothing to refuse."""
    job_id = job_in(queue, hand, State.DEAD)
    clock.advance(59)
    act = queue.purge(job_id, older_than_s=60)
    assert (act.id, act.count, act.skipped, queue.job(job_id).state) == (0, 0, 1, State.DEAD)


def test_undo_passes_over_a_cancelled_job_that_ran_since_and_was_cancelled_in_its_run(queue: Queue, hand: Hand) -> None:
    """It is cancelled as the first cancel left it, but an attempt has been started: that cannot be taken back."""
    job_id = queue.enqueue("true", max_attempts=3).id
    first = queue.cancel(job_id)
    replayed = queue.replay(job_id)
    (claim,) = hand.claim()
    queue.undo(replayed.id)  # passes over it: it runs
    other = queue.enqueue("true").id
    asked = queue.cancel([job_id, other])
    queue.undo(asked.id)  # brings the other back; a request to stop stands
    hand.record(claim, Outcome.CANCELLED)
    assert queue.job(job_id).state is State.CANCELLED
    undone = queue.undo(first.id)
    assert (undone.count, queue.job(job_id).state) == (0, State.CANCELLED)


def test_two_who_edit_a_job_at_once(queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each of them was given holds: neither brings back what the other one changed, and each is undone alone."""
    needed = queue.add("true")
    job_id = queue.add("true", name="a", priority=1)
    later = to_datetime(clock.now_ms() + 3_600_000)
    real = queue.settings
    with Queue(queue.path, clock=clock) as other:
        first: list[Act] = []

        def settings() -> Settings:
            if not first:
                first.append(other.edit(job_id, name="b", timeout_s=5.0, run_at=later, after=[needed], ok_exit="3"))
            return real()

        monkeypatch.setattr(queue, "settings", settings)
        act = queue.edit(job_id, priority=7, label="x")
    job = queue.job(job_id)
    assert (job.name, job.timeout_s, job.run_at, job.ok_exit) == ("b", 5.0, later, "3")
    assert (job.priority, job.label, job.blocks) == (7, "x", 1)
    queue.undo(act.id)
    job = queue.job(job_id)
    assert (job.name, job.priority, job.label) == ("b", 1, None)


def test_what_contradicts_what_was_edited_meanwhile_is_refused(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit code is a success or ends the job, whoever said the one and whoever the other."""
    job_id = queue.add("true")
    real = queue.settings
    with Queue(queue.path) as other:

        def settings() -> Settings:
            other.edit(job_id, ok_exit="3")
            return real()

        monkeypatch.setattr(queue, "settings", settings)
        with pytest.raises(UsageError, match="exit code 3 is in ok-exit and in dead-exit"):
            queue.edit(job_id, dead_exit="3")
    assert (queue.job(job_id).ok_exit, queue.job(job_id).dead_exit) == ("3", None)
