"""The edges between jobs as verbs write them: those of new jobs, and those that an edit replaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.errors import JobNotFound, Refused
from core.model import EdgeKind, JobRef, NewEdge, State
from core.rules.dependencies import Edges, add_edge, check_needed, circle_words, find_circle, is_met_by, restored_edges
from core.storage.postgres.connection import Connection
from core.storage.postgres.queries import find

# shared: who ends one of them waits, and then finds the edges
_NEEDED = "SELECT id, state FROM jobs WHERE id = ANY (%s) ORDER BY id FOR SHARE"
_COLUMNS = "job_id, on_id, kind, is_met"
_OF_JOB = "SELECT on_id, kind, is_met FROM dependencies WHERE job_id = %s ORDER BY on_id"
# all edges that are on some way up from the jobs given
_ABOVE = (
    "WITH RECURSIVE above (id) AS (SELECT unnest(%s::bigint[]) UNION SELECT edge.on_id FROM above CROSS JOIN LATERAL"
    " (SELECT on_id FROM dependencies WHERE job_id = above.id OFFSET 0) AS edge)"
    " SELECT edge.job_id, edge.on_id FROM above CROSS JOIN LATERAL"
    " (SELECT job_id, on_id FROM dependencies WHERE job_id = above.id OFFSET 0) AS edge"
)
# of the advisory lock for the edges of jobs that exist: two who each add one to what the other has could close a circle
_REPLACE_LOCK = 0x51454447
#: Up to so many edges are inserted by a statement; more are copied.
_FEW = 20


def needed_jobs(connection: Connection, edges: Iterable[NewEdge]) -> dict[JobRef, tuple[int, State]]:
    """Return id and state of the jobs that exist and that edges refer to, by reference; they do not end meanwhile.

    Raises ``JobNotFound``.
    """
    references = dict.fromkeys(edge.on for edge in edges if edge.on is not None)
    ids = {reference: find(connection, reference) for reference in references}
    found = connection.execute(_NEEDED, (sorted(set(ids.values())),)).fetchall() if ids else []
    states = {job_id: _state_of(state) for job_id, state in found}
    for reference, job_id in ids.items():
        if job_id not in states:  # it was removed for good before it was locked
            raise JobNotFound(reference)
    return {reference: (job_id, states[job_id]) for reference, job_id in ids.items()}


def _state_of(stored: str) -> State:
    """Return the state of a needed job; of one that is open only that it has not ended counts."""
    return State.PENDING if stored == "open" else State(stored)


def edges_of_batch(connection: Connection, edges: Sequence[NewEdge], ids: Sequence[int]) -> dict[int, Edges]:
    """Return the edges of new jobs, whose ids are given, by job; of two to the same that until completion holds.

    Raises ``JobNotFound``, and ``Refused`` for a job that cannot be waited for.
    """
    needed = needed_jobs(connection, edges)
    found: dict[int, dict[int, tuple[EdgeKind, bool]]] = {}
    for edge in edges:
        if edge.on_position is not None:
            on_id, is_met = ids[edge.on_position], False
        else:
            assert edge.on is not None
            on_id, state = needed[edge.on]
            check_needed(edge.kind, on_id, state)
            is_met = is_met_by(edge.kind, state)
        add_edge(found.setdefault(ids[edge.position], {}), on_id, edge.kind, is_met)
    return dict(found)


def unmet(edges: Edges) -> int:
    """Return how many edges are not met."""
    return sum(not is_met for _, is_met in edges.values())


def insert(connection: Connection, edges: Mapping[int, Edges]) -> None:
    """Store edges by job, of jobs that have none."""
    rows = [
        (job_id, on_id, kind.value, int(is_met))
        for job_id, of_job in edges.items()
        for on_id, (kind, is_met) in of_job.items()
    ]
    if len(rows) <= _FEW:
        for row in rows:
            connection.execute(f"INSERT INTO dependencies ({_COLUMNS}) VALUES (%s, %s, %s, %s)", row)
    else:
        with connection.cursor().copy(f"COPY dependencies ({_COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


# --- a job that exists


def lock_all(connection: Connection) -> None:
    """Have others that replace edges wait until the end of the transaction; to be called before any job is locked."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_REPLACE_LOCK,))


def edges_of(connection: Connection, job_id: int) -> Edges:
    """Return what a job waits or waited for."""
    found = connection.execute(_OF_JOB, (job_id,)).fetchall()
    return {on_id: (EdgeKind(kind), bool(is_met)) for on_id, kind, is_met in found}


def restore(connection: Connection, job_id: int, kept: Mapping[str, Sequence[Any]]) -> None:
    """Have a job wait again for what the history kept; what its needed jobs have done since counts.

    Its blocks are the caller's to count. Raises ``Refused`` for a circle, and for a needed job that was removed for
    good before it did what is waited for.
    """
    found = connection.execute(_NEEDED, (sorted(map(int, kept)),)).fetchall()
    states = {on_id: _state_of(state) for on_id, state in found}
    replace(connection, job_id, restored_edges(job_id, kept, states))


def replace(connection: Connection, job_id: int, edges: Edges) -> None:
    """Have a job wait for these alone; its blocks are the caller's to count. Raises ``Refused`` for a circle."""
    above = connection.execute(_ABOVE, (list(edges),)).fetchall()
    circle = find_circle([*((job_id, on_id) for on_id in edges), *(pair for pair in above if pair[0] != job_id)])
    if circle is not None:
        raise Refused(circle_words(circle, job_id))
    connection.execute("DELETE FROM dependencies WHERE job_id = %s", (job_id,))
    insert(connection, {job_id: edges})
