"""The writes and reads of a worker: one transaction records what ended, makes due what is due, and claims jobs."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from core.errors import DatabaseCorrupt
from core.model import Ending, Job
from core.process_place import Place
from core.rules.lanes import Candidate
from core.rules.needs import units_of, units_text
from core.rules.settings import Settings
from core.storage.decided_ending import DecidedEnding, decided_ending
from core.storage.rollups import Rollups
from core.storage.rows import JOB_COLUMNS, SqlRow, claimed_job_of, job_of, names_of, variables_of
from core.storage.sqlite import rollups
from core.storage.sqlite.file import Database
from core.storage.sqlite.lanes import LaneMemory
from core.storage.sqlite.settling import settle
from core.storage.values import Claim, ClaimCapacity, OpenAttempt, Recorded, StepResult, StepTerms

#: Delayed jobs made due in one transaction; more follow in the next.
DUE_BATCH = 500


def drawn_jitter() -> float:
    """Return a factor for a back-off's jitter, drawn evenly from -1 to 1."""
    return random.uniform(-1.0, 1.0)


class Attempts:
    """The attempts as a worker writes and reads them; what it counts for the totals by minute is kept here until then.

    One for each worker, used in that worker's thread. ``jitter`` is called once for each ending.
    """

    def __init__(self, db: Database, jitter: Callable[[], float] = drawn_jitter) -> None:
        self._db = db
        self._jitter = jitter
        self._rollups = Rollups()
        self._lanes = LaneMemory()

    def record_and_claim(
        self,
        endings: Sequence[tuple[Claim, Ending]],
        capacity: ClaimCapacity,
        before_commit: Callable[[Claim], None],
        terms: StepTerms,
    ) -> StepResult:
        """Record endings, make delayed jobs due, and claim jobs up to a capacity: all in one transaction.

        ``before_commit(claim)`` must create and lock the attempt's run file: no process can then see a running
        attempt whose lock is free unless its worker is dead. If it raises ``OSError``, that job stays pending and no
        more are claimed. An ending whose attempt is closed already, since another worker recorded it, is left out of
        ``recorded``. Any other error leaves the database unchanged.
        """
        with self._db.write(is_durable=terms.is_durable) as connection:
            now = self._db.now_ms()  # here: no later transaction of another process has an earlier time
            recorded = [
                done
                for claim, ending in endings
                if (done := _record(connection, claim, ending, terms.settings, self._jitter(), now)) is not None
            ]
            ended = [(done.ending, done.decision) for done in recorded]
            is_any_left = settle(connection, now)
            next_due, epoch = _next_due(connection)
            if next_due is not None and next_due <= now:
                _make_due(connection, now)
                next_due, epoch = _next_due(connection)
            if is_any_left:
                next_due = now
            next_jobs = _next_jobs(connection, capacity, self._lanes, epoch)
            claimed, waits_ms, refusal = _claim(connection, capacity, next_jobs, before_commit, now)
            if terms.is_rolled_up:
                rollups.write(connection, self._rollups)
                this_step = Rollups()
                this_step.count(ended, waits_ms, now)
                rollups.write(connection, this_step)
        if terms.is_rolled_up:
            self._rollups.clear()
        else:
            self._rollups.count(ended, waits_ms, now)
        return StepResult(recorded, claimed, next_due, refusal)

    def make_durable(self) -> None:
        """Sync all commits so far to the disk, and add what was counted to the totals by minute."""
        with self._db.write(is_durable=True) as connection:
            rollups.write(connection, self._rollups)
            connection.execute(
                "INSERT INTO facts (key, value) VALUES ('synced_at', :now) ON CONFLICT DO UPDATE SET value = :now",
                {"now": self._db.now_ms()},
            )
        self._rollups.clear()

    def give_back(self, attempt_ids: Sequence[int]) -> set[int]:
        """Undo claims whose command could not be started: their jobs are pending again, no attempt is spent.

        Return the attempts that stay open instead, since a user asked meanwhile to stop them.
        """
        with self._db.write(is_durable=False) as connection:
            now = self._db.now_ms()
            return {attempt_id for attempt_id in attempt_ids if not _give_back(connection, attempt_id, now)}

    def adopt(self, attempt_id: int, *, dead_worker: int, worker_id: int) -> Claim | None:
        """Make an open attempt of a dead worker another worker's; ``None`` when a third worker was faster."""
        with self._db.write(is_durable=False) as connection:
            changed = connection.execute(
                "UPDATE attempts SET worker_id = ? WHERE id = ? AND worker_id = ? AND ended_at IS NULL",
                (worker_id, attempt_id, dead_worker),
            ).rowcount
            if changed != 1:
                return None
            number, started_at, stop, environment_id, units, *job = connection.execute(
                _ADOPTED, (attempt_id,)
            ).fetchone()
            asked_at = None if stop is None else connection.execute(_STOP_ASKED_AT, (job[0], started_at)).fetchone()[0]
            claim = Claim(job_of(tuple(job)), attempt_id, number, environment_id, started_at, stop, asked_at)
            return claim._replace(units=units_of(units))

    def shorten_backoffs(self) -> int:
        """Let no back-off end later than its whole length from now: the calendar may have been set back.

        Return how many would have. Times that a user gave stay.
        """
        with self._db.read() as connection:
            now = {"now": self._db.now_ms()}
            if connection.execute(f"SELECT EXISTS ({_LATE_BACKOFFS})", now).fetchone() == (0,):
                return 0
        with self._db.write(is_durable=False) as connection:
            now = {"now": self._db.now_ms()}
            return connection.execute(
                "UPDATE jobs SET run_at = :now + backoff_ms, due_at = :now + backoff_ms"
                f" WHERE id IN ({_LATE_BACKOFFS})",
                now,
            ).rowcount

    # --- reads

    def open_elsewhere(self, worker_id: int) -> list[OpenAttempt]:
        """Return the open attempts of all workers but one (0: of all), by worker, oldest first."""
        with self._db.read() as connection:
            found = connection.execute(_OPEN_ELSEWHERE, (worker_id,)).fetchall()
        return [
            OpenAttempt(attempt_id, owner, job_id, stop, None if boot_id is None else Place(boot_id, pid_namespace))
            for attempt_id, owner, job_id, stop, boot_id, pid_namespace in found
        ]

    def stop_requests(self, worker_id: int) -> dict[int, str]:
        """Return the open attempts of a worker that a user wants stopped: attempt id -> ``cancel`` or ``kill``."""
        with self._db.read() as connection:
            return dict(
                connection.execute(
                    "SELECT id, stop_requested FROM attempts INDEXED BY attempts_open"
                    " WHERE worker_id = ? AND ended_at IS NULL AND stop_requested IS NOT NULL",
                    (worker_id,),
                ).fetchall()
            )

    def environment_of(self, environment_id: int) -> tuple[str, Mapping[str, str], Sequence[str] | None]:
        """Return the mode and variables of a captured environment, and the names that were left to the worker."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT mode, variables, left_out FROM environments WHERE id = ?", (environment_id,)
            ).fetchone()
            return ("none", {}, None) if row is None else (str(row[0]), variables_of(row[1]), names_of(row[2]))


# --- what becomes due


def _next_due(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    """Return when the next delayed job is due, in unix milliseconds, and the epoch of the lanes; ``None`` for none."""
    found = connection.execute(
        "SELECT (SELECT min(run_at) FROM jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND blocks = 0),"
        " (SELECT value FROM facts WHERE key = 'lanes_epoch')"
    )
    due, epoch = found.fetchone()
    return due, epoch


def _make_due(connection: sqlite3.Connection, now: int) -> None:
    """Make up to ``DUE_BATCH`` delayed jobs due whose time has come at ``now``, the earliest first."""
    connection.execute(
        "UPDATE jobs SET run_at = NULL WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_delayed"
        " WHERE run_at IS NOT NULL AND blocks = 0 AND run_at <= ? ORDER BY run_at, id LIMIT ?)",
        (now, DUE_BATCH),
    )


_LATE_BACKOFFS = (
    "SELECT id FROM jobs INDEXED BY jobs_delayed WHERE run_at > :now AND blocks = 0 AND backoff_ms < run_at - :now"
)


# --- record


def _record(
    connection: sqlite3.Connection, claim: Claim, ending: Ending, settings: Settings, jitter: float, now: int
) -> Recorded | None:
    decided = decided_ending(claim, ending, settings, jitter, now)
    if not _close_attempt(connection, claim.attempt_id, decided):
        return None
    _move_job(connection, claim, decided, now)
    return Recorded(claim, ending, decided.decision)


def _close_attempt(connection: sqlite3.Connection, attempt_id: int, decided: DecidedEnding) -> bool:
    """Write how an attempt ended; return whether it was still open."""
    ending = decided.ending
    changed = connection.execute(
        "UPDATE attempts SET ended_at = ?, run_ms = ?, outcome = ?, exit_code = ?, signal = ?,"
        " error = ?, cpu_ms = ?, max_rss_bytes = ?, last_line = ?, fingerprint = ?,"
        " output_bytes = ?, output = ? WHERE id = ? AND ended_at IS NULL",
        (
            decided.ended_at,
            decided.run_ms,
            *(ending.outcome.value, ending.exit_code, ending.signal, ending.error or None),
            *(ending.cpu_ms, ending.max_rss_bytes, ending.last_line or None, ending.fingerprint),
            *(ending.output_bytes, ending.output),
            attempt_id,
        ),
    ).rowcount
    return changed == 1


def _move_job(connection: sqlite3.Connection, claim: Claim, decided: DecidedEnding, now: int) -> None:
    """Write on a job how its attempt ended, and what follows; raise ``DatabaseCorrupt`` if it does not run that."""
    ending, decision = decided.ending, decided.decision
    changed = connection.execute(
        "UPDATE jobs SET state = ?, run_at = ?, backoff_ms = ?, attempts = ?, interrupts = ?,"
        " since = ?, due_at = ?, finished_at = ?, run_ms = ?, outcome = ?, exit_code = ?, signal = ?,"
        " error = ?, cpu_ms = ?, max_rss_bytes = ?,"
        " last_line = ?, fingerprint = ?"
        " WHERE id = ? AND state = 'running' AND attempt_id = ?",
        (
            *(decision.state.value, decided.run_at, decided.backoff_ms, decision.attempts, decision.interrupts),
            *(decided.ended_at, decided.run_at or now, decided.ended_at, decided.run_ms),
            *(ending.outcome.value, ending.exit_code, ending.signal),
            *(decided.error, ending.cpu_ms, ending.max_rss_bytes),
            *(ending.last_line or None, ending.fingerprint),
            *(claim.job.id, claim.attempt_id),
        ),
    ).rowcount
    if changed != 1:
        raise DatabaseCorrupt(f"job {claim.job.id} is not running attempt {claim.attempt_id}; run 'queuectl doctor'")


# --- claim

#: Queues with due jobs of which some may start, and how many; NULL for any number.
_QUEUES = (
    "WITH open (queue, room) AS (SELECT c.queue, q.running_limit - COALESCE((SELECT r.n FROM counts AS r"
    " WHERE r.queue = c.queue AND r.state = 'running' AND r.gate = 0), 0) FROM counts AS c LEFT JOIN queues AS q"
    " ON q.name = c.queue WHERE c.state = 'pending' AND c.gate = 0 AND c.n > 0 AND COALESCE(q.is_paused, 0) = 0"
    " AND NOT EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1))"
    " SELECT queue, room FROM open WHERE room > 0 OR room IS NULL"
)
_HEADS = (
    f"SELECT -priority, id, starts, due_at, environment_id, {JOB_COLUMNS} FROM jobs INDEXED BY jobs_claim"
    " WHERE queue = ? AND state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NULL"
    " ORDER BY priority DESC, id LIMIT ?"
)
_CHOSEN = f"SELECT -priority, id, starts, due_at, environment_id, {JOB_COLUMNS} FROM jobs WHERE id = ?"
_BESIDE_JOB = 5
_QUEUE = _BESIDE_JOB + Job._fields.index("queue")
_OPEN = (
    "INSERT INTO attempts (job_id, number, worker_id, started_at, units, place_id)"
    " VALUES (?1, ?2, ?3, ?4, ?5, (SELECT place_id FROM workers WHERE id = ?3))"
)
_TAKE = (
    "UPDATE jobs SET state = 'running', attempts = attempts + 1, starts = starts + 1, since = :now, started_at = :now,"
    " attempt_id = :attempt, finished_at = NULL, run_ms = NULL, outcome = NULL, exit_code = NULL, signal = NULL,"
    " error = NULL, cpu_ms = NULL, max_rss_bytes = NULL, last_line = NULL, fingerprint = NULL"
    " WHERE id = :id AND state = 'pending' AND run_at IS NULL AND blocks = 0"
)


class _Head(NamedTuple):
    """A row of ``_HEADS`` and the units of resources that its job is given."""

    row: SqlRow
    units: Mapping[str, Sequence[int]] = {}


def _claim(
    connection: sqlite3.Connection,
    capacity: ClaimCapacity,
    heads: Sequence[_Head],
    before_commit: Callable[[Claim], None],
    now: int,
) -> tuple[list[Claim], list[int], OSError | None]:
    """Claim these jobs; return the claims, how long each job waited, and why not all of them are claimed."""
    claimed: list[Claim] = []
    waits_ms: list[int] = []
    for row, units in heads:
        _, job_id, starts, due_at, environment_id = row[:_BESIDE_JOB]
        opened = connection.execute(_OPEN, (job_id, starts + 1, capacity.worker_id, now, units_text(units)))
        attempt_id = int(opened.lastrowid or 0)
        job = claimed_job_of(row[_BESIDE_JOB:], now)
        claim = Claim(job, attempt_id, starts + 1, environment_id, now, units=units)
        try:
            before_commit(claim)
        except OSError as error:
            connection.execute("DELETE FROM attempts WHERE id = ?", (attempt_id,))
            return claimed, waits_ms, error
        if connection.execute(_TAKE, {"now": now, "attempt": attempt_id, "id": job_id}).rowcount != 1:
            raise DatabaseCorrupt(f"job {job_id} could not be claimed; run 'queuectl doctor'")
        claimed.append(claim)
        waits_ms.append(max(0, now - due_at))
    return claimed, waits_ms, None


def _next_jobs(
    connection: sqlite3.Connection, capacity: ClaimCapacity, memory: LaneMemory, epoch: int | None
) -> list[_Head]:
    """Return the jobs to claim, highest priority first, then oldest, within the queues' limits and what is free."""
    rows: list[SqlRow] = []
    rooms: dict[str, int | None] = {}
    if capacity.slots <= 0:
        return []
    for queue, room in connection.execute(_QUEUES).fetchall():
        if not capacity.queues or queue in capacity.queues:
            rooms[queue] = room
            take = capacity.slots if room is None else min(capacity.slots, room)
            rows += connection.execute(_HEADS, (queue, take)).fetchall()
    # no two rows share an id: the comparison never comes to what follows it
    rows.sort()
    if not memory.must_look(epoch, rooms):
        return [_Head(row) for row in rows[: capacity.slots]]
    plain = {row[1]: row for row in rows}
    candidates = [Candidate(row[0], row[1], row[_QUEUE]) for row in rows]
    started = memory.choose(connection, candidates, rooms, capacity.slots)
    return [
        _Head(plain.get(job.id) or connection.execute(_CHOSEN, (job.id,)).fetchone(), started.units.get(job.id, {}))
        for job in started.jobs
    ]


