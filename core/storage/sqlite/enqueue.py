"""New jobs: checked rows go in, all or nothing, durable when the call returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from core.errors import DatabaseReadOnly, NameTaken, Refused
from core.loading import LOADING
from core.rules.environment import Captured
from core.rules.job_fields import JobRow
from core.storage.sqlite import job_names
from core.storage.sqlite.capacities import check_needs_in
from core.storage.sqlite.environments import environment_id
from core.storage.sqlite.file import Database
from core.storage.sqlite.new_rows import count_enqueued, insert_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.model import NewEdge

_COLUMNS = ", ".join(JobRow._fields)
_MARKS = ", ".join("?" * len(JobRow._fields))

_STAGE = f"INSERT INTO temp.staged ({_COLUMNS}) VALUES ({_MARKS})"
_CREATE_STAGE = f"CREATE TEMP TABLE IF NOT EXISTS staged ({_COLUMNS})"
# as rules.job_fields.time_ahead
_STAGED = ", ".join("CASE WHEN run_at > :now THEN run_at END" if name == "run_at" else name for name in JobRow._fields)
_COPY_OF = (
    f"INSERT INTO main.jobs ({_COLUMNS}, blocks, environment_id, enqueued_at, due_at, since)"
    f" SELECT {_STAGED}, {{blocks}}, :environment, :now, COALESCE(max(run_at, :now), :now), :now"
    " FROM temp.staged ORDER BY rowid"
)
_COPY = _COPY_OF.format(blocks="is_held")


def _edges_module() -> Any:
    """Return what writes edges: with all that it loads a plain enqueue would take a third longer."""
    with LOADING:
        from core.storage.sqlite import edges

    return edges


class NewJobs:
    """The way of new jobs into one database; see ``core.storage.contract.NewJobs``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, row: JobRow, captured: Captured, edges: Iterable[NewEdge] = ()) -> int:
        """Store one job and return its id; raise ``NameTaken`` and store nothing if its name exists."""
        try:
            with self._db.write(wakes_workers=True) as connection:
                now = self._db.now_ms()
                if row.needs is not None:
                    check_needs_in(connection, row.needs)
                return add_one(connection, row, environment_id(connection, captured), now, edges)
        except sqlite3.IntegrityError as error:
            if row.name is not None and "jobs.name" in str(error):
                raise NameTaken(row.name) from error
            raise Refused(f"the job was refused: {error}") from error

    def add_many(self, rows: Iterable[JobRow], captured: Captured, edges: Iterable[NewEdge] = ()) -> range:
        """Store jobs in one transaction and return their ids, which follow each other in the order given.

        The rows are staged first, in memory, so that other writers wait only for the copy.
        """
        if self._db.is_read_only:
            raise DatabaseReadOnly(f"{self._db.path} is open read-only; nothing was added")
        with self._db.using() as connection:
            connection.execute(_CREATE_STAGE)
            needs: set[str] = set()
            try:
                connection.execute("BEGIN")  # touches nothing but the temporary table
                try:
                    connection.executemany(_STAGE, _noted(rows, needs))
                    has_edges = bool(edges) and _edges_module().stage(connection, edges)
                finally:
                    connection.execute("COMMIT")
                if connection.execute("SELECT 1 FROM temp.staged").fetchone() is None:
                    return range(0)
                return self._copy(captured, needs, has_edges)
            finally:
                connection.execute("DROP TABLE IF EXISTS temp.staged")
                if edges:
                    _edges_module().unstage(connection)

    def _copy(self, captured: Captured, needs: Iterable[str], has_edges: bool) -> range:
        try:
            with self._db.write(wakes_workers=True) as connection:
                now = self._db.now_ms()
                for text in sorted(needs):
                    check_needs_in(connection, text)
                job_names.free_staged(connection)
                environment = environment_id(connection, captured)
                copy = _COPY
                if has_edges:
                    _edges_module().resolve_staged(connection, now)
                    copy = _COPY_OF.format(blocks=f"is_held + {_edges_module().BLOCKS_OF_STAGED}")
                count = connection.execute(copy, {"environment": environment, "now": now}).rowcount
                last = int(connection.execute("SELECT last_insert_rowid()").fetchone()[0])
                if has_edges:
                    _edges_module().copy_staged(connection, last - count + 1)
                count_enqueued(connection, now, count)
                return range(last - count + 1, last + 1)
        except sqlite3.IntegrityError as error:
            name = _taken_name(self._db.connection())
            if name is not None:
                raise NameTaken(name) from error
            raise Refused(f"a job was refused: {error}") from error


def _noted(rows: Iterable[JobRow], needs: set[str]) -> Iterator[JobRow]:
    """Yield the rows, and add what their jobs need to ``needs``."""
    for row in rows:
        if row.needs is not None:
            needs.add(row.needs)
        yield row


def add_one(
    connection: sqlite3.Connection, row: JobRow, environment: int, now: int, edges: Iterable[NewEdge] = ()
) -> int:
    """Store one job in the caller's transaction and return its id; ``environment`` is that of a captured one."""
    job_names.free(connection, row.name)
    needed = _edges_module().resolve(connection, edges, now) if edges else {}
    unmet = sum(not is_met for _, is_met in needed.values())
    job_id = insert_one(connection, row, environment, now, unmet)
    if needed:
        _edges_module().insert(connection, job_id, needed)
    count_enqueued(connection, now, 1)
    return job_id


def _taken_name(connection: sqlite3.Connection) -> str | None:
    row = connection.execute(
        "SELECT name FROM temp.staged WHERE name IN (SELECT name FROM main.jobs WHERE name IS NOT NULL)"
        " UNION ALL SELECT name FROM temp.staged WHERE name IS NOT NULL GROUP BY name HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    return None if row is None else str(row[0])
