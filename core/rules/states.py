"""The states of a job, the verbs that move it between them, and what follows an attempt. Pure.

    enqueue                                   -> pending
    claim       pending, due, queue open      -> running      attempts + 1, attempt row opened
    succeeded   running                       -> completed
    failed, signalled, timed_out, spawn_error
                running, attempts < max       -> pending      run_at = now + back-off
                running, attempts = max       -> dead
    interrupted, lost
                running, interrupts <= 5      -> pending      due now, attempts - 1, interrupts + 1
                running, beyond               -> dead
    cancel      pending                       -> cancelled
                running                       -> TERM, grace, KILL, then cancelled
    replay      dead, completed, cancelled    -> pending      attempts = 0, history kept
    edit        pending, dead                 -> same state   the old version stays in the history
    purge       completed, dead, cancelled    -> purged       never pending, never running
    restore     purged                        -> the state it came from
    hold        pending                       -> pending      not claimed until released
    release     pending, held                 -> pending

``decide`` holds what follows an outcome, ``VERBS`` what each verb does: an engine renders its statements from it. Every
other move is refused with ``InvalidTransition`` and changes nothing.
"""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from core.errors import InvalidTransition
from core.model import ENDED_STATES, Decision, Ending, Outcome, State, Verb
from core.rules.backoff import Backoff, delay_ms
from core.rules.units import exit_code_matches
from core.wording import ending_words

#: An interrupted or lost attempt beyond this many in a row makes the job dead.
MAX_INTERRUPTS = 5


class Value(Enum):
    """A value of a field that a move computes, where it is no constant."""

    NOW = "the time of the operation"
    STATE = "the state before the move"
    DUE = "the time of the operation, or the job's run_at if that is later"
    STATE_BEFORE_PURGE = "the state that a purged job had"
    SINCE_BEFORE_PURGE = "since when a purged job had that state"


def due_at(run_at: int | None, now: int) -> int:
    """Return since when a pending job waits for a slot that nothing keeps back from ``now`` on, in milliseconds."""
    return max(now, run_at or now)


class Condition(Enum):
    """A condition of a move besides the state."""

    IS_DELAYED = "the job has a run_at and nothing else keeps it back"
    IS_HELD = "a user holds the job"
    IS_NOT_HELD = "no user holds the job"
    IS_OLD_ENOUGH = "the job entered its state no later than the time given with the operation, if one was"


class Move(NamedTuple):
    """One row of the table: jobs in ``from_states`` that meet the condition go to ``to_state`` (``None``: stay).

    ``sets`` maps fields of the job to what they become; ``keeps`` names those whose values before the move stay in the
    history. Undo puts the kept ones back and clears fields that were set and not kept. It needs the job to be still
    where the move left it, and not started since if ``starts`` is kept. ``obstacle`` is why the move cannot be undone.
    ``hint`` is added to the refusal for a single job in these states that does not meet the condition.
    ``stops_command`` asks the worker of a running job to stop it.
    """

    from_states: tuple[State, ...]
    to_state: State | Value | None
    sets: Mapping[str, Value | int | None]
    keeps: tuple[str, ...]
    condition: Condition | None = None
    hint: str = ""
    obstacle: str | None = None
    stops_command: bool = False


class VerbRule(NamedTuple):
    """The moves of a verb, and by state the hint of a refusal. No move applies to a job that another one has moved."""

    moves: tuple[Move, ...]
    hints: Mapping[State, str]


_PROGRESS = ("state", "attempts", "interrupts", "since", "run_at", "due_at", "backoff_ms", "starts")
_START_AFRESH = Move(
    from_states=ENDED_STATES,
    to_state=State.PENDING,
    sets={"run_at": None, "attempts": 0, "interrupts": 0, "since": Value.NOW, "due_at": Value.NOW},
    keeps=_PROGRESS,
)
_MAKE_DUE = Move(
    from_states=(State.PENDING,),
    to_state=None,
    sets={"run_at": None, "due_at": Value.NOW},
    keeps=_PROGRESS,
    condition=Condition.IS_DELAYED,
    hint="it is due already",
)

_ONLY_PENDING = {
    State.RUNNING: "only a job that waits can be held",
    **dict.fromkeys((*ENDED_STATES, State.PURGED), "only a job that waits can be held"),
}

