"""Reads about single jobs and about the whole: a job, its attempts and history, counts, why one waits."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from core.clock import to_datetime
from core.errors import DatabaseCorrupt, JobNotFound
from core.model import Attempt, Counts, Event, Job, Lane, State
from core.rules.arguments import check_kind, check_whole, shown
from core.storage.rows import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_of, instant, job_of, names_of, variables_of
from core.storage.sqlite.file import Database

#: Columns of a job's row that hold unix milliseconds; those that end in _ms hold durations.
_INSTANTS = frozenset({"since", "run_at", "due_at"})
_STATES = frozenset(state.value for state in State)

_JOB = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"
_ATTEMPTS = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? ORDER BY number"
_ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? AND number = ?"
_NEWEST_ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? ORDER BY number DESC LIMIT 1"


def find(connection: sqlite3.Connection, reference: int | str) -> int:
    """Return the id of a job given by id or name; raise ``JobNotFound``."""
    check_kind(reference, "a job", (int, str), "given by its number or name")
    try:
        text = str(reference)
    except ValueError:  # a number with thousands of digits
        raise JobNotFound(shown(reference)) from None
    if text.isascii() and text.isdigit() and len(text) <= 18:
        row = connection.execute("SELECT id FROM jobs WHERE id = ?", (int(text),)).fetchone()
    else:
        try:
            row = connection.execute("SELECT id FROM jobs WHERE name = ?", (text,)).fetchone()
        except UnicodeEncodeError:  # bytes that are no UTF-8: no name has them
            row = None
    if row is None:
        raise JobNotFound(reference)
    return int(row[0])


def job(db: Database, reference: int | str) -> Job:
    """Return a job given by id or name."""
    with db.read() as connection:
        return job_in(connection, reference)


def job_in(connection: sqlite3.Connection, reference: int | str) -> Job:
    """Return a job given by id or name, read in a transaction that is open."""
    return job_of(connection.execute(_JOB, (find(connection, reference),)).fetchone())


def purged_from(db: Database, reference: int | str) -> State | None:
    """Return the state that a purged job had; ``None`` for a job that is not purged."""
    with db.read() as connection:
        job_id = find(connection, reference)
        state = connection.execute("SELECT purged_from FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
    return None if state is None else State(state)


def attempts(db: Database, reference: int | str) -> list[Attempt]:
    """Return a job's attempts, the first one first."""
    with db.read() as connection:
        job_id = find(connection, reference)
        return [attempt_of(row) for row in connection.execute(_ATTEMPTS, (job_id,)).fetchall()]


def attempt(db: Database, reference: int | str, number: int | None) -> Attempt | None:
    """Return one attempt by number, the newest without one, ``None`` if there is none."""
    if number is not None:
        check_whole(number, "the number of the attempt", 1)
    with db.read() as connection:
        job_id = find(connection, reference)
        if number is None:
            row = connection.execute(_NEWEST_ATTEMPT, (job_id,)).fetchone()
        else:
            row = connection.execute(_ATTEMPT, (job_id, number)).fetchone()
        return None if row is None else attempt_of(row)


def stored_output(db: Database, attempt_id: int) -> tuple[bool, bytes | None]:
    """Return whether an attempt has ended, and its output if that moved into the database."""
    with db.read() as connection:
        row = connection.execute(
            "SELECT ended_at IS NOT NULL, output FROM attempts WHERE id = ?", (attempt_id,)
        ).fetchone()
        return (True, None) if row is None else (bool(row[0]), row[1])


def history(db: Database, reference: int | str) -> list[Event]:
    """Return what people did to a job, the first act first."""
    with db.read() as connection:
        job_id = find(connection, reference)
        found = connection.execute(
            "SELECT act_id, job_id, at, verb, before, undone_at FROM history JOIN acts ON acts.id = act_id"
            " WHERE job_id = ? ORDER BY act_id",
            (job_id,),
        ).fetchall()
    return [Event(row[0], row[1], to_datetime(row[2]), row[3], _before(row[4]), instant(row[5])) for row in found]


def _before(text: str) -> dict[str, object]:
    """Return the columns that history keeps of a job as a program reads them: instants, and durations in seconds."""
    before: dict[str, object] = {}
    kept: Mapping[str, object] = variables_of(text)
    for column, value in kept.items():
        if column in _INSTANTS and isinstance(value, int):
            before[column] = to_datetime(value)
        elif column.endswith("_ms"):
            before[column.removesuffix("_ms") + "_s"] = value / 1000 if isinstance(value, int) else value
        else:
            before[column] = value
    return before


def environment(db: Database, reference: int | str) -> tuple[dict[str, str], Sequence[str]]:
    """Return the variables that are stored for a job, its own ones included, and the names left to the worker."""
    with db.read() as connection:
        row = connection.execute(
            "SELECT variables, env, left_out FROM jobs JOIN environments ON environments.id = environment_id"
            " WHERE jobs.id = ?",
            (find(connection, reference),),
        ).fetchone()
    return {**variables_of(row[0]), **variables_of(row[1])}, names_of(row[2]) or ()


def counts(db: Database) -> Counts:
    """Return how many jobs of each queue stand where."""
    with db.read() as connection:
        return _counts(connection, db.clock.now_ms())


