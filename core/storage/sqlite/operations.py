"""The verbs of users on jobs that exist, as rows of the table ``rules.states.VERBS`` rendered to SQL; and their undo.

A bulk operation is one transaction per 1,000 jobs, so that other writers wait for no more than one of them; only the
last is synced, which syncs those before it. Each UPDATE has the allowed states in its WHERE; jobs in other states are
counted as skipped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from core.clock import to_datetime
from core.errors import NameTaken, Refused
from core.model import Act, LastAct, NewEdge, State, Verb
from core.rules.arguments import check_whole
from core.rules.dependencies import edges_to_json
from core.rules.job_fields import JobRow, time_ahead
from core.rules.operations import (
    EDITABLE,
    UNDOABLE,
    Progress,
    changes_of_edit,
    check_attempts,
    columns_of_undo,
    explain_refusal,
    obstacle_of,
    verb_to_undo,
)
from core.rules.pruning import EVER
from core.rules.states import VERBS, check, due_at
from core.storage.sqlite import canary_moves, edges, job_names, with_dependents
from core.storage.sqlite.blockers import blockers_in
from core.storage.sqlite.capacities import check_needs_in
from core.storage.sqlite.file import Database, retry_on_full_disk
from core.storage.sqlite.moves import STATEMENTS, json_of, make, unmoved
from core.storage.sqlite.queries import find
from core.storage.sqlite.settling import finish_edges, settle, settle_rest
from core.storage.values import Selection

#: Jobs per transaction of a bulk operation.
CHUNK = 1000


def cancel_for_another(connection: sqlite3.Connection, job_id: int, now: int) -> None:
    """Cancel a job that another one replaces, or ask for its stop; no user can undo it."""
    parameters = {"ids": json.dumps([job_id]), "now": now, "stop": "cancel"}
    for statements in STATEMENTS[Verb.CANCEL]:
        connection.execute(statements.change, parameters)


# --- apply


class _Order(NamedTuple):
    """What a bulk operation does to each chunk: the verb, and values for its statements."""

    verb: Verb
    is_single: bool
    before: int
    stop: str


class Operations:
    """The operations of one database; see ``core.storage.operations_contract.Operations``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def apply(
        self,
        verb: Verb,
        jobs: Selection,
        *,
        before_ms: int | None = None,
        is_kill: bool = False,
        with_dependents: bool = False,
        progress: Progress | None = None,
    ) -> Act:
        """Do what ``VERBS`` says of a verb (any but EDIT) to jobs; return the operation, its id 0 if nothing changed.

        ``before_ms`` limits a purge to jobs that entered their state until then; ``is_kill`` has a cancel send KILL.
        Raises ``InvalidTransition`` for a single job that does not allow the verb; then nothing has changed.
        ``with_dependents``, for RETRY and CANCEL, is for all that depend on the jobs, too, in one transaction.
        """
        ids = jobs.ids
        order = _Order(verb, jobs.is_single, EVER if before_ms is None else before_ms, "kill" if is_kill else "cancel")
        act = Act(0, verb.value, 0)
        if with_dependents:
            return self._do_chunk(order, act, ids, is_last=True, is_for_dependents=True)
        for start in range(0, len(ids), CHUNK):
            chunk, is_last = ids[start : start + CHUNK], start + CHUNK >= len(ids)
            if verb is Verb.PURGE:  # it frees room in the end, so it may use the reserve on a full disk
                act = retry_on_full_disk(self._db, partial(self._do_chunk, order, act, chunk, is_last))
            else:
                act = self._do_chunk(order, act, chunk, is_last)
            if progress is not None:
                progress(min(start + CHUNK, len(ids)), len(ids))
        if verb is Verb.PURGE:
            self._db.keep_reserve()
        return act

    def _do_chunk(
        self, order: _Order, act: Act, chunk: Sequence[int], is_last: bool, *, is_for_dependents: bool = False
    ) -> Act:
        """Apply an operation to some more jobs, in one transaction; return ``act`` with these jobs counted."""
        with self._db.write(is_durable=is_last, wakes_workers=True) as connection:
            now, first = self._db.now_ms(), chunk[:1]
            if is_for_dependents:
                chunk = with_dependents.gather(connection, order.verb, chunk, now)
            parameters = {"ids": json.dumps(chunk), "now": now, "before": order.before, "stop": order.stop}
            parameters["act"] = act_id = act.id or _open_act(connection, order.verb, parameters)
            count = sum(make(connection, statements, parameters) for statements in STATEMENTS[order.verb])
            size = len(chunk)
            if is_for_dependents:
                if order.verb is Verb.RETRY:
                    count += with_dependents.arm(connection, act_id, _KEPT_OF_ARMED)
                else:
                    with_dependents.keep_unmet(connection, act_id)
                size = with_dependents.scatter(connection)
            if order.is_single and not count:
                _explain(connection, order.verb, first[0])
            changed = act.count + count
            if is_last and not changed:
                connection.execute("DELETE FROM acts WHERE id = ?", (act_id,))
                act_id = 0
            else:
                connection.execute("UPDATE acts SET n = ? WHERE id = ?", (changed, act_id))
            unnamed = job_names.give_back(connection, chunk) if order.verb is Verb.RESTORE else 0
            is_any_left = settle(connection, now)
        if is_last and is_any_left:
            settle_rest(self._db)
        return Act(act_id, order.verb.value, changed, act.skipped + size - count, act.unnamed + unnamed)

    def edit(
        self,
        job_id: int,
        row: JobRow,
        *,
        given: Collection[str],
        then_retry: bool,
        edges: Sequence[NewEdge] | None = None,
    ) -> Act:
        """Give a pending or dead job the columns ``given`` of ``row``; the old values stay in its history.

        ``run_at`` among them moves a pending job to that time; ``then_retry`` also makes it run now. ``edges`` replace
        all that it waits for.
        """
        order = _Edit(row, given, edges, then_retry)
        try:
            with self._db.write(wakes_workers=True) as connection:
                return _edit(connection, job_id, order, self._db.now_ms())
        except sqlite3.IntegrityError as error:
            if row.name is not None and "jobs.name" in str(error):
                raise NameTaken(row.name) from error
            raise Refused(f"the edit was refused: {error}") from error

    def last_act(self) -> LastAct | None:
        """Return the newest act that changed something and was not undone, whether it can be undone or not."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT id, verb, n, at FROM acts WHERE undone_at IS NULL AND n > 0 ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            sample = connection.execute(
                "SELECT command FROM history JOIN jobs ON jobs.id = job_id WHERE act_id = ? ORDER BY job_id LIMIT 1",
                (row[0],),
            ).fetchone()
            obstacle = _obstacle(connection, row[0], row[1])
        return LastAct(Act(*row[:3]), to_datetime(row[3]), sample[0] if sample else "", obstacle)

    def last_purge(self) -> int | None:
        """Return the id of the newest purge that was not undone."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT id FROM acts WHERE verb = 'purge' AND undone_at IS NULL AND n > 0 ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else int(row[0])

    def undo(self, act_id: int, progress: Progress | None) -> Act:
        """Put the jobs of an act back to the state before it; jobs that moved on since are skipped."""
        check_whole(act_id, "the number of the act")
        canary_moves.forget(self._db, act_id)
        with self._db.read() as connection:
            row = connection.execute("SELECT verb, undone_at FROM acts WHERE id = ?", (act_id,)).fetchone()
            verb = verb_to_undo(act_id, *(row or (None, None)))
            ids = [
                found[0]
                for found in connection.execute(
                    "SELECT job_id FROM history WHERE act_id = ? ORDER BY job_id", (act_id,)
                ).fetchall()
            ]
        changed = unnamed = 0
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            is_last = start + CHUNK >= len(ids)
            with self._db.write(is_durable=is_last, wakes_workers=True) as connection:
                now = self._db.now_ms()
                if is_last:
                    connection.execute("UPDATE acts SET undone_at = ? WHERE id = ?", (now, act_id))
                changed += _undo_chunk(connection, verb, act_id, chunk, now)
                unnamed += job_names.give_back(connection, chunk) if verb is Verb.PURGE else 0
                is_any_left = settle(connection, now)
            if is_last and is_any_left:
                settle_rest(self._db)
            if progress is not None:
                progress(min(start + CHUNK, len(ids)), len(ids))
        return Act(act_id, f"undo {verb.value}", changed, len(ids) - changed, unnamed)


