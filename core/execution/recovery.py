"""Adopt or record the commands of dead workers, as ``rules.orphans.fate_of`` decides; remove their files and rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.execution import events
from core.execution.command import Command, adopt
from core.execution.processes import reap_orphans
from core.execution.run_file import make_unstarted
from core.execution.shim import own_pids
from core.execution.unwatched import see
from core.model import Presence
from core.process_place import here
from core.rules.orphans import Fate
from core.storage.contract import Attempts, Storage
from core.storage.values import Claim, OpenAttempt

#: How long an attempt was in doubt before a user's cancel settles it, in seconds: a living worker notices within
#: one that its lock file is gone, and makes it again.
UNKNOWN_S = 3.0


class Adopted(NamedTuple):
    """An attempt that was taken over, and its command; ``command.poll()`` returns whether it runs, ended or is lost.

    ``is_of_here`` says that the command's pid is one of this boot and pid namespace, ``was_asked_to_stop`` that the
    dead worker had been asked to stop before it died.
    """

    claim: Claim
    command: Command
    is_of_here: bool = False
    was_asked_to_stop: bool = False


class Recovery:
    """One worker's look at what others left; ``blocked`` is why some attempts are left alone, while they are."""

    def __init__(
        self, storage: Storage, attempts: Attempts, emit: Callable[[events.WorkerEvent], None] = lambda event: None
    ) -> None:
        self._storage = storage
        self._attempts = attempts
        self._emit = emit
        self.blocked = ""
        self._may_be_leftovers = True
        self._unknown_since: dict[int, float] = {}

    def adopt_from_the_dead(self, worker_id: int) -> Iterator[Adopted]:
        """Yield the open attempts of workers that are dead, each taken over in a transaction of its own.

        A missing file proves nothing within one boot: an attempt without one is left alone, and ``RecoveryBlocked`` is
        emitted. If a user cancels it, it is taken over; its worker, if alive, had the time to make its file again.
        """
        attempts = self._attempts.open_elsewhere(worker_id)
        known = {worker.id: worker for worker in self._storage.workers.workers()} if attempts else {}
        now = self._storage.clock.monotonic_s()
        unknown: dict[Fate, list[OpenAttempt]] = {}
        for attempt in attempts:
            worker = known.get(attempt.worker_id)
            fate = see(self._storage, attempt, Presence.DEAD if worker is None else worker.presence).fate
            if fate is Fate.WATCHED:
                continue
            if fate.is_in_doubt:
                unknown.setdefault(fate, []).append(attempt)
                since = self._unknown_since.setdefault(attempt.id, now)
                if attempt.stop_requested is None or now - since < UNKNOWN_S:
                    continue
            if attempt.may_lack_file:
                make_unstarted(self._storage.spool, attempt.id)
            claim = self._attempts.adopt(attempt.id, dead_worker=attempt.worker_id, worker_id=worker_id)
            if claim is not None:
                self._may_be_leftovers = True
                was_asked = worker is not None and worker.stop_requested is not None
                command = adopt(self._storage.spool, attempt.id, attempt.place)
                yield Adopted(claim, command, attempt.place == here(), was_asked)
        left = {attempt.id for found in unknown.values() for attempt in found}
        self._unknown_since = {one: since for one, since in self._unknown_since.items() if one in left}
        self._set_blocked(" ".join(_left_alone(self._doubt(fate), found) for fate, found in unknown.items()))

    def _set_blocked(self, blocked: str) -> None:
        if blocked != self.blocked:
            self.blocked = blocked
            self._emit(events.RecoveryBlocked(blocked) if blocked else events.RecoveryUnblocked())

    def clear_away(self, worker_id: int) -> None:
        """Strike dead workers from the register; then, and at first, remove the files that they left."""
        if strike_dead_workers(self._storage, worker_id) or self._may_be_leftovers:
            self._storage.maintenance.remove_leftovers()
            self._may_be_leftovers = False

    def _doubt(self, fate: Fate) -> str:
        """Return why commands of such a fate may run all the same."""
        spool = self._storage.spool
        if fate is Fate.WORKER_ELSEWHERE:
            return (
                "started with another copy of this database, or when it was at another path, by a worker whose lock"
                f" file is not in {spool.workers}"
            )
        if fate is Fate.WORKER_HIDDEN:
            return f"started by a worker that may live: its lock file was removed from {spool.workers}"
        return f"started by a worker that is dead, but the run file was removed from {spool.attempts}"


def _left_alone(reason: str, attempts: list[OpenAttempt]) -> str:
    jobs = " ".join(str(attempt.job_id) for attempt in attempts[:20]) + (" …" if len(attempts) > 20 else "")
    return (
        f"Job {jobs} may be running and is left alone: {reason}. Put the spool back where it was; or, when the command"
        f" runs no more: queuectl cancel {jobs}."
    )


def strike_dead_workers(storage: Storage, worker_id: int) -> int:
    """Remove workers without open attempts from the register that are dead, or not of here; return how many."""
    struck = (Presence.DEAD, Presence.ELSEWHERE)
    dead = [
        worker.id
        for worker in storage.workers.workers()
        if worker.id != worker_id and worker.presence in struck and not worker.running
    ]
    for dead_id in dead:
        storage.workers.forget(dead_id)
    return len(dead)


def reap_if_init() -> int:
    """Reap what became an orphan, if this process is the first of its pid namespace (container); return how many."""
    return reap_orphans(own_pids) if os.getpid() == 1 else 0
