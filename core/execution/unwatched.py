"""The running jobs that no living worker watches, and what their run files say of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.clock import to_datetime
from core.execution.processes import session_lives
from core.execution.run_file import read_status
from core.locks import Lock, look_at
from core.model import Job, Phase, Presence, Unwatched, WorkerInfo
from core.process_place import here
from core.rules.orphans import Fate, fate_of
from core.storage.contract import Storage
from core.storage.values import OpenAttempt


def watched(storage: Storage, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with ``unwatched`` set on the running ones that no living worker watches."""
    found = unwatched(storage, storage.workers.workers())
    return [job._replace(unwatched=found[job.id]) if job.id in found else job for job in jobs]


def unwatched(storage: Storage, known: Sequence[WorkerInfo]) -> dict[int, Unwatched]:
    """Return the running jobs of those registered workers that are not alive, by job id.

    Reads nothing while all workers live, or run nothing.
    """
    dead = {worker.id: worker.presence for worker in known if worker.running and not worker.is_alive}
    if not dead:
        return {}
    return {
        attempt.job_id: _look_at(storage, attempt, dead[attempt.worker_id])
        for attempt in storage.attempts().open_elsewhere(0)
        if attempt.worker_id in dead
    }


def _look_at(storage: Storage, attempt: OpenAttempt, presence: Presence) -> Unwatched:
    phase, reason, ended_at = _what_is_known(storage, attempt, presence)
    return Unwatched(phase, reason, ended_at, attempt.stop_requested is not None)


class Seen(NamedTuple):
    """What becomes of the command of an open attempt, whether its run file is locked, and when it ended if it has."""

    fate: Fate
    is_locked: bool = False
    ended_at_ms: int | None = None


def see(storage: Storage, attempt: OpenAttempt, owner: Presence) -> Seen:
    """Look at an open attempt whose worker is in the given presence; raise ``OSError`` with no descriptor left.

    Of a worker that is not dead nothing is looked at.
    """
    if owner is not Presence.DEAD:
        return Seen(fate_of(owner))
    run_file = storage.spool.run_file(attempt.id)
    lock, _ = look_at(run_file)  # first: a status that is written after this look is found all the same
    status = read_status(storage.spool, attempt.id)
    has_ended = status.exit_code is not None
    is_alone = not has_ended and lock is Lock.FREE and status.pid is not None and attempt.place == here()
    is_of_this_boot = attempt.place is not None and attempt.place.boot_id == here().boot_id
    fate = fate_of(
        owner,
        must_have_file=is_of_this_boot and not attempt.may_lack_file,
        is_locked=None if lock is Lock.GONE else lock is Lock.HELD,
        has_ended=has_ended,
        has_processes=is_alone and session_lives(run_file, status.pid or 0),
    )
    return Seen(fate, lock is Lock.HELD, status.ended_at_ms)


def _what_is_known(storage: Storage, attempt: OpenAttempt, owner: Presence) -> tuple[Phase, str, datetime | None]:
    try:
        seen = see(storage, attempt, owner)
    except OSError:  # no descriptor left to look with
        return Phase.UNWATCHED, "no living worker watches it", None
    if seen.fate is Fate.ENDED and seen.ended_at_ms is not None:
        reason = "its command has ended; a worker records how, once one is alive ('queuectl worker')"
        return Phase.ENDED, reason, to_datetime(seen.ended_at_ms)
    if seen.fate is Fate.LOST:
        return Phase.ENDED, "its command is gone without a result; a worker starts it again, once one is alive", None
    if seen.fate is Fate.RUN_FILE_GONE:
        return Phase.UNWATCHED, "it may be running: its run file is missing, and so is its worker", None
    if seen.fate is not Fate.RUNNING:
        return Phase.UNWATCHED, f"it may be running: the lock file of worker {attempt.worker_id} is missing", None
    if not seen.is_locked:
        return Phase.UNWATCHED, "no living worker watches it, and its shim was killed", None
    will = "be cancelled" if attempt.stop_requested else "be watched again"
    return Phase.UNWATCHED, f"no living worker watches it; it will {will} once there is one", None
