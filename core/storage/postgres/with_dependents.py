"""A verb on jobs and on all that depend on them, by one act; what the history keeps of their edges, and its undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from core.model import State
from core.rules.states import due_at
from core.storage.postgres import edges
from core.storage.postgres.connection import Connection
from core.storage.postgres.tokens import Columns, JobChanges, lock

#: By job what the history keeps of it: its columns before the operation.
Kept = dict[int, dict[str, Any]]

_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT unnest(%s::bigint[]) UNION SELECT edge.job_id FROM below CROSS JOIN LATERAL"
    " (SELECT job_id FROM dependencies WHERE on_id = below.id OFFSET 0) AS edge) SELECT id FROM below ORDER BY id"
)
_EDGES = "SELECT job_id, on_id FROM dependencies WHERE job_id = ANY (%s) AND is_met = %s{kind} ORDER BY job_id, on_id"
_SET_MET = (
    "UPDATE dependencies AS d SET is_met = %s FROM unnest(%s::bigint[], %s::bigint[]) AS edge (job_id, on_id)"
    " WHERE d.job_id = edge.job_id AND d.on_id = edge.on_id"
)
_OPEN = "SELECT id FROM jobs WHERE id = ANY (%s) AND state = 'open'"
_UNMET = "SELECT job_id, count(*) FROM dependencies WHERE job_id = ANY (%s) AND is_met = 0 GROUP BY job_id"


def below(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Return jobs and all that depend on them, by id."""
    return [row[0] for row in connection.execute(_BELOW, (list(ids),)).fetchall()]


def arm(connection: Connection, jobs: Mapping[int, Columns], kept: Kept, names: Sequence[str]) -> list[int]:
    """Arm the edges among jobs, which are about to be retried; return those whose blocks are to be counted anew.

    ``jobs`` have their columns before it. Pending ones that this keeps back are added to ``kept``, with the columns
    ``names``; all of them get the needed jobs whose edges were met. A job that runs or is purged stays as it is; what
    runs will end, so that others can wait for it again.
    """
    armed = [job_id for job_id, job in jobs.items() if job["state"] not in ("running", "purged")]
    needs = {job_id for job_id, job in jobs.items() if job["state"] != "purged"}
    met = _edges(connection, armed, needs, is_met=True)
    for job_id in armed:
        if job_id in kept:
            kept[job_id]["met"] = met.get(job_id, [])
        elif job_id in met and jobs[job_id]["state"] == State.PENDING.value:
            kept[job_id] = {**{name: jobs[job_id][name] for name in names}, "met": met[job_id]}
    _set_met(connection, 0, [(job_id, on_id) for job_id, on_ids in met.items() for on_id in on_ids])
    return armed


def keep_unmet(connection: Connection, jobs: Mapping[int, Columns], kept: Kept) -> None:
    """Keep which edges among jobs their cancelling will meet: those that wait for an end.

    A cancel of a running job is a request to stop it: it ends later, and is not undone.
    """
    pending = [job_id for job_id, job in jobs.items() if job["state"] == State.PENDING.value and job_id in kept]
    unmet = _edges(connection, pending, set(pending), is_met=False, kind=" AND kind = 'end'")
    for job_id in pending:
        kept[job_id]["unmet"] = unmet.get(job_id, [])


def restore(connection: Connection, waits: Mapping[int, Mapping[str, Any]], now: int) -> None:
    """Put edges of jobs back as the history kept them, once all of the jobs are in their states again.

    By job: ``after`` are all edges that it had, ``met`` those that were met, ``unmet`` those to jobs that will end
    again. Raises ``Refused`` for a circle, and for a needed job that was removed for good.
    """
    if not waits:
        return
    for job_id, kept in waits.items():
        if "after" in kept:
            edges.restore(connection, job_id, kept["after"])
    _set_met(connection, 1, [(job_id, on_id) for job_id, kept in waits.items() for on_id in kept.get("met", ())])
    unmet = [(job_id, on_id) for job_id, kept in waits.items() for on_id in kept.get("unmet", ())]
    found = connection.execute(_OPEN, ([on_id for _, on_id in unmet],)).fetchall() if unmet else []
    is_open = {row[0] for row in found}
    _set_met(connection, 0, [edge for edge in unmet if edge[1] in is_open])
    recount(connection, list(waits), now)


def recount(connection: Connection, ids: Sequence[int], now: int) -> None:
    """Count what keeps pending jobs back, and put their tokens where they belong; those of others say nothing of it."""
    jobs = lock(connection, ids)
    unmet: dict[int, int] = dict(connection.execute(_UNMET, (list(ids),)).fetchall())
    changes = JobChanges()
    for job_id, job in jobs.items():
        blocks = job["is_held"] + unmet.get(job_id, 0)
        if job["state"] == State.PENDING.value and blocks != job["blocks"]:
            # a job that waits for nothing any more begins to wait for a slot
            since = job["due_at"] if blocks else due_at(job["run_at"], now)
            changes.put(job, {"blocks": blocks, "due_at": since})
    changes.write(connection)


def _edges(
    connection: Connection, ids: Sequence[int], on_ids: Collection[int], *, is_met: bool, kind: str = ""
) -> dict[int, list[int]]:
    """Return by job, of those that have any, the needed ones among ``on_ids`` to which its edges are so."""
    found: dict[int, list[int]] = {}
    for job_id, on_id in connection.execute(_EDGES.format(kind=kind), (list(ids), int(is_met))).fetchall():
        if on_id in on_ids:
            found.setdefault(job_id, []).append(on_id)
    return found


def _set_met(connection: Connection, is_met: int, pairs: Sequence[tuple[int, int]]) -> None:
    if pairs:
        connection.execute(_SET_MET, (is_met, *map(list, zip(*pairs, strict=True))))
