"""The register of workers: their rows. Whether a worker lives is decided by its lock alone."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from core.errors import WorkerNotFound
from core.locks import create_locked, file_name
from core.model import WorkerInfo
from core.process_place import here
from core.rules.arguments import check_whole
from core.storage.sqlite.file import Database
from core.storage.values import Registration
from core.storage.worker_presence import presence_by_lock, worker_of


class Workers:
    """The register of workers in one database; see ``core.storage.contract.Workers``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def hosts(self) -> None:
        """``None``: a file is used by one host, and locks say who lives."""

    def register(self, *, slots: int, queues: Sequence[str]) -> Registration:
        """Enter a worker; its lock is taken before the row can be seen."""
        descriptor, path = -1, ""
        try:
            with self._db.write() as connection:
                cursor = connection.execute(
                    "INSERT INTO workers (pid, host, slots, queues, started_at, place_id) VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        os.getpid(),
                        os.uname().nodename,
                        slots,
                        json.dumps(list(queues)),
                        self._db.now_ms(),
                        _enter_place(connection),
                    ),
                )
                worker_id = int(cursor.lastrowid or 0)
                path = self._db.spool.worker_lock(worker_id)
                descriptor = create_locked(path)
                name = file_name(descriptor, path)
                connection.execute("UPDATE workers SET lock_file = ? WHERE id = ?", (name, worker_id))
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
                with contextlib.suppress(OSError):
                    os.unlink(path)
            raise
        return Registration(worker_id, descriptor)

    def lock_again(self, worker_id: int, descriptor: int) -> int | None:
        """Make a living worker's lock file again if it is gone; return its descriptor, ``None`` if the file is there.

        The old ``descriptor`` stays the caller's to close. Raises ``DatabaseReplaced`` when the database is gone, too.
        """
        path = self._db.spool.worker_lock(worker_id)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return None
        self._db.check_identity()
        self._db.make_spool()
        again = create_locked(path)
        try:
            with self._db.write(is_durable=False) as connection:
                connection.execute("UPDATE workers SET lock_file = ? WHERE id = ?", (file_name(again, path), worker_id))
        except BaseException:
            os.close(again)  # the next look finds that it is another's
            raise
        return again

    def set_slots(self, worker_id: int, slots: int) -> None:
        """Record how many slots a worker has now."""
        with self._db.write(is_durable=False) as connection:
            connection.execute("UPDATE workers SET slots = ? WHERE id = ?", (slots, worker_id))

    def forget(self, worker_id: int) -> None:
        """Take a worker that ended out of the register, unless attempts of its are still open: those name it.

        Its lock file goes after its row: a worker of the register whose file is missing is not known to be dead.
        """
        with self._db.write(is_durable=False) as connection:
            deleted = connection.execute(
                "DELETE FROM workers WHERE id = :w AND NOT EXISTS"
                " (SELECT 1 FROM attempts INDEXED BY attempts_open WHERE worker_id = :w AND ended_at IS NULL)",
                {"w": worker_id},
            ).rowcount
        if not deleted:
            return
        for path in (self._db.spool.worker_lock(worker_id), self._db.spool.worker_wakeup(worker_id)):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def workers(self) -> list[WorkerInfo]:
        """Return the registered workers, oldest first, dead ones that still have running commands among them."""
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT workers.id, pid, host, slots, queues, started_at, stop, (SELECT count(*) FROM attempts"
                " INDEXED BY attempts_open WHERE worker_id = workers.id AND ended_at IS NULL), lock_file, boot_id"
                " FROM workers LEFT JOIN places ON places.id = place_id ORDER BY workers.id"
            ).fetchall()
        return [self._worker_of(*row) for row in found]

    def _worker_of(self, *row: Any) -> WorkerInfo:
        *worker, lock_file, boot_id = row
        path = self._db.spool.worker_lock(worker[0])
        return worker_of(tuple(worker), presence_by_lock(path, lock_file, boot_id))

    def jobs_out_of_reach(self) -> set[int]:
        """Return the running jobs that were started in another pid namespace or boot than their worker's, by id.

        A process number means another process there: no signal is sent.
        """
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT job_id FROM attempts INDEXED BY attempts_open JOIN workers ON workers.id = worker_id"
                " WHERE ended_at IS NULL AND attempts.place_id <> workers.place_id"
            ).fetchall()
        return {row[0] for row in found}

    def request_stop(self, worker_id: int, mode: str) -> None:
        """Ask a worker to stop: ``drain`` or ``now``; raise ``WorkerNotFound``."""
        check_whole(worker_id, "the number of a worker")
        with self._db.write(wakes_workers=True) as connection:
            changed = connection.execute("UPDATE workers SET stop = ? WHERE id = ?", (mode, worker_id)).rowcount
            if changed != 1:
                raise WorkerNotFound(worker_id)

    def note_stop(self, worker_id: int, mode: str) -> None:
        """Record that a signal or a worker's own program stops it, unless a request for that is recorded already.

        Others see that it is stopping; a worker that adopts its commands knows why one was ended by a signal.
        """
        with self._db.write(is_durable=False) as connection:
            connection.execute(
                "UPDATE workers SET stop = ? WHERE id = ? AND (stop IS NULL OR stop = 'drain')", (mode, worker_id)
            )

    def requested_stop(self, worker_id: int) -> str | None:
        """Return what a worker was asked: ``drain``, ``now`` or nothing."""
        with self._db.read() as connection:
            row = connection.execute("SELECT stop FROM workers WHERE id = ?", (worker_id,)).fetchone()
            return None if row is None else row[0]


def _enter_place(connection: sqlite3.Connection) -> int:
    """Return the id of the row that stands for this boot and pid namespace."""
    place = here()
    connection.execute("INSERT OR IGNORE INTO places (boot_id, pid_namespace) VALUES (?, ?)", place)
    found = connection.execute("SELECT id FROM places WHERE boot_id = ? AND pid_namespace = ?", place)
    return int(found.fetchone()[0])
