"""From rows to values: which columns a job and an attempt are read from, and how."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from core.clock import to_datetime
from core.errors import DatabaseCorrupt, JobNotFound
from core.model import Attempt, Dependency, EdgeKind, Job, NewJob, Outcome, State
from core.rules.arguments import check_kind, shown
from core.rules.job_fields import FIELDS, JobRow
from core.rules.needs import needs_of, units_of

#: A row as SQLite hands it over.
SqlRow = tuple[Any, ...]

ATTEMPT_COLUMNS = (
    "id, job_id, number, worker_id, started_at, ended_at, run_ms, outcome, exit_code, signal, error, output_bytes,"
    " stop_requested, cpu_ms, max_rss_bytes, last_line, fingerprint, units"
)

_STATES = {state.value: state for state in State}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def instant(milliseconds: int | None) -> datetime | None:
    """Return the datetime of milliseconds, or ``None`` for none."""
    return None if milliseconds is None else to_datetime(milliseconds)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def variables_of(text: str | None) -> Mapping[str, str]:
    """Return the JSON object of a column; one that another tool spoilt reads as empty."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


#: What makes the value of a field of one kind; those of the other kinds are stored as they are.
_MAKERS: Mapping[str, Callable[[Any], Any]] = {
    "duration": _seconds,
    "number": float,
    "variables": variables_of,
    "instant": instant,
    "flag": bool,
    "needs": lambda text: None if text is None else dict(needs_of(text)) or None,
}
#: For each attribute of a job its column and what makes the value, where it is not stored as it is.
_OF_JOB: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = {
    **{field.name: (field.column, _MAKERS.get(field.kind)) for field in FIELDS},
    "state": ("state", _STATES.__getitem__),
    "enqueued_at": ("enqueued_at", to_datetime),
    "since": ("since", to_datetime),
    "started_at": ("started_at", instant),
    "finished_at": ("finished_at", instant),
    "run_s": ("run_ms", _seconds),
    "last_outcome": ("outcome", _OUTCOMES.get),
    "last_exit_code": ("exit_code", None),
    "last_signal": ("signal", None),
    "last_error": ("error", None),
    "cpu_s": ("cpu_ms", _seconds),
}
_JOB = [_OF_JOB.get(name, (name, None)) for name in Job._fields if name != "unwatched"]
_JOB_MAKERS = [(index, make) for index, (_, make) in enumerate(_JOB) if make is not None]
JOB_COLUMNS = ", ".join(column for column, _ in _JOB)


def job_of(row: SqlRow) -> Job:
    """Return the job in a row of ``JOB_COLUMNS``; raise ``DatabaseCorrupt`` for one that no queue has written."""
    try:
        values = list(row[: len(_JOB)])  # a row may have more columns behind these
        for index, make in _JOB_MAKERS:
            values[index] = make(values[index])
        return Job(*values)
    except (TypeError, ValueError, KeyError) as error:
        raise DatabaseCorrupt(f"the row of job {row[0]} is damaged; run 'queuectl doctor', restore a backup") from error


def new_job_of(row: JobRow) -> NewJob:
    """Return the job in the row of one that is to be added, for a user to read or to change."""
    values = {field.name: (getattr(row, field.column), _MAKERS.get(field.kind)) for field in FIELDS}
    return NewJob(**{name: value if make is None else make(value) for name, (value, make) in values.items()})


_STATE = Job._fields.index("state")
_IS_HELD = Job._fields.index("is_held")
# finished_at, run_ms, outcome, exit_code, signal, error, cpu_ms, max_rss_bytes, last_line, fingerprint
_NOTHING_YET = (None,) * 10


def claimed_job_of(row: SqlRow, now: int) -> Job:
    """Return the job as a claim makes it, from the row of ``JOB_COLUMNS`` before that; ``now`` in milliseconds."""
    attempts, interrupts, enqueued_at = row[_STATE + 2 : _STATE + 5]
    counters = (attempts + 1, interrupts, enqueued_at)
    return job_of((*row[:_STATE], "running", None, *counters, now, now, *_NOTHING_YET, *row[_IS_HELD : len(_JOB)]))


def attempt_of(row: SqlRow) -> Attempt:
    """Return the attempt in a row of ``ATTEMPT_COLUMNS``; raise ``DatabaseCorrupt`` for a damaged one."""
    try:
        return _attempt_of(row)
    except (TypeError, ValueError, KeyError) as error:
        raise DatabaseCorrupt(
            f"the row of attempt {row[0]} is damaged; run 'queuectl doctor', restore a backup"
        ) from error


def _attempt_of(row: SqlRow) -> Attempt:
    run_ms, cpu_ms = row[6], row[13]
    return Attempt(
        id=row[0],
        job_id=row[1],
        number=row[2],
        worker_id=row[3],
        started_at=to_datetime(row[4]),
        ended_at=instant(row[5]),
        run_s=None if run_ms is None else run_ms / 1000,
        outcome=_OUTCOMES.get(row[7]),
        exit_code=row[8],
        signal=row[9],
        error=row[10],
        output_bytes=row[11],
        stop_requested=row[12],
        cpu_s=None if cpu_ms is None else cpu_ms / 1000,
        max_rss_bytes=row[14],
        last_line=row[15],
        fingerprint=row[16],
        units=units_of(row[17]),
    )


def dependency_of(row: SqlRow) -> Dependency:
    """Return the edge in a row of job_id, on_id, kind and is_met."""
    return Dependency(row[0], row[1], EdgeKind(row[2]), bool(row[3]))


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Return the JSON array of a column; ``None`` for none, and for one that another tool spoilt."""
    try:
        value = json.loads(text or "null")
    except ValueError:
        return None
    return tuple(map(str, value)) if isinstance(value, list) else None


#: Columns of a job's row that hold unix milliseconds; those that end in _ms hold durations.
_HISTORY_INSTANTS = frozenset({"since", "run_at", "due_at"})


def before_of(text: str) -> dict[str, object]:
    """Return the columns that history keeps of a job as a program reads them: instants, and durations in seconds."""
    before: dict[str, object] = {}
    kept: Mapping[str, object] = variables_of(text)
    for column, value in kept.items():
        if column in _HISTORY_INSTANTS and isinstance(value, int):
            before[column] = to_datetime(value)
        elif column in ("met", "unmet"):
            continue  # only an undo needs it
        elif column == "after" and isinstance(value, dict):
            before[column] = [f"{on_id} (end)" if kind == "end" else on_id for on_id, (kind, _) in value.items()]
        elif column.endswith("_ms"):
            before[column.removesuffix("_ms") + "_s"] = value / 1000 if isinstance(value, int) else value
        else:
            before[column] = value
    return before


def id_or_name(reference: int | str) -> tuple[int | None, str]:
    """Return the id that refers to a job, or ``None`` and its name; raise ``JobNotFound`` for what no job can have."""
    check_kind(reference, "a job", (int, str), "given by its number or name")
    try:
        text = str(reference)
        text.encode()
        if "\0" in text:
            raise JobNotFound(reference)
    except UnicodeEncodeError:  # bytes that are no UTF-8: no name has them
        raise JobNotFound(reference) from None
    except ValueError:  # a number with thousands of digits
        raise JobNotFound(shown(reference)) from None
    return (int(text), "") if text.isascii() and text.isdigit() and len(text) <= 18 else (None, text)
