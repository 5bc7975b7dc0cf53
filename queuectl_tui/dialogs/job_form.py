"""What the form for a job asks: its fields, their texts, and what a person's texts mean. Pure but for directories."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from core.errors import UsageError
from core.model import Job, NewJob, State
from core.rules.arguments import check_number
from core.rules.instants import parse_future
from core.rules.job_input import MAX_PRIORITY, check_command, check_name, check_queue, check_text, check_timeout
from core.rules.settings import SETTINGS
from core.rules.units import format_duration, parse_duration
from core.text import clean_line, clean_lines

Texts = Mapping[str, str]


class Field(NamedTuple):
    """One question of the form; ``row`` groups fields that stand side by side, ``hint`` is one line."""

    id: str
    label: str
    row: int
    hint: str
    placeholder: str = ""


FIELDS: tuple[Field, ...] = (
    Field("command", "Command", 0, "for the shell: pipes, quotes and several lines are fine"),
    Field("queue", "Queue", 1, "one word", "default"),
    Field("priority", "Priority", 1, "higher goes first; 0 is normal", "0"),
    Field("when", "When", 2, "10m, 18:30 or 2026-01-31T18:30; empty is now", "now"),
    Field("attempts", "Attempts", 2, "starts allowed before the job is dead", "as configured"),
    Field("timeout", "Timeout", 3, "30s, 5m or 1h30m; 0 is none", "as configured"),
    Field("label", "Label", 3, "to find it again: label:nightly", "none"),
    Field("cwd", "Directory", 4, "where the command runs"),
    Field("name", "Name", 5, "unique; stands for the id everywhere", "none"),
)
FIELD = {field.id: field for field in FIELDS}


def inert(text: str) -> str:
    """Return a text of several lines as it may stand in a form: line breaks and tabs stay, nothing else acts."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\t".join(clean_lines(part) for part in unified.split("\t"))


def texts_of_new(defaults: NewJob) -> dict[str, str]:
    """Return what the fields of a new job say at first."""
    return {
        "command": inert(defaults.command),
        "queue": clean_line(defaults.queue),
        "priority": str(defaults.priority) if defaults.priority else "",
        "when": "",
        "attempts": str(defaults.max_attempts) if defaults.max_attempts is not None else "",
        "timeout": format_duration(defaults.timeout_s) if defaults.timeout_s is not None else "",
        "label": clean_line(defaults.label or ""),
        "cwd": clean_line(defaults.cwd or ""),
        "name": clean_line(defaults.name or ""),
    }


def as_new(job: Job) -> NewJob:
    """Return what would have to be asked for to get a job like this one."""
    return NewJob(
        job.command,
        name=job.name,
        queue=job.queue,
        priority=job.priority,
        run_at=job.run_at if job.state is State.PENDING else None,
        max_attempts=job.max_attempts,
        timeout_s=job.timeout_s,
        backoff_base=job.backoff_base,
        cwd=job.cwd,
        label=job.label,
        ok_exit=job.ok_exit,
        dead_exit=job.dead_exit,
    )


# --- what a text means; each raises UsageError with one line for a person


def _command(text: str, _now: datetime) -> str:
    return check_command(text)


def _queue(text: str, _now: datetime) -> str:
    return check_queue(text) if text else "default"


def _priority(text: str, _now: datetime) -> int:
    try:
        number = int(text or "0")
    except ValueError:
        raise UsageError(f"the priority is a whole number, not {text!r}") from None
    check_number(number, "the priority", -MAX_PRIORITY, MAX_PRIORITY)
    return number


def _when(text: str, now: datetime) -> datetime | None:
    if text.lower() in ("", "now"):
        return None
    if ":" in text or "-" in text:
        return parse_future(text, now)
    return now + timedelta(seconds=parse_duration(text.removeprefix("+").removeprefix("in "), "delay"))


def _attempts(text: str, _now: datetime) -> int | None:
    return int(SETTINGS["max-attempts"].parse(text)) if text else None


def _timeout(text: str, _now: datetime) -> float | None:
    if not text:
        return None
    seconds = parse_duration(text, "timeout")
    check_timeout(seconds)
    return seconds


def _label(text: str, _now: datetime) -> str | None:
    return check_text(text, "label") if text else None


def _cwd(text: str, _now: datetime) -> str | None:
    if not text:
        return None
    path = os.path.abspath(os.path.expanduser(check_text(text, "directory", longest=4096)))
    if not os.path.isdir(path):
        raise UsageError(f"there is no directory {path}")
    return path


def _name(text: str, _now: datetime) -> str | None:
    return check_name(text) if text else None


_PARSERS: Mapping[str, Callable[[str, datetime], object]] = {
    "command": _command,
    "queue": _queue,
    "priority": _priority,
    "when": _when,
    "attempts": _attempts,
    "timeout": _timeout,
    "label": _label,
    "cwd": _cwd,
    "name": _name,
}
_ATTRIBUTES = {"when": "run_at", "attempts": "max_attempts", "timeout": "timeout_s"}


def error_of(field_id: str, text: str, now: datetime) -> str | None:
    """Return why a text cannot stand in a field, as one inert line; ``None`` when it can."""
    try:
        _PARSERS[field_id](_trimmed(field_id, text), now)
    except UsageError as error:
        return clean_line(str(error))
    return None


def told_of(field_id: str, text: str, now: datetime) -> str:
    """Return what a valid text means where that is not plain: the instant of a delay; "" elsewhere."""
    if field_id != "when" or not (at := _when(text.strip(), now)):
        return ""
    local = at.astimezone(now.tzinfo)
    return f"runs {local:%a} {local.day} {local:%b %Y %H:%M:%S}"


def new_job(base: NewJob, before: Texts, texts: Texts, now: datetime) -> NewJob:
    """Return ``base`` with what was changed in the form; raise ``UsageError`` when a text means nothing.

    A field that still says what it said ``before`` keeps the value of ``base``, even one the form had to clean.
    """
    changes: dict[str, object] = {}
    for field_id, text in texts.items():
        value = _PARSERS[field_id](_trimmed(field_id, text), now)
        if text != before[field_id]:
            changes[_ATTRIBUTES.get(field_id, field_id)] = value
    return base._replace(**changes)  # type: ignore[arg-type]


def _trimmed(field_id: str, text: str) -> str:
    return text if field_id == "command" else text.strip()
