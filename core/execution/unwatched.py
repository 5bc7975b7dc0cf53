"""The running jobs that no living worker watches, and what their run files say of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.clock import to_datetime
from core.execution.command import read_status
from core.execution.processes import session_lives
from core.locks import Lock, look_at
from core.model import Job, Phase, Presence, Unwatched, WorkerInfo
from core.places import here
from core.storage.sqlite import workers
from core.storage.sqlite.attempts import Attempts, OpenAttempt
from core.storage.sqlite.file import Database


def watched(db: Database, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with ``unwatched`` set on the running ones that no living worker watches."""
    found = unwatched(db, workers.workers(db))
    return [job._replace(unwatched=found[job.id]) if job.id in found else job for job in jobs]


def unwatched(db: Database, known: Sequence[WorkerInfo]) -> dict[int, Unwatched]:
    """Return the running jobs of those registered workers that are not alive, by job id.

    Reads nothing while all workers live, or run nothing.
    """
    dead = {worker.id: worker.presence for worker in known if worker.running and not worker.is_alive}
    if not dead:
        return {}
    return {
        attempt.job_id: _look_at(db, attempt, dead[attempt.worker_id])
        for attempt in Attempts(db).open_elsewhere(0)
        if attempt.worker_id in dead
    }


def out_of_reach(db: Database) -> set[int]:
    """Return the running jobs that were started in another pid namespace or boot than their worker's, by id.

    A process number means another process there: no signal is sent.
    """
    with db.read() as connection:
        found = connection.execute(
            "SELECT job_id FROM attempts INDEXED BY attempts_open JOIN workers ON workers.id = worker_id"
            " WHERE ended_at IS NULL AND attempts.place_id <> workers.place_id"
        ).fetchall()
    return {row[0] for row in found}


def _look_at(db: Database, attempt: OpenAttempt, presence: Presence) -> Unwatched:
    phase, reason, ended_at = _what_is_known(db, attempt, presence)
    return Unwatched(phase, reason, ended_at, attempt.stop_requested is not None)


def _what_is_known(db: Database, attempt: OpenAttempt, presence: Presence) -> tuple[Phase, str, datetime | None]:
    if presence in (Presence.HIDDEN, Presence.ELSEWHERE):
        reason = f"it may be running: the lock file of worker {attempt.worker_id} is missing"
        return Phase.UNWATCHED, reason, None
    try:
        status = read_status(db.spool, attempt.id)
        lock, _ = look_at(db.spool.run_file(attempt.id))
    except OSError:  # no descriptor left to look with
        return Phase.UNWATCHED, "no living worker watches it", None
    if status.exit_code is not None and status.ended_at_ms is not None:
        reason = "its command has ended; a worker records how, once one is alive ('queuectl worker')"
        return Phase.ENDED, reason, to_datetime(status.ended_at_ms)
    if lock is Lock.HELD:
        will = "be cancelled" if attempt.stop_requested else "be watched again"
        return Phase.UNWATCHED, f"no living worker watches it; it will {will} once there is one", None
    if lock is Lock.GONE:
        return Phase.UNWATCHED, "it may be running: its run file is missing, and so is its worker", None
    if status.pid is not None and attempt.place == here() and session_lives(db.spool.run_file(attempt.id), status.pid):
        return Phase.UNWATCHED, "no living worker watches it, and its shim was killed", None
    return Phase.ENDED, "its command is gone without a result; a worker starts it again, once one is alive", None
