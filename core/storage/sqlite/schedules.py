"""The schedules of a database, and the tick that adds the jobs of what is due."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from core.errors import ScheduleNotFound, UsageError
from core.loading import LOADING
from core.model import EdgeKind, NewEdge
from core.rules.environment import Captured
from core.rules.occurrences import plan
from core.rules.schedules import (
    COLUMNS,
    KEPT,
    TICK,
    Occurrence,
    OccurrenceDecision,
    Schedule,
    ScheduleRow,
    Unfinished,
    decisions,
    earlier,
    job_row_of,
    missed_words,
    name_taken,
    occurrence_of,
    schedule_of,
    stored_row_of,
)
from core.storage.sqlite.capacities import check_needs_in
from core.storage.sqlite.enqueue import add_one
from core.storage.sqlite.environments import environment_id
from core.storage.sqlite.file import Database

_FIELDS = ", ".join(ScheduleRow._fields)
_MARKS = ", ".join("?" * len(ScheduleRow._fields))
_SELECT = f"SELECT {COLUMNS}, (SELECT state FROM jobs WHERE jobs.id = last_job_id) FROM schedules"
_DUE = "SELECT id FROM schedules WHERE next_at <= ? ORDER BY next_at, id"
_OCCUR = (
    "INSERT INTO occurrences (schedule_id, due_at, decided_at, job_id, why) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_TRIM = (
    "DELETE FROM occurrences WHERE schedule_id = :id AND due_at < (SELECT due_at FROM occurrences"
    " WHERE schedule_id = :id ORDER BY due_at DESC LIMIT 1 OFFSET :kept)"
    " AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = occurrences.job_id AND (state = 'pending' OR state = 'running'))"
)
_NOTE = "UPDATE schedules SET note = :note WHERE id = :id AND note IS NOT :note"
_UNFINISHED = (
    "WITH unfinished (id, is_running) AS ("
    "SELECT jobs.id, state = 'running' FROM occurrences JOIN jobs ON jobs.id = job_id"
    " WHERE schedule_id = ? AND (state = 'pending' OR state = 'running'))"
    " SELECT id, is_running, id IN (SELECT on_id FROM unfinished AS later CROSS JOIN dependencies ON job_id = later.id"
    " WHERE is_met = 0) FROM unfinished ORDER BY id"
)


class Schedules:
    """The schedules of one database; see ``core.storage.work_contract.Schedules``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: ScheduleRow, captured: Captured) -> int:
        """Store a schedule; return its id."""
        with self._db.write(wakes_workers=True) as connection:
            _refuse_name(connection, row.name, 0)
            _refuse_unfit(connection, row.job)
            values = (*row, environment_id(connection, captured), self._db.now_ms())
            cursor = connection.execute(
                f"INSERT INTO schedules ({_FIELDS}, environment_id, added_at) VALUES ({_MARKS}, ?, ?)", values
            )
            return int(cursor.lastrowid or 0)

    def edit(self, name: str, change: Callable[[Schedule], ScheduleRow], captured: Captured | None) -> Schedule:
        """Store a schedule as ``change`` makes it of what it is; its occurrences and a pause stay."""
        with self._db.write(wakes_workers=True) as connection:
            before = _find(connection, name)
            row = change(before)
            _refuse_name(connection, row.name, before.id)
            _refuse_unfit(connection, row.job)
            environment = before.environment_id if captured is None else environment_id(connection, captured)
            next_at = None if before.next_at is None else row.next_at
            connection.execute(
                f"UPDATE schedules SET ({_FIELDS}, environment_id, note) = ({_MARKS}, ?, NULL) WHERE id = ?",
                (*row._replace(next_at=next_at), environment, before.id),
            )
            return _find(connection, row.name)

    def set_next(self, name: str, next_at: int | None) -> None:
        """Have a schedule be due at an instant, or pause it."""
        with self._db.write(wakes_workers=True) as connection:
            schedule = _find(connection, name)
            connection.execute("UPDATE schedules SET next_at = ?, note = NULL WHERE id = ?", (next_at, schedule.id))

    def remove(self, name: str) -> None:
        """Remove a schedule and its occurrences."""
        with self._db.write() as connection:
            connection.execute("DELETE FROM schedules WHERE id = ?", (_find(connection, name).id,))

    def find(self, name: str) -> Schedule:
        """Return a schedule."""
        with self._db.read() as connection:
            return _find(connection, name)

    def all(self) -> list[Schedule]:
        """Return the schedules, by name."""
        with self._db.read() as connection:
            return [schedule_of(row) for row in connection.execute(f"{_SELECT} ORDER BY name").fetchall()]

    def occurrences(self, name: str, limit: int) -> list[Occurrence]:
        """Return up to ``limit`` occurrences of a schedule, the newest first."""
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT due_at, decided_at, job_id, why FROM occurrences WHERE schedule_id = ?"
                " ORDER BY due_at DESC LIMIT ?",
                (_find(connection, name).id, limit),
            ).fetchall()
        return [occurrence_of(row) for row in found]

    def run_now(self, name: str) -> int:
        """Add the job of a schedule besides its plan; return its id."""
        with self._db.write(wakes_workers=True) as connection:
            now = self._db.now_ms()
            schedule = _find(connection, name)
            _refuse_unfit(connection, schedule.job)
            due_at = now
            while connection.execute(
                "SELECT 1 FROM occurrences WHERE schedule_id = ? AND due_at = ?", (schedule.id, due_at)
            ).fetchone():
                due_at += 1  # a second one in the same millisecond
            job_id = add_one(connection, job_row_of(schedule, due_at), schedule.environment_id, now)
            connection.execute(_OCCUR, (schedule.id, due_at, now, job_id, "run by hand"))
            connection.execute("UPDATE schedules SET last_job_id = ?, note = NULL WHERE id = ?", (job_id, schedule.id))
            return job_id

    def tick(self) -> int:
        """Decide about what is due now; return how many jobs were added."""
        with self._db.write(wakes_workers=True) as connection:
            now = self._db.now_ms()
            added: list[int] = []
            for (schedule_id,) in connection.execute(_DUE, (now,)).fetchall():
                number = _decide(connection, _by_id(connection, schedule_id), now)
                # those that this host cannot decide about stay due; they must not be in the way of the others
                added += [] if number is None else [number]
                if len(added) == TICK:
                    break
            return sum(added)

    def renew(self) -> None:
        """Have each schedule be due at its next instant, if it is planned for a later one."""
        now = self._db.now_ms()
        with self._db.read() as connection:
            found = connection.execute(f"{_SELECT} WHERE next_at > ?", (now,)).fetchall()
        early = earlier([schedule_of(row) for row in found], now)
        if early:
            with self._db.write(wakes_workers=True) as connection:
                connection.executemany("UPDATE schedules SET next_at = ? WHERE id = ? AND next_at = ?", early)


