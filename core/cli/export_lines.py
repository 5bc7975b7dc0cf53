"""What an export writes of each thing: objects for JSON lines, cells for CSV."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.cli.json_output import flat, needed_jobs, plain
from core.errors import OutputUnavailable
from core.model import Attempt, Dependency, Job, State
from core.output import Output
from core.records import JobRecord, StoredEnvironment
from core.rules.environment import masked
from core.text import clean_lines
from core.version import __version__

#: The version of the lines: another one when a reader of these would misread them.
FORMAT = 1
#: Fields of a job that are columns of a CSV file; its variables are not.
CSV_COLUMNS = (
    "id", "name", "state", "queue", "priority", "label", "command", "cwd", "attempts", "max_attempts", "timeout_s",
    "enqueued_at", "run_at", "started_at", "finished_at", "run_s", "last_outcome", "last_exit_code", "last_signal",
    "last_error", "cpu_s", "max_rss_bytes", "last_line", "fingerprint",
)  # fmt: skip
#: The first characters by which a spreadsheet knows a formula.
_FORMULA = ("=", "+", "-", "@")
#: The most that one system call reads.
_BLOCK = 1 << 20


def header(now: datetime, *, has_secrets: bool) -> dict[str, Any]:
    """Return the first line: what the file is, when it was written, and whether values of secrets are in it."""
    return {
        "type": "queuectl-export",
        "format": FORMAT,
        "version": __version__,
        "exported_at": plain(now),
        "secrets": "included" if has_secrets else "masked",
    }


def environment(stored: StoredEnvironment, *, has_secrets: bool) -> dict[str, Any]:
    """Return the line of a captured environment, which stands before the first job that refers to it."""
    variables = _variables(stored.variables, has_secrets)
    return {"type": "environment", **flat(stored), "variables": variables}


def job(
    record: JobRecord, attempts: list[dict[str, Any]], edges: Sequence[Dependency], *, has_secrets: bool
) -> dict[str, Any]:
    """Return the line of a job; ``attempts`` are the objects of its ended attempts, ``edges`` what it waits for."""
    shown = flat(settled(record))
    del shown["unwatched"]
    return {
        "type": "job",
        **shown,
        "env": _variables(record.job.env, has_secrets),
        "environment_id": record.environment_id,
        "purged_from": plain(record.purged_from),
        "after": needed_jobs(edges),
        "attempt_list": attempts,
    }


def _variables(variables: Mapping[str, str], has_secrets: bool) -> dict[str, str]:
    return dict(sorted(variables.items())) if has_secrets else masked(variables)


def settled(record: JobRecord) -> Job:
    """Return the job of a record; one that runs as it stands if that attempt is taken back: pending and due."""
    found = record.job
    if found.state is not State.RUNNING:
        return found
    ended = [attempt for attempt in record.attempts if attempt.ended_at is not None]
    last = ended[-1] if ended else None
    return found._replace(
        state=State.PENDING,
        attempts=found.attempts - 1,
        started_at=None if last is None else last.started_at,
        finished_at=None if last is None else last.ended_at,
        run_s=None if last is None else last.run_s,
        last_outcome=None if last is None else last.outcome,
        last_exit_code=None if last is None else last.exit_code,
        last_signal=None if last is None else last.signal,
        last_error=None if last is None else last.error,
        cpu_s=None if last is None else last.cpu_s,
        max_rss_bytes=None if last is None else last.max_rss_bytes,
        last_line=None if last is None else last.last_line,
        fingerprint=None if last is None else last.fingerprint,
    )


def attempt(ended: Attempt, output: Output | None, most: int | None) -> dict[str, Any]:
    """Return an ended attempt with the last ``most`` bytes of its output (``None``: all of it).

    ``output_cut`` is how many bytes before them are left out: all of them where ``output`` is ``None``, which it is
    without an output, and for one that is gone.
    """
    shown = flat(ended)
    found = None if output is None else _tail(output, most)
    if found is None:
        return {**shown, "output": None, "output_encoding": None, "output_cut": ended.output_bytes or 0}
    data, cut = found
    try:
        return {**shown, "output": data.decode(), "output_encoding": "utf-8", "output_cut": cut}
    except UnicodeDecodeError:
        text = base64.b64encode(data).decode("ascii")
        return {**shown, "output": text, "output_encoding": "base64", "output_cut": cut}


def _tail(output: Output, most: int | None) -> tuple[bytes, int] | None:
    """Return the last bytes of an output, from the start of a character, and how many come before; ``None``: gone."""
    try:
        size = output.size()
        start = 0 if most is None else max(0, size - most)
        data = b"".join(output.read(at, min(_BLOCK, size - at)) for at in range(start, size, _BLOCK))
    except OutputUnavailable:
        return None
    if start:
        whole = next((at for at in range(min(4, len(data))) if data[at] & 0xC0 != 0x80), 0)
        data, start = data[whole:], start + whole
    return data, start


def csv_cells(shown: Job) -> list[object]:
    """Return the cells of ``CSV_COLUMNS``: numbers as they are, texts inert to terminals and spreadsheets."""
    return [_cell(plain(getattr(shown, column))) for column in CSV_COLUMNS]


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = clean_lines(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
