"""What may follow what: every outcome at every boundary, every verb in every state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidTransition
from core.model import FAILURES, Decision, Ending, Job, Outcome, Phase, Presence, State, Verb
from core.rules.backoff import Backoff, delay_ms
from core.rules.orphans import Fate, fate_of
from core.rules.states import (
    MAX_INTERRUPTS,
    VERBS,
    check,
    decide,
    outcome_of_exit,
    states_of,
    undoable_moves,
)

MAX_ATTEMPTS = 3

#: What follows each outcome of a job with three attempts, by the attempt it was (4: the budget was cut meanwhile) and
#: by how often in a row the job had been interrupted before. `retry` is pending after the back-off, `again` is pending
#: at once with the attempt given back, `dead-` is dead with the attempt given back.
AFTER_AN_OUTCOME = """
    outcome      interrupts  1          2          3          4
    succeeded    0           completed  completed  completed  completed
    succeeded    4           completed  completed  completed  completed
    succeeded    5           completed  completed  completed  completed
    succeeded    6           completed  completed  completed  completed
    failed       0           retry      retry      dead       dead
    failed       4           retry      retry      dead       dead
    failed       5           retry      retry      dead       dead
    failed       6           retry      retry      dead       dead
    signalled    0           retry      retry      dead       dead
    signalled    4           retry      retry      dead       dead
    signalled    5           retry      retry      dead       dead
    signalled    6           retry      retry      dead       dead
    timed_out    0           retry      retry      dead       dead
    timed_out    4           retry      retry      dead       dead
    timed_out    5           retry      retry      dead       dead
    timed_out    6           retry      retry      dead       dead
    spawn_error  0           retry      retry      dead       dead
    spawn_error  4           retry      retry      dead       dead
    spawn_error  5           retry      retry      dead       dead
    spawn_error  6           retry      retry      dead       dead
    cancelled    0           cancelled  cancelled  cancelled  cancelled
    cancelled    4           cancelled  cancelled  cancelled  cancelled
    cancelled    5           cancelled  cancelled  cancelled  cancelled
    cancelled    6           cancelled  cancelled  cancelled  cancelled
    interrupted  0           again      again      again      again
    interrupted  4           again      again      again      again
    interrupted  5           dead-      dead-      dead-      dead-
    interrupted  6           dead-      dead-      dead-      dead-
    lost         0           again      again      again      again
    lost         4           again      again      again      again
    lost         5           dead-      dead-      dead-      dead-
    lost         6           dead-      dead-      dead-      dead-
"""

#: Which verb a job takes in which state.
TAKEN = """
    verb     pending  running  completed  dead  cancelled  purged
    cancel   yes      yes      no         no    no         no
    replay   no       no       yes        yes   yes        no
    retry    yes      no       yes        yes   yes        no
    edit     yes      no       no         yes   no         no
    purge    no       no       yes        yes   yes        no
    restore  no       no       no         no    no         yes
    hold     yes      no       no         no    no         no
    release  yes      no       no         no    no         no
"""

ENDINGS = {
    Outcome.SUCCEEDED: Ending(Outcome.SUCCEEDED, exit_code=0),
    Outcome.FAILED: Ending(Outcome.FAILED, exit_code=65),
    Outcome.SIGNALLED: Ending(Outcome.SIGNALLED, exit_code=137, signal=9),
    Outcome.TIMED_OUT: Ending(Outcome.TIMED_OUT, exit_code=143, signal=15),
    Outcome.SPAWN_ERROR: Ending(Outcome.SPAWN_ERROR, error="working directory /gone does not exist"),
    Outcome.CANCELLED: Ending(Outcome.CANCELLED, exit_code=143, signal=15),
    Outcome.INTERRUPTED: Ending(Outcome.INTERRUPTED, exit_code=143, signal=15),
    Outcome.LOST: Ending(Outcome.LOST),
}

REASONS = {
    Outcome.FAILED: "exit 65",
    Outcome.SIGNALLED: "signal 9",
    Outcome.TIMED_OUT: "timed out",
    Outcome.SPAWN_ERROR: "working directory /gone does not exist",
}

#: Lists of exit codes, and whether the failed and the signalled ending above are in them.
DEAD_EXITS = {None: (False, False), "1": (False, False), "64-78": (True, False), "137": (False, True)}


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table of words."""
    head, *rows = (line.split() for line in text.strip().splitlines())
    return head, rows


def decided(
    ending: Ending,
    *,
    attempts: int = 1,
    max_attempts: int = MAX_ATTEMPTS,
    interrupts: int = 0,
    dead_exit: str | None = None,
    backoff: Backoff | None = None,
    jitter_factor: float = 0.0,
) -> Decision:
    """Call ``decide`` with what a test does not care about filled in."""
    return decide(
        ending,
        attempts=attempts,
        max_attempts=max_attempts,
        interrupts=interrupts,
        dead_exit=dead_exit,
        backoff=backoff or Backoff(),
        jitter_factor=jitter_factor,
    )


