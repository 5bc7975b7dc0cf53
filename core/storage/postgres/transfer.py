"""A whole queue read from and written to a database on a server, part by part; and the marks of a move.

The marks are a table and triggers, which only a database has that is part of a move: no other pays for them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from psycopg import sql

from core.errors import DatabaseMoved, DatabaseReadOnly, Refused
from core.rules.needs import needs_of
from core.spool import Spool
from core.storage.postgres.capacities import add_resources, bump_lanes
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.errors import MOVED_STATE
from core.storage.postgres.host_spool import host_token, make
from core.storage.postgres.move_marks import marks_in
from core.storage.transfer import (
    ATTEMPTS,
    FACTS,
    JOBS,
    MINUTES,
    RESOURCES,
    SEQUENCES,
    Part,
    Record,
    TransferState,
)
from core.storage.transfer_words import refusal
from core.version import __version__

_SEQUENCE_OF = {"acts": "acts_id_seq", "attempts": "attempt_ids", "jobs": "jobs_id_seq", "workers": "workers_id_seq"}
_SEQUENCES = " UNION ALL ".join(
    f"SELECT '{name}' AS name, CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM {sequence}"
    for name, sequence in _SEQUENCE_OF.items()
)
# Sums over shards; and "C", since a part is read in the order of its key on every engine.
_MINUTES = (
    f"SELECT minute, {', '.join(f'sum({name})::bigint AS {name}' for name in MINUTES.columns[1:])}"
    " FROM minutes GROUP BY minute"
)
_FACTS = (
    "SELECT key, value FROM facts WHERE value <> 0 AND key <> 'total_enqueued'"
    " AND (key IN ('is_paused', 'totals_until') OR key LIKE 'total\\_%%')"
)
_RELATIONS = {
    JOBS.name: "job_rows",
    MINUTES.name: f"({_MINUTES}) AS part",
    FACTS.name: f"({_FACTS}) AS part",
    RESOURCES.name: "(SELECT * FROM resources WHERE capacity IS NOT NULL) AS part",
    SEQUENCES.name: f'(SELECT name COLLATE "C" AS name, last FROM ({_SEQUENCES}) AS each) AS part',
}
_KEY_TYPES = {
    "settings": ("text",),
    "queues": ("text",),
    "resources": ("text",),
    "facts": ("text",),
    "dependencies": ("bigint", "bigint"),
    "history": ("bigint", "bigint"),
    "hook_events": ("bigint", "bigint"),
    "occurrences": ("bigint", "bigint"),
    "durations": ("bigint", "text", "bigint"),
}
_STATE = JOBS.columns.index("state")
_RUN_AT = JOBS.columns.index("run_at")
_ID, _NAME, _QUEUE, _PRIORITY, _NEEDS, _DUE_AT = (
    JOBS.columns.index(name) for name in ("id", "name", "queue", "priority", "needs", "due_at")
)

_GUARDED = (
    ("jobs", "INSERT OR UPDATE"),
    ("dependencies", "INSERT OR UPDATE OR DELETE"),
    ("running", "INSERT"),
    ("workers", "INSERT"),
    ("acts", "INSERT"),
    ("environments", "INSERT"),
    ("queues", "INSERT OR UPDATE OR DELETE"),
    ("resources", "INSERT OR UPDATE OR DELETE"),
    ("settings", "INSERT OR UPDATE OR DELETE"),
    ("hooks", "INSERT OR DELETE"),
    ("schedules", "INSERT OR UPDATE OR DELETE"),
)
_MARKS = (
    "CREATE TABLE IF NOT EXISTS moves (role text PRIMARY KEY, address text NOT NULL, at bigint NOT NULL);"
    " GRANT SELECT ON moves TO PUBLIC;"
    " CREATE OR REPLACE FUNCTION refuse_others() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF NOT EXISTS (SELECT 1 FROM queuectl.facts WHERE key = 'is_mover') THEN"
    f" RAISE EXCEPTION USING ERRCODE = '{MOVED_STATE}', MESSAGE = TG_ARGV[0]; END IF; RETURN NULL; END $$"
)
_LOCK = (
    "LOCK TABLE acts, attempts, blocked, canaries, canary_jobs, chunks, delayed, dependencies, durations, environments,"
    " facts, history, hook_events, hooks, jobs, lanes_epoch, minutes, occurrences, queues, ready, resources, running,"
    " schedules, settings, settling, workers IN SHARE ROW EXCLUSIVE MODE"
)
_MAY_MARK = (
    "SELECT has_schema_privilege(oid, 'CREATE') AND"
    " (SELECT bool_and(has_table_privilege('queuectl.' || name, 'TRIGGER')) FROM unnest(%s::text[]) AS name),"
    " pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'queuectl'"
)
_FIND = (
    "SELECT EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM attempts) OR EXISTS (SELECT 1 FROM acts)"
    " OR EXISTS (SELECT 1 FROM environments), (SELECT count(*) FROM running)"
)
_COUNT = (
    "INSERT INTO counts (queue, kind, shard, n) SELECT queue, kind, 0, count(*) FROM ("
    "SELECT queue, 'ready' AS kind FROM ready UNION ALL SELECT queue, 'delayed' FROM delayed"
    " UNION ALL SELECT queue, 'blocked' FROM blocked"
    " UNION ALL SELECT queue, state FROM jobs WHERE state <> 'open') AS each GROUP BY queue, kind"
)
# The tokens of what is kept back, made of those of all that is pending; some are there when a move goes on.
_FREE = (
    "INSERT INTO ready (job_id, queue, priority, due_at, needs) SELECT b.job_id, b.queue, b.priority, b.due_at, j.needs"
    " FROM blocked AS b JOIN jobs AS j ON j.id = b.job_id WHERE b.run_at IS NULL",
    "INSERT INTO delayed (job_id, queue, priority, run_at, needs)"
    " SELECT b.job_id, b.queue, b.priority, b.run_at, j.needs"
    " FROM blocked AS b JOIN jobs AS j ON j.id = b.job_id WHERE b.run_at IS NOT NULL",
    "DELETE FROM blocked",
)
_KEPT_BACK = (
    "SELECT j.id, j.is_held + COALESCE(unmet.n, 0) AS blocks FROM jobs AS j LEFT JOIN"
    " (SELECT job_id, count(*) AS n FROM dependencies WHERE is_met = 0 GROUP BY job_id) AS unmet ON unmet.job_id = j.id"
    " WHERE j.state = 'open' AND (j.is_held = 1 OR unmet.n > 0)"
)
_BLOCK = tuple(
    f"WITH kept AS ({_KEPT_BACK}), taken AS (DELETE FROM {table} AS t USING kept WHERE t.job_id = kept.id"
    f" RETURNING t.job_id, t.queue, t.priority, t.{column} AS due_at, kept.blocks)"
    " INSERT INTO blocked (job_id, queue, priority, due_at, run_at, blocks)"
    f" SELECT job_id, queue, priority, due_at, {run_at}, blocks FROM taken"
    for table, column, run_at in (("ready", "due_at", "NULL"), ("delayed", "run_at", "due_at"))
)
_ENQUEUED = (
    "INSERT INTO facts (key, value) SELECT 'total_enqueued', %s - COALESCE(sum(enqueued), 0)::bigint FROM minutes"
    " WHERE minute >= COALESCE((SELECT value FROM facts WHERE key = 'totals_until'), 0)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_NEXT = tuple(
    f"SELECT setval('{table}_id_seq', max(id)) FROM {table} HAVING count(*) > 0"
    for table in ("environments", "hooks", "schedules", "settling")
)


class Transfer:
    """The whole of one database; see ``core.storage.transfer.Transfer``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool

    def state(self) -> TransferState:
        """Return which part in a move this queue has."""
        with self._db.read() as connection:
            marks = dict(marks_in(connection))
            found = connection.execute(_FIND).fetchone()
        assert found is not None
        return TransferState(marks.get("to"), marks.get("from"), *found)

    def check_rights(self) -> None:
        """Raise ``DatabaseReadOnly`` for a user who may not add the marks: a table, and triggers to others."""
        may, owner = self._db.query(_MAY_MARK, ([table for table, _ in _GUARDED],))[0]
        if not may:
            raise DatabaseReadOnly(
                f"{self._db.address}: this user may not mark the queue as moved, which the owner of its tables may:"
                f" {owner}"
            )

    def read(self, part: Part, after: Record | None, until: Record | None, limit: int) -> list[Record]:
        """Return up to ``limit`` rows of a part behind one key, up to another and with it, by key."""
        key = ", ".join(part.columns[: part.key_length])
        marks = ", ".join(["%s"] * part.key_length)
        bounds = [f"({key}) {sign} ({marks})" for sign, bound in ((">", after), ("<=", until)) if bound is not None]
        return self._db.query(
            f"SELECT {', '.join(part.columns)} FROM {_RELATIONS.get(part.name, part.name)}"
            f" WHERE {' AND '.join(bounds) or 'true'} ORDER BY {key} LIMIT %s",
            (*(after or ()), *(until or ()), limit),
        )

    def write(self, part: Part, records: Sequence[Record], gone: Sequence[Record]) -> None:
        """Store these rows in place of those with their keys, and remove those whose keys are ``gone``."""

        def work(connection: Connection) -> None:
            connection.execute("INSERT INTO facts (key, value) VALUES ('is_mover', 1)")
            if part.name == SEQUENCES.name:
                _set_sequences(connection, records)
            else:
                _remove(connection, part, [*map(part.key_of, records), *gone])
                if part.name == JOBS.name:
                    _insert_jobs(connection, records)
                elif part.name == ATTEMPTS.name:
                    host = self._host(connection)
                    _copy(connection, part.name, (*part.columns, "host_id"), [(*record, host) for record in records])
                else:
                    _copy(connection, part.name, part.columns, records)
            connection.execute("DELETE FROM facts WHERE key = 'is_mover'")

        self._db.transact(work)

    def _host(self, connection: Connection) -> int:
        """Return the id of this host, whose spool the files of outputs come to; of a life that is over, if need be."""
        token, now = host_token(self._spool), self._db.now_ms()
        row = connection.execute("SELECT max(id) FROM hosts WHERE token = %s", (token,)).fetchone()
        if row is None or row[0] is None:
            row = connection.execute(
                "INSERT INTO hosts (token, boot_id, name, version, lease_ms, state, joined_at, renewed_at)"
                " VALUES (%s, '', %s, %s, 1, 'left', %s, %s) RETURNING id",
                (token, os.uname().nodename, __version__, now, now),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def derive(self, enqueued: int) -> None:
        """Find which jobs are kept back, count them all, and note how many were ever enqueued."""

        def work(connection: Connection) -> None:
            for statement in (*_FREE, *_BLOCK):
                connection.execute(statement)
            connection.execute("DELETE FROM counts")
            connection.execute(_COUNT)
            connection.execute(_ENQUEUED, (enqueued,))
            for statement in _NEXT:
                connection.execute(statement)

        self._db.transact(work)

    def begin(self, source: str) -> None:
        """Mark this queue as being filled; until ``finish`` it refuses all others."""
        make(self._spool)
        error, now = refusal("from", source, self._db.address), self._db.now_ms()
        self._db.transact(lambda connection: _mark(connection, "from", source, error, now))

    def finish(self) -> None:
        """Let others use this queue, which is filled."""

        def work(connection: Connection) -> None:
            for table, _ in _GUARDED:
                connection.execute(f"DROP TRIGGER IF EXISTS moved_{table} ON {table}")
            connection.execute("DROP FUNCTION IF EXISTS refuse_others(); DROP TABLE IF EXISTS moves")

        self._db.transact(work, wakes_workers=True)
        self._db.query("ANALYZE acts, attempts, blocked, delayed, dependencies, history, jobs, ready")

    def hand_over(self, target: str, last_look: Callable[[], None]) -> None:
        """Call ``last_look`` while no other can write, then mark this queue as moved to ``target``."""
        error, now = refusal("to", target, self._db.address), self._db.now_ms()

        def work(connection: Connection) -> None:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute(_LOCK)
            _refuse_again(connection, self._db.address)
            last_look()
            _mark(connection, "to", target, error, now)

        self._db.transact(work)


def _refuse_again(connection: Connection, own: str) -> None:
    """Raise ``Refused`` if another process was faster to move this queue."""
    if marks_in(connection):
        raise Refused(str(refusal(*marks_in(connection)[0], own)))


def _mark(connection: Connection, role: str, address: str, error: DatabaseMoved, now: int) -> None:
    connection.execute(_MARKS)
    connection.execute("INSERT INTO moves (role, address, at) VALUES (%s, %s, %s)", (role, address, now))
    literal = sql.Literal(f"{DatabaseMoved.MARK}{error}")
    for table, events in _GUARDED:
        connection.execute(
            sql.SQL(
                f"CREATE TRIGGER moved_{table} BEFORE {events} ON {table} FOR EACH STATEMENT"
                " EXECUTE FUNCTION refuse_others({})"
            ).format(literal)
        )


def _copy(connection: Connection, table: str, columns: Iterable[str], records: Iterable[Record]) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for record in records:
            copy.write_row(record)


def _insert_jobs(connection: Connection, records: Sequence[Record]) -> None:
    names = [record[_NAME] for record in records if record[_NAME] is not None]
    # a name may have gone from one job to another since it was copied
    connection.execute("UPDATE jobs SET name = NULL WHERE name = ANY (%s)", (names,))
    columns = [name for name in JOBS.columns if name != "run_at"]
    rows = (
        (*record[:_STATE], "open" if record[_STATE] == "pending" else record[_STATE], *record[_RUN_AT + 1 :])
        for record in records
    )
    _copy(connection, "jobs", columns, rows)
    pending = [record for record in records if record[_STATE] == "pending"]
    tokens = [tuple(record[at] for at in (_ID, _QUEUE, _PRIORITY, _NEEDS, _DUE_AT, _RUN_AT)) for record in pending]
    token_columns = ("job_id", "queue", "priority", "needs")
    needed = {name for record in pending if record[_NEEDS] is not None for name in needs_of(record[_NEEDS])}
    if needed:
        add_resources(connection, needed)
        bump_lanes(connection)
    _copy(connection, "ready", (*token_columns, "due_at"), [token[:-1] for token in tokens if token[-1] is None])
    delayed = [(*token[:-2], token[-1]) for token in tokens if token[-1] is not None]
    _copy(connection, "delayed", (*token_columns, "run_at"), delayed)


def _remove(connection: Connection, part: Part, keys: Sequence[Record]) -> None:
    if not keys:
        return
    columns = ", ".join(part.columns[: part.key_length])
    types = _KEY_TYPES.get(part.name, ("bigint",))
    marks = ", ".join(f"%s::{kind}[]" for kind in types)
    lists = [list(column) for column in zip(*keys, strict=True)]
    connection.execute(f"DELETE FROM {part.name} WHERE ({columns}) IN (SELECT * FROM unnest({marks}) AS gone)", lists)
    if part.name == JOBS.name:
        for table in ("ready", "delayed", "blocked"):
            connection.execute(f"DELETE FROM {table} WHERE job_id = ANY (%s)", lists)


def _set_sequences(connection: Connection, records: Iterable[Record]) -> None:
    for name, last in records:
        connection.execute("SELECT setval(%s, %s, %s)", (_SEQUENCE_OF[name], max(last, 1), last > 0))
