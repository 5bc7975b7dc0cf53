"""Reads about single jobs: the job, its attempts, its history, its environment, what holds it; and what is due when."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from core.clock import to_datetime
from core.errors import JobNotFound
from core.model import Attempt, Event, Job, State
from core.rules.arguments import check_whole
from core.rules.holds import Hold
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
from core.storage.sqlite.blockers import blockers_in
from core.storage.sqlite.file import Database
from core.storage.sqlite.resources import demand

_JOB = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"
_ATTEMPTS = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? ORDER BY number"
_ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? AND number = ?"
_NEWEST_ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = ? ORDER BY number DESC LIMIT 1"

_HELD_AT = (
    "SELECT max(at) FROM history JOIN acts ON acts.id = act_id WHERE job_id = ? AND verb = 'hold' AND undone_at IS NULL"
)
# One row, whatever is stored of the queue.
_HOLD = (
    "SELECT COALESCE((SELECT value FROM facts WHERE key = 'is_paused'), 0), COALESCE(is_paused, 0), running_limit,"
    " CASE WHEN running_limit IS NULL THEN NULL ELSE (SELECT json_group_array(id) FROM (SELECT id FROM jobs"
    " INDEXED BY jobs_running WHERE state = 'running' AND queue = :queue ORDER BY started_at, id)) END"
    " FROM (SELECT 1) LEFT JOIN queues ON name = :queue"
)


def find(connection: sqlite3.Connection, reference: int | str) -> int:
    """Return the id of a job given by id or name; raise ``JobNotFound``."""
    number, name = id_or_name(reference)
    if number is not None:
        row = connection.execute("SELECT id FROM jobs WHERE id = ?", (number,)).fetchone()
    else:
        row = connection.execute("SELECT id FROM jobs WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise JobNotFound(reference)
    return int(row[0])


class Jobs:
    """The reads of one database about single jobs; see ``core.storage.contract.Jobs``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, references: Iterable[int | str]) -> list[int]:
        """Return the ids of jobs given by id or name, in the order given."""
        with self._db.read() as connection:
            return [find(connection, reference) for reference in references]

    def job(self, reference: int | str) -> Job:
        """Return a job given by id or name."""
        with self._db.read() as connection:
            return job_in(connection, reference)

    def job_and_hold(self, reference: int | str) -> tuple[Job, Hold]:
        """Return a job given by id or name, and what may hold the jobs of its queue, as of one moment."""
        with self._db.read() as connection:
            found = job_in(connection, reference)
            is_all_paused, is_paused, limit, running = connection.execute(_HOLD, {"queue": found.queue}).fetchone()
            wanted = demand(connection) if found.needs else None
            blocker = blockers_in(connection, [found.id]).get(found.id) if found.blocks > 0 else None
            held_at = connection.execute(_HELD_AT, (found.id,)).fetchone()[0] if found.is_held else None
        since = instant(held_at) or (found.enqueued_at if found.is_held else None)
        ids = () if running is None else json.loads(running)
        return found, Hold(bool(is_all_paused), bool(is_paused), limit, ids, wanted, blocker, since)

    def purged_from(self, reference: int | str) -> State | None:
        """Return the state that a purged job had; ``None`` for a job that is not purged."""
        with self._db.read() as connection:
            job_id = find(connection, reference)
            state = connection.execute("SELECT purged_from FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
        return None if state is None else State(state)

    def attempts(self, reference: int | str) -> list[Attempt]:
        """Return a job's attempts, the first one first."""
        with self._db.read() as connection:
            job_id = find(connection, reference)
            return [attempt_of(row) for row in connection.execute(_ATTEMPTS, (job_id,)).fetchall()]

    def attempt(self, reference: int | str, number: int | None) -> Attempt | None:
        """Return one attempt by number, the newest without one, ``None`` if there is none."""
        if number is not None:
            check_whole(number, "the number of the attempt", 1)
        with self._db.read() as connection:
            job_id = find(connection, reference)
            if number is None:
                row = connection.execute(_NEWEST_ATTEMPT, (job_id,)).fetchone()
            else:
                row = connection.execute(_ATTEMPT, (job_id, number)).fetchone()
            return None if row is None else attempt_of(row)

    def history(self, reference: int | str) -> list[Event]:
        """Return what people did to a job, the first act first."""
        with self._db.read() as connection:
            job_id = find(connection, reference)
            found = connection.execute(
                "SELECT act_id, job_id, at, verb, before, undone_at FROM history JOIN acts ON acts.id = act_id"
                " WHERE job_id = ? ORDER BY act_id",
                (job_id,),
            ).fetchall()
        return [Event(row[0], row[1], to_datetime(row[2]), row[3], before_of(row[4]), instant(row[5])) for row in found]

    def environment(self, reference: int | str) -> tuple[dict[str, str], Sequence[str]]:
        """Return the variables that are stored for a job, its own ones included, and the names left to the worker."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT variables, env, left_out FROM jobs JOIN environments ON environments.id = environment_id"
                " WHERE jobs.id = ?",
                (find(connection, reference),),
            ).fetchone()
        return {**variables_of(row[0]), **variables_of(row[1])}, names_of(row[2]) or ()


def job_in(connection: sqlite3.Connection, reference: int | str) -> Job:
    """Return a job given by id or name, read in a transaction that is open."""
    return job_of(connection.execute(_JOB, (find(connection, reference),)).fetchone())
