"""The verbs of users on jobs that exist, as the table ``rules.states.VERBS`` says; and their undo.

A bulk operation is one transaction per 1,000 jobs, so that other writers wait for no more than one of them. Jobs are
locked with their tokens, then moved; those in other states are counted as skipped.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import errors

from core.clock import to_datetime
from core.errors import JobNotFound, NameTaken, QueueError, Refused
from core.model import ENDED_STATES, Act, LastAct, NewEdge, State, Verb
from core.rules.arguments import check_whole
from core.rules.dependencies import Edges, edges_to_json
from core.rules.job_fields import JobRow, time_ahead
from core.rules.operations import (
    EDITABLE,
    Progress,
    changes_of_edit,
    check_attempts,
    columns_of_undo,
    explain_refusal,
    is_where_left,
    obstacle_of,
    verb_to_undo,
)
from core.rules.pruning import EVER
from core.rules.states import VERBS, Condition, Move, Value, check, due_at
from core.storage.postgres import canary_moves, job_names, with_dependents
from core.storage.postgres import edges as edge_rows
from core.storage.postgres.blockers import blockers_in
from core.storage.postgres.capacities import admit_needs
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.settling import finish_edges, settle_rest
from core.storage.postgres.tokens import Columns, JobChanges, lock
from core.storage.values import Selection

#: Jobs per transaction of a bulk operation.
CHUNK = 1000

_PURGED_SINCE = (
    "SELECT DISTINCT ON (job_id) job_id, before FROM history JOIN acts ON acts.id = act_id"
    " WHERE job_id = ANY (%s) AND verb = 'purge' ORDER BY job_id, act_id DESC"
)
_STOP = (
    "UPDATE running SET stop_requested = CASE WHEN stop_requested = 'kill' THEN 'kill' ELSE %s END"
    " WHERE job_id = ANY (%s)"
)
_KEEP = "INSERT INTO history (act_id, job_id, before) VALUES (%s, %s, %s)"
_LATER = (
    "SELECT DISTINCT job_id FROM history JOIN acts ON acts.id = act_id"
    " WHERE job_id = ANY (%s) AND act_id > %s AND undone_at IS NULL"
)


class _Order(NamedTuple):
    """What an operation does to each job: the verb, and the values that its moves may ask for."""

    verb: Verb
    is_single: bool
    before: int
    stop: str
    now: int
    with_dependents: bool = False


class Operations:
    """The operations of one database; see ``core.storage.operations_contract.Operations``."""

    def __init__(self, db: Connections) -> None:
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
        limit = EVER if before_ms is None else before_ms
        stop = "kill" if is_kill else "cancel"
        order = _Order(verb, jobs.is_single, limit, stop, self._db.now_ms(), with_dependents)
        act = Act(0, verb.value, 0)
        size = max(1, len(ids)) if with_dependents else CHUNK
        for start in range(0, len(ids), size):
            chunk, is_last = list(ids[start : start + size]), start + size >= len(ids)
            act = self._db.transact(_chunk(order, act, chunk, is_last), wakes_workers=True)
            if progress is not None:
                progress(min(start + size, len(ids)), len(ids))
        self._draw_consequences()
        return act

    def _draw_consequences(self) -> None:
        """Draw the consequences of the ends that an operation has brought, which is done by now.

        Behind its commit: one who settles holds a note and waits for tokens, which an operation would hold and wait for
        the note. What fails is drawn by the next worker.
        """
        with contextlib.suppress(QueueError):
            settle_rest(self._db)

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
        order, now = _Edit(row, given, edges, then_retry), self._db.now_ms()

        def work(connection: Connection) -> Act:
            return _edit(connection, job_id, order, now)

        try:
            return self._db.transact(_refusing_names(work, row.name), wakes_workers=True)
        except errors.IntegrityError as error:
            raise Refused(f"the edit was refused: {error.diag.message_primary}") from error

    def last_act(self) -> LastAct | None:
        """Return the newest act that changed something and was not undone, whether it can be undone or not."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT id, verb, n, at FROM acts WHERE undone_at IS NULL AND n > 0 ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            sample = connection.execute(
                "SELECT command FROM history JOIN jobs ON jobs.id = job_id WHERE act_id = %s ORDER BY job_id LIMIT 1",
                (row[0],),
            ).fetchone()
            states = connection.execute(
                "SELECT DISTINCT before::json ->> 'state' FROM history WHERE act_id = %s", (row[0],)
            ).fetchall()
        obstacle = obstacle_of(row[1], [state for (state,) in states])
        return LastAct(Act(*row[:3]), to_datetime(row[3]), sample[0] if sample else "", obstacle)

    def last_purge(self) -> int | None:
        """Return the id of the newest purge that was not undone."""
        found = self._db.query(
            "SELECT id FROM acts WHERE verb = 'purge' AND undone_at IS NULL AND n > 0 ORDER BY id DESC LIMIT 1"
        )
        return int(found[0][0]) if found else None

    def undo(self, act_id: int, progress: Progress | None) -> Act:
        """Put the jobs of an act back to the state before it; jobs that moved on since are skipped."""
        check_whole(act_id, "the number of the act")
        found = self._db.query("SELECT verb, undone_at FROM acts WHERE id = %s", (act_id,))
        verb, now = verb_to_undo(act_id, *(found[0] if found else (None, None))), self._db.now_ms()
        canary_moves.forget(self._db, act_id)
        ids = [
            row[0] for row in self._db.query("SELECT job_id FROM history WHERE act_id = %s ORDER BY job_id", (act_id,))
        ]
        changed = unnamed = 0
        for start in range(0, len(ids), CHUNK):
            chunk, is_last = ids[start : start + CHUNK], start + CHUNK >= len(ids)
            work = _undo_chunk(verb, act_id, chunk, now, is_last)
            more, without = self._db.transact(work, wakes_workers=True)
            changed, unnamed = changed + more, unnamed + without
            if progress is not None:
                progress(min(start + CHUNK, len(ids)), len(ids))
        self._draw_consequences()
        return Act(act_id, f"undo {verb.value}", changed, len(ids) - changed, unnamed)


