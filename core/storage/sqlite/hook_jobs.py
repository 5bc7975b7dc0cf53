"""What follows the end of a job for hooks: a job for each, or an event more in the one that gathers.

Called while the notes of ``settling`` are worked off, in the transaction in which a note goes: each end is drawn once.
"""

from __future__ import annotations

import sqlite3

from core.rules.hook_events import (
    STORED_COLUMNS,
    Ended,
    Following,
    StoredHook,
    followings_of_end,
    line_of,
    row_of,
)
from core.storage.sqlite.new_rows import count_enqueued, insert_one

_HOOKS = f"SELECT {STORED_COLUMNS} FROM hooks ORDER BY id"
_ENDED = (
    "SELECT COALESCE(a.id, -j.id), j.id, name, queue, command, cwd, environment_id, env, on_dead, on_complete, number,"
    " a.outcome, a.exit_code, a.signal, a.last_line, a.ended_at"
    " FROM jobs AS j LEFT JOIN attempts AS a ON a.id = :attempt WHERE j.id = :job"
)
_IS_OF_HOOK = "SELECT 1 FROM hook_events WHERE hook_job_id = ? LIMIT 1"
#: The job that a hook's row names, if events join it at a moment; what a started one was given is not added to.
GATHERING = (
    "SELECT jobs.id FROM jobs WHERE jobs.id = {hook}gathering AND state = 'pending' AND blocks = 0 AND starts = 0"
    " AND run_at > :now"
)
_IS_GATHERING = GATHERING.format(hook=":")
_IS_LEFT = (
    "SELECT 1 FROM counts WHERE queue = :queue AND (state = 'pending' OR state = 'running') AND n > 0"
    " UNION ALL SELECT 1 FROM settling JOIN jobs ON jobs.id = job_id WHERE queue = :queue AND is_end = 1 LIMIT 1"
)


def follow(connection: sqlite3.Connection, job_id: int, attempt_id: int | None, state: str, now: int) -> None:
    """Do what hooks want of a job that has ended in a state; its note is gone already."""
    hooks = [StoredHook(*row) for row in connection.execute(_HOOKS).fetchall()]
    row = connection.execute(_ENDED, {"job": job_id, "attempt": attempt_id}).fetchone()
    if row is None or connection.execute(_IS_OF_HOOK, (job_id,)).fetchone() is not None:
        return
    ended = Ended(*row)
    following, drained = followings_of_end(ended, state, hooks)
    # of the ends of a queue that are settled together, the last one finds no other note
    if drained and connection.execute(_IS_LEFT, {"queue": ended.queue}).fetchone() is None:
        following += drained
    for one in following:
        _add(connection, one, ended, state, now)


def _add(connection: sqlite3.Connection, following: Following, ended: Ended, state: str, now: int) -> None:
    """Add the job that follows, or join the one that gathers."""
    job_id = following.gathering
    if job_id is None or connection.execute(_IS_GATHERING, {"gathering": job_id, "now": now}).fetchone() is None:
        job_id = insert_one(connection, row_of(following, now), following.environment_id, now)
        count_enqueued(connection, now, 1)
        if following.window_ms:
            connection.execute("UPDATE hooks SET gathering = ? WHERE id = ?", (job_id, following.hook_id))
    connection.execute(
        "INSERT INTO hook_events (hook_job_id, attempt_id, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (job_id, ended.key, line_of(ended, following.event, state, now)),
    )
