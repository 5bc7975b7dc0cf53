"""What must hold of a queue whatever happened to it; each check returns the problems that it finds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable

from core.locks import is_locked
from core.storage.sqlite.file import Database
from tests.torture.ledger import Tally


def of_database(db: Database, acknowledged: Iterable[int] = ()) -> list[str]:
    """Check what holds at any moment: integrity, acknowledged ids, attempts, counters, who waits for whom."""
    connection = db.connection()
    return [
        *_sound(connection),
        *_acknowledged(connection, acknowledged),
        *_attempts(connection),
        *_jobs(connection),
        *_counters(connection),
        *_waiting(connection),
    ]


def of_idle_queue(db: Database) -> list[str]:
    """Check what holds once every worker has drained and left: nothing runs, nothing is left over."""
    connection = db.connection()
    problems = []
    for what, sql in (
        ("running jobs", "SELECT id FROM jobs WHERE state = 'running'"),
        ("open attempts", "SELECT id FROM attempts WHERE ended_at IS NULL"),
        ("registered workers", "SELECT id FROM workers"),
    ):
        found = [row[0] for row in connection.execute(sql).fetchall()]
        if found:
            problems.append(f"{what} in an idle queue: {found[:5]}")
    kept = {f"{row[0]}.out" for row in connection.execute("SELECT id FROM attempts WHERE output IS NULL").fetchall()}
    for directory in (db.spool.attempts, db.spool.workers):
        files = sorted(set(os.listdir(directory)) - kept)
        if files:
            problems.append(f"left over in {os.path.basename(directory)}: {files[:5]}")
    return problems


def of_locks(db: Database) -> list[str]:
    """Check that every open attempt's run file is locked or has its status: otherwise nobody watches over it."""
    rows = db.connection().execute("SELECT id, worker_id FROM attempts WHERE ended_at IS NULL").fetchall()
    return [
        f"open attempt {attempt_id} of worker {worker_id}, which is dead"
        for attempt_id, worker_id in rows
        if not is_locked(db.spool.worker_lock(worker_id))
    ]


def of_ledger(db: Database, tally: Tally) -> list[str]:
    """Compare the queue's account with the jobs' own: no overlap, every start has its attempt, success is true."""
    connection = db.connection()
    problems = [f"job {job_id} ran twice at once" for job_id in sorted(tally.overlapped)[:5]]
    attempts = dict(connection.execute("SELECT job_id, count(*) FROM attempts GROUP BY 1").fetchall())
    succeeded = dict(
        connection.execute("SELECT job_id, count(*) FROM attempts WHERE outcome = 'succeeded' GROUP BY 1").fetchall()
    )
    for job_id, started in tally.started.items():
        if started > attempts.get(job_id, 0):
            problems.append(f"job {job_id} started {started} times and has {attempts.get(job_id, 0)} attempts")
    for job_id, count in succeeded.items():
        if count > tally.ended[job_id]:
            problems.append(f"job {job_id} succeeded {count} times and says {tally.ended[job_id]}")
    return problems


def repeated(db: Database, tally: Tally) -> int:
    """Return how many executions that reached their end are not recorded as successes: they were killed after it."""
    succeeded = db.connection().execute("SELECT count(*) FROM attempts WHERE outcome = 'succeeded'").fetchone()[0]
    return sum(tally.ended.values()) - int(succeeded)


def _sound(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)").fetchall()]
    problems = [] if found == ["ok"] else [f"integrity: {'; '.join(found)}"]
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        problems.append("a row refers to a row that is not there")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        problems.append("the database is not in WAL mode")
    return problems


def _acknowledged(connection: sqlite3.Connection, acknowledged: Iterable[int]) -> list[str]:
    there = {row[0] for row in connection.execute("SELECT id FROM jobs").fetchall()}
    lost = sorted(set(acknowledged) - there)
    return [f"{len(lost)} acknowledged jobs are gone: {lost[:5]}"] if lost else []


