"""Reads about single jobs: the job, its attempts, its history, its environment, what holds it; and what is due when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from core.clock import to_datetime
from core.errors import JobNotFound
from core.model import Attempt, Event, Job, State
from core.rules.arguments import check_whole
from core.rules.holds import Hold
from core.storage.postgres.blockers import blockers_in
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.resources import demand
from core.storage.rows import (
    ATTEMPT_COLUMNS,
    JOB_COLUMNS,
    attempt_of,
    before_of,
    id_or_name,
    instant,
    job_of,
    names_of,
    variables_of,
)

_ATTEMPTS = f"SELECT {ATTEMPT_COLUMNS} FROM attempt_rows WHERE job_id = %s"
_HELD_AT = (
    "SELECT max(at) FROM history JOIN acts ON acts.id = act_id"
    " WHERE job_id = %s AND verb = 'hold' AND undone_at IS NULL"
)
_HOLD = (
    "SELECT COALESCE((SELECT value FROM facts WHERE key = 'is_paused'), 0), COALESCE(q.is_paused, 0), q.running_limit,"
    " CASE WHEN q.running_limit IS NOT NULL THEN"
    " ARRAY(SELECT job_id FROM running WHERE queue = %(queue)s ORDER BY started_at, job_id) END"
    " FROM (SELECT 1) AS one LEFT JOIN queues AS q ON q.name = %(queue)s"
)


def find(connection: Connection, reference: int | str) -> int:
    """Return the id of a job given by id or name; raise ``JobNotFound``."""
    number, name = id_or_name(reference)
    if number is not None:
        row = connection.execute("SELECT id FROM jobs WHERE id = %s", (number,)).fetchone()
    else:
        row = connection.execute("SELECT id FROM jobs WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise JobNotFound(reference)
    return int(row[0])


class Jobs:
    """The reads of one database about single jobs; see ``core.storage.contract.Jobs``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def _read(self) -> AbstractContextManager[Connection]:
        return self._db.read()

    def find(self, references: Iterable[int | str]) -> list[int]:
        """Return the ids of jobs given by id or name, in the order given."""
        with self._read() as connection:
            return [find(connection, reference) for reference in references]

    def job(self, reference: int | str) -> Job:
        """Return a job given by id or name."""
        number, name = id_or_name(reference)
        column, value = ("name", name) if number is None else ("id", number)
        found = self._db.query(f"SELECT {JOB_COLUMNS} FROM job_rows WHERE {column} = %s", (value,))
        if not found:
            raise JobNotFound(reference)
        return job_of(found[0])

    def job_and_hold(self, reference: int | str) -> tuple[Job, Hold]:
        """Return a job given by id or name, and what may hold it or the jobs of its queue, as of one moment."""
        with self._read() as connection:
            found = job_in(connection, reference)
            row = connection.execute(_HOLD, {"queue": found.queue}).fetchone()
            wanted = demand(connection) if found.needs else None
            blocker = blockers_in(connection, [found.id]).get(found.id) if found.blocks > 0 else None
            held = connection.execute(_HELD_AT, (found.id,)).fetchone() if found.is_held else None
        assert row is not None
        is_all_paused, is_paused, limit, running = row
        since = None if held is None else instant(held[0]) or found.enqueued_at
        return found, Hold(bool(is_all_paused), bool(is_paused), limit, tuple(running or ()), wanted, blocker, since)

    def purged_from(self, reference: int | str) -> State | None:
        """Return the state that a purged job had; ``None`` for a job that is not purged."""
        with self._read() as connection:
            job_id = find(connection, reference)
            row = connection.execute("SELECT purged_from FROM jobs WHERE id = %s", (job_id,)).fetchone()
        return None if row is None or row[0] is None else State(row[0])

    def attempts(self, reference: int | str) -> list[Attempt]:
        """Return a job's attempts, the first one first."""
        with self._read() as connection:
            job_id = find(connection, reference)
            found = connection.execute(f"{_ATTEMPTS} ORDER BY number", (job_id,)).fetchall()
        return [attempt_of(row) for row in found]

    def attempt(self, reference: int | str, number: int | None) -> Attempt | None:
        """Return one attempt by number, the newest without one, ``None`` if there is none."""
        if number is not None:
            check_whole(number, "the number of the attempt", 1)
        with self._read() as connection:
            job_id = find(connection, reference)
            if number is None:
                row = connection.execute(f"{_ATTEMPTS} ORDER BY number DESC LIMIT 1", (job_id,)).fetchone()
            else:
                row = connection.execute(f"{_ATTEMPTS} AND number = %s", (job_id, number)).fetchone()
        return None if row is None else attempt_of(row)

    def history(self, reference: int | str) -> list[Event]:
        """Return what people did to a job, the first act first."""
        with self._read() as connection:
            job_id = find(connection, reference)
            found = connection.execute(
                "SELECT act_id, job_id, at, verb, before, undone_at FROM history JOIN acts ON acts.id = act_id"
                " WHERE job_id = %s ORDER BY act_id",
                (job_id,),
            ).fetchall()
        return [Event(row[0], row[1], to_datetime(row[2]), row[3], before_of(row[4]), instant(row[5])) for row in found]

    def environment(self, reference: int | str) -> tuple[dict[str, str], Sequence[str]]:
        """Return the variables that are stored for a job, its own ones included, and the names left to the worker."""
        with self._read() as connection:
            row = connection.execute(
                "SELECT variables, env, left_out FROM jobs JOIN environments ON environments.id = environment_id"
                " WHERE jobs.id = %s",
                (find(connection, reference),),
            ).fetchone()
        if row is None:
            return {}, ()
        return {**variables_of(row[0]), **variables_of(row[1])}, names_of(row[2]) or ()


def job_in(connection: Connection, reference: int | str) -> Job:
    """Return a job given by id or name, read in a transaction that is open."""
    job_id = find(connection, reference)
    row = connection.execute(f"SELECT {JOB_COLUMNS} FROM job_rows WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return job_of(row)
