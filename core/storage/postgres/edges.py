"""The edges between jobs as verbs write them: those of new jobs, and those that an edit replaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.errors import JobNotFound
from core.model import EdgeKind, JobRef, NewEdge, State
from core.rules.dependencies import check_needed, is_met_by
from core.storage.postgres.connection import Connection
from core.storage.postgres.queries import find

#: By the id of a needed job the kind of the edge to it, and whether it is met.
Edges = Mapping[int, tuple[EdgeKind, bool]]

# shared: who ends one of them waits, and then finds the edges
_NEEDED = "SELECT id, state FROM jobs WHERE id = ANY (%s) ORDER BY id FOR SHARE"
_COLUMNS = "job_id, on_id, kind, is_met"
#: Up to so many edges are inserted by a statement; more are copied.
_FEW = 20


def needed_jobs(connection: Connection, edges: Iterable[NewEdge]) -> dict[JobRef, tuple[int, State]]:
    """Return id and state of the jobs that exist and that edges refer to, by reference; they do not end meanwhile.

    Raises ``JobNotFound``.
    """
    references = dict.fromkeys(edge.on for edge in edges if edge.on is not None)
    ids = {reference: find(connection, reference) for reference in references}
    found = connection.execute(_NEEDED, (sorted(set(ids.values())),)).fetchall() if ids else []
    states = {job_id: State.PENDING if state == "open" else State(state) for job_id, state in found}
    for reference, job_id in ids.items():
        if job_id not in states:  # it was removed for good before it was locked
            raise JobNotFound(reference)
    return {reference: (job_id, states[job_id]) for reference, job_id in ids.items()}


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
        of_job = found.setdefault(ids[edge.position], {})
        if of_job.get(on_id, (EdgeKind.END,))[0] is EdgeKind.END:
            of_job[on_id] = (edge.kind, is_met)
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