def expected_decision(word: str, outcome: Outcome, attempts: int, interrupts: int) -> Decision:
    """Return what a word of the table stands for."""
    if word == "completed":
        return Decision(State.COMPLETED, attempts, 0)
    if word == "cancelled":
        return Decision(State.CANCELLED, attempts, interrupts)
    if word == "again":
        return Decision(State.PENDING, attempts - 1, interrupts + 1)
    if word == "dead-":
        reason = f"{outcome.value} {interrupts + 1} times"
        return Decision(State.DEAD, attempts - 1, interrupts + 1, reason=reason)
    if word == "retry":
        return Decision(State.PENDING, attempts, 0, delay_ms=1000 * 2**attempts, reason=REASONS[outcome])
    assert word == "dead"
    return Decision(State.DEAD, attempts, 0, reason=REASONS[outcome])


def outcomes_at_boundaries() -> Iterator[tuple[Outcome, int, int, str]]:
    """Return each cell of the table as outcome, attempts, interrupts, word."""
    head, rows = read_table(AFTER_AN_OUTCOME)
    for outcome, interrupts, *words in rows:
        for attempts, word in zip(head[2:], words, strict=True):
            yield Outcome(outcome), int(attempts), int(interrupts), word


CELLS = list(outcomes_at_boundaries())


def test_the_table_speaks_of_every_outcome_at_every_boundary() -> None:
    """The table below leaves no combination out."""
    boundaries = (0, MAX_INTERRUPTS - 1, MAX_INTERRUPTS, MAX_INTERRUPTS + 1)
    wanted = product(Outcome, range(1, MAX_ATTEMPTS + 2), boundaries)
    assert sorted((outcome.value, attempts, interrupts) for outcome, attempts, interrupts, _ in CELLS) == sorted(
        (outcome.value, attempts, interrupts) for outcome, attempts, interrupts in wanted
    )


@pytest.mark.parametrize("dead_exit", DEAD_EXITS)
@pytest.mark.parametrize(("outcome", "attempts", "interrupts", "word"), CELLS)
def test_what_follows_an_outcome(
    outcome: Outcome, attempts: int, interrupts: int, word: str, dead_exit: str | None
) -> None:
    """Each outcome leads where the table says; a failure with an exit code of --dead-exit is dead at once."""
    expected = expected_decision(word, outcome, attempts, interrupts)
    in_failed, in_signalled = DEAD_EXITS[dead_exit]
    if (outcome is Outcome.FAILED and in_failed) or (outcome is Outcome.SIGNALLED and in_signalled):
        expected = Decision(State.DEAD, attempts, 0, reason=f"{REASONS[outcome]} (--dead-exit)")
    assert decided(ENDINGS[outcome], attempts=attempts, interrupts=interrupts, dead_exit=dead_exit) == expected


def test_a_job_with_one_attempt_is_dead_after_its_first_failure() -> None:
    """A budget of one means no retry."""
    assert decided(ENDINGS[Outcome.FAILED], max_attempts=1).state is State.DEAD


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.INTERRUPTED, Outcome.LOST])
def test_dead_exit_speaks_of_failures_only(outcome: Outcome) -> None:
    """An attempt that was stopped on purpose is not dead because its exit code is in --dead-exit."""
    assert decided(ENDINGS[outcome], dead_exit="0-255").state is not State.DEAD


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.SPAWN_ERROR])
def test_dead_exit_does_not_judge_a_code_that_the_command_did_not_choose(outcome: Outcome) -> None:
    """A timed-out command's code comes from our own TERM, so that it is retried like any failure."""
    assert decided(Ending(outcome, exit_code=143, signal=15), dead_exit="0-255").state is State.PENDING


@pytest.mark.parametrize("outcome", sorted(FAILURES))
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.0])
def test_a_retry_waits_for_the_back_off_with_its_jitter(outcome: Outcome, factor: float) -> None:
    """The delay of a retry is the curve's, moved by the factor that was drawn."""
    backoff = Backoff(base=3.0, cap_s=10.0, jitter=0.5)
    delays = [
        decided(ENDINGS[outcome], attempts=attempts, max_attempts=9, backoff=backoff, jitter_factor=factor).delay_ms
        for attempts in (1, 2, 3)
    ]
    assert delays == [delay_ms(attempts, backoff, factor) for attempts in (1, 2, 3)]


