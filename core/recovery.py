"""What dead workers left behind: commands to adopt, files to remove, names to strike from the register."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from core.database import Database
from core.liveness import is_locked
from core.process import Command, adopt
from core.store import claims, workers
from core.store.claims import Claim
from core.upkeep import leftovers


class Adopted(NamedTuple):
    """An attempt that is ours now, with the command to watch; whether it runs, ended or is lost ``poll`` tells."""

    claim: Claim
    command: Command


def adopt_from_the_dead(db: Database, worker_id: int) -> Iterator[Adopted]:
    """Yield the open attempts of workers whose lock is free, each taken over in a transaction of its own."""
    for owner, attempt_ids in claims.open_elsewhere(db, worker_id).items():
        if is_locked(db.spool.worker_lock(owner)):
            continue
        for attempt_id in attempt_ids:
            claim = claims.adopt(db, attempt_id, dead_worker=owner, worker_id=worker_id)
            if claim is not None:
                yield Adopted(claim, adopt(db.spool, attempt_id))


def strike_dead_workers(db: Database, worker_id: int) -> int:
    """Take dead workers without open attempts out of the register; return how many there were."""
    dead = [
        worker.id
        for worker in workers.workers(db)
        if worker.id != worker_id and not worker.is_alive and not worker.running
    ]
    for dead_id in dead:
        workers.forget(db, dead_id)
    return len(dead)


def remove_leftovers(db: Database) -> int:
    """Remove the files that workers left which died in mid-turn; return how many.

    The write lock is held for the second look: inside it no claim is under way, so an unlocked run file without an
    open attempt belongs to nobody, and neither does an unlocked lock file without a worker.
    """
    candidates = leftovers(db)
    if not candidates:
        return 0
    removed = 0
    with db.write(is_durable=False):
        for path in leftovers(db, among=candidates):
            with contextlib.suppress(OSError):
                os.unlink(path)
                removed += 1
    return removed