def _give_back(connection: sqlite3.Connection, attempt_id: int, now: int) -> bool:
    """Undo one claim; return False, and change nothing, for an attempt that is to be stopped."""
    row = connection.execute(
        "SELECT job_id, stop_requested FROM attempts WHERE id = ? AND ended_at IS NULL", (attempt_id,)
    ).fetchone()
    if row is None or row[1] is not None:
        return row is None
    connection.execute("DELETE FROM attempts WHERE id = ?", (attempt_id,))
    previous = connection.execute(
        "SELECT id, started_at, ended_at, run_ms, outcome, exit_code, signal, error, cpu_ms, max_rss_bytes,"
        " last_line, fingerprint FROM attempts WHERE job_id = ? ORDER BY number DESC LIMIT 1",
        (row[0],),
    ).fetchone()
    connection.execute(
        "UPDATE jobs SET state = 'pending', attempts = attempts - 1, starts = starts - 1, since = ?,"
        " attempt_id = ?, started_at = ?, finished_at = ?, run_ms = ?, outcome = ?, exit_code = ?, signal = ?,"
        " error = ?, cpu_ms = ?, max_rss_bytes = ?, last_line = ?, fingerprint = ?"
        " WHERE id = ? AND state = 'running' AND attempt_id = ?",
        (now, *(previous or (None,) * 12), row[0], attempt_id),
    )
    return True


# --- what a worker reads

_OPEN_ELSEWHERE = (
    "SELECT attempts.id, worker_id, job_id, stop_requested, boot_id, pid_namespace"
    " FROM attempts INDEXED BY attempts_open LEFT JOIN places ON places.id = place_id"
    " WHERE ended_at IS NULL AND worker_id <> ? ORDER BY worker_id, attempts.id"
)
_ADOPTED = (
    "SELECT number, attempts.started_at, stop_requested, environment_id, units, "
    + ", ".join(f"jobs.{column.strip()}" for column in JOB_COLUMNS.split(","))
    + " FROM attempts JOIN jobs ON jobs.id = job_id WHERE attempts.id = ?"
)
_STOP_ASKED_AT = (
    "SELECT min(at) FROM history JOIN acts ON acts.id = act_id WHERE job_id = ? AND verb = 'cancel' AND at >= ?"
)