@given(st.integers(1, 30))
def test_a_job_that_always_fails_is_started_exactly_max_attempts_times(max_attempts: int) -> None:
    """Failing over and over spends the whole budget, never more, and ends dead."""
    attempts, starts, state = 0, 0, State.PENDING
    while state is State.PENDING:
        starts += 1
        decision = decided(ENDINGS[Outcome.FAILED], attempts=attempts + 1, max_attempts=max_attempts)
        attempts, state = decision.attempts, decision.state
    assert (starts, attempts, state) == (max_attempts, max_attempts, State.DEAD)


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.LOST])
@given(max_attempts=st.integers(1, 30), spent=st.integers(0, 29))
def test_a_job_that_always_vanishes_is_dead_after_the_sixth_time_and_spends_no_attempt(
    outcome: Outcome, max_attempts: int, spent: int
) -> None:
    """A job that kills its machine cannot loop for ever, and its attempts are not used up by that."""
    attempts, interrupts, starts, state = spent, 0, 0, State.PENDING
    while state is State.PENDING:
        starts += 1
        decision = decided(ENDINGS[outcome], attempts=attempts + 1, max_attempts=max_attempts, interrupts=interrupts)
        attempts, interrupts, state = decision.attempts, decision.interrupts, decision.state
    assert (starts, attempts, state) == (6, spent, State.DEAD)
    assert decision.reason == f"{outcome.value} 6 times"


@given(st.lists(st.sampled_from(sorted(Outcome)), max_size=60), st.integers(1, 8))
def test_whatever_happens_attempts_stay_within_the_budget(outcomes: list[Outcome], max_attempts: int) -> None:
    """No sequence of outcomes brings the attempts below zero or above the budget, or a pending job to its end."""
    attempts, interrupts = 0, 0
    for outcome in outcomes:
        decision = decided(ENDINGS[outcome], attempts=attempts + 1, max_attempts=max_attempts, interrupts=interrupts)
        attempts, interrupts = decision.attempts, decision.interrupts
        assert 0 <= attempts <= max_attempts
        assert decision.delay_ms >= 0
        if decision.state is not State.PENDING:
            break
        assert attempts < max_attempts


@pytest.mark.parametrize(
    ("exit_code", "signal", "ok_exit", "outcome"),
    [
        (0, None, None, Outcome.SUCCEEDED),
        (0, None, "24", Outcome.SUCCEEDED),
        (1, None, None, Outcome.FAILED),
        (1, None, "24", Outcome.FAILED),
        (24, None, "24", Outcome.SUCCEEDED),
        (24, None, "0,20-30", Outcome.SUCCEEDED),
        (31, None, "0,20-30", Outcome.FAILED),
        (255, None, None, Outcome.FAILED),
        (137, None, None, Outcome.FAILED),
        (137, 9, None, Outcome.SIGNALLED),
        (137, 9, "24", Outcome.SIGNALLED),
        (143, 15, "143", Outcome.SUCCEEDED),
    ],
)
def test_what_an_exit_code_means(exit_code: int, signal: int | None, ok_exit: str | None, outcome: Outcome) -> None:
    """Zero and the codes of --ok-exit are success, a signal is told apart from a failure."""
    assert outcome_of_exit(exit_code, signal, ok_exit) is outcome


@given(st.integers(0, 255), st.integers(1, 255))
def test_only_zero_and_ok_exit_are_success(exit_code: int, widened: int) -> None:
    """One more code in --ok-exit makes that code a success and no other."""
    is_success = outcome_of_exit(exit_code, None, str(widened)) is Outcome.SUCCEEDED
    assert is_success == (exit_code in (0, widened))


VERB_HEAD, VERB_ROWS = read_table(TAKEN)
VERB_CELLS = [
    (Verb(verb), State(state), answer == "yes")
    for verb, *answers in VERB_ROWS
    for state, answer in zip(VERB_HEAD[1:], answers, strict=True)
]


def test_the_table_speaks_of_every_verb_in_every_state() -> None:
    """The table of verbs leaves no combination out, and the code's own has a row for each verb."""
    assert {(verb, state) for verb, state, _ in VERB_CELLS} == set(product(Verb, State))
    assert set(VERBS) == set(Verb)


@pytest.mark.parametrize(("verb", "state", "is_allowed"), VERB_CELLS)
def test_a_verb_is_taken_or_refused(verb: Verb, state: State, is_allowed: bool) -> None:
    """A job takes a verb in the states of the table; elsewhere the refusal names the verb, the job and its state."""
    if is_allowed:
        check(verb, 42, state)
        return
    with pytest.raises(InvalidTransition) as refusal:
        check(verb, 42, state)
    assert str(refusal.value).startswith(f"cannot {verb.value} job 42: it is {state.value}")
    assert (refusal.value.job_id, refusal.value.verb, refusal.value.state) == (42, verb.value, state.value)


def test_a_refusal_says_what_to_do_instead() -> None:
    """Where there is another way the message ends with it."""
    with pytest.raises(InvalidTransition, match=r"^cannot purge job 7: it is running; cancel it first$"):
        check(Verb.PURGE, 7, State.RUNNING)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING])
