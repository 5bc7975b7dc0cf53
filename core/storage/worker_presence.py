"""Whether a registered worker of this host lives, as far as its lock file says; and the value of its row."""

from __future__ import annotations

import json

from core.clock import to_datetime
from core.locks import Lock, is_same_file, look_at
from core.model import Presence, WorkerInfo
from core.process_place import here
from core.storage.rows import SqlRow


def presence_by_lock(path: str, lock_file: str | None, boot_id: str | None) -> Presence:
    """Return the presence of a worker whose lock file is at ``path``, given what it registered with."""
    lock, found = look_at(path)
    if lock is Lock.HELD:
        return Presence.ALIVE
    if lock_file is None or not boot_id or boot_id != here().boot_id:
        return Presence.DEAD  # after a reboot, or entered by a version that wrote neither
    if lock is Lock.FREE and is_same_file(found, lock_file):
        return Presence.DEAD
    return Presence.HIDDEN if lock_file.split(" ", 2)[2] == path else Presence.ELSEWHERE


def worker_of(row: SqlRow, presence: Presence) -> WorkerInfo:
    """Return the worker in a row of id, pid, host, slots, queues, started_at, stop and its number of open attempts."""
    worker_id, pid, host, slots, queues, started_at, stop, running = row
    return WorkerInfo(
        worker_id,
        pid,
        host,
        slots,
        tuple(json.loads(queues)),
        to_datetime(started_at),
        presence is Presence.ALIVE,
        stop,
        running,
        presence,
    )
