"""The edges between jobs as verbs write them: those of new jobs, and those that an edit replaces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.errors import JobNotFound, Refused
from core.model import EdgeKind, JobRef, NewEdge, State
from core.rules.arguments import MAX_WHOLE
from core.rules.dependencies import Edges, add_edge, check_needed, circle_words, find_circle, is_met_by, restored_edges
from core.storage.sqlite import settling
from core.storage.sqlite.queries import find

_STAGE = "INSERT INTO temp.staged_edges (position, on_position, reference, kind) VALUES (?, ?, ?, ?)"
_CREATE_STAGE = (
    "CREATE TEMP TABLE IF NOT EXISTS staged_edges"
    " (position INTEGER, on_position INTEGER, reference, kind TEXT, on_id INTEGER, is_met INTEGER DEFAULT 0)"
)
_FIND_STAGED = "CREATE INDEX IF NOT EXISTS temp.staged_edges_by_position ON staged_edges (position)"
_FIND_REFERENCES = (
    "CREATE INDEX IF NOT EXISTS temp.staged_edges_by_reference ON staged_edges (reference) WHERE reference IS NOT NULL"
)
_REFERENCES = "SELECT DISTINCT reference FROM temp.staged_edges WHERE reference IS NOT NULL"
_RESOLVE = (
    "UPDATE temp.staged_edges SET on_id = :id, is_met = (kind = 'complete' AND :completes) OR (kind = 'end' AND :ends)"
    " WHERE reference = :reference"
)
_KINDS = "SELECT DISTINCT kind FROM temp.staged_edges WHERE reference = ?"
#: How many jobs the staged job at ``rowid`` waits for; two references may be to one.
BLOCKS_OF_STAGED = (
    "(SELECT CASE WHEN count(*) < 2 THEN count(*) ELSE count(DISTINCT COALESCE(on_id, -1 - on_position)) END"
    " FROM temp.staged_edges AS e WHERE e.position = staged.rowid - 1 AND e.is_met = 0)"
)
_COPY = (
    "INSERT INTO main.dependencies (job_id, on_id, kind, is_met)"
    " SELECT :first + position, COALESCE(on_id, :first + on_position), kind, is_met FROM temp.staged_edges WHERE true"
    " ON CONFLICT DO UPDATE SET kind = min(kind, excluded.kind), is_met = min(is_met, excluded.is_met)"
)
_INSERT = "INSERT INTO dependencies (job_id, on_id, kind, is_met) VALUES (?, ?, ?, ?)"
_STATE = "SELECT state FROM jobs WHERE id = ?"
_OF_JOB = "SELECT on_id, kind, is_met FROM dependencies WHERE job_id = ? ORDER BY on_id"
# all edges that are on some way up from the jobs given
_ABOVE = (
    "WITH RECURSIVE above (id) AS (SELECT value FROM json_each(?) UNION"
    " SELECT on_id FROM above JOIN dependencies ON job_id = id)"
    " SELECT job_id, on_id FROM above JOIN dependencies ON job_id = id"
)
#: To be continued with ``WHERE``, and the jobs whose blocks are counted anew.
COUNT_BLOCKS = (
    "UPDATE jobs SET blocks = is_held + (SELECT count(*) FROM dependencies WHERE job_id = jobs.id AND is_met = 0)"
)
RECOUNT = f"{COUNT_BLOCKS} WHERE id = ?"


# --- new jobs


def stage(connection: sqlite3.Connection, edges: Iterable[NewEdge]) -> bool:
    """Write the edges of a batch into ``temp.staged_edges``; return whether there are any."""
    connection.execute(_CREATE_STAGE)
    connection.executemany(_STAGE, map(_staged, edges))
    connection.execute(_FIND_STAGED)
    connection.execute(_FIND_REFERENCES)
    return connection.execute("SELECT 1 FROM temp.staged_edges").fetchone() is not None


def _staged(edge: NewEdge) -> tuple[int, int | None, JobRef | None, str]:
    if isinstance(edge.on, int) and edge.on > MAX_WHOLE:
        raise JobNotFound(edge.on)  # too large for SQLite
    return edge.position, edge.on_position, edge.on, edge.kind.value


def unstage(connection: sqlite3.Connection) -> None:
    """Remove what ``stage`` has written."""
    connection.execute("DROP TABLE IF EXISTS temp.staged_edges")


def resolve_staged(connection: sqlite3.Connection, now: int) -> None:
    """Find the jobs that staged edges refer to, and whether the edges are met.

    Raises ``JobNotFound``, and ``Refused`` for a job that cannot be waited for.
    """
    for (reference,) in connection.execute(_REFERENCES).fetchall():
        on_id, state = _needed(connection, reference, now)
        kinds = [EdgeKind(row[0]) for row in connection.execute(_KINDS, (reference,)).fetchall()]
        for kind in kinds:
            check_needed(kind, on_id, state)
        met = {f"{kind.value}s": is_met_by(kind, state) for kind in EdgeKind}
        connection.execute(_RESOLVE, {"id": on_id, "reference": reference, **met})


def copy_staged(connection: sqlite3.Connection, first: int) -> None:
    """Store the staged edges of a batch whose jobs have the ids from ``first`` on."""
    connection.execute(_COPY, {"first": first})


def resolve(connection: sqlite3.Connection, edges: Iterable[NewEdge], now: int) -> Edges:
    """Return the edges of one job to jobs that exist; of two to the same that until completion holds.

    Raises ``JobNotFound``, and ``Refused`` for a job that cannot be waited for.
    """
    found: dict[int, tuple[EdgeKind, bool]] = {}
    for edge in edges:
        assert edge.on is not None, "a job of the same batch is meant"
        on_id, state = _needed(connection, edge.on, now)
        check_needed(edge.kind, on_id, state)
        add_edge(found, on_id, edge.kind, is_met_by(edge.kind, state))
    return found


def insert(connection: sqlite3.Connection, job_id: int, edges: Edges) -> None:
    """Store the edges of a job that has none; its ``blocks`` are the caller's to count."""
    rows = [(job_id, on_id, kind.value, int(is_met)) for on_id, (kind, is_met) in edges.items()]
    connection.executemany(_INSERT, rows)


