"""Checks of the fields of a new job: each returns the value that is stored, or raises ``UsageError``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import datetime

from core.clock import to_ms
from core.errors import UsageError
from core.rules.arguments import check_kind, check_number, check_whole
from core.rules.job_fields import FIELDS, JobField, JobRow, check_together
from core.rules.needs import check_needs
from core.rules.settings import Settings
from core.rules.units import parse_exit_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.model import NewJob

#: The longest single argument of the kernel (MAX_ARG_STRLEN), without its end mark.
MAX_COMMAND_BYTES = 128 * 1024 - 1
MAX_NAME_CHARACTERS = 200
#: The name of a variable in every shell.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: The most that the limit of a queue can be.
MAX_LIMIT = 1_000_000


def check_command(command: str, what: str = "the command") -> str:
    """Return the command; raise ``UsageError`` if it is empty or cannot be an argument of a shell."""
    check_kind(command, what, str, "a text")
    if not command.strip():
        raise UsageError(f"{what} is empty; give something to run")
    if "\0" in command:
        raise UsageError(f"{what} has a NUL character, which no shell can be given")
    try:
        size = len(command.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid UTF-8") from None
    if size > MAX_COMMAND_BYTES:
        raise UsageError(f"{what} has {size} bytes; the system takes {MAX_COMMAND_BYTES}; put it into a script file")
    return command


def check_text(text: str, what: str, *, longest: int = MAX_NAME_CHARACTERS) -> str:
    """Return a one-line text (a name, label, queue); raise ``UsageError`` if it is empty, too long or has controls."""
    check_kind(text, f"the {what}", str, "a text")
    if not text.strip():
        raise UsageError(f"the {what} is empty")
    if len(text) > longest:
        raise UsageError(f"the {what} has {len(text)} characters; {longest} are taken")
    if any(character < " " or character == "\x7f" for character in text):
        raise UsageError(f"the {what} has a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the {what} is not valid UTF-8") from None
    return text


def check_name(name: str) -> str:
    """Return a job's name; raise ``UsageError`` unless it is one line and, so that it is no id, has a non-digit."""
    if check_text(name, "name").isdigit():
        raise UsageError(f"the name {name!r} is a number and could be taken for an id; add a letter")
    return name


def check_queue(queue: str) -> str:
    """Return the name of a queue; raise ``UsageError`` unless it is one word."""
    if any(character.isspace() for character in check_text(queue, "queue")):
        raise UsageError(f"the queue {queue!r} has a space; use one word")
    return queue


def check_env(env: Mapping[str, str]) -> str | None:
    """Return added variables as a JSON object, ``None`` for none; raise ``UsageError`` if one could not be set."""
    check_kind(env, "env", Mapping, "a mapping of texts, as {'NAME': 'VALUE'}")
    for name, value in env.items():
        check_kind(name, "the name of a variable", str, "a text")
        check_kind(value, f"the value of the variable {name!r}", str, "a text")
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"the variable {name!r} cannot be set: a name has letters, digits and _, no digit first")
        if "\0" in value:
            raise UsageError(f"the value of the variable {name!r} has a NUL character, which no program can be given")
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            raise UsageError(f"the variable {name!r} is not valid UTF-8") from None
    return None if not env else json.dumps(dict(env), sort_keys=True, separators=(",", ":"))


def check_directory(directory: str | os.PathLike[str], start: str) -> str:
    """Return a directory as an absolute path; a relative one begins at ``start``, and ``~`` is the user's own."""
    check_kind(directory, "cwd", (str, os.PathLike), "a path")
    path = os.path.normpath(os.path.join(start, os.path.expanduser(directory)))
    return check_text(path, "directory", longest=4096)


def check_exit_codes(text: str, what: str) -> str:
    """Return a list of exit codes in its canonical form: sorted, without doubles or spaces."""
    check_kind(text, what, str, "exit codes such as '0,24' or '64-78'")
    return parse_exit_codes(text, what)


def check_instant(instant: datetime, what: str = "run_at") -> int:
    """Return an instant in unix milliseconds; one without a zone is local time."""
    check_kind(instant, what, datetime, "a datetime")
    if not 2 <= instant.year <= 9998:  # in another zone the first and the last year have no clock
        raise UsageError(f"{what} {instant} is out of range; the years 2 to 9998 are taken")
    return to_ms(instant)


def check_duration(seconds: float, field: JobField) -> int | None:
    """Return a duration in milliseconds; 0 is none."""
    if seconds == 0 and seconds is not False:
        return None
    check_number(seconds, field.noun, field.low, field.high)
    return max(1, round(seconds * 1000))


def check_flag(value: bool, field: JobField) -> int:
    """Return a yes or no as 1 or 0."""
    check_kind(value, field.noun, bool, "True or False")
    return int(value)


def check_choice(value: str, field: JobField) -> str | None:
    """Return one of a field's choices, ``None`` for the first: what is done where nothing is said."""
    check_kind(value, field.noun, str, "a text")
    if value not in field.choices:
        raise UsageError(f"{field.noun} {value!r} is unknown; give {' or '.join(field.choices)}")
    return None if value == field.choices[0] else value


#: By the kind of a field, what checks a value and returns the stored one; ``start`` is where a relative path begins.
_CHECKS: Mapping[str, Callable[[JobField, Any, str], Any]] = {
    "command": lambda field, value, start: check_command(value, field.noun),
    "name": lambda field, value, start: check_name(value),
    "queue": lambda field, value, start: check_queue(value),
    "text": lambda field, value, start: check_text(value, field.key),
    "directory": lambda field, value, start: check_directory(value, start),
    "variables": lambda field, value, start: check_env(value),
    "whole": lambda field, value, start: check_whole(value, field.noun, int(field.low), int(field.high)),
    "number": lambda field, value, start: float(check_number(value, field.noun, field.low, field.high)),
    "duration": lambda field, value, start: check_duration(value, field),
    "codes": lambda field, value, start: check_exit_codes(value, field.noun),
    "instant": lambda field, value, start: check_instant(value, field.noun),
    "flag": lambda field, value, start: check_flag(value, field),
    "needs": lambda field, value, start: check_needs(value),
    "choice": lambda field, value, start: check_choice(value, field),
}


def check_field(field: JobField, value: object, start: str = "/") -> object:
    """Return the value of a field as it is stored; raise ``UsageError`` with the reason when it is not acceptable.

    ``start`` is the directory where a relative one begins.
    """
    return _CHECKS[field.kind](field, value, start)


def check_plain(command: str, settings: Settings, cwd: str) -> JobRow:
    """Return the row of a job that is a command and nothing else: that of ``check_job``, made faster."""
    return JobRow(
        *[_stored(field, command if field.name == "command" else field.default, settings, cwd) for field in FIELDS]
    )


def check_job(job: NewJob, settings: Settings, cwd: str) -> JobRow:
    """Return the row of a new job, defaults and settings filled in; ``cwd`` is where a relative directory starts.

    Raises ``UsageError`` with the reason when the job is not acceptable.
    """
    row = JobRow(*[_stored(field, getattr(job, field.name), settings, cwd) for field in FIELDS])
    check_together(row)
    return row


def _stored(field: JobField, value: object, settings: Settings, cwd: str) -> object:
    if value is None and field.default is None:
        if field.kind == "directory":
            return cwd
        if not field.setting:
            return None
        value = settings[field.setting]
    return check_field(field, value, cwd)
