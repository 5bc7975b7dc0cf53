"""The moves of ``rules.states.VERBS`` as SQL: what keeps jobs in the history, what changes them, what undoes that."""

# annotations are evaluated here, as in core.model

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.model import State, Verb
from core.rules.states import VERBS, Condition, Move, Value, undoable_moves

_FROM_IDS = "id IN (SELECT value FROM json_each(:ids))"
_PURGED_SINCE = (
    "SELECT json_extract(before, '$.since') FROM history JOIN acts ON acts.id = act_id"
    " WHERE job_id = jobs.id AND verb = 'purge' ORDER BY act_id DESC LIMIT 1"
)
_VALUES: Mapping[Value, str] = {
    Value.NOW: ":now",
    Value.DUE: "max(:now, COALESCE(run_at, :now))",
    Value.STATE: "state",
    Value.STATE_BEFORE_PURGE: "purged_from",
    Value.SINCE_BEFORE_PURGE: f"COALESCE(({_PURGED_SINCE}), since)",
}
_CONDITIONS: Mapping[Condition, str] = {
    Condition.IS_DELAYED: "run_at IS NOT NULL AND blocks = 0",
    Condition.IS_HELD: "is_held = 1",
    Condition.IS_NOT_HELD: "is_held = 0",
    Condition.IS_OLD_ENOUGH: "since <= :before",
}


class Statements(NamedTuple):
    """A move in SQL: what keeps the rows of the jobs that it concerns in the history, and what changes them."""

    keep: str
    change: str


def _render(move: Move) -> Statements:
    where = f"{_FROM_IDS} AND {in_states('state', move.from_states)}"
    if move.condition is not None:
        where += f" AND {_CONDITIONS[move.condition]}"
    keep = (
        f"INSERT INTO history (act_id, job_id, before) SELECT :act, id, {json_of(move.keeps)} FROM jobs WHERE {where}"
    )
    if move.stops_command:
        return Statements(
            keep,
            "UPDATE attempts SET stop_requested = CASE WHEN stop_requested = 'kill' THEN 'kill' ELSE :stop END"
            f" WHERE ended_at IS NULL AND id IN (SELECT attempt_id FROM jobs WHERE {where})",
        )
    to = {} if move.to_state is None else {"state": move.to_state}
    sets = ", ".join(f"{field} = {_sql_of(value)}" for field, value in {**to, **move.sets}.items())
    return Statements(keep, f"UPDATE jobs SET {sets} WHERE {where}")


def in_states(column: str, states: Sequence[State]) -> str:
    """Return the condition that a column has one of these states."""
    return f"{column} IN ({', '.join(_sql_of(state) for state in states)})"


def json_of(fields: Sequence[str]) -> str:
    """Return the expression of a JSON object with these columns."""
    pairs = ", ".join(f"'{field}', {field}" for field in fields)
    return f"json_object({pairs})"


def _sql_of(value: State | Value | int | None) -> str:
    if isinstance(value, Value):
        return _VALUES[value]
    if isinstance(value, State):
        return f"'{value.value}'"
    return "NULL" if value is None else str(value)


def unmoved(verb: Verb) -> str:
    """Return the SQL condition under which a job of ``history JOIN jobs`` is still where an undoable move left it."""
    return " OR ".join(_is_where_left(move) for move in undoable_moves(verb))


def _is_where_left(move: Move) -> str:
    to_states = (move.to_state,) if isinstance(move.to_state, State) else move.from_states
    starts = " AND starts = json_extract(before, '$.starts')" if "starts" in move.keeps else ""
    came_from = in_states("json_extract(before, '$.state')", move.from_states)
    return f"({came_from} AND {in_states('state', to_states)}{starts})"


# an edit has its own statements: what it sets depends on the job
STATEMENTS: Mapping[Verb, tuple[Statements, ...]] = {
    verb: tuple(map(_render, rule.moves)) for verb, rule in VERBS.items() if verb is not Verb.EDIT
}


def make(connection: sqlite3.Connection, statements: Statements, parameters: Mapping[str, object]) -> int:
    """Make a move; return how many jobs it changed."""
    connection.execute(statements.keep, parameters)
    return connection.execute(statements.change, parameters).rowcount
