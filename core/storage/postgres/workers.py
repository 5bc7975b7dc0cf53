"""The register of workers: their rows. On its own host a worker's lock alone says whether it lives."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any

from core.errors import WorkerNotFound
from core.locks import create_locked, file_name
from core.model import Presence, WorkerInfo
from core.process_place import here
from core.rules.arguments import check_whole
from core.rules.lease_terms import LeaseTerms
from core.rules.settings import SETTINGS
from core.spool import Spool
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.host_spool import host_token, make
from core.storage.postgres.hosts import Hosts
from core.storage.values import Registration
from core.storage.worker_presence import presence_by_lock, worker_of

_WORKERS = (
    "SELECT w.id, w.pid, w.host, w.slots, w.queues, w.started_at, w.stop,"
    " (SELECT count(*) FROM running AS r WHERE r.worker_id = w.id), w.lock_file, w.boot_id, h.token, h.state,"
    " h.renewed_at + h.lease_ms FROM workers AS w LEFT JOIN hosts AS h ON h.id = w.host_id ORDER BY w.id"
)


class Workers:
    """The register of workers in one database; see ``core.storage.contract.Workers``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool
        self.hosts = Hosts(db, spool)

    def register(self, *, slots: int, queues: Sequence[str]) -> Registration:
        """Enter a worker of this host; its lock is held before its row can be seen."""
        place, now = here(), self._db.now_ms()
        terms = LeaseTerms(float(SETTINGS["host-lease"].default))
        worker_id = int(self._db.query("SELECT nextval(pg_get_serial_sequence('workers', 'id'))")[0][0])
        path = self._spool.worker_lock(worker_id)
        descriptor = create_locked(path)
        try:
            self.hosts.own_workers[worker_id] = {
                "id": worker_id,
                "pid": os.getpid(),
                "host": os.uname().nodename,
                "slots": slots,
                "queues": json.dumps(list(queues)),
                "started_at": now,
                "lock_file": file_name(descriptor, path),
                "boot_id": place.boot_id,
                "pid_namespace": place.pid_namespace,
            }
            self.hosts.join(terms, worker_id)
        except BaseException:
            self.hosts.own_workers.pop(worker_id, None)
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        return Registration(worker_id, descriptor)

    def lock_again(self, worker_id: int, lock: int) -> int | None:
        """Make a living worker's lock file again if it is gone; return its descriptor, ``None`` if the file is there.

        The old ``lock`` stays the caller's to close.
        """
        path = self._spool.worker_lock(worker_id)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                return None
        make(self._spool)
        again = create_locked(path)
        try:
            name = file_name(again, path)
            self._db.query("UPDATE workers SET lock_file = %s WHERE id = %s", (name, worker_id))
            self.hosts.own_workers[worker_id]["lock_file"] = name
        except BaseException:
            os.close(again)  # the next look finds that it is another's
            raise
        return again

    def set_slots(self, worker_id: int, slots: int) -> None:
        """Record how many slots a worker has now."""
        self._db.query("UPDATE workers SET slots = %s WHERE id = %s", (slots, worker_id))
        self.hosts.own_workers[worker_id]["slots"] = slots

    def forget(self, worker_id: int) -> None:
        """Take a worker that ended out of the register, unless attempts of its are still open: those name it."""
        deleted = self._db.query(
            "DELETE FROM workers AS w WHERE id = %(w)s AND NOT EXISTS (SELECT 1 FROM running WHERE worker_id = %(w)s)"
            # of a host that came back meanwhile it lives
            " AND NOT EXISTS (SELECT 1 FROM hosts WHERE id = w.host_id AND state = 'live' AND token <> %(t)s)"
            " RETURNING id",
            {"w": worker_id, "t": host_token(self._spool)},
        )
        if deleted:
            self.hosts.own_workers.pop(worker_id, None)
            with contextlib.suppress(OSError):
                os.unlink(self._spool.worker_lock(worker_id))

    def workers(self) -> list[WorkerInfo]:
        """Return the registered workers, oldest first, dead ones that still have running commands among them."""
        token, now = host_token(self._spool, create=False), self._db.now_ms()
        return [self._worker_of(token, now, *row) for row in self._db.query(_WORKERS)]

    def _worker_of(self, token: str, now: int, *row: Any) -> WorkerInfo:
        *worker, lock_file, boot_id, host, host_state, leased_until = row
        if host == token:
            presence = presence_by_lock(self._spool.worker_lock(worker[0]), lock_file, boot_id)
        else:
            # only its own host can know: as far as others see it lives for as long as its host's lease
            is_live = host_state == "live" and now < leased_until
            presence = Presence.ALIVE if is_live else Presence.ELSEWHERE
        return worker_of(tuple(worker), presence)

    def jobs_out_of_reach(self) -> set[int]:
        """Return this host's running jobs that were started in another pid namespace or boot than their worker's.

        A process number means another process there: no signal is sent.
        """
        found = self._db.query(
            "SELECT r.job_id FROM running AS r JOIN workers AS w ON w.id = r.worker_id"
            " WHERE (r.boot_id, r.pid_namespace) IS DISTINCT FROM (w.boot_id, w.pid_namespace)"
        )
        return {row[0] for row in found}

    def request_stop(self, worker_id: int, mode: str) -> None:
        """Ask a worker to stop: ``drain`` or ``now``; raise ``WorkerNotFound``."""
        check_whole(worker_id, "the number of a worker")

        def work(connection: Connection) -> None:
            if connection.execute("UPDATE workers SET stop = %s WHERE id = %s", (mode, worker_id)).rowcount != 1:
                raise WorkerNotFound(worker_id)

        self._db.transact(work, wakes_workers=True)

    def note_stop(self, worker_id: int, mode: str) -> None:
        """Record that a signal or a worker's own program stops it, unless a request for that is recorded already."""
        self._db.query(
            "UPDATE workers SET stop = %s WHERE id = %s AND (stop IS NULL OR stop = 'drain')", (mode, worker_id)
        )

    def requested_stop(self, worker_id: int) -> str | None:
        """Return what a worker was asked: ``drain``, ``now`` or nothing."""
        found = self._db.query("SELECT stop FROM workers WHERE id = %s", (worker_id,))
        return found[0][0] if found else None