# --- one chunk

_ENDED = frozenset(state.value for state in (*ENDED_STATES, State.PURGED))


def _chunk(order: _Order, act: Act, chunk: Sequence[int], is_last: bool) -> Callable[[Connection], Act]:
    """Return what applies an operation to some more jobs, and returns ``act`` with these jobs counted."""

    def work(connection: Connection) -> Act:
        ids = with_dependents.below(connection, chunk) if order.with_dependents else list(dict.fromkeys(chunk))
        jobs = _lock(connection, ids, order.now)
        since = _purged_since(connection, chunk) if order.verb is Verb.RESTORE else {}
        act_id = act.id or _open_act(connection, order.verb, order.now)
        changes, stopped = JobChanges(), []
        kept: dict[int, dict[str, Any]] = {}
        for job_id, job in ((job_id, jobs[job_id]) for job_id in ids if job_id in jobs):
            move = _move_of(order, job)
            # a dependent that runs hangs on nothing any more
            if move is None or (move.stops_command and order.with_dependents and job_id not in chunk):
                continue
            kept[job_id] = _kept(move, job)
            if move.stops_command:
                stopped.append(job_id)
            else:
                changes.put(job, _columns(move, job, order.now, since.get(job_id)))
        armed = _keep_edges(connection, order, jobs, kept)
        if order.is_single and not kept:
            _explain(connection, order.verb, chunk[0], jobs)
        with connection.cursor() as cursor:
            cursor.executemany(_KEEP, [(act_id, job_id, json.dumps(before)) for job_id, before in kept.items()])
        if stopped:
            connection.execute(_STOP, (order.stop, stopped))
        changes.write(connection)
        if armed:
            with_dependents.recount(connection, armed, order.now)
        unnamed = job_names.give_back(connection, chunk) if order.verb is Verb.RESTORE else 0
        changed = act.count + len(kept)
        if is_last and not changed:
            connection.execute("DELETE FROM acts WHERE id = %s", (act_id,))
            act_id = 0
        else:
            connection.execute("UPDATE acts SET n = %s WHERE id = %s", (changed, act_id))
        size = len(jobs) if order.with_dependents else len(chunk)
        return Act(act_id, order.verb.value, changed, act.skipped + size - len(kept), act.unnamed + unnamed)

    return work


def cancel_for_another(connection: Connection, ids: Sequence[int], now: int) -> None:
    """Cancel jobs that another one replaces, or ask for their stop; that is no operation of a user, to be undone."""
    order = _Order(Verb.CANCEL, False, EVER, "cancel", now)
    changes, stopped = JobChanges(), []
    for job_id, job in _lock(connection, ids, now).items():
        move = _move_of(order, job)
        if move is not None and move.stops_command:
            stopped.append(job_id)
        elif move is not None:
            changes.put(job, _columns(move, job, now, None))
    if stopped:
        connection.execute(_STOP, (order.stop, stopped))
    changes.write(connection)


def _keep_edges(
    connection: Connection, order: _Order, jobs: Mapping[int, Columns], kept: dict[int, dict[str, Any]]
) -> list[int]:
    """Keep what an operation with dependents changes of the edges among jobs; return the jobs that it has armed."""
    if not order.with_dependents:
        return []
    if order.verb is Verb.RETRY:
        return with_dependents.arm(connection, jobs, kept, VERBS[Verb.RETRY].moves[0].keeps)
    with_dependents.keep_unmet(connection, jobs, kept)
    return []