def test_work_that_is_not_finished_can_never_be_purged(state: State) -> None:
    """Purging cannot lose work that is still to be done."""
    assert state not in states_of(Verb.PURGE)


@pytest.mark.parametrize("verb", list(Verb))
def test_no_move_takes_what_another_move_of_its_verb_made(verb: Verb) -> None:
    """The moves are made one after the other in a transaction: none may meet a job that an earlier one has moved."""
    moves = VERBS[verb].moves
    for index, move in enumerate(moves):
        made = {move.to_state} if isinstance(move.to_state, State) else set(move.from_states)
        assert not any(made & set(later.from_states) for later in moves[index + 1 :])


@pytest.mark.parametrize("verb", list(Verb))
def test_undo_has_what_it_needs(verb: Verb) -> None:
    """A move that can be undone keeps the state, and each field that it changes but for what was empty before."""
    for move in undoable_moves(verb):
        assert "state" in move.keeps
        assert set(move.sets) - set(move.keeps) <= {"purged_from"}


def test_hints_are_for_states_that_the_verb_refuses() -> None:
    """A hint for a state in which the verb works would never be read."""
    for verb, rule in VERBS.items():
        assert not set(rule.hints) & set(states_of(verb))


#: What becomes of an open attempt's command: `*` is any, `gone` a run file that is not there.
FATES = """
    owner      boot   lock  status  processes  fate
    alive      *      *     *       *          watched
    elsewhere  *      *     *       *          worker_elsewhere
    hidden     *      *     *       *          worker_hidden
    dead       *      *     yes     *          ended
    dead       *      held  no      *          running
    dead       *      free  no      yes        running
    dead       *      gone  no      yes        running
    dead       *      free  no      no         lost
    dead       this   gone  no      no         run_file_gone
    dead       other  gone  no      no         lost
"""

FACTS: tuple[tuple[str, ...], ...] = (
    ("alive", "dead", "elsewhere", "hidden"),
    ("this", "other"),
    ("held", "free", "gone"),
    ("yes", "no"),
    ("yes", "no"),
)
FATE_ROWS = [(row[:-1], Fate[row[-1].upper()]) for row in read_table(FATES)[1]]


@pytest.mark.parametrize("facts", list(product(*FACTS)))
def test_what_becomes_of_the_command_of_a_worker_that_died(facts: tuple[str, ...]) -> None:
    """Every combination of what can be seen is in exactly one row of the table, and leads where it says."""
    fates = [
        fate
        for pattern, fate in FATE_ROWS
        if all(wanted in ("*", fact) for wanted, fact in zip(pattern, facts, strict=True))
    ]
    assert len(fates) == 1
    owner, boot, lock, status, processes = facts
    fate = fate_of(
        Presence(owner),
        must_have_file=boot == "this",
        is_locked={"held": True, "free": False, "gone": None}[lock],
        has_ended=status == "yes",
        has_processes=processes == "yes",
    )
    assert fate is fates[0]
    assert fate.is_in_doubt == (fate not in (Fate.WATCHED, Fate.RUNNING, Fate.ENDED, Fate.LOST))


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
RUN_AT = {"none": None, "past": NOW - timedelta(seconds=1), "now": NOW, "future": NOW + timedelta(milliseconds=1)}


def a_job(state: State, run_at: datetime | None, attempts: int, last_outcome: Outcome | None) -> Job:
    """Return a job of which only these four things matter."""
    return Job(
        id=1,
        name=None,
        command="true",
        queue="default",
        priority=0,
        label=None,
        cwd="/",
        env={},
        max_attempts=3,
        timeout_s=None,
        backoff_base=2.0,
        ok_exit=None,
        dead_exit=None,
        state=state,
        run_at=run_at,
        attempts=attempts,
        interrupts=0,
        enqueued_at=NOW,
        since=NOW,
        started_at=None,
        finished_at=None,
        run_s=None,
        last_outcome=last_outcome,
        last_exit_code=None,
        last_signal=None,
        last_error=None,
    )


@pytest.mark.parametrize("last_outcome", [None, *Outcome])
@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("run_at", RUN_AT)
def test_what_a_pending_job_waits_for(run_at: str, attempts: int, last_outcome: Outcome | None) -> None:
    """A job whose time has come is ready; before that it is retrying if it failed in this budget, else delayed."""
    if run_at != "future":
        expected = Phase.READY
    elif attempts > 0 and last_outcome in FAILURES:
        expected = Phase.RETRYING
    else:
        expected = Phase.DELAYED
    assert a_job(State.PENDING, RUN_AT[run_at], attempts, last_outcome).phase(NOW) is expected


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_only_a_pending_job_waits(state: State) -> None:
    """A job in any other state has no phase."""
    assert a_job(state, RUN_AT["future"], 1, Outcome.FAILED).phase(NOW) is None
