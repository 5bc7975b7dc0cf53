"""Upkeep: pruning by age, emptying the trash, integrity checks, and copies of a database in use."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence

from core.errors import DatabaseError, Refused, UsageError
from core.execution.shim import why_no_shell
from core.locks import create_private, is_locked, sync_directory
from core.model import Finding, Presence
from core.rules.arguments import check_kind
from core.rules.settings import Settings, find_setting
from core.spool import Spool
from core.storage.sqlite import queues, workers
from core.storage.sqlite.file import Database, retry_on_full_disk
from core.storage.sqlite.migrations import SCHEMA_VERSION
from core.storage.sqlite.reserve import RESERVE_BYTES
from core.storage.sqlite.totals import sum_up_some, summed_until
from core.storage.sqlite.write_check import LOCK_PATIENCE_S, write_error

#: Jobs removed for good per transaction.
CHUNK = 500
#: How long per-minute rollups are kept, in minutes: 90 days.
KEEP_MINUTES = 90 * 24 * 60
# Later than any instant: the calendar may have been set back since a job was purged.
_EVER = 1 << 62


def prune(db: Database, settings: Settings) -> int:
    """Remove for good what is older than the settings ``keep-completed`` and ``keep-purged``; return how many jobs."""
    removed = 0
    while found := prune_some(db, settings):
        removed += found
    return removed


def prune_some(db: Database, settings: Settings) -> int:
    """Do one transaction's worth of ``prune``; return how many jobs it removed, 0 when none is left to remove.

    Nothing is written when there is nothing to remove.
    """
    now = db.clock.now_ms()
    for state, key in (("completed", "keep-completed"), ("purged", "keep-purged")):
        keep_s = settings.number(key)
        if keep_s > 0 and (removed := _remove_some(db, state, now - round(keep_s * 1000))):
            return removed
    _prune_rollups(db, now // 60_000 - KEEP_MINUTES)
    return 0


def empty_trash(db: Database) -> int:
    """Remove all purged jobs for good; return how many."""
    removed = 0
    while found := _remove_some(db, "purged", _EVER):
        removed += found
    return removed


def _prune_rollups(db: Database, oldest_minute: int) -> None:
    """Remove minutes before ``oldest_minute``, but none that the totals do not have: those must not fall."""
    sum_up_some(db)
    with db.read() as connection:
        oldest = connection.execute("SELECT min(minute) FROM minutes").fetchone()[0]
        end = min(oldest_minute, summed_until(connection))
    if oldest is not None and oldest < end:
        with db.write(is_durable=False) as connection:
            connection.execute("DELETE FROM minutes WHERE minute < ?", (end,))
            connection.execute("DELETE FROM durations WHERE minute < ?", (end,))


_OLD = (
    "SELECT id FROM jobs INDEXED BY jobs_finished WHERE state = ? AND state NOT IN ('pending', 'running')"
    " AND since <= ? ORDER BY since, id LIMIT ?"
)


def _remove_some(db: Database, state: str, until_ms: int) -> int:
    """Remove up to ``CHUNK`` jobs that have been in a state since ``until_ms`` or longer; return how many."""
    with db.read() as connection:
        if connection.execute(_OLD, (state, until_ms, 1)).fetchone() is None:
            return 0

    def work() -> tuple[int, list[int]]:
        with db.write(is_durable=False) as connection:
            ids = [row[0] for row in connection.execute(_OLD, (state, until_ms, CHUNK)).fetchall()]
            listed = json.dumps(ids)
            in_files = connection.execute(
                "SELECT id FROM attempts WHERE job_id IN (SELECT value FROM json_each(?)) AND output IS NULL",
                (listed,),
            ).fetchall()
            connection.execute("DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))", (listed,))
        return len(ids), [row[0] for row in in_files]

    removed, in_files = retry_on_full_disk(db, work)
    for attempt_id in in_files:
        with contextlib.suppress(OSError):
            os.unlink(db.spool.output_file(attempt_id))
    return removed


def backup(db: Database, path: str | os.PathLike[str]) -> int:
    """Write a consistent copy of the database to a new file, 0600, while it is in use.

    Outputs longer than 64 KiB stay in the spool and are not part of it; return how many those are.
    """
    check_kind(path, "path", (str, os.PathLike), "a path")
    target = os.path.abspath(os.path.expanduser(path))
    if os.path.lexists(target):
        raise Refused(f"{target} exists; choose another file")
    if not os.path.isdir(os.path.dirname(target)):
        raise Refused(f"{os.path.dirname(target)} is not a directory")
    partial = f"{target}.partial-{os.getpid()}"
    try:
        os.close(create_private(partial, os.O_RDWR, is_new=True))
        copy = sqlite3.connect(partial, isolation_level=None)
        try:
            # in one step: between steps it would begin again whenever somebody has written
            with db.using() as connection:
                connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            left_out = len(_in_files(copy))
        finally:
            copy.close()
        _rename_new(partial, target)
        sync_directory(os.path.dirname(target))
        return left_out
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"the backup to {target} failed: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)


def _rename_new(partial: str, target: str) -> None:
    """Give a file its name, never in place of another file."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, and then replaced
        os.close(create_private(target, os.O_RDWR, is_new=True))
        os.replace(partial, target)


