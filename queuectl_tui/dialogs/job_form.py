"""The fields of the form for a job: their texts, and the values that texts mean. Pure but for directories."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from core.errors import UsageError
from core.model import Dependency, EdgeKind, Job, JobRef, NewJob, State
from core.rules.command_line import written
from core.rules.dependencies import references_of
from core.rules.instants import parse_future
from core.rules.job_fields import FIELDS, LINKS, FormPlace, JobField
from core.rules.job_input import check_field
from core.rules.needs import parse_needs
from core.rules.submission import new_job_like
from core.rules.units import parse_decimal, parse_duration, parse_whole
from core.text import clean_line, clean_lines

Texts = Mapping[str, str]

#: What a job waits for: no columns of a job, so that they are no rows of the table of fields.
_AFTER, _AFTER_END = (
    JobField(key.replace("-", "_"), "jobs", key, *(link for link in LINKS if link.key == key), label=label)
    for key, label in (("after", "After"), ("after-end", "After end"))
)
#: The fields that are asked for, and where, in the order of the form.
QUESTIONS: tuple[tuple[JobField, FormPlace], ...] = (
    *sorted(((field, field.form) for field in FIELDS if field.form is not None), key=lambda asked: asked[1].row),
    (_AFTER, FormPlace(6, "starts once these have completed: build,12", "no other")),
    (_AFTER_END, FormPlace(7, "starts once these have ended, dead and cancelled included", "no other")),
)
#: Fields that are not asked for in an edit: scripts may refer to the name, and to hold there is another verb.
_ONLY_NEW = ("name", "is_held")
_LINKS = (_AFTER.name, _AFTER_END.name)
_ASKED = {field.name: field for field, _ in QUESTIONS}
_NONE = "none"
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


def inert(text: str) -> str:
    """Return a text of several lines as it may stand in a form: line breaks and tabs stay, nothing else acts."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\t".join(clean_lines(part) for part in unified.split("\t"))


class EditedJob(NamedTuple):
    """A job that is edited, and the unmet edges by which it waits; ``None`` for those leaves them out of the form."""

    job: Job
    edges: Sequence[Dependency] | None = None

    def as_new(self) -> NewJob:
        """Return what the job has now, as the form changes it."""
        kinds = ((EdgeKind.COMPLETE, _AFTER.name), (EdgeKind.END, _AFTER_END.name))
        links = {name: tuple(edge.on_id for edge in self.edges or () if edge.kind is kind) for kind, name in kinds}
        return as_new(self.job)._replace(**links)  # type: ignore[arg-type]

    def is_kept_back(self, *links: object) -> bool:
        """Return whether the job waits for others or its release with what ``after`` and ``after_end`` have then."""
        if self.job.state is not State.PENDING or self.job.is_held:
            return self.job.state is State.PENDING
        return any(links) if self.edges is not None else self.job.blocks > 0


def texts_of(base: NewJob, edited: EditedJob | None) -> dict[str, str]:
    """Return the first text of each field of the form for a new job, or for one that is edited, by the field's name."""
    left_out = (_AFTER_END.name,) if edited is None else (*_ONLY_NEW, *(_LINKS if edited.edges is None else ()))
    asked = (field for field, _ in QUESTIONS if field.name not in left_out)
    return {field.name: _text(field, getattr(base, field.name)) for field in asked}


class Basis(NamedTuple):
    """What a form begins with: a job, the texts of its fields, and which job is edited, if one is."""

    job: NewJob
    texts: Texts
    edited: EditedJob | None

    @classmethod
    def of(cls, defaults: NewJob, edited: EditedJob | None) -> Basis:
        """Return that of a form for a new job with ``defaults``, or for one that is edited."""
        job = defaults if edited is None else edited.as_new()
        return cls(job, texts_of(job, edited), edited)


def changed_fields(base: NewJob, changed: NewJob) -> dict[str, object]:
    """Return what a form changed in a job, as the fields of ``Queue.edit``: of what it waits for all, if any of it."""
    fields = {name: value for name, value in changed._asdict().items() if value != getattr(base, name)}
    if fields.keys() & set(_LINKS):
        fields.update({name: getattr(changed, name) for name in _LINKS})
    return fields


