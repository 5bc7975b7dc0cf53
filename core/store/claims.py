"""A worker's writes: one transaction records what ended, makes due what is due, and claims what there is room for."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.database import Database
from core.errors import DatabaseCorrupt
from core.lifecycle import decide
from core.model import FAILURES, Decision, Ending, Job, Outcome, State
from core.settings import Settings
from core.store.rows import JOB_COLUMNS, SqlRow, job_of, variables_of

#: Delayed jobs made due in one transaction; more follow in the next.
DUE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that was just claimed, with what it takes to run it. ``job`` is as it is now: running, attempts counted."""

    job: Job
    attempt_id: int
    number: int
    environment_id: int
    stop_requested: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An ending that was written, the job as it was while it ran, and what follows."""

    job: Job
    attempt_id: int
    number: int
    ending: Ending
    decision: Decision


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction did. ``refusal`` is why claims went back: the system gave no file for them."""

    recorded: Sequence[Recorded]
    claimed: Sequence[Claim]
    next_due_ms: int | None
    has_more_due: bool
    refusal: OSError | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker may claim: ``slots`` free ones, of these queues (none: of all)."""

    slots: int
    queues: Sequence[str] = ()


_OPEN_ATTEMPT = (
    "SELECT number, attempts.started_at, due_at, starts, environment_id, "
    + ", ".join(f"jobs.{column.strip()}" for column in JOB_COLUMNS.split(","))
    + " FROM attempts JOIN jobs ON jobs.id = job_id WHERE attempts.id = ? AND attempts.ended_at IS NULL"
)
_EXTRA = 5


def turn(
    db: Database,
    *,
    worker_id: int,
    endings: Sequence[tuple[int, Ending]],
    room: Room,
    settings: Settings,
    jitter: Callable[[], float],
    open_run: Callable[[int], None],
    is_durable: bool,
) -> Turn:
    """Record endings, make due jobs due, claim; all in one transaction.

    ``open_run(attempt id)`` must create and lock the attempt's run file: it is called before the commit that makes the
    attempt visible, so nobody ever sees a running attempt whose lock is free unless it is dead. An ending whose
    attempt is closed already (somebody else recorded it) is left out of ``recorded``.
    """
    now = db.clock.now_ms()
    with db.write(is_durable=is_durable) as connection:
        recorded = [
            done
            for attempt_id, ending in endings
            if (done := _record(connection, attempt_id, ending, settings, jitter(), now)) is not None
        ]
        if recorded:
            _add_to_rollups(connection, recorded, now)
        moved = 0
        next_due = _next_due(connection)
        if next_due is not None and next_due <= now:
            moved = _make_due(connection, now)
            next_due = _next_due(connection)
        claimed, refusal = _claim(connection, worker_id, room, open_run, now)
    return Turn(recorded, claimed, next_due, moved >= DUE_BATCH, refusal)


def _next_due(connection: sqlite3.Connection) -> int | None:
    found = connection.execute("SELECT min(run_at) FROM jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL")
    due: int | None = found.fetchone()[0]
    return due


def _make_due(connection: sqlite3.Connection, now: int) -> int:
    return connection.execute(
        "UPDATE jobs SET run_at = NULL WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_delayed"
        " WHERE run_at IS NOT NULL AND run_at <= ? ORDER BY run_at, id LIMIT ?)",
        (now, DUE_BATCH),
    ).rowcount


# --- record


def _record(
    connection: sqlite3.Connection, attempt_id: int, ending: Ending, settings: Settings, jitter: float, now: int
) -> Recorded | None:
    row = connection.execute(_OPEN_ATTEMPT, (attempt_id,)).fetchone()
    if row is None:
        return None
    number, started_at = row[0], row[1]
    job = job_of(row[_EXTRA:])
    decision = decide(
        ending,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        interrupts=job.interrupts,
        dead_exit=job.dead_exit,
        backoff=settings.backoff(job.backoff_base),
        jitter_factor=jitter,
    )
    ended_at = max(started_at, now if ending.ended_at_ms is None else min(now, ending.ended_at_ms))
    run_ms = max(0, ended_at - started_at if ending.run_ms is None else ending.run_ms)
    _close_attempt(connection, attempt_id, ending, ended_at, run_ms)
    _move_job(connection, job, attempt_id, ending, decision, ended_at, run_ms, now)
    return Recorded(job, attempt_id, number, ending, decision)


def _close_attempt(connection: sqlite3.Connection, attempt_id: int, ending: Ending, ended_at: int, run_ms: int) -> None:
    changed = connection.execute(
        "UPDATE attempts SET ended_at = ?, run_ms = ?, outcome = ?, exit_code = ?, signal = ?, error = ?,"
        " output_bytes = ?, output = ? WHERE id = ? AND ended_at IS NULL",
        (
            ended_at,
            run_ms,
            ending.outcome.value,
            ending.exit_code,
            ending.signal,
            ending.error,
            ending.output_bytes,
            ending.output,
            attempt_id,
        ),
    ).rowcount
    if changed != 1:
        raise DatabaseCorrupt(f"attempt {attempt_id} was closed twice; run 'queuectl doctor'")


def _move_job(
    connection: sqlite3.Connection,
    job: Job,
    attempt_id: int,
    ending: Ending,
    decision: Decision,
    ended_at: int,
    run_ms: int,
    now: int,
) -> None:
    is_pending = decision.state is State.PENDING
    run_at = now + decision.delay_ms if is_pending and decision.delay_ms > 0 else None
    changed = connection.execute(
        "UPDATE jobs SET state = ?, run_at = ?, attempts = ?, interrupts = ?, since = ?, due_at = ?, finished_at = ?,"
        " run_ms = ?, outcome = ?, exit_code = ?, signal = ?, error = ?"
        " WHERE id = ? AND state = 'running' AND attempt_id = ?",
        (
            decision.state.value,
            run_at,
            decision.attempts,
            decision.interrupts,
            ended_at,
            run_at or now,
            ended_at,
            run_ms,
            ending.outcome.value,
            ending.exit_code,
            ending.signal,
            decision.reason or ending.error,
            job.id,
            attempt_id,
        ),
    ).rowcount
    if changed != 1:
        raise DatabaseCorrupt(f"job {job.id} is not running attempt {attempt_id}; run 'queuectl doctor'")


# --- rollups


def bucket_of(milliseconds: int) -> int:
    """Return the histogram bucket of a duration >= 0: ``floor(4 * log2(ms + 1))``, steps of 19 %."""
    return int(4 * math.log2(max(0, milliseconds) + 1))


def _add_to_rollups(connection: sqlite3.Connection, recorded: Sequence[Recorded], now: int) -> None:
    minute = now // 60_000
    succeeded = failed = dead = run_ms = 0
    histogram: dict[int, int] = {}
    for done in recorded:
        succeeded += done.ending.outcome is Outcome.SUCCEEDED
        failed += done.ending.outcome in FAILURES
        dead += done.decision.state is State.DEAD
        if done.ending.run_ms is not None:
            run_ms += done.ending.run_ms
            bucket = bucket_of(done.ending.run_ms)
            histogram[bucket] = histogram.get(bucket, 0) + 1
    connection.execute(
        "INSERT INTO minutes (minute, succeeded, failed, dead, run_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,"
        " dead = dead + excluded.dead, run_ms = run_ms + excluded.run_ms",
        (minute, succeeded, failed, dead, run_ms),
    )
    _add_to_histogram(connection, minute, "run", histogram)


def _add_to_histogram(connection: sqlite3.Connection, minute: int, kind: str, histogram: Mapping[int, int]) -> None:
    for bucket, number in histogram.items():
        connection.execute(
            "INSERT INTO durations (minute, kind, bucket, n) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = n + excluded.n",
            (minute, kind, bucket, number),
        )


# --- claim

_LANES = (
    "SELECT c.queue, q.running_limit, (SELECT r.n FROM counts AS r WHERE r.queue = c.queue AND r.state = 'running'"
    " AND r.is_delayed = 0) FROM counts AS c LEFT JOIN queues AS q ON q.name = c.queue"
    " WHERE c.state = 'pending' AND c.is_delayed = 0 AND c.n > 0 AND COALESCE(q.is_paused, 0) = 0"
    " AND NOT EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1)"
)
_HEADS = (
    "SELECT -priority, id FROM jobs INDEXED BY jobs_claim"
    " WHERE queue = ? AND state = 'pending' AND run_at IS NULL ORDER BY priority DESC, id LIMIT ?"
)
_OPEN = (
    "INSERT INTO attempts (job_id, number, worker_id, started_at) SELECT id, starts + 1, ?, ? FROM jobs WHERE id = ?"
)
_TAKE = (
    "UPDATE jobs SET state = 'running', attempts = attempts + 1, starts = starts + 1, since = :now, started_at = :now,"
    " attempt_id = :attempt, finished_at = NULL, run_ms = NULL, outcome = NULL, exit_code = NULL, signal = NULL,"
    " error = NULL WHERE id = :id AND state = 'pending' AND run_at IS NULL"
    f" RETURNING starts, due_at, environment_id, {JOB_COLUMNS}"
)


def _claim(
    connection: sqlite3.Connection, worker_id: int, room: Room, open_run: Callable[[int], None], now: int
) -> tuple[list[Claim], OSError | None]:
    if room.slots <= 0:
        return [], None
    heads = _next_jobs(connection, room)
    if not heads:
        return [], None
    claimed: list[Claim] = []
    waits: dict[int, int] = {}
    wait_ms = 0
    refusal: OSError | None = None
    for job_id in heads:
        attempt_id = int(connection.execute(_OPEN, (worker_id, now, job_id)).lastrowid or 0)
        try:
            open_run(attempt_id)
        except OSError as error:
            connection.execute("DELETE FROM attempts WHERE id = ?", (attempt_id,))
            refusal = error
            break
        claim, waited_ms = _take(connection, job_id, attempt_id, now)
        claimed.append(claim)
        wait_ms += waited_ms
        bucket = bucket_of(waited_ms)
        waits[bucket] = waits.get(bucket, 0) + 1
    if claimed:
        minute = now // 60_000
        connection.execute(
            "INSERT INTO minutes (minute, wait_ms) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET wait_ms = wait_ms + excluded.wait_ms",
            (minute, wait_ms),
        )
        _add_to_histogram(connection, minute, "wait", waits)
    return claimed, refusal


def _next_jobs(connection: sqlite3.Connection, room: Room) -> list[int]:
    """Return the ids to claim, highest priority first, then oldest, within the queues' limits."""
    heads: list[SqlRow] = []
    for queue, limit, running in connection.execute(_LANES).fetchall():
        if room.queues and queue not in room.queues:
            continue
        take = room.slots if limit is None else min(room.slots, limit - (running or 0))
        if take > 0:
            heads += connection.execute(_HEADS, (queue, take)).fetchall()
    heads.sort()
    return [job_id for _, job_id in heads[: room.slots]]


