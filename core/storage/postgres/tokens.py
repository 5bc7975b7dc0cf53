"""Jobs read for a change together with their tokens, locked; and the change written, tokens and counts included.

A transaction that needs both locks the token first, then the job's row, each in order of id, as ``turn`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.rows import dict_row

from core.errors import DatabaseCorrupt
from core.storage.postgres.capacities import bump_lanes
from core.storage.postgres.connection import Connection
from core.storage.postgres.counting import CountChanges

#: A job's columns by name, with ``state``, ``run_at`` and ``blocks`` as the queue speaks of them.
Columns = Mapping[str, Any]

#: The tables of the tokens of pending jobs, and their columns beside the job's id.
_TOKENS = {
    "ready": ("queue", "priority", "due_at", "needs"),
    "delayed": ("queue", "priority", "run_at", "needs"),
    "blocked": ("queue", "priority", "due_at", "run_at", "blocks"),
}
#: How often jobs are looked for again whose token moved on between two looks.
_LOOKS = 20
# what lies in the token of an open job, not in its row
_NOT_IN_ROW = frozenset({"state", "run_at", "blocks"})
_UNMET = "SELECT job_id, count(*) FROM dependencies WHERE job_id = ANY (%s) AND is_met = 0 GROUP BY job_id"


def lock(connection: Connection, ids: Sequence[int]) -> dict[int, Columns]:
    """Return jobs by id, locked until the end of the transaction; those that are not there are left out.

    ``blocks`` of one that is not pending are those that it would have if it were.
    """
    tokens: dict[int, dict[str, Any]] = {}
    found: dict[int, Columns] = {}
    missing = list(ids)
    for _ in range(_LOOKS):
        for table in ("ready", "delayed", "blocked", "running"):
            with connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(f"SELECT * FROM {table} WHERE job_id = ANY (%s) ORDER BY job_id FOR UPDATE", (missing,))
                for row in cursor.fetchall():
                    tokens[row["job_id"]] = {**row, "table": table}
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("SELECT * FROM jobs WHERE id = ANY (%s) ORDER BY id FOR UPDATE", (missing,))
            rows = cursor.fetchall()
        missing = []
        for row in rows:
            token = tokens.get(row["id"])
            if row["state"] == "open" and token is None:
                missing.append(row["id"])
            else:
                found[row["id"]] = _with_token(row, token)
        if not missing:
            return _with_blocks(connection, found)
    raise DatabaseCorrupt(f"job {missing[0]} is open and has no token; run 'queuectl doctor'")


def _with_blocks(connection: Connection, jobs: dict[int, Columns]) -> dict[int, Columns]:
    """Return jobs with ``blocks``, counted for those without a token that says it; their rows are locked."""
    ended = [job_id for job_id, job in jobs.items() if job["state"] != "pending"]
    unmet: dict[int, int] = dict(connection.execute(_UNMET, (ended,)).fetchall()) if ended else {}
    for job_id in ended:
        jobs[job_id] = {**jobs[job_id], "blocks": jobs[job_id]["is_held"] + unmet.get(job_id, 0)}
    return jobs


def _with_token(row: dict[str, Any], token: dict[str, Any] | None) -> Columns:
    if token is None or row["state"] != "open":
        return {**row, "run_at": None}
    table = token["table"]
    if table == "running":
        return {**row, "state": "running", "run_at": None, "starts": token["number"], "attempt_id": token["attempt_id"]}
    waiting = {**row, "state": "pending", "run_at": token.get("run_at"), "blocks": token.get("blocks", 0)}
    return {**waiting, "due_at": token["due_at"] if waiting["run_at"] is None else waiting["run_at"]}


def kind_of(job: Columns) -> str:
    """Return as what a job is counted: ``ready``, ``delayed`` or ``blocked`` if it is pending, else its state."""
    if job["state"] != "pending":
        return str(job["state"])
    if job["blocks"] > 0:
        return "blocked"
    return "ready" if job["run_at"] is None else "delayed"


class JobChanges:
    """New columns for jobs that were locked, written at once: rows, tokens and counts."""

    def __init__(self) -> None:
        self._counts = CountChanges()
        self._rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        self._left: dict[str, list[int]] = {table: [] for table in _TOKENS}
        self._new: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TOKENS}
        self._has_needs = False

    def put(self, job: Columns, columns: Columns) -> None:
        """Give a job, which does not run, these columns; to hold or release it changes its ``blocks``."""
        after = {**job, **columns}
        if "blocks" not in columns:
            after["blocks"] += after["is_held"] - job["is_held"]
        before_kind, after_kind = kind_of(job), kind_of(after)
        self._counts.add(job["queue"], before_kind, -1)
        self._counts.add(after["queue"], after_kind, 1)
        if before_kind in self._left:
            self._left[before_kind].append(job["id"])
        if after_kind in self._new:
            self._new[after_kind].append((job["id"], *(after[name] for name in _TOKENS[after_kind])))
        self._has_needs = self._has_needs or job["needs"] is not None or after["needs"] is not None
        row = {name: value for name, value in columns.items() if name not in _NOT_IN_ROW}
        if "state" in columns:
            row["state"] = "open" if after["state"] == "pending" else str(after["state"])
        if row:
            self._rows.setdefault(tuple(row), []).append((*row.values(), job["id"]))

    def write(self, connection: Connection) -> None:
        """Write all of it; the counts last."""
        for table, ids in self._left.items():
            if ids:
                connection.execute(f"DELETE FROM {table} WHERE job_id = ANY (%s)", (ids,))
        with connection.cursor() as cursor:
            for names, rows in self._rows.items():
                sets = ", ".join(f"{name} = %s" for name in names)
                cursor.executemany(f"UPDATE jobs SET {sets} WHERE id = %s", rows)
        for table, tokens in self._new.items():
            _insert(connection, table, tokens)
        self._counts.write(connection)
        if self._has_needs:
            bump_lanes(connection)


def _insert(connection: Connection, table: str, tokens: Iterable[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*tokens, strict=True)]
    if columns:
        names = ("job_id", *_TOKENS[table])
        marks = ", ".join(f"%s::{'text' if name in ('queue', 'needs') else 'bigint'}[]" for name in names)
        connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({marks})", columns)
