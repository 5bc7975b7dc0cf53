"""From rows to values: which columns a job and an attempt are read from, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.clock import to_datetime
from core.errors import DatabaseCorrupt
from core.model import Attempt, Job, Outcome, State

#: A row as SQLite hands it over.
SqlRow = tuple[Any, ...]

JOB_COLUMNS = (
    "id, name, command, queue, priority, label, cwd, env, max_attempts, timeout_ms, backoff_base, ok_exit, dead_exit,"
    " state, run_at, attempts, interrupts, enqueued_at, since, started_at, finished_at, run_ms,"
    " outcome, exit_code, signal, error, cpu_ms, max_rss_bytes"
)
ATTEMPT_COLUMNS = (
    "id, job_id, number, worker_id, started_at, ended_at, run_ms, outcome, exit_code, signal, error, output_bytes,"
    " stop_requested, cpu_ms, max_rss_bytes"
)

_STATES = {state.value: state for state in State}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def job_of(row: SqlRow) -> Job:
    """Return the job in a row of ``JOB_COLUMNS``; raise ``DatabaseCorrupt`` for one that no queue has written."""
    try:
        return _job_of(row)
    except (TypeError, ValueError, KeyError) as error:
        raise DatabaseCorrupt(f"the row of job {row[0]} is damaged; run 'queuectl doctor', restore a backup") from error


def claimed_job_of(row: SqlRow, now: int) -> Job:
    """Return the job as a claim makes it, from the row of ``JOB_COLUMNS`` before that; ``now`` in milliseconds."""
    return job_of((*row[:13], "running", None, row[15] + 1, row[16], row[17], now, now, *_NOTHING_YET))


# finished_at, run_ms, outcome, exit_code, signal, error, cpu_ms, max_rss_bytes
_NOTHING_YET = (None,) * 8


def _job_of(row: SqlRow) -> Job:
    run_ms, cpu_ms, timeout_ms = row[21], row[26], row[9]
    return Job(
        id=row[0],
        name=row[1],
        command=row[2],
        queue=row[3],
        priority=row[4],
        label=row[5],
        cwd=row[6],
        env=variables_of(row[7]),
        max_attempts=row[8],
        timeout_s=None if timeout_ms is None else timeout_ms / 1000,
        backoff_base=float(row[10]),
        ok_exit=row[11],
        dead_exit=row[12],
        state=_STATES[row[13]],
        run_at=instant(row[14]),
        attempts=row[15],
        interrupts=row[16],
        enqueued_at=to_datetime(row[17]),
        since=to_datetime(row[18]),
        started_at=instant(row[19]),
        finished_at=instant(row[20]),
        run_s=None if run_ms is None else run_ms / 1000,
        last_outcome=_OUTCOMES.get(row[22]),
        last_exit_code=row[23],
        last_signal=row[24],
        last_error=row[25],
        cpu_s=None if cpu_ms is None else cpu_ms / 1000,
        max_rss_bytes=row[27],
    )


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
    )


def instant(milliseconds: int | None) -> datetime | None:
    """Return the datetime of milliseconds, or ``None`` for none."""
    return None if milliseconds is None else to_datetime(milliseconds)


def variables_of(text: str | None) -> Mapping[str, str]:
    """Return the JSON object of a column; one that another tool spoilt reads as empty."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Return the JSON array of a column; ``None`` for none, and for one that another tool spoilt."""
    try:
        value = json.loads(text or "null")
    except ValueError:
        return None
    return tuple(map(str, value)) if isinstance(value, list) else None
