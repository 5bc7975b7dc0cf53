"""What may follow what: the table of states, and the one decision after an attempt. Pure.

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

Every other move is refused with ``InvalidTransition`` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from core.errors import InvalidTransition
from core.model import FINISHED, Decision, Ending, Outcome, State
from core.rules.backoff import Backoff, delay_ms
from core.rules.units import exit_code_matches

#: An interrupted or lost attempt beyond this many in a row makes the job dead.
MAX_INTERRUPTS = 5


class Verb(str, Enum):
    """What a person (or a program) can do to a job that exists."""

    CANCEL = "cancel"
    REPLAY = "replay"
    RETRY = "retry"
    EDIT = "edit"
    PURGE = "purge"
    RESTORE = "restore"


#: From which states each verb may be used.
ALLOWED: Mapping[Verb, frozenset[State]] = {
    Verb.CANCEL: frozenset({State.PENDING, State.RUNNING}),
    Verb.REPLAY: FINISHED,
    Verb.RETRY: FINISHED | {State.PENDING},
    Verb.EDIT: frozenset({State.PENDING, State.DEAD}),
    Verb.PURGE: FINISHED,
    Verb.RESTORE: frozenset({State.PURGED}),
}

_HINTS: Mapping[tuple[Verb, State], str] = {
    (Verb.PURGE, State.PENDING): "cancel it first",
    (Verb.PURGE, State.RUNNING): "cancel it first",
    (Verb.EDIT, State.RUNNING): "cancel it or wait until it ends",
    (Verb.EDIT, State.COMPLETED): "replay it first",
    (Verb.EDIT, State.CANCELLED): "replay it first",
    (Verb.RETRY, State.RUNNING): "it is being tried now",
    (Verb.RETRY, State.PURGED): "restore it first",
    (Verb.REPLAY, State.PENDING): "use retry to run it now",
    (Verb.REPLAY, State.PURGED): "restore it first",
    (Verb.CANCEL, State.COMPLETED): "it has already finished",
    (Verb.CANCEL, State.DEAD): "it has already finished",
}


def check(verb: Verb, job_id: int, state: State) -> None:
    """Raise ``InvalidTransition`` unless a job in this state allows the verb."""
    if state not in ALLOWED[verb]:
        raise InvalidTransition(job_id, state.value, verb.value, _HINTS.get((verb, state), ""))


def outcome_of_exit(exit_code: int, signal: int | None, ok_exit: str | None) -> Outcome:
    """Return what an exit code means: 0 and the codes of ``ok_exit`` are success."""
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
    """Return what follows an attempt's ending; the only place that decides retry or dead.

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
    reason = describe(ending)
    own_code = ending.exit_code if outcome in (Outcome.FAILED, Outcome.SIGNALLED) else None
    if dead_exit is not None and own_code is not None and exit_code_matches(own_code, dead_exit):
        return Decision(State.DEAD, attempts, 0, reason=f"{reason} (--dead-exit)")
    if attempts >= max_attempts:
        return Decision(State.DEAD, attempts, 0, reason=reason)
    return Decision(State.PENDING, attempts, 0, delay_ms=delay_ms(attempts, backoff, jitter_factor), reason=reason)


def describe(ending: Ending) -> str:
    """Return a few words that tell a person how the attempt ended, e.g. ``exit 7`` or ``signal 9``."""
    if ending.error:
        return ending.error
    if ending.outcome is Outcome.TIMED_OUT:
        return "timed out"
    if ending.signal is not None:
        return f"signal {ending.signal}"
    if ending.exit_code is not None:
        return f"exit {ending.exit_code}"
    return str(ending.outcome.value).replace("_", " ")


def with_note(ending: Ending, note: str) -> Ending:
    """Return an ending whose error has a note behind it; how a command failed is said before the note, not replaced."""
    known = ending.error if ending.outcome is Outcome.SUCCEEDED else describe(ending)
    return ending._replace(error=f"{known}; {note}" if known else note)
