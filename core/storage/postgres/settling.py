"""What follows from the end of a job for those that wait for it: edges are met, some hundred a transaction.

A trigger (``jobs_settle``) notes in the table ``settling`` each job that ends while unmet edges lead to it, so that no
way to end a job can forget them. The notes are worked off in their order, by one transaction at a time: it locks the
first. Jobs whose edges are met are locked as for any other change, so of two last edges one is met after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model import EdgeKind, State
from core.rules.dependencies import SETTLE_BATCH
from core.rules.states import due_at
from core.storage.postgres import canary_moves, hook_jobs
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.tokens import JobChanges, lock

_NEXT = "SELECT id, job_id, event, has_edges, attempt_id, is_end FROM settling ORDER BY id LIMIT 1 FOR UPDATE"
_NOTED = (
    "SELECT id, job_id, event, has_edges, attempt_id, is_end FROM settling"
    " WHERE job_id = ANY (%s) AND has_edges = 1 ORDER BY id FOR UPDATE"
)
_UNMET = "SELECT job_id FROM dependencies WHERE on_id = %s AND is_met = 0{kind} ORDER BY kind, job_id LIMIT %s"
_MEET = "UPDATE dependencies SET is_met = 1 WHERE on_id = %s AND job_id = ANY (%s) AND is_met = 0 RETURNING job_id"
_ALL = 1 << 40

#: A row of the table: id, job_id, event, has_edges, attempt_id, is_end.
_Note = tuple[int, int, str, int, int | None, int]
# of the advisory lock of those who settle, one after the other: "QSTL"
_LOCK = "SELECT pg_advisory_xact_lock(1364415564)"


def settle(connection: Connection, now: int, limit: int = SETTLE_BATCH) -> bool:
    """Draw consequences of ended jobs, the first ones first, up to ``limit`` edges; return whether more are left."""
    connection.execute(_LOCK)
    while (note := connection.execute(_NEXT).fetchone()) is not None:
        if limit <= 0:
            return True
        met = _meet(connection, note, now, limit)
        if met >= limit:
            return True  # there may be more edges to this job
        limit -= max(1, met)
        note_id, job_id, state, _, attempt_id, is_end = note
        if is_end:
            act_id, waiting = canary_moves.waiting(connection, job_id, state, limit)
            if waiting:
                finish_edges(connection, waiting, now)
                canary_moves.replay(connection, act_id, waiting, now)
            if len(waiting) >= limit:
                return True
            limit -= len(waiting)
        connection.execute("DELETE FROM settling WHERE id = %s", (note_id,))
        if is_end:
            hook_jobs.follow(connection, job_id, attempt_id, state, now)
    return False


def settle_some(db: Connections) -> bool:
    """Draw some consequences in a transaction of their own; return whether more are left. Wakes the workers."""
    now = db.now_ms()
    return db.transact(lambda connection: settle(connection, now), wakes_workers=True)


def settle_rest(db: Connections) -> None:
    """Draw all consequences that are left, in several transactions if need be; in none if there are none."""
    while is_any_left(db) and settle_some(db):
        pass


def is_any_left(db: Connections) -> bool:
    """Return whether consequences of ended jobs are left to be drawn."""
    return bool(db.query("SELECT EXISTS (SELECT 1 FROM settling)")[0][0])


def finish_edges(connection: Connection, on_ids: Sequence[int], now: int) -> bool:
    """Meet all edges to these jobs that their ends meet, as far as that is still to be done; return whether it was.

    To be called before an ended job becomes pending: an end that is past must not meet edges that are added then. Jobs
    that were locked before are to be read again.
    """
    notes = connection.execute(_NOTED, (list(on_ids),)).fetchall()
    for note in notes:
        _meet(connection, note, now, _ALL)
        connection.execute("UPDATE settling SET has_edges = 0 WHERE id = %s", (note[0],))
    return bool(notes)


def _meet(connection: Connection, note: _Note, now: int, limit: int) -> int:
    """Meet edges to one ended job; return how many."""
    _, on_id, event, has_edges, *_ = note
    if not has_edges:
        return 0
    kind = "" if event == State.COMPLETED.value else f" AND kind = '{EdgeKind.END.value}'"
    ids = [row[0] for row in connection.execute(_UNMET.format(kind=kind), (on_id, limit)).fetchall()]
    if not ids:
        return 0
    jobs = lock(connection, ids)
    changes = JobChanges()
    # a statement of its own, which sees what others met before these were locked
    for (job_id,) in connection.execute(_MEET, (on_id, ids)).fetchall():
        job = jobs[job_id]
        if job["state"] != State.PENDING.value:
            continue  # its blocks are counted when it is pending again
        blocks = job["blocks"] - 1
        # a job that waits for nothing any more begins to wait for a slot
        since = job["due_at"] if blocks else due_at(job["run_at"], now)
        changes.put(job, {"blocks": blocks, "due_at": since})
    changes.write(connection)
    return len(ids)
