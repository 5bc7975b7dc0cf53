"""What follows from ``VERBS`` for operations on stored jobs: what an edit changes, and whether an undo may go back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from core.blocker import Blocker
from core.errors import InvalidTransition, Refused
from core.model import State, Verb
from core.rules.holds import retry_refusal
from core.rules.job_fields import JobRow, check_together
from core.rules.states import VERBS, Move, check, undoable_moves

#: Called with how many jobs are done, and of how many; 0 of an unknown total.
Progress = Callable[[int, int], None]
#: The fields that an edit compares. ``run_at`` is another matter: only a pending job has it, and a retry writes it too;
#: ``is_held`` has verbs of its own.
EDITABLE = tuple(column for column in JobRow._fields if column not in ("run_at", "is_held"))
#: By verb, fields that it sets and does not keep: they were empty before.
CLEARED: Mapping[Verb, Mapping[str, None]] = {
    verb: {column: None for move in undoable_moves(verb) for column in move.sets if column not in move.keeps}
    for verb in Verb
}
#: The verbs that have an undo, by name.
UNDOABLE: Mapping[str, Verb] = {verb.value: verb for verb in Verb if undoable_moves(verb)}
#: All fields that an edit or an undo may set.
RESTORABLE: Collection[str] = {*EDITABLE}.union(
    *CLEARED.values(), *(move.keeps for verb in Verb for move in undoable_moves(verb))
)


def changes_of_edit(
    row: JobRow, given: Collection[str], old: Sequence[object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the fields that an edit changes, and what they were; ``old`` has the values of ``EDITABLE``.

    Of ``row`` only the columns ``given`` count: another edit may have changed others since it was made. Raises
    ``UsageError`` if what is given contradicts what is there.
    """
    there = dict(zip(EDITABLE, old, strict=True))
    wanted = {name: getattr(row, name) for name in EDITABLE if name in given}
    changes = {name: value for name, value in wanted.items() if value != there[name]}
    if changes.keys() & {"ok_exit", "dead_exit"}:
        check_together(row._replace(**{name: value for name, value in there.items() if name not in given}))
    return changes, {name: there[name] for name in changes}


def check_attempts(job_id: int, wanted: int, spent: int, state: State, then_retry: bool) -> None:
    """Raise ``Refused`` for an edit that would leave a job fewer attempts than it has spent.

    A dead job that is retried with the edit starts anew, so it may be given fewer.
    """
    if wanted < spent and not (then_retry and state is State.DEAD):
        raise Refused(f"job {job_id} has spent {spent} attempts; max-attempts cannot be less")


def explain_refusal(
    verb: Verb, job_id: int, state: State, *, is_held: bool = False, blocker: Blocker | None = None
) -> None:
    """Raise ``InvalidTransition`` for a single job in ``state`` that no move of a verb concerned."""
    check(verb, job_id, state)
    if verb is Verb.RETRY and blocker is not None:
        raise InvalidTransition(job_id, state.value, verb.value, retry_refusal(job_id, blocker))
    if verb is Verb.RETRY and state is State.PENDING and is_held:
        raise InvalidTransition(job_id, state.value, verb.value, "it is held; release it")
    for move in VERBS[verb].moves:
        if move.hint and state in move.from_states:
            raise InvalidTransition(job_id, state.value, verb.value, move.hint)


def canary_refusal(dead: Sequence[int], canaries: Mapping[int, int]) -> str | None:
    """Return why none of these dead jobs may be replayed before the others; ``None`` if one may.

    ``canaries`` has for those that wait for a canary already the job that is it.
    """
    if not dead:
        return "none of these jobs is dead"
    if canaries:
        canary = min(canaries.values())
        return f"of these jobs {len(canaries):,} wait for how job {canary} ends; wait for that, or undo it"
    return None


def obstacle_of(verb: str, kept_states: Collection[str]) -> str | None:
    """Return why an operation cannot be undone, ``None`` when it can for one of its jobs; given their states before."""
    final = [move for known in Verb if known.value == verb for move in VERBS[known].moves if move.obstacle is not None]
    if verb not in UNDOABLE:
        return final[0].obstacle if final else "there is no way back"
    if not kept_states:
        return "its jobs were removed for good"
    obstacles = [next((move.obstacle for move in final if state in move.from_states), None) for state in kept_states]
    return None if None in obstacles else obstacles[0]


def verb_to_undo(act_id: int, verb: str | None, undone_at: int | None) -> Verb:
    """Return the verb of an operation that is to be undone; ``verb`` is its name, ``None`` if there is no such one.

    Raises ``Refused`` for one that has no undo, or was undone before, at ``undone_at``.
    """
    if verb is None or verb not in UNDOABLE:
        raise Refused(f"act {act_id} cannot be undone")
    if undone_at is not None:
        raise Refused(f"act {act_id} was undone already")
    return UNDOABLE[verb]


def columns_of_undo(verb: Verb, before: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns that an undo gives a job of which ``before`` was kept, and what was kept of its edges.

    Of its edges: ``after``, ``met`` and ``unmet``, as far as they are there. Raises ``ValueError`` for other columns
    than an undo may set.
    """
    columns = {**CLEARED[verb], **before}
    columns.pop("starts", None)
    edges: dict[str, Any] = {name: columns.pop(name) for name in ("after", "met", "unmet") if name in columns}
    unknown = set(columns) - set(RESTORABLE)
    if unknown:
        raise ValueError(f"not columns of an undo: {sorted(unknown)}")
    return columns, edges


def is_where_left(verb: Verb, before: Mapping[str, object], state: State, starts: int) -> bool:
    """Return whether a job, in ``state`` and started ``starts`` times by now, is where a move of a verb left it."""
    return any(_has_left(move, before, state, starts) for move in undoable_moves(verb))


def _has_left(move: Move, before: Mapping[str, object], state: State, starts: int) -> bool:
    to_states = (move.to_state,) if isinstance(move.to_state, State) else move.from_states
    is_unstarted = "starts" not in move.keeps or before.get("starts") == starts
    return before.get("state") in move.from_states and state in to_states and is_unstarted
