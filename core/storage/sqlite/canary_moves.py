"""What follows the end of a canary: the jobs that wait for it are replayed, as a part of the same act, or stay dead."""

from __future__ import annotations

import json
import sqlite3

from core.model import State, Verb
from core.storage.sqlite.file import Database
from core.storage.sqlite.moves import STATEMENTS, make

_WAITING = "SELECT job_id FROM canary_jobs WHERE act_id = ? ORDER BY job_id LIMIT ?"
# one that was replayed by hand has gone its own way
_DEAD = "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND state = 'dead'"
_LET_GO = "DELETE FROM canary_jobs WHERE act_id = ? AND job_id IN (SELECT value FROM json_each(?))"


def draw(connection: sqlite3.Connection, job_id: int, state: str, now: int, limit: int) -> int:
    """Do what follows the end of a job in a state if it is a canary; return how many jobs that were, up to ``limit``.

    To be called again, for the same end, while they are as many.
    """
    row = connection.execute("SELECT act_id FROM canaries WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return 0
    (act_id,) = row
    waiting: list[int] = []
    if state == State.COMPLETED.value:
        waiting = [found[0] for found in connection.execute(_WAITING, (act_id, limit)).fetchall()]
        dead = [found[0] for found in connection.execute(_DEAD, (json.dumps(waiting),)).fetchall()]
        parameters = {"ids": json.dumps(dead), "now": now, "act": act_id}
        count = sum(make(connection, statements, parameters) for statements in STATEMENTS[Verb.REPLAY])
        connection.execute("UPDATE acts SET n = n + ? WHERE id = ?", (count, act_id))
        connection.execute(_LET_GO, (act_id, json.dumps(waiting)))
    if len(waiting) < limit:
        connection.execute("DELETE FROM canaries WHERE act_id = ?", (act_id,))
    return len(waiting)


def forget(db: Database, act_id: int) -> None:
    """Let the jobs that wait for the canary of an act stay dead, before the act is undone."""
    with db.read() as connection:
        if connection.execute("SELECT 1 FROM canaries WHERE act_id = ?", (act_id,)).fetchone() is None:
            return
    with db.write(is_durable=False) as connection:
        connection.execute("DELETE FROM canaries WHERE act_id = ?", (act_id,))