def _in_files(connection: sqlite3.Connection) -> list[int]:
    """Return the ended attempts whose output was too long for the database."""
    found = connection.execute("SELECT id FROM attempts WHERE ended_at IS NOT NULL AND output IS NULL").fetchall()
    return [row[0] for row in found]


def doctor(db: Database) -> list[Finding]:
    """Return what there is to say about the database's health, one finding a check; changes nothing."""
    return [
        *_check_file(db),
        *_check_integrity(db),
        *_check_counts(db),
        *_check_settings(db),
        *_check_attempts(db),
        *_check_outputs(db),
        *_check_workers(db),
        *_check_leftovers(leftovers(db)),
        *_check_permissions(db),
        *_check_writes(db),
        *_check_room(db),
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
    if broken:
        yield Finding("error", "references", f"{len(broken)} rows refer to rows that are not there", advice)


def _check_counts(db: Database) -> Iterator[Finding]:
    with db.read() as connection:
        wrong = connection.execute(
            "WITH counted AS (SELECT queue, state, run_at IS NOT NULL AS is_delayed, count(*) AS n FROM jobs"
            " GROUP BY 1, 2, 3), kept AS (SELECT queue, state, is_delayed, n FROM counts WHERE n > 0)"
            " SELECT count(*) FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)"
            " UNION SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))"
        ).fetchone()[0]
    if wrong:
        yield Finding("error", "counters", f"{wrong} counters are not what the jobs say", "report this as a bug")
    else:
        yield Finding("ok", "counters", "they are what the jobs say")


def _check_settings(db: Database) -> Iterator[Finding]:
    bad = []
    for key, text in queues.stored_settings(db).items():
        try:
            find_setting(key).parse(text)
        except UsageError as error:
            bad.append(str(error))
    if bad:
        yield Finding(
            "warning", "settings", "; ".join(bad), "the default holds; set or unset it with 'queuectl config'"
        )
    shell = Settings(queues.stored_settings(db)).shell
    reason = why_no_shell(shell, os.environ.get("PATH"))
    if reason is not None:
        yield Finding(
            "error",
            "shell",
            f"the shell {shell} of the setting 'shell' cannot be run: {reason}; every job fails",
            "name another with 'queuectl config set shell', or go back with 'queuectl config unset shell'",
        )


def _check_attempts(db: Database) -> Iterator[Finding]:
    known = workers.workers(db)
    alive = {worker.id for worker in known if worker.is_alive}
    in_doubt = {worker.id for worker in known if worker.presence in (Presence.HIDDEN, Presence.ELSEWHERE)}
    with db.read() as connection:
        found = connection.execute(
            "SELECT id, worker_id FROM attempts INDEXED BY attempts_open WHERE ended_at IS NULL"
        ).fetchall()
    orphans = [attempt_id for attempt_id, worker_id in found if worker_id not in alive | in_doubt]
    doubtful = sum(worker_id in in_doubt for _, worker_id in found)
    if doubtful:
        yield Finding(
            "warning",
            "in doubt",
            f"{doubtful} attempts may be running: the lock files of their workers are not in {db.spool.workers}",
            "put the spool back where it was, or cancel their jobs when nothing of them runs any more",
        )
    if orphans:
        running = sum(is_locked(db.spool.run_file(attempt_id)) for attempt_id in orphans)
        yield Finding(
            "warning",
            "orphans",
            f"{len(orphans)} attempts have no living worker ({running} of their commands still run)",
            "start a worker: it adopts them",
        )
    elif not doubtful:
        yield Finding("ok", "attempts", f"{len(found)} running, each with a living worker")


def _check_outputs(db: Database) -> Iterator[Finding]:
    with db.read() as connection:
        found = _in_files(connection)
    lost = sum(not os.path.exists(db.spool.output_file(attempt_id)) for attempt_id in found)
    if lost:
        yield Finding(
            "warning",
            "outputs",
            f"{lost} outputs longer than 64 KiB are not in {db.spool.attempts}",
            "copy the spool along with a database that you move or restore",
        )
    else:
        yield Finding("ok", "outputs", f"{len(found)} in files of their own, the others in the database")


def _check_workers(db: Database) -> Iterator[Finding]:
    found = workers.workers(db)
    alive = sum(worker.is_alive for worker in found)
    if alive < len(found):
        yield Finding(
            "warning",
            "workers",
            f"{len(found) - alive} of {len(found)} workers are dead",
            "the next worker strikes them",
        )
    elif not alive and _has_work(db):
        yield Finding("warning", "workers", "jobs wait and no worker is alive", "start one with 'queuectl worker'")
    else:
        yield Finding("ok", "workers", f"{alive} alive")


def _has_work(db: Database) -> bool:
    with db.read() as connection:
        return connection.execute("SELECT 1 FROM counts WHERE state = 'pending' AND n > 0").fetchone() is not None


def _check_leftovers(paths: Sequence[str]) -> Iterator[Finding]:
    if paths:
        yield Finding("warning", "leftovers", f"{len(paths)} files in the spool", "the next worker removes them")
    else:
        yield Finding("ok", "leftovers", "none in the spool")


def _check_permissions(db: Database) -> Iterator[Finding]:
    open_to_others = []
    for path in (db.path, db.path + "-wal", db.path + "-shm", db.spool.root, db.spool.attempts, db.spool.workers):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                open_to_others.append(path)
    if open_to_others:
        yield Finding("warning", "permissions", f"others may use {', '.join(open_to_others)}", "chmod go= them")
    else:
        yield Finding("ok", "permissions", "yours alone")


def _check_writes(db: Database) -> Iterator[Finding]:
    if db.is_read_only and not db.lacks_rights:
        return
    error = write_error(db, LOCK_PATIENCE_S)
    if error is None:
        yield Finding("ok", "writes", "nothing keeps it from being written")
    else:
        yield Finding("error", "writes", str(error))


def _check_room(db: Database) -> Iterator[Finding]:
    room = os.statvfs(os.path.dirname(db.path))
    free = room.f_bavail * room.f_frsize
    if free < RESERVE_BYTES:
        advice = "make room, also with 'queuectl purge --all' and then 'queuectl prune --trash'"
        yield Finding("warning", "disk", f"{free:,} bytes are free; results may have to wait to be recorded", advice)
    else:
        yield Finding("ok", "disk", f"{free:,} bytes are free")


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
    """Return the kind of network filesystem that a path is on, where the system tells (Linux); ``None`` if local."""
    best, kind = "", ""
    with contextlib.suppress(OSError, IndexError), open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            point = fields[1].replace("\\040", " ")
            prefix = point if point.endswith("/") else point + "/"
            if (path + "/").startswith(prefix) and len(point) >= len(best):
                best, kind = point, fields[2]
    return kind if kind in _NETWORK else None


def leftovers(db: Database, among: Sequence[str] | None = None) -> list[str]:
    """Return the paths of lock, run and output files that nothing needs any more."""
    if among is None:
        among = [
            os.path.join(directory, name)
            for directory in (db.spool.workers, db.spool.attempts)
            if os.path.isdir(directory)
            for name in os.listdir(directory)
        ]
    with db.read() as connection:
        return [path for path in among if _is_leftover(connection, db.spool, path)]


def _is_leftover(connection: sqlite3.Connection, spool: Spool, path: str) -> bool:
    stem, _, kind = os.path.basename(path).partition(".")
    if not stem.isdigit():
        return False
    number = int(stem)
    if kind in ("lock", "bell"):
        row = connection.execute("SELECT 1 FROM workers WHERE id = ?", (number,)).fetchone()
        return row is None and not is_locked(spool.worker_lock(number))
    if kind not in ("run", "out"):
        return False
    row = connection.execute(
        "SELECT worker_id, ended_at IS NOT NULL, output IS NOT NULL FROM attempts WHERE id = ?", (number,)
    ).fetchone()
    if row is None:
        return not is_locked(spool.run_file(number))
    worker_id, has_ended, is_output_stored = row
    if not has_ended or (kind == "out" and not is_output_stored):
        return False
    return not is_locked(spool.worker_lock(worker_id))  # a living worker keeps it for its next attempt, or removes it