def _text(field: JobField, value: object) -> str:
    if value is None or field.kind == "instant" or (field.kind == "whole" and value == field.default):
        return ""
    if field.kind == "flag":
        return _YES[0] if value else ""
    if field.kind == "duration" and not value:
        return _NONE
    if isinstance(value, tuple):
        return clean_line(",".join(map(str, value)))
    return inert(str(value)) if field.kind == "command" else clean_line(written(field, value))


def as_new(job: Job) -> NewJob:
    """Return the fields of a job, its ``run_at`` only while it is pending."""
    new = new_job_like(job)
    return new if job.state is State.PENDING else new._replace(run_at=None)


# --- what a text means


def _instant(field: JobField, text: str, now: datetime) -> datetime | None:
    if text.lower() == "now":
        return None
    if ":" in text or "-" in text:
        return parse_future(text, now)
    return now + timedelta(seconds=parse_duration(text.removeprefix("+").removeprefix("in "), "delay"))


def _whole(field: JobField, text: str, now: datetime) -> int:
    spelling = field.spellings[0]
    return parse_whole(text, field.noun, int(spelling.example), int(field.low), int(field.high))


def _number(field: JobField, text: str, now: datetime) -> object:
    return check_field(field, parse_decimal(text, field.noun, field.spellings[0].example))


def _duration(field: JobField, text: str, now: datetime) -> float:
    seconds = 0.0 if text.lower() == _NONE else parse_duration(text, field.key)
    check_field(field, seconds)
    return seconds


def _directory(field: JobField, text: str, now: datetime) -> str:
    path = str(check_field(field, text, os.getcwd()))
    if not os.path.isdir(path):
        raise UsageError(f"there is no directory {path}")
    return path


def _flag(field: JobField, text: str, now: datetime) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise UsageError(f"{field.key} is yes or no, not {text!r}")
    return text.lower() in _YES


def _needs(field: JobField, text: str, now: datetime) -> Mapping[str, int]:
    check_field(field, text)
    return parse_needs(text)


def _jobs(field: JobField, text: str, now: datetime) -> tuple[JobRef, ...]:
    return tuple(references_of([word.strip() for word in text.split(",")], field.key))


#: From a text to the value of a field, by its kind; each raises ``UsageError`` with one line.
_MEANINGS: Mapping[str, Callable[[JobField, str, datetime], object]] = {
    "instant": _instant,
    "whole": _whole,
    "number": _number,
    "duration": _duration,
    "directory": _directory,
    "flag": _flag,
    "needs": _needs,
    "jobs": _jobs,
}


def _meaning(name: str, text: str, now: datetime) -> object:
    """Return the value for ``NewJob`` of a text in a field; an empty one is the default, but for the command."""
    field = _ASKED[name]
    trimmed = text if field.kind == "command" else text.strip()
    if not trimmed and field.kind != "command":
        return () if field.kind == "jobs" else field.default
    meaning = _MEANINGS.get(field.kind)
    return check_field(field, trimmed) if meaning is None else meaning(field, trimmed, now)


def error_of(name: str, text: str, now: datetime) -> str | None:
    """Return why a text cannot stand in a field, as one inert line; ``None`` when it can."""
    try:
        _meaning(name, text, now)
    except UsageError as error:
        return clean_line(str(error))
    return None


def meaning_of(name: str, text: str, now: datetime) -> str:
    """Return the instant that a text means, as ``runs Tue 4 Mar 2031 05:06:07``; "" for a field of another kind."""
    at = _meaning(name, text, now) if _ASKED[name].kind == "instant" else None
    if not isinstance(at, datetime):
        return ""
    local = at.astimezone(now.tzinfo)
    return f"runs {local:%a} {local.day} {local:%b %Y %H:%M:%S}"


def new_job_of_texts(base: NewJob, before: Texts, texts: Texts, now: datetime) -> NewJob:
    """Return ``base`` with what was changed in the form; raise ``UsageError`` when a text means nothing.

    A field that still says what it said ``before`` keeps the value of ``base``, even one the form had to clean.
    """
    values = {name: _meaning(name, text, now) for name, text in texts.items()}
    changes = {name: value for name, value in values.items() if texts[name] != before[name]}
    return base._replace(**changes)  # type: ignore[arg-type]