def _find(connection: sqlite3.Connection, name: str) -> Schedule:
    row = connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise ScheduleNotFound(name)
    return schedule_of(row)


def _by_id(connection: sqlite3.Connection, schedule_id: int) -> Schedule:
    return schedule_of(connection.execute(f"{_SELECT} WHERE id = ?", (schedule_id,)).fetchone())


def _refuse_name(connection: sqlite3.Connection, name: str, own_id: int) -> None:
    if connection.execute("SELECT 1 FROM schedules WHERE name = ? AND id <> ?", (name, own_id)).fetchone():
        raise name_taken(name)


def _refuse_unfit(connection: sqlite3.Connection, job: str) -> None:
    """Raise ``Refused`` for a job that could never start; of one that is due what it needs may be lowered: it waits."""
    needs = stored_row_of(job).needs
    if needs is not None:
        check_needs_in(connection, needs)


def _decide(connection: sqlite3.Connection, schedule: Schedule, now: int) -> int | None:
    """Decide about the instants of a schedule that is due; return how many jobs were added, ``None`` if it cannot."""
    assert schedule.next_at is not None
    try:
        due = plan(schedule.recipe, schedule.next_at, now, schedule.missed)
    except UsageError as error:
        connection.execute(_NOTE, {"id": schedule.id, "note": str(error)})
        return None
    note = None
    if due.last_missed is not None:
        note = missed_words(due.missed)
        connection.execute(_OCCUR, (schedule.id, due.last_missed, now, None, note))
    # where the calendar was set back an instant may have been decided before
    new = [at for at in due.runs if connection.execute(_OCCUR, (schedule.id, at, now, None, "")).rowcount == 1]
    added = [schedule.last_job_id]
    for decision in decisions(schedule.overlap, new, _unfinished(connection, schedule)):
        job_id = _add(connection, schedule, decision, now, added[-1]) if decision.runs else None
        connection.execute(
            "UPDATE occurrences SET job_id = ?, why = ? WHERE schedule_id = ? AND due_at = ?",
            (job_id, decision.why, schedule.id, decision.due_at),
        )
        note = None if decision.runs else decision.why
        if job_id is not None:
            added.append(job_id)
    connection.execute(
        "UPDATE schedules SET next_at = ?, last_job_id = ?, note = ? WHERE id = ?",
        (due.next_at, added[-1], note, schedule.id),
    )
    connection.execute(_TRIM, {"id": schedule.id, "kept": KEPT})
    return len(added) - 1


def _unfinished(connection: sqlite3.Connection, schedule: Schedule) -> list[Unfinished]:
    if schedule.overlap == "allow":
        return []
    found = connection.execute(_UNFINISHED, (schedule.id,)).fetchall()
    return [Unfinished(job_id, bool(is_running), bool(is_followed)) for job_id, is_running, is_followed in found]


def _add(
    connection: sqlite3.Connection, schedule: Schedule, decision: OccurrenceDecision, now: int, last_job_id: int | None
) -> int:
    """Add the job of an instant, after the ends of others; return its id."""
    if schedule.overlap == "replace":
        for job in _unfinished(connection, schedule):
            with LOADING:
                from core.storage.sqlite.operations import cancel_for_another  # most ticks cancel nothing
            cancel_for_another(connection, job.job_id, now)
    after = (last_job_id,) if decision.is_chained and last_job_id is not None else decision.after
    edges = [NewEdge(0, None, job_id, EdgeKind.END) for job_id in after]
    return add_one(connection, job_row_of(schedule, decision.due_at), schedule.environment_id, now, edges)
