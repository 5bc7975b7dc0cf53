"""What people do to jobs: replay, retry, cancel, edit, purge, restore; each an act that history keeps.

A bulk act works in chunks, so that nobody else waits, and only its last chunk is synced: that syncs the others too.
Every UPDATE has the allowed states in its WHERE; jobs in other states are counted as skipped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from core.clock import to_datetime
from core.errors import InvalidTransition, NameTaken, Refused
from core.model import Act, LastAct, State
from core.rules.arguments import check_whole
from core.rules.job_input import JobRow
from core.rules.states import ALLOWED, Verb, check
from core.storage.sqlite import job_names
from core.storage.sqlite.file import Database, retry_on_full_disk
from core.storage.sqlite.queries import find

#: Jobs per transaction of a bulk act.
CHUNK = 1000

Progress = Callable[[int, int], None]

_FROM_IDS = "id IN (SELECT value FROM json_each(:ids))"


class _Step(NamedTuple):
    """One UPDATE of a verb: from which states, what it sets, what history keeps of the row before."""

    states: str
    sets: str
    keeps: str
    extra: str = ""


_KEEP_STATE = (
    "json_object('state', state, 'attempts', attempts, 'interrupts', interrupts, 'since', since, 'run_at', run_at,"
    " 'due_at', due_at, 'backoff_ms', backoff_ms, 'starts', starts)"
)
_REPLAY = _Step(
    "state IN ('dead', 'completed', 'cancelled')",
    "state = 'pending', run_at = NULL, attempts = 0, interrupts = 0, since = :now, due_at = :now",
    _KEEP_STATE,
)
_DUE_NOW = _Step("state = 'pending' AND run_at IS NOT NULL", "run_at = NULL, due_at = :now", _KEEP_STATE)
_CANCEL = _Step("state = 'pending'", "state = 'cancelled', run_at = NULL, since = :now", _KEEP_STATE)
_PURGE = _Step(
    "state IN ('completed', 'dead', 'cancelled')",
    "purged_from = state, state = 'purged', since = :now",
    "json_object('state', state, 'since', since)",
    "since <= :before",
)
_PURGED_SINCE = (
    "SELECT json_extract(before, '$.since') FROM history JOIN acts ON acts.id = act_id"
    " WHERE job_id = jobs.id AND verb = 'purge' ORDER BY act_id DESC LIMIT 1"
)
_RESTORE = _Step(
    "state = 'purged'",
    f"state = purged_from, purged_from = NULL, since = COALESCE(({_PURGED_SINCE}), since)",
    "json_object('state', state, 'since', since)",
)


class Chosen(NamedTuple):
    """The jobs that a verb is for; of a single one that a person named, a state that forbids the verb is an error."""

    ids: Sequence[int]
    is_single: bool = False


def replay(db: Database, jobs: Chosen, progress: Progress | None) -> Act:
    """Send finished jobs back to pending with a fresh attempt budget."""
    return _bulk(db, Verb.REPLAY, (_REPLAY,), jobs, progress)


def retry(db: Database, jobs: Chosen, progress: Progress | None) -> Act:
    """Replay finished jobs, make delayed ones due now."""
    return _bulk(db, Verb.RETRY, (_REPLAY, _DUE_NOW), jobs, progress)


def purge(db: Database, jobs: Chosen, before_ms: int | None, progress: Progress | None) -> Act:
    """Put finished jobs into the trash, with ``before_ms`` only those that finished until then."""
    limit = before_ms if before_ms is not None else 1 << 62
    act = _bulk(db, Verb.PURGE, (_PURGE,), jobs, progress, before=limit)
    db.keep_reserve()
    return act


def restore(db: Database, jobs: Chosen, progress: Progress | None) -> Act:
    """Bring purged jobs back to the state they came from."""
    return _bulk(db, Verb.RESTORE, (_RESTORE,), jobs, progress)


def cancel(db: Database, jobs: Chosen, is_kill: bool, progress: Progress | None) -> Act:
    """Cancel waiting jobs at once and ask the workers of running ones to stop them."""
    return _bulk(db, Verb.CANCEL, (_CANCEL,), jobs, progress, stop="kill" if is_kill else "cancel")


class _Order(NamedTuple):
    """What a bulk act does to each chunk. ``stop`` is what running jobs are asked, if anything."""

    verb: Verb
    steps: Sequence[_Step]
    is_single: bool
    before: int = 0
    stop: str | None = None


def _bulk(
    db: Database,
    verb: Verb,
    steps: Sequence[_Step],
    jobs: Chosen,
    progress: Progress | None,
    *,
    before: int = 0,
    stop: str | None = None,
) -> Act:
    ids = jobs.ids
    order = _Order(verb, steps, jobs.is_single, before, stop)
    act = Act(0, verb.value, 0)
    for start in range(0, len(ids), CHUNK):
        chunk, is_last = ids[start : start + CHUNK], start + CHUNK >= len(ids)
        if verb is Verb.PURGE:  # it frees room in the end, so it may use the reserve on a full disk
            act = retry_on_full_disk(db, partial(_do_chunk, db, order, act, chunk, is_last))
        else:
            act = _do_chunk(db, order, act, chunk, is_last)
        if progress is not None:
            progress(min(start + CHUNK, len(ids)), len(ids))
    return act


def _do_chunk(db: Database, order: _Order, act: Act, chunk: Sequence[int], is_last: bool) -> Act:
    """Apply an act to some more jobs, in one transaction; return the act as it is then."""
    with db.write(is_durable=is_last, is_news=True) as connection:
        parameters = {"ids": json.dumps(chunk), "now": db.clock.now_ms(), "before": order.before, "stop": order.stop}
        parameters["act"] = act_id = act.id or _open_act(connection, order.verb, parameters)
        count = sum(_apply(connection, step, parameters) for step in order.steps)
        if order.stop is not None:
            count += _request_stop(connection, parameters)
        if order.is_single and not count:
            _explain(connection, order.verb, chunk[0])
        changed = act.count + count
        if is_last and not changed:
            connection.execute("DELETE FROM acts WHERE id = ?", (act_id,))
            act_id = 0
        else:
            connection.execute("UPDATE acts SET n = ? WHERE id = ?", (changed, act_id))
        unnamed = job_names.give_back(connection, chunk) if order.verb is Verb.RESTORE else 0
    return Act(act_id, order.verb.value, changed, act.skipped + len(chunk) - count, act.unnamed + unnamed)


def _open_act(connection: sqlite3.Connection, verb: Verb, parameters: Mapping[str, object]) -> int:
    cursor = connection.execute("INSERT INTO acts (verb, at) VALUES (?, ?)", (verb.value, parameters["now"]))
    return int(cursor.lastrowid or 0)


def _apply(connection: sqlite3.Connection, step: _Step, parameters: Mapping[str, object]) -> int:
    where = f"{_FROM_IDS} AND {step.states}" + (f" AND {step.extra}" if step.extra else "")
    # "OR IGNORE": a job that an earlier step of the same act moved keeps the row from before that
    connection.execute(
        f"INSERT OR IGNORE INTO history (act_id, job_id, before) SELECT :act, id, {step.keeps} FROM jobs WHERE {where}",
        parameters,
    )
    return connection.execute(f"UPDATE jobs SET {step.sets} WHERE {where}", parameters).rowcount


def _request_stop(connection: sqlite3.Connection, parameters: Mapping[str, object]) -> int:
    """Note on the open attempts of running jobs that somebody wants them stopped; their worker does it."""
    running = f"{_FROM_IDS} AND state = 'running'"
    connection.execute(
        f"INSERT INTO history (act_id, job_id, before) SELECT :act, id, json_object('state', state) FROM jobs"
        f" WHERE {running}",
        parameters,
    )
    return connection.execute(
        "UPDATE attempts SET stop_requested = CASE WHEN stop_requested = 'kill' THEN 'kill' ELSE :stop END"
        f" WHERE ended_at IS NULL AND id IN (SELECT attempt_id FROM jobs WHERE {running})",
        parameters,
    ).rowcount


def _explain(connection: sqlite3.Connection, verb: Verb, job_id: int) -> None:
    """Raise for a single job that a verb did not change; this rolls the transaction back."""
    row = connection.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        find(connection, job_id)
    state = State(row[0])
    check(verb, job_id, state)
    if verb is Verb.RETRY:
        raise InvalidTransition(job_id, state.value, verb.value, "it is due already")


# --- edit

_EDITABLE = (
    *("name", "command", "queue", "priority", "label", "cwd", "env"),
    *("max_attempts", "timeout_ms", "backoff_base", "ok_exit", "dead_exit"),
)


def edit(db: Database, job_id: int, row: JobRow, *, run_at_given: bool, then_retry: bool) -> Act:
    """Give a pending or dead job the fields of ``row``; the old ones stay in its history.

    ``run_at_given`` moves a pending job to ``row.run_at`` too; ``then_retry`` also makes it run now.
    """
    now = db.clock.now_ms()
    try:
        with db.write(is_news=True) as connection:
            found = connection.execute(
                f"SELECT state, attempts, run_at, {', '.join(_EDITABLE)} FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
            if found is None:
                find(connection, job_id)
            state = State(found[0])
            check(Verb.EDIT, job_id, state)
            if row.max_attempts < found[1] and not (then_retry and state is State.DEAD):
                raise Refused(f"job {job_id} has spent {found[1]} attempts; max-attempts cannot be less")
            changes, before = _changes(row, found[3:])
            if run_at_given and state is State.PENDING and not then_retry and row.run_at != found[2]:
                changes.update(run_at=row.run_at, due_at=max(row.run_at or now, now), backoff_ms=None)
            if not changes and not then_retry:
                return Act(0, Verb.EDIT.value, 0, 1)
            job_names.free(connection, row.name)
            keep = connection.execute(f"SELECT {_KEEP_STATE} FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
            act_id = _open_act(connection, Verb.EDIT, {"now": now})
            connection.execute(
                "INSERT INTO history (act_id, job_id, before) VALUES (?, ?, ?)",
                (act_id, job_id, json.dumps({**before, **json.loads(keep)})),
            )
            if then_retry:  # first: a fresh budget may be smaller than what was spent
                step = _REPLAY if state is State.DEAD else _DUE_NOW
                connection.execute(
                    f"UPDATE jobs SET {step.sets} WHERE id = :id AND {step.states}", {"id": job_id, "now": now}
                )
            _set_columns(connection, job_id, changes)
            connection.execute("UPDATE acts SET n = 1 WHERE id = ?", (act_id,))
            return Act(act_id, Verb.EDIT.value, 1)
    except sqlite3.IntegrityError as error:
        if row.name is not None and "jobs.name" in str(error):
            raise NameTaken(row.name) from error
        raise Refused(f"the edit was refused: {error}") from error


def _changes(row: JobRow, old: Sequence[object]) -> tuple[dict[str, object], dict[str, object]]:
    changes: dict[str, object] = {}
    before: dict[str, object] = {}
    for column, value in zip(_EDITABLE, old, strict=True):
        if getattr(row, column) != value:
            changes[column] = getattr(row, column)
            before[column] = value
    return changes, before


def _set_columns(connection: sqlite3.Connection, job_id: int, columns: Mapping[str, object]) -> None:
    """Set columns of the fixed list that edits and undo know."""
    unknown = set(columns) - {*_EDITABLE, "state", "attempts", "interrupts", "since", "run_at", "due_at", "backoff_ms"}
    if unknown:
        raise ValueError(f"not columns of an edit: {sorted(unknown)}")
    if columns:
        sets = ", ".join(f"{column} = :{column}" for column in columns)
        connection.execute(f"UPDATE jobs SET {sets} WHERE id = :id", {**columns, "id": job_id})


# --- undo

_UNDOABLE = ("purge", "replay", "retry", "edit", "cancel")


def last_act(db: Database) -> LastAct | None:
    """Return the newest act that changed something and was not undone, whether it can be undone or not."""
    with db.read() as connection:
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


def _obstacle(connection: sqlite3.Connection, act_id: int, verb: str) -> str | None:
    """Return why an act cannot be undone, ``None`` when it can, for one of its jobs at least."""
    if verb not in _UNDOABLE:
        return "purge those jobs again" if verb == "restore" else "there is no way back"
    kept = connection.execute(
        "SELECT max(:verb <> 'cancel' OR json_extract(before, '$.state') = 'pending') FROM history WHERE act_id = :act",
        {"act": act_id, "verb": verb},
    ).fetchone()[0]
    if kept is None:
        return "its jobs were removed for good"
    return None if kept else "running jobs were asked to stop"


def last_purge(db: Database) -> int | None:
    """Return the id of the newest purge that was not undone."""
    with db.read() as connection:
        row = connection.execute(
            "SELECT id FROM acts WHERE verb = 'purge' AND undone_at IS NULL AND n > 0 ORDER BY id DESC LIMIT 1"
        ).fetchone()
    return None if row is None else int(row[0])


def undo(db: Database, act_id: int, progress: Progress | None) -> Act:
    """Put the jobs of an act back as they were; jobs that moved on since are skipped."""
    check_whole(act_id, "the number of the act")
    with db.read() as connection:
        row = connection.execute("SELECT verb, undone_at FROM acts WHERE id = ?", (act_id,)).fetchone()
        if row is None or row[0] not in _UNDOABLE:
            raise Refused(f"act {act_id} cannot be undone")
        if row[1] is not None:
            raise Refused(f"act {act_id} was undone already")
        verb = str(row[0])
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
        with db.write(is_durable=is_last, is_news=True) as connection:
            if is_last:
                connection.execute("UPDATE acts SET undone_at = ? WHERE id = ?", (db.clock.now_ms(), act_id))
            changed += _undo_chunk(connection, verb, act_id, chunk)
            unnamed += job_names.give_back(connection, chunk) if verb == "purge" else 0
        if progress is not None:
            progress(min(start + CHUNK, len(ids)), len(ids))
    return Act(act_id, f"undo {verb}", changed, len(ids) - changed, unnamed)


_UNTOUCHED = (
    "SELECT job_id, before FROM history JOIN jobs ON jobs.id = job_id WHERE act_id = :act"
    " AND job_id IN (SELECT value FROM json_each(:ids))"
    " AND NOT EXISTS (SELECT 1 FROM history AS later JOIN acts ON acts.id = later.act_id"
    " WHERE later.job_id = history.job_id AND later.act_id > :act AND acts.undone_at IS NULL)"
)
_STILL = {
    "replay": "state = 'pending' AND starts = json_extract(before, '$.starts')",
    "retry": "state = 'pending' AND starts = json_extract(before, '$.starts')",
    "edit": "state IN ('pending', 'dead') AND starts = json_extract(before, '$.starts')",
    "cancel": "state = 'cancelled' AND json_extract(before, '$.state') = 'pending'",
}


def _undo_chunk(connection: sqlite3.Connection, verb: str, act_id: int, chunk: Sequence[int]) -> int:
    parameters = {"act": act_id, "ids": json.dumps(chunk)}
    if verb == "purge":
        return connection.execute(
            "UPDATE jobs SET state = purged_from, purged_from = NULL, since = COALESCE((SELECT"
            " json_extract(before, '$.since') FROM history WHERE act_id = :act AND job_id = jobs.id), since)"
            f" WHERE {_FROM_IDS} AND state = 'purged'"
            " AND NOT EXISTS (SELECT 1 FROM history WHERE job_id = jobs.id AND act_id > :act)",
            parameters,
        ).rowcount
    found = connection.execute(f"{_UNTOUCHED} AND {_STILL[verb]}", parameters).fetchall()
    for job_id, before in found:
        columns = json.loads(before)
        columns.pop("starts", None)
        job_names.free(connection, columns.get("name"))
        try:
            _set_columns(connection, job_id, columns)
        except sqlite3.IntegrityError as error:
            if "jobs.name" in str(error):
                raise NameTaken(columns["name"]) from error
            raise
    return len(found)


assert set(ALLOWED) == set(Verb)