def _take(connection: sqlite3.Connection, job_id: int, attempt_id: int, now: int) -> tuple[Claim, int]:
    rows = connection.execute(_TAKE, {"now": now, "attempt": attempt_id, "id": job_id}).fetchall()
    if len(rows) != 1:
        raise DatabaseCorrupt(f"job {job_id} could not be claimed; run 'queuectl doctor'")
    number, due_at, environment_id, *job = rows[0]
    return Claim(job_of(tuple(job)), attempt_id, number, environment_id), max(0, now - due_at)


def give_back(db: Database, attempt_ids: Sequence[int]) -> None:
    """Undo claims whose command could not be started: the jobs are pending again, no attempt was spent."""
    now = db.clock.now_ms()
    with db.write(is_durable=False) as connection:
        for attempt_id in attempt_ids:
            row = connection.execute(
                "SELECT job_id FROM attempts WHERE id = ? AND ended_at IS NULL", (attempt_id,)
            ).fetchone()
            if row is None:
                continue
            connection.execute("DELETE FROM attempts WHERE id = ?", (attempt_id,))
            previous = (
                connection.execute(
                    "SELECT id, started_at, ended_at, run_ms, outcome, exit_code, signal, error FROM attempts"
                    " WHERE job_id = ? ORDER BY number DESC LIMIT 1",
                    (row[0],),
                ).fetchone()
                or (None,) * 8
            )
            connection.execute(
                "UPDATE jobs SET state = 'pending', attempts = attempts - 1, starts = starts - 1, since = ?,"
                " attempt_id = ?, started_at = ?, finished_at = ?, run_ms = ?, outcome = ?, exit_code = ?, signal = ?,"
                " error = ? WHERE id = ? AND state = 'running' AND attempt_id = ?",
                (now, *previous, row[0], attempt_id),
            )


