"""The steps of ``core.rules.settling``: edges to an ended job are met, what waits for a canary is replayed, hooks run.

The trigger ``jobs_settle`` writes the notes, in the table ``settling``. They are worked off by one transaction at a
time: it locks the first. Jobs whose edges are met are locked as for any other change, so of two last edges one is met
after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model import ENDED_STATES, EdgeKind, State
from core.rules.dependencies import kinds_met_by
from core.rules.settling import Note, settle_notes
from core.rules.states import due_at
from core.storage.postgres import canary_moves, hook_jobs
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.tokens import JobChanges, lock

_COLUMNS = ", ".join(Note._fields)
_FIRST = f"SELECT {_COLUMNS} FROM settling ORDER BY id LIMIT 1 FOR UPDATE"
_NOTED = f"SELECT {_COLUMNS} FROM settling WHERE job_id = ANY (%s) AND has_edges = 1 ORDER BY id FOR UPDATE"
_MEET = "UPDATE dependencies SET is_met = 1 WHERE on_id = %s AND job_id = ANY (%s) AND is_met = 0 RETURNING job_id"
_ALL = 1 << 40
# of the advisory lock of those who settle, one after the other: "QSTL"
_LOCK = "SELECT pg_advisory_xact_lock(1364415564)"


def _unmet_by(kinds: Sequence[EdgeKind]) -> str:
    """Return the statement that reads which jobs have unmet edges of these kinds to a job."""
    named = ", ".join(f"'{kind.value}'" for kind in kinds)
    of_kinds = "" if len(kinds) == len(EdgeKind) else f" AND kind IN ({named})"
    return f"SELECT job_id FROM dependencies WHERE on_id = %s AND is_met = 0{of_kinds} ORDER BY kind, job_id LIMIT %s"


#: By the state that a job has ended in.
_UNMET = {state.value: _unmet_by(kinds_met_by(state)) for state in ENDED_STATES}


def settle(connection: Connection, now: int) -> bool:
    """Draw consequences of ended jobs, as many as fit into one transaction; return whether more are left."""
    connection.execute(_LOCK)
    return settle_notes(_Settler(connection, now))


class _Settler:
    """The steps, see ``core.rules.settling.Settler``."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection = connection
        self._now = now

    def first_note(self) -> Note | None:
        """Return the oldest note, locked."""
        row = self._connection.execute(_FIRST).fetchone()
        return None if row is None else Note(*row)

    def meet_edges(self, note: Note, limit: int) -> int:
        """Meet edges to an ended job; return how many."""
        return _meet(self._connection, note, self._now, limit)

    def replay_rest(self, note: Note, limit: int) -> int:
        """Replay what waits for a canary; return how many jobs waited."""
        act_id, waiting = canary_moves.waiting(self._connection, note.job_id, note.event, limit)
        if waiting:
            finish_edges(self._connection, waiting, self._now)
            canary_moves.replay(self._connection, act_id, waiting, self._now)
        return len(waiting)

    def remove(self, note: Note) -> None:
        """Delete a note."""
        self._connection.execute("DELETE FROM settling WHERE id = %s", (note.id,))

    def run_hooks(self, note: Note) -> None:
        """Add the jobs of hooks."""
        hook_jobs.follow(self._connection, note.job_id, note.attempt_id, note.event, self._now)


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
    notes = [Note(*row) for row in connection.execute(_NOTED, (list(on_ids),)).fetchall()]
    for note in notes:
        _meet(connection, note, now, _ALL)
        connection.execute("UPDATE settling SET has_edges = 0 WHERE id = %s", (note.id,))
    return bool(notes)


def _meet(connection: Connection, note: Note, now: int, limit: int) -> int:
    """Meet up to ``limit`` edges to one ended job; return how many."""
    if not note.has_edges:
        return 0
    ids = [row[0] for row in connection.execute(_UNMET[note.event], (note.job_id, limit)).fetchall()]
    if not ids:
        return 0
    jobs = lock(connection, ids)
    changes = JobChanges()
    # a statement of its own, which sees what others met before these were locked
    for (job_id,) in connection.execute(_MEET, (note.job_id, ids)).fetchall():
        job = jobs[job_id]
        if job["state"] != State.PENDING.value:
            continue  # its blocks are counted when it is pending again
        blocks = job["blocks"] - 1
        # a job that waits for nothing any more begins to wait for a slot
        since = job["due_at"] if blocks else due_at(job["run_at"], now)
        changes.put(job, {"blocks": blocks, "due_at": since})
    changes.write(connection)
    return len(ids)