def _needed(connection: sqlite3.Connection, reference: JobRef, now: int) -> tuple[int, State]:
    """Return id and state of a needed job, its past ends settled."""
    on_id = find(connection, reference)
    settling.finish_edges(connection, [on_id], now)
    return on_id, State(connection.execute(_STATE, (on_id,)).fetchone()[0])


# --- a job that exists


def edges_of(connection: sqlite3.Connection, job_id: int) -> Edges:
    """Return what a job waits or waited for."""
    found = connection.execute(_OF_JOB, (job_id,)).fetchall()
    return {on_id: (EdgeKind(kind), bool(is_met)) for on_id, kind, is_met in found}


def restore(connection: sqlite3.Connection, job_id: int, kept: Mapping[str, Sequence[Any]], now: int) -> None:
    """Have a job wait again for what the history kept; what its needed jobs have done since counts.

    Raises ``Refused`` for a circle, and for a needed job that was removed for good before it did what is waited for.
    """
    states: dict[int, State] = {}
    for on_id in map(int, kept):
        row = connection.execute(_STATE, (on_id,)).fetchone()
        if row is not None:
            settling.finish_edges(connection, [on_id], now)
            states[on_id] = State(row[0])
    replace(connection, job_id, restored_edges(job_id, kept, states))


def replace(connection: sqlite3.Connection, job_id: int, edges: Edges) -> int:
    """Have a job wait for these alone; return its blocks, counted anew; raise ``Refused`` for a circle."""
    above = connection.execute(_ABOVE, (json.dumps(list(edges)),)).fetchall()
    circle = find_circle([*((job_id, on_id) for on_id in edges), *(pair for pair in above if pair[0] != job_id)])
    if circle is not None:
        raise Refused(circle_words(circle, job_id))
    connection.execute("DELETE FROM dependencies WHERE job_id = ?", (job_id,))
    insert(connection, job_id, edges)
    connection.execute(RECOUNT, (job_id,))
    return int(connection.execute("SELECT blocks FROM jobs WHERE id = ?", (job_id,)).fetchone()[0])
