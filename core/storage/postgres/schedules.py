"""The schedules of a database, and the tick that adds the jobs of what is due."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from psycopg import errors

from core.errors import ScheduleNotFound, UsageError
from core.model import EdgeKind, NewEdge
from core.rules.environment import Captured
from core.rules.needs import needs_of
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
from core.storage.postgres.capacities import add_resources
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.enqueue import refuse_unfit, store
from core.storage.postgres.environments import environment_id
from core.storage.postgres.operations import cancel_for_another

_FIELDS = ", ".join(ScheduleRow._fields)
_MARKS = ", ".join(["%s"] * len(ScheduleRow._fields))
_SELECT = f"SELECT {COLUMNS}, (SELECT state FROM job_rows WHERE job_rows.id = last_job_id) FROM schedules"
_DUE = f"{_SELECT} WHERE next_at <= %s AND id <> ALL (%s) ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED"
# returns the instants about which was not decided before
_OCCUR = (
    "INSERT INTO occurrences (schedule_id, due_at, decided_at, why)"
    " SELECT %s, due_at, %s, %s FROM unnest(%s::bigint[]) AS new (due_at) ON CONFLICT DO NOTHING RETURNING due_at"
)
_DECIDED = (
    "UPDATE occurrences SET job_id = new.job_id, why = new.why"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS new (due_at, job_id, why)"
    " WHERE schedule_id = %s AND occurrences.due_at = new.due_at"
)
_TRIM = (
    "DELETE FROM occurrences WHERE schedule_id = %(id)s AND due_at < (SELECT due_at FROM occurrences"
    " WHERE schedule_id = %(id)s ORDER BY due_at DESC LIMIT 1 OFFSET %(kept)s)"
    " AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id AND jobs.state = 'open')"
)
_UNFINISHED = (
    "WITH unfinished (id) AS MATERIALIZED (SELECT jobs.id FROM occurrences JOIN jobs ON jobs.id = occurrences.job_id"
    " WHERE schedule_id = %s AND jobs.state = 'open')"
    " SELECT id, EXISTS (SELECT 1 FROM running WHERE running.job_id = id),"
    " id IN (SELECT edge.on_id FROM unfinished AS later CROSS JOIN LATERAL"
    " (SELECT on_id FROM dependencies WHERE job_id = later.id AND is_met = 0 OFFSET 0) AS edge)"
    " FROM unfinished ORDER BY id"
)


class Schedules:
    """The schedules of one database; see ``core.storage.work_contract.Schedules``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def add(self, row: ScheduleRow, captured: Captured) -> int:
        """Store a schedule; return its id."""
        now = self._db.now_ms()

        def work(connection: Connection) -> int:
            _check(connection, row)
            with _refusing(row.name):
                found = connection.execute(
                    f"INSERT INTO schedules ({_FIELDS}, environment_id, added_at) VALUES ({_MARKS}, %s, %s)"
                    " RETURNING id",
                    (*row, environment_id(connection, captured), now),
                ).fetchone()
            assert found is not None
            return int(found[0])

        return self._db.transact(work, wakes_workers=True)

    def edit(self, name: str, change: Callable[[Schedule], ScheduleRow], captured: Captured | None) -> Schedule:
        """Store a schedule as ``change`` makes it of what it is; its occurrences and a pause stay."""

        def work(connection: Connection) -> Schedule:
            before = _find(connection, name, is_locked=True)
            row = change(before)
            _check(connection, row)
            environment = before.environment_id if captured is None else environment_id(connection, captured)
            next_at = None if before.next_at is None else row.next_at
            with _refusing(row.name):
                connection.execute(
                    f"UPDATE schedules SET ({_FIELDS}, environment_id, note) = ({_MARKS}, %s, NULL) WHERE id = %s",
                    (*row._replace(next_at=next_at), environment, before.id),
                )
            return _find(connection, row.name)

        return self._db.transact(work, wakes_workers=True)

    def set_next(self, name: str, next_at: int | None) -> None:
        """Have a schedule be due at an instant, or pause it."""

        def work(connection: Connection) -> None:
            changed = connection.execute(
                "UPDATE schedules SET next_at = %s, note = NULL WHERE name = %s", (next_at, name)
            )
            if changed.rowcount != 1:
                raise ScheduleNotFound(name)

        self._db.transact(work, wakes_workers=True)

    def remove(self, name: str) -> None:
        """Remove a schedule and its occurrences."""

        def work(connection: Connection) -> None:
            if connection.execute("DELETE FROM schedules WHERE name = %s", (name,)).rowcount != 1:
                raise ScheduleNotFound(name)

        self._db.transact(work)

    def find(self, name: str) -> Schedule:
        """Return a schedule."""
        with self._db.read() as connection:
            return _find(connection, name)

    def all(self) -> list[Schedule]:
        """Return the schedules, by name."""
        return [schedule_of(row) for row in self._db.query(f"{_SELECT} ORDER BY name")]

    def occurrences(self, name: str, limit: int) -> list[Occurrence]:
        """Return up to ``limit`` occurrences of a schedule, the newest first."""
        with self._db.read() as connection:
            found = connection.execute(
                "SELECT due_at, decided_at, job_id, why FROM occurrences WHERE schedule_id = %s"
                " ORDER BY due_at DESC LIMIT %s",
                (_find(connection, name).id, limit),
            ).fetchall()
        return [occurrence_of(row) for row in found]

    def run_now(self, name: str) -> int:
        """Add the job of a schedule besides its plan; return its id."""
        now = self._db.now_ms()

        def work(connection: Connection) -> int:
            schedule = _find(connection, name, is_locked=True)
            refuse_unfit(connection, [stored_row_of(schedule.job)])
            due_at = now
            while not _occur(connection, schedule, [due_at], now, "run by hand"):
                due_at += 1  # a second one in the same millisecond
            decision = OccurrenceDecision(due_at, True, "run by hand")
            job_id = _decided(connection, schedule, [decision], now)
            assert job_id is not None
            connection.execute(
                "UPDATE schedules SET last_job_id = %s, note = NULL WHERE id = %s", (job_id, schedule.id)
            )
            return job_id

        return self._db.transact(work, wakes_workers=True)

    def tick(self) -> int:
        """Decide about what is due now, each schedule in a transaction of its own; return how many jobs were added.

        One that another worker is about to decide on is left to it.
        """
        seen: list[int] = []
        added: list[int] = []
        while len(added) < TICK:
            found = self._db.transact(lambda connection: _tick_one(connection, seen, self._db.now_ms()))
            if found is None:
                break
            seen.append(found[0])
            # those that this host cannot decide about stay due; they must not be in the way of the others
            added += [] if found[1] is None else [found[1]]
        if any(added):
            self._db.ring()
        return sum(added)

    def renew(self) -> None:
        """Have each schedule be due at its next instant, if it is planned for a later one."""
        now = self._db.now_ms()
        found = self._db.query(f"{_SELECT} WHERE next_at > %s", (now,))
        early = earlier([schedule_of(row) for row in found], now)

        def work(connection: Connection) -> None:
            for change in early:
                connection.execute("UPDATE schedules SET next_at = %s WHERE id = %s AND next_at = %s", change)

        if early:
            self._db.transact(work, wakes_workers=True)