def _open_act(connection: Connection, verb: Verb, now: int) -> int:
    row = connection.execute("INSERT INTO acts (verb, at) VALUES (%s, %s) RETURNING id", (verb.value, now)).fetchone()
    assert row is not None
    return int(row[0])


def _move_of(order: _Order, job: Columns) -> Move | None:
    """Return the move of an operation that concerns a job, ``None`` if none does."""
    for move in VERBS[order.verb].moves:
        if job["state"] not in move.from_states:
            continue
        if move.condition is None or _meets(move.condition, job, order.before):
            return move
    return None


def _meets(condition: Condition, job: Columns, before: int) -> bool:
    """Return whether a job meets the condition of a move."""
    if condition is Condition.IS_DELAYED:
        return job["run_at"] is not None and not job["blocks"]
    if condition is Condition.IS_OLD_ENOUGH:
        return bool(job["since"] <= before)
    return bool(job["is_held"]) is (condition is Condition.IS_HELD)


def _lock(connection: Connection, ids: Sequence[int], now: int) -> dict[int, Columns]:
    """Return jobs by id, locked, with all edges to them met that their past ends meet: they may be pending soon."""
    jobs = lock(connection, ids)
    ended = [job_id for job_id, job in jobs.items() if job["state"] in _ENDED]
    if ended and finish_edges(connection, ended, now):
        jobs = lock(connection, ids)  # some may be those that waited
    return jobs


def _kept(move: Move, job: Columns) -> dict[str, Any]:
    return {name: job[name] for name in move.keeps}


def _columns(move: Move, job: Columns, now: int, purged_since: int | None) -> dict[str, Any]:
    """Return the columns that a move gives to a job."""
    values = {
        Value.NOW: now,
        Value.DUE: due_at(job["run_at"], now),
        Value.STATE: job["state"],
        Value.STATE_BEFORE_PURGE: job["purged_from"],
        Value.SINCE_BEFORE_PURGE: job["since"] if purged_since is None else purged_since,
    }
    to = {} if move.to_state is None else {"state": move.to_state}
    return {
        name: values[value] if isinstance(value, Value) else value.value if isinstance(value, State) else value
        for name, value in {**to, **move.sets}.items()
    }


class _Edit(NamedTuple):
    """What an edit gives a job; see ``Operations.edit``."""

    row: JobRow
    given: Collection[str]
    edges: Sequence[NewEdge] | None
    then_retry: bool


def _edit(connection: Connection, job_id: int, order: _Edit, now: int) -> Act:
    """Edit a job; return the operation, its id 0 if nothing was to be changed."""
    if order.edges is not None:
        edge_rows.lock_all(connection)
    job = _lock(connection, [job_id], now).get(job_id)
    if job is None:
        raise JobNotFound(job_id)
    row, state = order.row, State(job["state"])
    check(Verb.EDIT, job_id, state)
    changes, before = changes_of_edit(row, order.given, [job[column] for column in EDITABLE])
    if "max_attempts" in changes:
        check_attempts(job_id, row.max_attempts, job["attempts"], state, order.then_retry)
    if changes.get("needs") is not None:
        admit_needs(connection, [row.needs])
    run_at: int | None = job["run_at"]
    if "run_at" in order.given and state is State.PENDING and not order.then_retry and row.run_at != run_at:
        run_at = time_ahead(row.run_at, now)
        changes.update(run_at=run_at, due_at=due_at(run_at, now), backoff_ms=None)
    links = _Links(connection, job, order.edges)
    if links.are_new:
        before["after"] = edges_to_json(links.old)
        changes.update(links.columns(run_at, now))
    elif not changes and not order.then_retry:
        return Act(0, Verb.EDIT.value, 0, 1)
    job_names.free(connection, [row.name] if "name" in changes and row.name is not None else [])
    act_id = _open_act(connection, Verb.EDIT, now)
    kept = _kept(VERBS[Verb.EDIT].moves[0], job)
    connection.execute(_KEEP, (act_id, job_id, json.dumps({**before, **kept})))
    if links.are_new:
        edge_rows.replace(connection, job_id, links.wanted)
    _write_edit(connection, job, changes, order.then_retry, links.blocks, now)
    connection.execute("UPDATE acts SET n = 1 WHERE id = %s", (act_id,))
    return Act(act_id, Verb.EDIT.value, 1)


def _write_edit(
    connection: Connection, job: Columns, changes: dict[str, Any], then_retry: bool, blocks: int, now: int
) -> None:
    """Write what an edit changes of a job; raise ``InvalidTransition`` for a retry of one that is blocked by then."""
    is_refused = then_retry and job["state"] == State.PENDING.value and blocks > 0
    if then_retry and not is_refused:
        changes = {**changes, **_retried({**job, "blocks": blocks}, now)}
    moves = JobChanges()
    moves.put(job, changes)
    moves.write(connection)
    if is_refused:
        _explain(connection, Verb.RETRY, job["id"], {job["id"]: job})