VERBS: Mapping[Verb, VerbRule] = {
    Verb.CANCEL: VerbRule(
        moves=(
            Move(
                from_states=(State.PENDING,),
                to_state=State.CANCELLED,
                sets={"run_at": None, "since": Value.NOW},
                keeps=_PROGRESS,
            ),
            Move(
                from_states=(State.RUNNING,),
                to_state=None,
                sets={},
                keeps=("state",),
                obstacle="running jobs were asked to stop",
                stops_command=True,
            ),
        ),
        hints={State.COMPLETED: "it has already finished", State.DEAD: "it has already finished"},
    ),
    Verb.REPLAY: VerbRule(
        moves=(_START_AFRESH,),
        hints={State.PENDING: "use retry to run it now", State.PURGED: "restore it first"},
    ),
    Verb.RETRY: VerbRule(
        moves=(_MAKE_DUE, _START_AFRESH),
        hints={State.RUNNING: "it is being tried now", State.PURGED: "restore it first"},
    ),
    Verb.EDIT: VerbRule(
        # what it sets, and keeps besides, are the fields of the job that differ
        moves=(Move(from_states=(State.PENDING, State.DEAD), to_state=None, sets={}, keeps=_PROGRESS),),
        hints={
            State.RUNNING: "cancel it or wait until it ends",
            State.COMPLETED: "replay it first",
            State.CANCELLED: "replay it first",
        },
    ),
    Verb.PURGE: VerbRule(
        moves=(
            Move(
                from_states=ENDED_STATES,
                to_state=State.PURGED,
                sets={"purged_from": Value.STATE, "since": Value.NOW},
                keeps=("state", "since"),
                condition=Condition.IS_OLD_ENOUGH,
            ),
        ),
        hints={State.PENDING: "cancel it first", State.RUNNING: "cancel it first"},
    ),
    Verb.RESTORE: VerbRule(
        moves=(
            Move(
                from_states=(State.PURGED,),
                to_state=Value.STATE_BEFORE_PURGE,
                sets={"purged_from": None, "since": Value.SINCE_BEFORE_PURGE},
                keeps=("state", "since"),
                obstacle="purge those jobs again",
            ),
        ),
        hints={},
    ),
    Verb.HOLD: VerbRule(
        moves=(
            Move(
                from_states=(State.PENDING,),
                to_state=None,
                sets={"is_held": 1},
                keeps=("state", "is_held", "due_at", "starts"),
                condition=Condition.IS_NOT_HELD,
                hint="it is held already",
            ),
        ),
        hints=_ONLY_PENDING,
    ),
    Verb.RELEASE: VerbRule(
        moves=(
            Move(
                from_states=(State.PENDING,),
                to_state=None,
                sets={"is_held": 0, "due_at": Value.DUE},
                keeps=("state", "is_held", "due_at", "starts"),
                condition=Condition.IS_HELD,
                hint="it is not held",
            ),
        ),
        hints=_ONLY_PENDING,
    ),
}


def states_of(verb: Verb) -> tuple[State, ...]:
    """Return the states from which a verb works, in the order of ``State``."""
    return tuple(state for state in State if any(state in move.from_states for move in VERBS[verb].moves))


def works_on_any(verb: Verb, states: Iterable[State]) -> bool:
    """Return whether a verb works on jobs in at least one of these states."""
    return not set(states).isdisjoint(states_of(verb))


def undoable_moves(verb: Verb) -> tuple[Move, ...]:
    """Return the moves of a verb that can be undone; empty for a verb that has no undo."""
    return tuple(move for move in VERBS[verb].moves if move.obstacle is None)


def check(verb: Verb, job_id: int, state: State) -> None:
    """Raise ``InvalidTransition`` unless the verb works on a job in this state."""
    if state not in states_of(verb):
        raise InvalidTransition(job_id, state.value, verb.value, VERBS[verb].hints.get(state, ""))


def outcome_of_exit(exit_code: int, signal: int | None, ok_exit: str | None) -> Outcome:
    """Return the outcome of an exit code: 0 and the codes of ``ok_exit`` are success."""
    if exit_code == 0 or (ok_exit is not None and exit_code_matches(exit_code, ok_exit)):
        return Outcome.SUCCEEDED
    return Outcome.FAILED if signal is None else Outcome.SIGNALLED


def decide(
    ending: Ending,
    *,
    attempts: int,
    max_attempts: int,
    interrupts: int,
    dead_exit: str | None,
    backoff: Backoff,
    jitter_factor: float = 0.0,
) -> Decision:
    """Return a job's next state, counters and delay after an ending; the only place that decides retry or dead.

    ``attempts`` counts this attempt already; ``jitter_factor`` is drawn from -1 to 1.
    """
    outcome = ending.outcome
    if outcome is Outcome.SUCCEEDED:
        return Decision(State.COMPLETED, attempts, 0)
    if outcome is Outcome.CANCELLED:
        return Decision(State.CANCELLED, attempts, interrupts)
    if outcome in (Outcome.INTERRUPTED, Outcome.LOST):
        interrupts += 1
        if interrupts > MAX_INTERRUPTS:
            return Decision(State.DEAD, attempts - 1, interrupts, reason=f"{outcome.value} {interrupts} times")
        return Decision(State.PENDING, attempts - 1, interrupts)
    reason = ending.error or ending_words(ending)
    own_code = ending.exit_code if outcome in (Outcome.FAILED, Outcome.SIGNALLED) else None
    if dead_exit is not None and own_code is not None and exit_code_matches(own_code, dead_exit):
        return Decision(State.DEAD, attempts, 0, reason=f"{reason} (--dead-exit)")
    if attempts >= max_attempts:
        return Decision(State.DEAD, attempts, 0, reason=reason)
    return Decision(State.PENDING, attempts, 0, delay_ms=delay_ms(attempts, backoff, jitter_factor), reason=reason)


def with_note(ending: Ending, note: str) -> Ending:
    """Return an ending with a note added to its error; how the command failed is said before the note."""
    known = ending.error or ("" if ending.outcome is Outcome.SUCCEEDED else ending_words(ending))
    return ending._replace(error=f"{known}; {note}" if known else note)
