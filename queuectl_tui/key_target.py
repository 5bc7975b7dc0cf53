"""What the keys would act on now, and which kinds of actions can act on it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from core.model import State, Verb
from core.rules.states import states_of, works_on_any

_WORKS_FROM = {verb: frozenset(states_of(verb)) for verb in Verb}


class KeyTarget(NamedTuple):
    """What stands under the cursor and in the output.

    ``state`` is that of the one job that keys act on, ``None`` without one; it ``is_delayed`` when time alone is to
    pass before it is due. ``marked`` are the states that marked jobs may have, empty while none is marked.
    ``has_others`` is whether the job is known to have more than one attempt, ``has_earlier`` whether there is one
    before the attempt shown, ``has_dependents`` whether it is dead and jobs are known to wait for it. ``is_in_tree`` is
    whether it is pointed at in a tree that is another job's. ``has_row`` is whether there is a group, a queue or a
    worker under the cursor that keys can act on; ``has_schedule`` and ``has_resource`` say it of those. ``has_past`` is
    whether filters can be brought back into the row that is open.
    """

    state: State | None = None
    is_delayed: bool = False
    is_held: bool = False
    marked: tuple[State, ...] = ()
    has_list: bool = False
    has_dead: bool = False
    has_started: bool = False
    has_others: bool = False
    has_earlier: bool = False
    has_output: bool = False
    has_row: bool = False
    has_limit: bool = False
    is_in_tree: bool = False
    has_dependents: bool = False
    has_schedule: bool = False
    has_resource: bool = False
    is_paused: bool = False
    has_past: bool = False


#: Whether an action can act on a target.
TargetCondition = Callable[[KeyTarget], bool]


def always(target: KeyTarget) -> bool:
    """Return whether an action that needs nothing can act: it can."""
    return True


def can(verb: Verb) -> TargetCondition:
    """Return the condition that a verb works on the marked jobs, else on the one job; a retry of one makes it due."""

    def works(target: KeyTarget) -> bool:
        if target.marked:
            return works_on_any(verb, target.marked)
        if verb is Verb.RETRY and target.state is State.PENDING:
            return target.is_delayed
        return target.state in _WORKS_FROM[verb]

    return works


def can_edit(target: KeyTarget) -> bool:
    """Return whether the one job can be edited; marks do not matter to that."""
    return target.state in _WORKS_FROM[Verb.EDIT]


def has_job(target: KeyTarget) -> bool:
    """Return whether there is a job."""
    return target.state is not None


def has_started(target: KeyTarget) -> bool:
    """Return whether the job has or had an attempt."""
    return target.has_started


def leads_on(target: KeyTarget) -> bool:
    """Return whether the detail leads to another job, or to an output."""
    return target.is_in_tree or target.has_started


def way_on(target: KeyTarget) -> str:
    """Return what the detail leads to."""
    return "go to it" if target.is_in_tree else "output"


def has_output(target: KeyTarget) -> bool:
    """Return whether the output that is shown has a line."""
    return target.has_output


def has_row(target: KeyTarget) -> bool:
    """Return whether there is a group, a queue or a worker under the cursor that keys can act on."""
    return target.has_row


def has_schedule(target: KeyTarget) -> bool:
    """Return whether there is a schedule under the cursor."""
    return target.has_schedule


def has_resource(target: KeyTarget) -> bool:
    """Return whether there is a resource under the cursor."""
    return target.has_resource


def retry_word(target: KeyTarget) -> str:
    """Return what a retry is of a target: of jobs that wait a retry, of all others a replay."""
    waits = State.PENDING in target.marked if target.marked else target.state is State.PENDING
    return "retry" if waits else "replay"


def hold_word(target: KeyTarget) -> str:
    """Return what the key does that holds and releases."""
    return "release" if target.is_held else "hold"


def pause_word(target: KeyTarget) -> str:
    """Return what the key does that pauses and resumes."""
    return "resume" if target.is_paused else "pause"