class _Links:
    """What a job waits for before an edit and after it; without edges given the same."""

    def __init__(self, connection: Connection, job: Columns, edges: Sequence[NewEdge] | None) -> None:
        self._job = job
        self.old: Edges = {} if edges is None else edge_rows.edges_of(connection, job["id"])
        self.wanted = self.old
        if edges is not None:
            found = edge_rows.edges_of_batch(connection, [edge._replace(position=0) for edge in edges], [job["id"]])
            self.wanted = found.get(job["id"], {})
        self.are_new = self.wanted != self.old
        #: What keeps the job back after the edit, if it is pending.
        self.blocks: int = job["is_held"] + edge_rows.unmet(self.wanted) if self.are_new else job["blocks"]

    def columns(self, run_at: int | None, now: int) -> dict[str, Any]:
        """Return the columns that new edges change."""
        if self._job["state"] == State.PENDING.value and self._job["blocks"] > 0 and self.blocks == 0:
            return {"blocks": 0, "due_at": due_at(run_at, now)}  # its wait for a slot begins
        return {"blocks": self.blocks}


def _retried(job: Columns, now: int) -> dict[str, Any]:
    """Return the columns that a retry gives to a job; none if it is due already."""
    order = _Order(Verb.RETRY, False, EVER, "", now)
    move = _move_of(order, job)
    return {} if move is None else _columns(move, job, now, None)


def _explain(connection: Connection, verb: Verb, job_id: int, jobs: Mapping[int, Columns]) -> None:
    """Raise for a single job that a verb did not change; this rolls the transaction back."""
    job = jobs.get(job_id)
    if job is None:
        raise JobNotFound(job_id)
    blocker = blockers_in(connection, [job_id]).get(job_id) if verb is Verb.RETRY else None
    explain_refusal(verb, job_id, State(job["state"]), is_held=bool(job["is_held"]), blocker=blocker)


def _purged_since(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Return since when purged jobs had the state before, as their newest purge kept it."""
    found = connection.execute(_PURGED_SINCE, (list(ids),)).fetchall()
    kept = {job_id: json.loads(before).get("since") for job_id, before in found}
    return {job_id: since for job_id, since in kept.items() if since is not None}


# --- undo


def _undo_chunk(
    verb: Verb, act_id: int, chunk: Sequence[int], now: int, is_last: bool
) -> Callable[[Connection], tuple[int, int]]:
    """Return what undoes an act for some of its jobs, and returns how many, and how many stay without their name."""

    def work(connection: Connection) -> tuple[int, int]:
        if verb is Verb.EDIT:
            edge_rows.lock_all(connection)
        jobs = _lock(connection, chunk, now)
        moved_on = {row[0] for row in connection.execute(_LATER, (list(chunk), act_id)).fetchall()}
        kept = connection.execute(
            "SELECT job_id, before FROM history WHERE act_id = %s AND job_id = ANY (%s)", (act_id, list(chunk))
        ).fetchall()
        changes, count = JobChanges(), 0
        waits: dict[int, dict[str, Any]] = {}
        for job_id, text in kept:
            job, before = jobs.get(job_id), json.loads(text)
            if job is None or job_id in moved_on:
                continue
            if not is_where_left(verb, before, State(job["state"]), job["starts"]):
                continue
            columns, links = columns_of_undo(verb, before)
            if links:
                waits[job_id] = links
            if columns.get("name") is not None:
                job_names.free(connection, [columns["name"]])
            changes.put(job, columns)
            count += 1
        try:
            changes.write(connection)
        except errors.UniqueViolation as error:
            names = [json.loads(text).get("name") for _, text in kept]
            raise NameTaken(next((name for name in names if name), "")) from error
        with_dependents.restore(connection, waits, now)
        unnamed = job_names.give_back(connection, chunk) if verb is Verb.PURGE else 0
        if is_last:
            connection.execute("UPDATE acts SET undone_at = %s WHERE id = %s", (now, act_id))
        return count, unnamed

    return work


def _refusing_names(work: Callable[[Connection], Act], name: str | None) -> Callable[[Connection], Act]:
    """Return ``work`` with the violation of the one rule that a user may break raised as what it is."""

    def refusing(connection: Connection) -> Act:
        try:
            return work(connection)
        except errors.UniqueViolation as error:
            raise NameTaken(name or "") from error
        except errors.CheckViolation as error:
            raise Refused(f"the edit was refused: {error.diag.message_primary}") from error

    return refusing
