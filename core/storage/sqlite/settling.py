"""The steps of ``core.rules.settling``: edges to an ended job are met, what waits for a canary is replayed, hooks run.

The trigger ``jobs_settle`` writes the notes, in the table ``settling``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from core.model import ENDED_STATES, EdgeKind
from core.rules.dependencies import kinds_met_by
from core.rules.settling import Note, settle_notes
from core.storage.sqlite import canary_moves, hook_jobs
from core.storage.sqlite.file import Database

_COLUMNS = ", ".join(Note._fields)
_FIRST = f"SELECT {_COLUMNS} FROM settling ORDER BY id LIMIT 1"
_NOTED = f"SELECT {_COLUMNS} FROM settling WHERE job_id = ? AND has_edges = 1 ORDER BY id"
_MEET = "UPDATE dependencies SET is_met = 1 WHERE job_id = ? AND on_id = ?"
# a job that waits for nothing any more begins to wait for a slot
_UNBLOCK = (
    "UPDATE jobs SET blocks = blocks - 1, due_at ="
    " CASE WHEN blocks = 1 AND state = 'pending' THEN max(:now, COALESCE(run_at, :now)) ELSE due_at END"
    " WHERE id IN (SELECT value FROM json_each(:ids))"
)
_ALL = -1


def _unmet_by(kinds: Sequence[EdgeKind]) -> str:
    """Return the statement that reads which jobs have unmet edges of these kinds to a job."""
    named = ", ".join(f"'{kind.value}'" for kind in kinds)
    of_kinds = "" if len(kinds) == len(EdgeKind) else f" AND kind IN ({named})"
    return f"SELECT job_id FROM dependencies WHERE on_id = ? AND is_met = 0{of_kinds} ORDER BY kind, job_id LIMIT ?"


#: By the state that a job has ended in.
_UNMET = {state.value: _unmet_by(kinds_met_by(state)) for state in ENDED_STATES}


def settle(connection: sqlite3.Connection, now: int) -> bool:
    """Draw consequences of ended jobs, as many as fit into one transaction; return whether more are left."""
    return settle_notes(_Settler(connection, now))


class _Settler:
    """The steps, see ``core.rules.settling.Settler``."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self._now = now

    def first_note(self) -> Note | None:
        """Return the oldest note."""
        row = self._connection.execute(_FIRST).fetchone()
        return None if row is None else Note(*row)

    def meet_edges(self, note: Note, limit: int) -> int:
        """Meet edges to an ended job; return how many."""
        return _meet(self._connection, note, self._now, limit)

    def replay_rest(self, note: Note, limit: int) -> int:
        """Replay what waits for a canary; return how many jobs waited."""
        return canary_moves.draw(self._connection, note.job_id, note.event, self._now, limit)

    def remove(self, note: Note) -> None:
        """Delete a note."""
        self._connection.execute("DELETE FROM settling WHERE id = ?", (note.id,))

    def run_hooks(self, note: Note) -> None:
        """Add the jobs of hooks."""
        hook_jobs.follow(self._connection, note.job_id, note.attempt_id, note.event, self._now)


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
    if connection.execute(_FIRST).fetchone() is None:
        return
    for on_id in on_ids:
        for note in map(Note._make, connection.execute(_NOTED, (on_id,)).fetchall()):
            _meet(connection, note, now, _ALL)
            connection.execute("UPDATE settling SET has_edges = 0 WHERE id = ?", (note.id,))


def _meet(connection: sqlite3.Connection, note: Note, now: int, limit: int) -> int:
    """Meet up to ``limit`` edges to one ended job; return how many."""
    if not note.has_edges:
        return 0
    found = connection.execute(_UNMET[note.event], (note.job_id, limit)).fetchall()
    if found:
        connection.executemany(_MEET, [(job_id, note.job_id) for (job_id,) in found])
        connection.execute(_UNBLOCK, {"ids": json.dumps([job_id for (job_id,) in found]), "now": now})
    return len(found)
