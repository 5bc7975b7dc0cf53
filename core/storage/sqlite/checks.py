"""What the doctor looks at in a database file and around it: integrity, counters, permissions, locks, room."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from core.model import Finding
from core.storage import findings
from core.storage.spool_checks import check_permissions, check_room
from core.storage.sqlite.file import Database
from core.storage.sqlite.migrations import SCHEMA_VERSION
from core.storage.sqlite.reserve import RESERVE_BYTES
from core.storage.sqlite.write_check import LOCK_PATIENCE_S, write_error

_MAKE_ROOM = "make room, also with 'queuectl purge --all' and then 'queuectl prune --trash'"


def of_data(db: Database) -> list[Finding]:
    """Return what there is to say about the file, its integrity and its counters; changes nothing."""
    return [*_check_file(db), *_check_integrity(db), *_check_counts(db), *_check_blocks(db)]


def of_surroundings(db: Database) -> list[Finding]:
    """Return what there is to say about permissions, locks, room and the filesystem; changes nothing."""
    files = (db.path, db.path + "-wal", db.path + "-shm")
    return [
        *check_permissions(files, db.spool),
        *_check_writes(db),
        *check_room(os.path.dirname(db.path), RESERVE_BYTES, _MAKE_ROOM),
        *_check_filesystem(db),
    ]


def _check_file(db: Database) -> Iterator[Finding]:
    yield Finding("ok", "database", f"{db.path}, {os.path.getsize(db.path):,} bytes, schema {SCHEMA_VERSION}")
    names = os.stat(db.path).st_nlink
    if names > 1:
        yield Finding(
            "warning",
            "names",
            f"{db.path} has {names} names (hard links); only this one is let in",
            f"remove the others: 'find / -xdev -samefile {db.path}'",
        )
    yield Finding("ok", "sqlite", f"SQLite {sqlite3.sqlite_version}")


def _check_integrity(db: Database) -> Iterator[Finding]:
    advice = "restore a backup, or copy what is left with 'sqlite3 FILE .recover'"
    try:
        with db.using() as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)").fetchall()]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        yield Finding("error", "integrity", str(error), advice)
        return
    if problems == ["ok"]:
        yield Finding("ok", "integrity", "the file is sound")
    else:
        yield Finding("error", "integrity", "; ".join(problems), advice)
    yield from findings.of_references(len(broken), advice)


def _check_counts(db: Database) -> Iterator[Finding]:
    with db.read() as connection:
        wrong = connection.execute(
            "WITH counted AS (SELECT queue, state, CASE WHEN state <> 'pending' THEN 0 WHEN blocks > 0 THEN 2"
            " ELSE run_at IS NOT NULL END AS gate, count(*) AS n FROM jobs"
            " GROUP BY 1, 2, 3), kept AS (SELECT queue, state, gate, n FROM counts WHERE n > 0)"
            " SELECT count(*) FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)"
            " UNION SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))"
        ).fetchone()[0]
    yield findings.of_counters(wrong)


_WRONG_BLOCKS = (
    "SELECT count(*) FROM jobs LEFT JOIN (SELECT job_id, count(*) AS n FROM dependencies WHERE is_met = 0"
    " GROUP BY job_id) AS unmet ON unmet.job_id = jobs.id WHERE blocks <> is_held + COALESCE(n, 0)"
)
_FORGOTTEN = (
    "SELECT count(*) FROM dependencies JOIN jobs ON id = on_id WHERE is_met = 0"
    " AND (state = 'completed' OR (kind = 'end' AND state IN ('dead', 'cancelled')))"
    " AND NOT EXISTS (SELECT 1 FROM settling WHERE settling.job_id = on_id)"
)


def _check_blocks(db: Database) -> Iterator[Finding]:
    with db.read() as connection:
        wrong, forgotten = connection.execute(f"SELECT ({_WRONG_BLOCKS}), ({_FORGOTTEN})").fetchone()
    yield findings.of_blocks(wrong, forgotten)


def _check_writes(db: Database) -> Iterator[Finding]:
    if db.is_read_only and not db.lacks_rights:
        return
    yield findings.of_writes(write_error(db, LOCK_PATIENCE_S))


def _check_filesystem(db: Database) -> Iterator[Finding]:
    kind = network_filesystem(db.path)
    if kind:
        yield Finding(
            "warning", "filesystem", f"{kind} is a network filesystem", "locks may not hold there: use a local disk"
        )
    else:
        yield Finding("ok", "filesystem", "local")


_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.s3fs", "glusterfs"}
)


def network_filesystem(path: str) -> str | None:
    """Return the kind of network filesystem that a path is on; ``None`` if it is local or the system is not Linux."""
    best, kind = "", ""
    with contextlib.suppress(OSError, IndexError), open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            point = fields[1].replace("\\040", " ")
            prefix = point if point.endswith("/") else point + "/"
            if (path + "/").startswith(prefix) and len(point) >= len(best):
                best, kind = point, fields[2]
    return kind if kind in _NETWORK else None
