"""The register of workers: who they say they are. Whether one lives is told by its lock alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Sequence

from core.clock import to_datetime
from core.database import Database
from core.errors import WorkerNotFound
from core.liveness import create_locked, is_locked
from core.model import WorkerInfo


def register(db: Database, *, slots: int, queues: Sequence[str]) -> tuple[int, int]:
    """Enter a worker; return its id and the descriptor that holds its lock, taken before anyone can see the row."""
    descriptor, path = -1, ""
    try:
        with db.write() as connection:
            cursor = connection.execute(
                "INSERT INTO workers (pid, host, slots, queues, started_at) VALUES (?, ?, ?, ?, ?)",
                (os.getpid(), socket.gethostname(), slots, json.dumps(list(queues)), db.clock.now_ms()),
            )
            worker_id = int(cursor.lastrowid or 0)
            path = db.spool.worker_lock(worker_id)
            descriptor = create_locked(path)
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    return worker_id, descriptor


def set_slots(db: Database, worker_id: int, slots: int) -> None:
    """Tell others how many slots a worker has now."""
    with db.write(is_durable=False) as connection:
        connection.execute("UPDATE workers SET slots = ? WHERE id = ?", (slots, worker_id))


def forget(db: Database, worker_id: int) -> None:
    """Take a worker that ended out of the register, unless attempts of its are still open: those name it."""
    with db.write(is_durable=False) as connection:
        connection.execute(
            "DELETE FROM workers WHERE id = :w AND NOT EXISTS"
            " (SELECT 1 FROM attempts INDEXED BY attempts_open WHERE worker_id = :w AND ended_at IS NULL)",
            {"w": worker_id},
        )
    for path in (db.spool.worker_lock(worker_id), db.spool.worker_bell(worker_id)):
        with contextlib.suppress(OSError):
            os.unlink(path)


def workers(db: Database) -> list[WorkerInfo]:
    """Return the registered workers, oldest first, dead ones that still have running commands among them."""
    with db.read() as connection:
        found = connection.execute(
            "SELECT id, pid, host, slots, queues, started_at, stop, (SELECT count(*) FROM attempts"
            " INDEXED BY attempts_open WHERE worker_id = workers.id AND ended_at IS NULL) FROM workers ORDER BY id"
        ).fetchall()
    return [
        WorkerInfo(
            row[0],
            row[1],
            row[2],
            row[3],
            tuple(json.loads(row[4])),
            to_datetime(row[5]),
            is_locked(db.spool.worker_lock(row[0])),
            row[6],
            row[7],
        )
        for row in found
    ]


def request_stop(db: Database, worker_id: int, mode: str) -> None:
    """Ask a worker to stop: ``drain`` or ``now``; raise ``WorkerNotFound``."""
    with db.write(is_news=True) as connection:
        changed = connection.execute("UPDATE workers SET stop = ? WHERE id = ?", (mode, worker_id)).rowcount
        if changed != 1:
            raise WorkerNotFound(worker_id)


def requested_stop(db: Database, worker_id: int) -> str | None:
    """Return what a worker was asked: ``drain``, ``now`` or nothing."""
    with db.read() as connection:
        row = connection.execute("SELECT stop FROM workers WHERE id = ?", (worker_id,)).fetchone()
        return None if row is None else row[0]
