"""What follows the end of a canary: the jobs that wait for it are replayed, as a part of the same act, or stay dead."""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.model import State, Verb
from core.rules.states import VERBS, Value
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.tokens import JobChanges, lock

_WAITING = "SELECT job_id FROM canary_jobs WHERE act_id = %s ORDER BY job_id LIMIT %s"
_KEEP = "INSERT INTO history (act_id, job_id, before) VALUES (%s, %s, %s)"


def waiting(connection: Connection, job_id: int, state: str, limit: int) -> tuple[int, list[int]]:
    """Return an act and up to ``limit`` jobs that follow the end of its canary; none for another job or another end."""
    row = connection.execute("SELECT act_id FROM canaries WHERE job_id = %s FOR UPDATE", (job_id,)).fetchone()
    if row is None:
        return 0, []
    act_id = int(row[0])
    found: list[int] = []
    if state == State.COMPLETED.value:
        found = [one[0] for one in connection.execute(_WAITING, (act_id, limit)).fetchall()]
    if len(found) < limit:
        connection.execute("DELETE FROM canaries WHERE act_id = %s", (act_id,))
    else:
        connection.execute("DELETE FROM canary_jobs WHERE job_id = ANY (%s)", (found,))
    return act_id, found


def replay(connection: Connection, act_id: int, ids: Sequence[int], now: int) -> int:
    """Replay those of these jobs that are dead, as a part of an act; return how many."""
    (move,) = VERBS[Verb.REPLAY].moves
    sets = {name: now if value is Value.NOW else value for name, value in move.sets.items()}
    changes, kept = JobChanges(), []
    for job in lock(connection, ids).values():
        # one that was replayed by hand has gone its own way
        if job["state"] == State.DEAD.value:
            kept.append((act_id, job["id"], json.dumps({name: job[name] for name in move.keeps})))
            changes.put(job, {"state": State.PENDING.value, **sets})
    with connection.cursor() as cursor:
        cursor.executemany(_KEEP, kept)
    changes.write(connection)
    connection.execute("UPDATE acts SET n = n + %s WHERE id = %s", (len(kept), act_id))
    return len(kept)


def forget(db: Connections, act_id: int) -> None:
    """Let the jobs that wait for the canary of an act stay dead, before the act is undone."""
    if db.query("SELECT 1 FROM canaries WHERE act_id = %s", (act_id,)):
        db.transact(lambda connection: connection.execute("DELETE FROM canaries WHERE act_id = %s", (act_id,)).rowcount)
