"""What follows the end of a job for hooks: a job for each, or an event more in the one that gathers.

Called while the notes of ``settling`` are worked off, in the transaction in which a note goes: each end is drawn once.
"""

from __future__ import annotations

from core.rules.hook_events import (
    STORED_COLUMNS,
    Ended,
    Following,
    StoredHook,
    followings_of_end,
    line_of,
    row_of,
)
from core.storage.postgres.connection import Connection
from core.storage.postgres.enqueue import store

_HOOKS = f"SELECT {STORED_COLUMNS} FROM hooks ORDER BY id"
_ENDED = (
    "SELECT COALESCE(a.id, -j.id), j.id, j.name, j.queue, j.command, j.cwd, j.environment_id, j.env, j.on_dead,"
    " j.on_complete, a.number, a.outcome, a.exit_code, a.signal, a.last_line, a.ended_at"
    " FROM jobs AS j LEFT JOIN attempts AS a ON a.id = %s WHERE j.id = %s"
)
_IS_OF_HOOK = "SELECT 1 FROM hook_events WHERE hook_job_id = %s LIMIT 1"
#: The job that a hook's row names, if events join it at a moment; what a started one was given is not added to.
GATHERING = (
    "SELECT d.job_id FROM delayed AS d JOIN jobs AS j ON j.id = d.job_id"
    " WHERE d.job_id = {hook} AND d.run_at > %s AND j.starts = 0"
)
# locked, so that no worker can start it before what joins it is committed
_IS_GATHERING = f"{GATHERING.format(hook='%s')} FOR UPDATE OF d"
# one statement, so one moment: whoever ends another job of the queue meanwhile leaves a note of its own
_IS_LEFT = " OR ".join(
    [
        *(
            f"EXISTS (SELECT 1 FROM {table} WHERE queue = %(queue)s)"
            for table in ("ready", "running", "delayed", "blocked")
        ),
        "EXISTS (SELECT 1 FROM settling AS s JOIN jobs AS j ON j.id = s.job_id WHERE queue = %(queue)s AND is_end = 1)",
    ]
)


def follow(connection: Connection, job_id: int, attempt_id: int | None, state: str, now: int) -> None:
    """Do what hooks want of a job that has ended in a state; its note is gone already."""
    hooks = [StoredHook(*row) for row in connection.execute(_HOOKS).fetchall()]
    row = connection.execute(_ENDED, (attempt_id, job_id)).fetchone()
    if row is None or connection.execute(_IS_OF_HOOK, (job_id,)).fetchone() is not None:
        return
    ended = Ended(*row)
    following, drained = followings_of_end(ended, state, hooks)
    # of the ends of a queue that are settled together, the last one finds no other note
    if drained and connection.execute(f"SELECT {_IS_LEFT}", {"queue": ended.queue}).fetchone() == (False,):
        following += drained
    for one in following:
        _add(connection, one, ended, state, now)


def _add(connection: Connection, following: Following, ended: Ended, state: str, now: int) -> None:
    """Add the job that follows, or join the one that gathers."""
    job_id = following.gathering
    if job_id is None or connection.execute(_IS_GATHERING, (job_id, now)).fetchone() is None:
        (job_id,) = store(connection, [row_of(following, now)], following.environment_id, now)
        if following.window_ms:
            connection.execute("UPDATE hooks SET gathering = %s WHERE id = %s", (job_id, following.hook_id))
    connection.execute(
        "INSERT INTO hook_events (hook_job_id, attempt_id, line) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (job_id, ended.key, line_of(ended, following.event, state, now)),
    )