def _check(connection: Connection, row: ScheduleRow) -> None:
    """Raise ``Refused`` for a schedule whose jobs this engine could not add."""
    refuse_unfit(connection, [stored_row_of(row.job)])


@contextlib.contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Raise ``Refused`` where another schedule has the name."""
    try:
        yield
    except errors.UniqueViolation:
        raise name_taken(name) from None


def _find(connection: Connection, name: str, *, is_locked: bool = False) -> Schedule:
    row = connection.execute(f"{_SELECT} WHERE name = %s{' FOR UPDATE' if is_locked else ''}", (name,)).fetchone()
    if row is None:
        raise ScheduleNotFound(name)
    return schedule_of(row)


def _tick_one(connection: Connection, seen: list[int], now: int) -> tuple[int, int | None] | None:
    """Decide about the schedule that is due for longest; return its id and how many jobs were added.

    ``None`` jobs if this host cannot decide about it.
    """
    row = connection.execute(_DUE, (now, seen)).fetchone()
    if row is None:
        return None
    schedule = schedule_of(row)
    assert schedule.next_at is not None
    try:
        due = plan(schedule.recipe, schedule.next_at, now, schedule.missed)
    except UsageError as error:
        connection.execute(
            "UPDATE schedules SET note = %(note)s WHERE id = %(id)s AND note IS DISTINCT FROM %(note)s",
            {"id": schedule.id, "note": str(error)},
        )
        return schedule.id, None
    note = None
    if due.last_missed is not None:
        note = missed_words(due.missed)
        _occur(connection, schedule, [due.last_missed], now, note)
    # where the calendar was set back an instant may have been decided before
    new = _occur(connection, schedule, due.runs, now, "")
    unfinished = _unfinished(connection, schedule)
    decided = decisions(schedule.overlap, new, unfinished)
    if decided:
        note = None if decided[-1].runs else decided[-1].why
    if schedule.overlap == "replace" and unfinished and any(decision.runs for decision in decided):
        cancel_for_another(connection, [job.job_id for job in unfinished], now)
    last_job_id = _decided(connection, schedule, decided, now)
    connection.execute(
        "UPDATE schedules SET next_at = %s, last_job_id = %s, note = %s WHERE id = %s",
        (due.next_at, last_job_id, note, schedule.id),
    )
    connection.execute(_TRIM, {"id": schedule.id, "kept": KEPT})
    return schedule.id, sum(decision.runs for decision in decided)


def _occur(connection: Connection, schedule: Schedule, instants: Sequence[int], now: int, why: str) -> list[int]:
    """Store instants about which is decided now; return those about which was not decided before."""
    found = connection.execute(_OCCUR, (schedule.id, now, why, list(instants))).fetchall()
    return sorted(row[0] for row in found)


def _unfinished(connection: Connection, schedule: Schedule) -> list[Unfinished]:
    if schedule.overlap == "allow":
        return []
    return [Unfinished(*row) for row in connection.execute(_UNFINISHED, (schedule.id,)).fetchall()]


def _decided(connection: Connection, schedule: Schedule, decided: Sequence[OccurrenceDecision], now: int) -> int | None:
    """Add the jobs that are decided on, and store what was decided; return the id of the schedule's last job."""
    running = [decision for decision in decided if decision.runs]
    if not decided:
        return schedule.last_job_id
    rows = [job_row_of(schedule, decision.due_at) for decision in running]
    # what there is of a resource may have been lowered: such a job waits
    add_resources(connection, {name for row in rows if row.needs is not None for name in needs_of(row.needs)})
    edges = [
        *(NewEdge(at, None, on, EdgeKind.END) for at, decision in enumerate(running) for on in decision.after),
        *(NewEdge(at, at - 1, None, EdgeKind.END) for at, decision in enumerate(running) if decision.is_chained),
    ]
    ids = store(connection, rows, schedule.environment_id, now, edges) if rows else []
    by_instant = dict(zip([decision.due_at for decision in running], ids, strict=True))
    columns = zip(*((one.due_at, by_instant.get(one.due_at), one.why) for one in decided), strict=True)
    connection.execute(_DECIDED, (*map(list, columns), schedule.id))
    return ids[-1] if ids else schedule.last_job_id