def _attempts(connection: sqlite3.Connection) -> list[str]:
    problems = []
    for what, sql in (
        (
            "attempts are not numbered from 1 without gaps",
            "SELECT jobs.id FROM jobs JOIN attempts ON job_id = jobs.id GROUP BY jobs.id"
            " HAVING min(number) <> 1 OR max(number) <> count(*) OR count(*) <> starts",
        ),
        ("starts without attempts", "SELECT id FROM jobs WHERE starts > 0 AND id NOT IN (SELECT job_id FROM attempts)"),
        (
            "two open attempts",
            "SELECT job_id FROM attempts WHERE ended_at IS NULL GROUP BY job_id HAVING count(*) > 1",
        ),
        (
            "an ended attempt lacks a time, or ended before it started",
            "SELECT job_id FROM attempts WHERE ended_at IS NOT NULL AND (run_ms IS NULL OR ended_at < started_at)",
        ),
        (
            "an attempt that ran to its end has neither exit code nor signal",
            "SELECT job_id FROM attempts WHERE outcome IN ('succeeded', 'failed', 'signalled')"
            " AND exit_code IS NULL AND signal IS NULL AND error IS NULL",
        ),
    ):
        found = [row[0] for row in connection.execute(sql).fetchall()]
        if found:
            problems.append(f"{what}: jobs {found[:5]}")
    return problems


def _jobs(connection: sqlite3.Connection) -> list[str]:
    problems = []
    for what, sql in (
        ("more attempts than allowed", "SELECT id FROM jobs WHERE attempts > max_attempts"),
        (
            "running without an open attempt, or the other way round",
            "SELECT jobs.id FROM jobs LEFT JOIN attempts ON attempts.id = attempt_id AND ended_at IS NULL"
            " WHERE (state = 'running') <> (attempts.id IS NOT NULL)",
        ),
        (
            "completed without a succeeded attempt",
            "SELECT id FROM jobs WHERE state = 'completed' AND NOT EXISTS"
            " (SELECT 1 FROM attempts WHERE attempts.id = jobs.attempt_id AND outcome = 'succeeded')",
        ),
        ("an open attempt that is not its job's newest", _STRAY),
    ):
        found = [row[0] for row in connection.execute(sql).fetchall()]
        if found:
            problems.append(f"{what}: {found[:5]}")
    return problems


_STRAY = (
    "SELECT job_id FROM attempts JOIN jobs ON jobs.id = job_id"
    " WHERE attempts.ended_at IS NULL AND attempts.id IS NOT jobs.attempt_id"
)


_WRONG_BLOCKS = (
    "SELECT id FROM jobs WHERE blocks <> is_held"
    " + (SELECT count(*) FROM dependencies WHERE job_id = jobs.id AND is_met = 0)"
)
_STARTED_BLOCKED = "SELECT id FROM jobs WHERE state = 'running' AND blocks > 0"
_FORGOTTEN = (
    "SELECT dependencies.job_id FROM dependencies JOIN jobs ON id = on_id WHERE is_met = 0"
    " AND (state = 'completed' OR (kind = 'end' AND state IN ('dead', 'cancelled')))"
    " AND NOT EXISTS (SELECT 1 FROM settling WHERE settling.job_id = on_id)"
)


def _waiting(connection: sqlite3.Connection) -> list[str]:
    problems = []
    for what, sql in (
        ("kept back by other things than they wait for", _WRONG_BLOCKS),
        ("running before what they wait for", _STARTED_BLOCKED),
        ("waiting for ends that have come", _FORGOTTEN),
    ):
        found = [row[0] for row in connection.execute(sql).fetchall()]
        problems += [f"jobs {what}: {found[:5]}"] if found else []
    return problems


def _counters(connection: sqlite3.Connection) -> list[str]:
    gate = "CASE WHEN state <> 'pending' THEN 0 WHEN blocks > 0 THEN 2 ELSE run_at IS NOT NULL END"
    counted = f"SELECT queue, state, {gate}, count(*) FROM jobs GROUP BY 1, 2, 3"
    kept = "SELECT queue, state, gate, n FROM counts WHERE n > 0"
    wrong = connection.execute(
        f"SELECT * FROM ({counted} EXCEPT {kept}) UNION ALL SELECT * FROM ({kept} EXCEPT {counted})"
    ).fetchall()
    return [f"counters differ from the jobs: {wrong[:3]}"] if wrong else []
