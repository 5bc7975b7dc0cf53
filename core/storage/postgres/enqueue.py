"""New jobs: checked rows go in, all or nothing, durable when the call returns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from psycopg import errors

from core.errors import DatabaseReadOnly, NameTaken, Refused
from core.model import NewEdge
from core.rules.environment import Captured
from core.rules.job_fields import JobRow, time_ahead
from core.storage.postgres import job_names
from core.storage.postgres.capacities import admit_needs, bump_lanes
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.counting import CountChanges
from core.storage.postgres.edges import edges_of_batch, insert, unmet
from core.storage.postgres.environments import environment_id

# the fields that are columns of a job's row, by their places; the time of a delayed job is in its token
_IN_ROW = [index for index, column in enumerate(JobRow._fields) if column != "run_at"]
# the tables of the tokens, which are also the kinds that they count as
_TOKENS = {
    "ready": "job_id, queue, priority, due_at, needs",
    "delayed": "job_id, queue, priority, run_at, needs",
    "blocked": "job_id, queue, priority, due_at, run_at, blocks",
}
# the first and the last one, and all of them if others took some in between; the sequence is looked up once
_NEW_IDS = (
    "SELECT min(id), max(id), CASE WHEN max(id) - min(id) >= count(*) THEN array_agg(id ORDER BY id) END FROM ("
    "SELECT nextval((SELECT pg_get_serial_sequence('jobs', 'id')::regclass)) AS id FROM generate_series(1, %s)) AS new"
)
#: Up to so many jobs are inserted by a statement each; more are copied.
_FEW = 20


class NewJobs:
    """The way of new jobs into one database; see ``core.storage.contract.NewJobs``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def add(self, row: JobRow, captured: Captured, edges: Iterable[NewEdge] = ()) -> int:
        """Store one job and return its id; raise ``NameTaken`` and store nothing if its name exists."""
        return self.add_many([row], captured, edges)[0]

    def add_many(self, rows: Iterable[JobRow], captured: Captured, edges: Iterable[NewEdge] = ()) -> Sequence[int]:
        """Store jobs in one transaction and return their ids, larger than any before and in the order given."""
        if self._db.is_read_only:
            raise DatabaseReadOnly(f"{self._db.address} is open read-only; nothing was added")
        staged = list(rows)
        links = list(edges)
        if not staged:
            return range(0)
        now = self._db.now_ms()

        def work(connection: Connection) -> Sequence[int]:
            refuse_unfit(connection, staged)
            return store(connection, staged, environment_id(connection, captured), now, links)

        return self._db.transact(work, wakes_workers=True)


def refuse_unfit(connection: Connection, rows: Sequence[JobRow]) -> None:
    """Raise ``Refused`` for jobs that could never start."""
    needs = {row.needs for row in rows if row.needs is not None}
    if needs:
        admit_needs(connection, needs)


def store(
    connection: Connection, rows: Sequence[JobRow], environment: int, now: int, edges: Sequence[NewEdge] = ()
) -> Sequence[int]:
    """Store jobs with a stored environment and their edges in the caller's transaction; return their ids."""
    names = [row.name for row in rows if row.name is not None]
    job_names.free(connection, names)
    ids = _ids(connection, len(rows))
    needed = edges_of_batch(connection, edges, ids) if edges else {}
    unmet_edges = {job_id: unmet(of_job) for job_id, of_job in needed.items()}
    try:
        changes = _insert(connection, rows, ids, unmet_edges, environment, now)
    except errors.UniqueViolation as error:
        raise NameTaken(_taken_name(str(error.diag.message_detail or ""), names)) from error
    except errors.CheckViolation as error:
        raise Refused(f"a job was refused: {error.diag.message_primary}") from error
    insert(connection, needed)
    connection.execute(
        "INSERT INTO minutes AS m (minute, shard, enqueued) VALUES (%s, %s, %s)"
        " ON CONFLICT (minute, shard) DO UPDATE SET enqueued = m.enqueued + excluded.enqueued",
        (now // 60_000, os.getpid() % 64, len(rows)),
    )
    changes.write(connection)
    if any(row.needs is not None for row in rows):
        bump_lanes(connection)
    return ids


def _ids(connection: Connection, count: int) -> Sequence[int]:
    """Return so many new ids, ascending; others may take some in between."""
    row = connection.execute(_NEW_IDS, (count,)).fetchone()
    assert row is not None
    first, last, listed = row
    return range(first, last + 1) if listed is None else list(listed)


def _insert(
    connection: Connection,
    rows: Sequence[JobRow],
    ids: Sequence[int],
    unmet_edges: Mapping[int, int],
    environment: int,
    now: int,
) -> CountChanges:
    """Store jobs and their tokens; return by how much the counts change."""
    tokens: dict[str, list[tuple[object, ...]]] = {table: [] for table in _TOKENS}
    ready = tokens["ready"]
    # most columns are empty in all of many jobs: what is left out is neither sent nor read
    given = [index for index in _IN_ROW if any(row[index] is not None for row in rows)]
    columns = ", ".join(JobRow._fields[index] for index in given)
    of_given = itemgetter(*given)

    def jobs() -> Iterator[tuple[object, ...]]:
        for job_id, row in zip(ids, rows, strict=True):
            run_at = time_ahead(row.run_at, now)
            due_at = run_at or now
            blocks = row.is_held + unmet_edges.get(job_id, 0)
            if blocks:
                tokens["blocked"].append((job_id, row.queue, row.priority, due_at, run_at, blocks))
            else:
                of_kind = tokens["delayed"] if run_at else ready
                of_kind.append((job_id, row.queue, row.priority, due_at, row.needs))
            yield (job_id, *of_given(row), environment, now, due_at, now)

    # made while the server is at work on those before
    _write(connection, "jobs", f"id, {columns}, environment_id, enqueued_at, due_at, since", jobs(), len(rows))
    changes = CountChanges()
    for table, values in tokens.items():
        _write(connection, table, _TOKENS[table], values, len(values))
        for queue, number in Counter(str(value[1]) for value in values).items():
            changes.add(queue, table, number)
    return changes


def _write(connection: Connection, table: str, columns: str, values: Iterable[tuple[object, ...]], count: int) -> None:
    """Insert so many rows into a table."""
    if count <= _FEW:
        marks = ", ".join(["%s"] * len(columns.split(", ")))
        for value in values:
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", value)
    else:
        with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for value in values:
                copy.write_row(value)


def _taken_name(detail: str, names: Sequence[str]) -> str:
    """Return which of the names a violation speaks of, given its detail: ``Key (name)=(a) already exists``."""
    return next((name for name in names if f"=({name})" in detail), names[0] if names else "")
