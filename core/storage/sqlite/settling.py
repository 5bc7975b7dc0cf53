"""What follows from the end of a job for those that wait for it: edges are met, some hundred a transaction.

A trigger (``jobs_settle``) notes in the table ``settling`` each job that ends while unmet edges lead to it, so that no
way to end a job can forget them. The notes are worked off in their order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from core.model import EdgeKind, State
from core.rules.dependencies import SETTLE_BATCH
from core.storage.sqlite import canary_moves, hook_jobs
from core.storage.sqlite.file import Database

_NEXT = "SELECT id, job_id, event, has_edges, attempt_id, is_end FROM settling ORDER BY id LIMIT 1"
_NOTED = (
    "SELECT id, job_id, event, has_edges, attempt_id, is_end FROM settling"
    " WHERE job_id = ? AND has_edges = 1 ORDER BY id"
)
_UNMET = "SELECT job_id FROM dependencies WHERE on_id = ? AND is_met = 0 ORDER BY kind, job_id LIMIT ?"
_UNMET_OF_KIND = "SELECT job_id FROM dependencies WHERE on_id = ? AND is_met = 0 AND kind = ? ORDER BY job_id LIMIT ?"
_MEET = "UPDATE dependencies SET is_met = 1 WHERE job_id = ? AND on_id = ?"
# a job that waits for nothing any more begins to wait for a slot
_UNBLOCK = (
    "UPDATE jobs SET blocks = blocks - 1, due_at ="
    " CASE WHEN blocks = 1 AND state = 'pending' THEN max(:now, COALESCE(run_at, :now)) ELSE due_at END"
    " WHERE id IN (SELECT value FROM json_each(:ids))"
)
_ALL = -1

#: A row of the table: id, job_id, event, has_edges, attempt_id, is_end.
_Note = tuple[int, int, str, int, int | None, int]


def settle(connection: sqlite3.Connection, now: int, limit: int = SETTLE_BATCH) -> bool:
    """Draw consequences of ended jobs, the first ones first, up to ``limit`` edges; return whether more are left."""
    while (note := connection.execute(_NEXT).fetchone()) is not None:
        if limit <= 0:
            return True
        met = _meet(connection, note, now, limit)
        if met >= limit:
            return True  # there may be more edges to this job
        limit -= max(1, met)
        note_id, job_id, state, _, attempt_id, is_end = note
        if is_end:
            replayed = canary_moves.draw(connection, job_id, state, now, limit)
            if replayed >= limit:
                return True
            limit -= replayed
        connection.execute("DELETE FROM settling WHERE id = ?", (note_id,))
        if is_end:
            hook_jobs.follow(connection, job_id, attempt_id, state, now)
    return False


def settle_rest(db: Database) -> None:
    """Draw all consequences that are left, in one transaction after the other."""
    is_any_left = True
    while is_any_left:
        with db.write(is_durable=False, wakes_workers=True) as connection:
            is_any_left = settle(connection, db.now_ms())


def finish_edges(connection: sqlite3.Connection, on_ids: Iterable[int], now: int) -> None:
    """Meet all edges to these jobs that their ends meet, as far as that is still to be done.

    To be called before edges to them are added or armed: an end that is past must not meet those.
    """
    if connection.execute(_NEXT).fetchone() is None:
        return
    for on_id in on_ids:
        for note in connection.execute(_NOTED, (on_id,)).fetchall():
            _meet(connection, note, now, _ALL)
            connection.execute("UPDATE settling SET has_edges = 0 WHERE id = ?", (note[0],))


def _meet(connection: sqlite3.Connection, note: _Note, now: int, limit: int) -> int:
    """Meet edges to one ended job; return how many."""
    _, on_id, event, has_edges, *_ = note
    if not has_edges:
        return 0
    if event == State.COMPLETED.value:
        found = connection.execute(_UNMET, (on_id, limit)).fetchall()
    else:
        found = connection.execute(_UNMET_OF_KIND, (on_id, EdgeKind.END.value, limit)).fetchall()
    if found:
        connection.executemany(_MEET, [(job_id, on_id) for (job_id,) in found])
        connection.execute(_UNBLOCK, {"ids": json.dumps([job_id for (job_id,) in found]), "now": now})
    return len(found)