# What is due is due by the clock, also before a worker has found it so. The counters know how many are delayed of each
# queue; of those that are due and those that come later, the fewer are counted, and the rest is the difference.
_LATER = "jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND run_at > ?"
_OVERDUE = "jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND run_at <= ?"
_FEW = 5000


def _overdue(connection: sqlite3.Connection, delayed: dict[str, int], now_ms: int) -> dict[str, int]:
    """Return how many of each queue's delayed jobs are due."""
    later = _few_by_queue(connection, _LATER, now_ms, 1)
    if later is not None or not delayed:
        return dict(delayed)
    overdue = _few_by_queue(connection, _OVERDUE, now_ms, _FEW)
    if overdue is not None:
        return overdue
    later = _few_by_queue(connection, _LATER, now_ms, _FEW)
    if later is not None:
        return {queue: number - later.get(queue, 0) for queue, number in delayed.items()}
    if len(delayed) == 1:
        return dict.fromkeys(delayed, connection.execute(f"SELECT count(*) FROM {_OVERDUE}", (now_ms,)).fetchone()[0])
    return dict(connection.execute(f"SELECT queue, count(*) FROM {_OVERDUE} GROUP BY queue", (now_ms,)).fetchall())


def _few_by_queue(connection: sqlite3.Connection, source: str, now_ms: int, limit: int) -> dict[str, int] | None:
    """Return how many jobs of each queue a source has; ``None`` if there are at least ``limit``: no more is read."""
    found = connection.execute(
        f"SELECT queue, count(*) FROM (SELECT queue FROM {source} LIMIT ?) GROUP BY queue", (now_ms, limit)
    )
    by_queue: dict[str, int] = dict(found.fetchall())
    return by_queue if sum(by_queue.values()) < limit else None


def _counts(connection: sqlite3.Connection, now_ms: int) -> Counts:
    by_queue: dict[str, dict[State, int]] = {}
    delayed: dict[str, int] = {}
    for queue, state, is_delayed, number in connection.execute(
        "SELECT queue, state, is_delayed, n FROM counts WHERE n > 0"
    ).fetchall():
        if state not in _STATES:
            raise DatabaseCorrupt(f"the counters are damaged: {state!r}; run 'queuectl doctor', restore a backup")
        states = by_queue.setdefault(queue, {})
        states[State(state)] = states.get(State(state), 0) + number
        if is_delayed:
            delayed[queue] = number
    overdue = _overdue(connection, delayed, now_ms)
    later = {queue: number - overdue.get(queue, 0) for queue, number in delayed.items()}
    return Counts(by_queue, {queue: number for queue, number in later.items() if number > 0})


def lanes(db: Database, numbers: Counts | None = None) -> list[Lane]:
    """Return every queue that has jobs, a pause flag or a limit, by name; ``numbers`` if they were read already."""
    with db.read() as connection:
        numbers = _counts(connection, db.clock.now_ms()) if numbers is None else numbers
        stored = {
            row[0]: (bool(row[1]), row[2])
            for row in connection.execute("SELECT name, is_paused, running_limit FROM queues").fetchall()
        }
    names = {*numbers.by_queue, *stored}
    if not all(isinstance(name, str) for name in names):
        raise DatabaseCorrupt("the names of queues are damaged; run 'queuectl doctor', restore a backup")
    return [
        Lane(
            name,
            *stored.get(name, (False, None)),
            numbers.by_queue.get(name, {}),
            numbers.delayed_by_queue.get(name, 0),
        )
        for name in sorted(names)
    ]


def is_paused(db: Database) -> bool:
    """Tell whether everything is paused."""
    with db.read() as connection:
        row = connection.execute("SELECT value FROM facts WHERE key = 'is_paused'").fetchone()
        return bool(row and row[0])


def next_due_at(db: Database) -> int | None:
    """Return when the next delayed job becomes due, in unix milliseconds; ``None`` if none is delayed."""
    with db.read() as connection:
        row = connection.execute(
            "SELECT run_at FROM jobs INDEXED BY jobs_delayed"
            " WHERE run_at IS NOT NULL AND run_at > ? ORDER BY run_at LIMIT 1",
            (db.clock.now_ms(),),
        ).fetchone()
    return None if row is None else int(row[0])


def oldest_pending_at(db: Database) -> int | None:
    """Return when the job that has been ready for longest became due, in unix milliseconds.

    "Oldest" is the smallest id among the next 1,000 to be claimed: a bounded look, not a scan.
    """
    with db.read() as connection:
        row = connection.execute(
            "SELECT min(due_at) FROM (SELECT due_at FROM jobs INDEXED BY jobs_ready"
            " WHERE state = 'pending' AND run_at IS NULL ORDER BY priority DESC, id LIMIT 1000)"
        ).fetchone()
        overdue = connection.execute(
            "SELECT run_at FROM jobs INDEXED BY jobs_delayed"
            " WHERE run_at IS NOT NULL AND run_at <= ? ORDER BY run_at LIMIT 1",
            (db.clock.now_ms(),),
        ).fetchone()
        found = [int(one[0]) for one in (row, overdue) if one is not None and one[0] is not None]
        return min(found, default=None)