# --- what a worker reads


def environment_of(db: Database, environment_id: int) -> tuple[str, Mapping[str, str]]:
    """Return the mode and variables of a captured environment."""
    with db.read() as connection:
        row = connection.execute("SELECT mode, variables FROM environments WHERE id = ?", (environment_id,)).fetchone()
        return ("none", {}) if row is None else (str(row[0]), variables_of(row[1]))


def stop_requests(db: Database, worker_id: int) -> dict[int, str]:
    """Return the open attempts of a worker that somebody wants stopped: attempt id -> ``cancel`` or ``kill``."""
    with db.read() as connection:
        return dict(
            connection.execute(
                "SELECT id, stop_requested FROM attempts INDEXED BY attempts_open"
                " WHERE worker_id = ? AND ended_at IS NULL AND stop_requested IS NOT NULL",
                (worker_id,),
            ).fetchall()
        )


def open_elsewhere(db: Database, worker_id: int) -> dict[int, list[int]]:
    """Return the open attempts of all other workers: worker id -> attempt ids, oldest first."""
    found: dict[int, list[int]] = {}
    with db.read() as connection:
        for owner, attempt_id in connection.execute(
            "SELECT worker_id, id FROM attempts INDEXED BY attempts_open"
            " WHERE ended_at IS NULL AND worker_id <> ? ORDER BY worker_id, id",
            (worker_id,),
        ).fetchall():
            found.setdefault(owner, []).append(attempt_id)
    return found


def adopt(db: Database, attempt_id: int, *, dead_worker: int, worker_id: int) -> Claim | None:
    """Take over an open attempt of a dead worker; ``None`` when somebody else was faster."""
    with db.write(is_durable=False) as connection:
        changed = connection.execute(
            "UPDATE attempts SET worker_id = ? WHERE id = ? AND worker_id = ? AND ended_at IS NULL",
            (worker_id, attempt_id, dead_worker),
        ).rowcount
        if changed != 1:
            return None
        row = connection.execute(_OPEN_ATTEMPT, (attempt_id,)).fetchone()
        stop = connection.execute("SELECT stop_requested FROM attempts WHERE id = ?", (attempt_id,)).fetchone()[0]
        return Claim(job_of(row[_EXTRA:]), attempt_id, row[0], row[4], stop)


def make_durable(db: Database) -> None:
    """Sync all commits so far to disk."""
    with db.write(is_durable=True) as connection:
        connection.execute(
            "INSERT INTO facts (key, value) VALUES ('synced_at', :now) ON CONFLICT DO UPDATE SET value = :now",
            {"now": db.clock.now_ms()},
        )