def _open_act(connection: sqlite3.Connection, verb: Verb, parameters: Mapping[str, object]) -> int:
    cursor = connection.execute("INSERT INTO acts (verb, at) VALUES (?, ?)", (verb.value, parameters["now"]))
    return int(cursor.lastrowid or 0)


def _explain(connection: sqlite3.Connection, verb: Verb, job_id: int) -> None:
    """Raise for a single job that a verb did not change; this rolls the transaction back."""
    row = connection.execute("SELECT state, is_held FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        find(connection, job_id)
    blocker = blockers_in(connection, [job_id]).get(job_id) if verb is Verb.RETRY else None
    explain_refusal(verb, job_id, State(row[0]), is_held=bool(row[1]), blocker=blocker)


# --- edit

_KEPT_BY_EDIT = f"SELECT {json_of(VERBS[Verb.EDIT].moves[0].keeps)} FROM jobs WHERE id = ?"
#: What is kept of a job that waits again for what a retry with dependents has armed.
_KEPT_OF_ARMED = json_of(VERBS[Verb.RETRY].moves[0].keeps)


class _Edit(NamedTuple):
    """What an edit gives a job; see ``Operations.edit``."""

    row: JobRow
    given: Collection[str]
    edges: Sequence[NewEdge] | None
    then_retry: bool


def _edit(connection: sqlite3.Connection, job_id: int, order: _Edit, now: int) -> Act:
    """Edit a job; return the operation, its id 0 if nothing was to be changed."""
    row = order.row
    found = connection.execute(
        f"SELECT state, attempts, run_at, blocks, {', '.join(EDITABLE)} FROM jobs WHERE id = ?", (job_id,)
    ).fetchone()
    if found is None:
        find(connection, job_id)
    state = State(found[0])
    attempts, run_at, blocks = found[1:4]
    check(Verb.EDIT, job_id, state)
    changes, before = changes_of_edit(row, order.given, found[4:])
    if "max_attempts" in changes:
        check_attempts(job_id, row.max_attempts, attempts, state, order.then_retry)
    if changes.get("needs") is not None:
        check_needs_in(connection, row.needs)
    if "run_at" in order.given and state is State.PENDING and not order.then_retry and row.run_at != run_at:
        run_at = time_ahead(row.run_at, now)
        changes.update(run_at=run_at, due_at=due_at(run_at, now), backoff_ms=None)
    old = {} if order.edges is None else edges.edges_of(connection, job_id)
    wanted = old if order.edges is None else edges.resolve(connection, order.edges, now)
    if wanted != old:
        before["after"] = edges_to_json(old)
    elif not changes and not order.then_retry:
        return Act(0, Verb.EDIT.value, 0, 1)
    job_names.free(connection, row.name if "name" in changes else None)
    keep = connection.execute(_KEPT_BY_EDIT, (job_id,)).fetchone()[0]
    act_id = _open_act(connection, Verb.EDIT, {"now": now})
    connection.execute(
        "INSERT INTO history (act_id, job_id, before) VALUES (?, ?, ?)",
        (act_id, job_id, json.dumps({**before, **json.loads(keep)})),
    )
    if wanted != old:
        left = edges.replace(connection, job_id, wanted)
        if state is State.PENDING and blocks > 0 and left == 0:  # its wait for a slot begins
            changes.update(due_at=due_at(run_at, now))
    if order.then_retry:
        _retry_edited(connection, job_id, state, now)
    _set_columns(connection, job_id, changes)
    connection.execute("UPDATE acts SET n = 1 WHERE id = ?", (act_id,))
    return Act(act_id, Verb.EDIT.value, 1)


def _retry_edited(connection: sqlite3.Connection, job_id: int, state: State, now: int) -> None:
    """Retry a job before its new columns are set: a fresh budget may be smaller than what was spent."""
    blocks = connection.execute("SELECT blocks FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
    if state is State.PENDING and blocks > 0:
        _explain(connection, Verb.RETRY, job_id)
    for statements in STATEMENTS[Verb.RETRY]:
        connection.execute(statements.change, {"ids": json.dumps([job_id]), "now": now})


def _set_columns(connection: sqlite3.Connection, job_id: int, columns: Mapping[str, object]) -> None:
    """Set columns of a job, whose names are those that ``core.rules.operations`` lets through."""
    if columns:
        sets = ", ".join(f"{column} = :{column}" for column in columns)
        connection.execute(f"UPDATE jobs SET {sets} WHERE id = :id", {**columns, "id": job_id})


# --- undo


def _obstacle(connection: sqlite3.Connection, act_id: int, verb: str) -> str | None:
    """Return why an act cannot be undone, ``None`` when it can, for one of its jobs at least."""
    kept_states = connection.execute(
        "SELECT DISTINCT json_extract(before, '$.state') FROM history WHERE act_id = ?", (act_id,)
    ).fetchall()
    return obstacle_of(verb, [row[0] for row in kept_states])


_UNTOUCHED = (
    "SELECT job_id, before FROM history JOIN jobs ON jobs.id = job_id WHERE act_id = :act"
    " AND job_id IN (SELECT value FROM json_each(:ids))"
    " AND NOT EXISTS (SELECT 1 FROM history AS later JOIN acts ON acts.id = later.act_id"
    " WHERE later.job_id = history.job_id AND later.act_id > :act AND acts.undone_at IS NULL)"
)
_TO_UNDO = {verb: f"{_UNTOUCHED} AND ({unmoved(verb)})" for verb in UNDOABLE.values()}


def _undo_chunk(connection: sqlite3.Connection, verb: Verb, act_id: int, chunk: Sequence[int], now: int) -> int:
    found = connection.execute(_TO_UNDO[verb], {"act": act_id, "ids": json.dumps(chunk)}).fetchall()
    waits: dict[int, dict[str, Any]] = {}
    for job_id, before in found:
        columns, waits[job_id] = columns_of_undo(verb, json.loads(before))
        job_names.free(connection, columns.get("name"))
        try:
            _set_columns(connection, job_id, columns)
        except sqlite3.IntegrityError as error:
            if "jobs.name" in str(error):
                raise NameTaken(columns["name"]) from error
            raise
    # an end whose consequences are still to be drawn, as after a crash, must not meet what waits for another one
    finish_edges(connection, {on_id for kept in waits.values() for on_id in kept.get("unmet", ())}, now)
    for job_id, kept in waits.items():  # when all of them are in their states again
        if "after" in kept:
            edges.restore(connection, job_id, kept["after"], now)
        if kept:
            with_dependents.restore_met(connection, job_id, kept.get("met", ()), kept.get("unmet", ()))
    return len(found)
