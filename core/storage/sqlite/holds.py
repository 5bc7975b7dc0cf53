"""Why a pending job is not running: the one place that says so, for whoever asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.clock import to_datetime
from core.model import Job, Phase, State, Waiting, WorkerInfo
from core.rules.takers import has_free_slot, takers, why_none
from core.storage.sqlite.file import Database
from core.storage.sqlite.queries import job_in


def waiting(db: Database, reference: int | str, workers: Sequence[WorkerInfo]) -> Waiting | None:
    """Return why a pending job is not running, given the registered workers; ``None`` for a job in any other state."""
    with db.read() as connection:
        found = job_in(connection, reference)
        if found.state is not State.PENDING:
            return None
        phase = found.phase(to_datetime(db.clock.now_ms())) or Phase.READY
        held = None if phase is not Phase.READY else _held_reason(connection, found)
    no_one = why_none(workers, found.queue)
    if phase is Phase.RETRYING:
        return _with("it waits for its next attempt", no_one, Waiting(phase, "", found.run_at))
    if phase is Phase.DELAYED:
        return _with("it was scheduled for later", no_one, Waiting(phase, "", found.run_at))
    if held is not None:
        return _with(held, no_one, Waiting(Phase.HELD, ""))
    if no_one is not None:
        return Waiting(phase, no_one, is_stuck=True)
    if has_free_slot(takers(workers, found.queue)):
        return Waiting(phase, "it is due; the next free slot takes it in its turn")
    return Waiting(phase, "it is due, and every slot is busy; the next free one takes it in its turn")


def _with(reason: str, no_one: str | None, waiting: Waiting) -> Waiting:
    """Return the reason, and what would keep the job waiting after that."""
    if no_one is None:
        return waiting._replace(reason=reason)
    return waiting._replace(reason=f"{reason}; also, {no_one}", is_stuck=True)


def _held_reason(connection: sqlite3.Connection, found: Job) -> str | None:
    if (row := connection.execute("SELECT value FROM facts WHERE key = 'is_paused'").fetchone()) and row[0]:
        return "everything is paused"
    row = connection.execute("SELECT is_paused, running_limit FROM queues WHERE name = ?", (found.queue,)).fetchone()
    if row is None:
        return None
    if row[0]:
        return f"queue {found.queue} is paused"
    if row[1] is None:
        return None
    running = connection.execute(
        "SELECT id FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND queue = ? ORDER BY started_at, id",
        (found.queue,),
    ).fetchall()
    if len(running) < row[1]:
        return None
    if not running:
        return f"queue {found.queue} has a limit of 0"
    jobs = ("job " if len(running) == 1 else "jobs ") + ", ".join(str(job_id) for (job_id,) in running[:5])
    return f"queue {found.queue} runs {len(running)} of at most {row[1]}: {jobs}" + (", …" if len(running) > 5 else "")
