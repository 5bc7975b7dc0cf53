"""What makes a new job acceptable: checks that refuse it with the reason before anything is stored. Pure."""

from __future__ import annotations

import json
import os.path
from collections import namedtuple
from collections.abc import Mapping

from core.clock import to_ms
from core.errors import UsageError
from core.settings import SETTINGS, Settings
from core.units import parse_exit_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.newjob import NewJob

#: The kernel takes no longer single argument (MAX_ARG_STRLEN, its end mark included).
MAX_COMMAND_BYTES = 128 * 1024 - 1
MAX_NAME_CHARACTERS = 200
MAX_PRIORITY = 1_000_000_000
#: The most that the limit of a queue can be.
MAX_LIMIT = 1_000_000


#: A checked job as it is stored, its columns in this order: defaults filled in, times in milliseconds.
JobRow = namedtuple(
    "JobRow",
    "name command queue priority label cwd env max_attempts timeout_ms backoff_base ok_exit dead_exit run_at",
)


def check_command(command: str) -> str:
    """Return the command; raise ``UsageError`` if no shell could be given it."""
    if not command.strip():
        raise UsageError("the command is empty; give something to run")
    if "\0" in command:
        raise UsageError("the command has a NUL character, which no shell can be given")
    try:
        size = len(command.encode())
    except UnicodeEncodeError:
        raise UsageError("the command is not valid UTF-8") from None
    if size > MAX_COMMAND_BYTES:
        raise UsageError(
            f"the command has {size} bytes; the system takes {MAX_COMMAND_BYTES}; put it into a script file"
        )
    return command


def check_text(text: str, what: str, *, longest: int = MAX_NAME_CHARACTERS) -> str:
    """Return a one-line text (a name, label, queue); raise ``UsageError`` if it is empty, too long or has controls."""
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
    """Return a job's name: one line, at least one character no digit, so that it is never taken for an id."""
    if check_text(name, "name").isdigit():
        raise UsageError(f"the name {name!r} is a number and could be taken for an id; add a letter")
    return name


def check_queue(queue: str) -> str:
    """Return the name of a queue: one word."""
    if any(character.isspace() for character in check_text(queue, "queue")):
        raise UsageError(f"the queue {queue!r} has a space; use one word")
    return queue


def check_number(value: float, what: str, low: float, high: float) -> None:
    """Raise ``UsageError`` unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise UsageError(f"{what} is from {_plain(low)} to {_plain(high)}, not {_plain(value)}")


def _plain(value: float) -> str:
    """Return a number as people write it: ``1,000,000``, not ``1e+06``; one without end or sense as it is."""
    return f"{value:,.6f}".rstrip("0").rstrip(".") if 1e-6 <= abs(value) < 1e15 else f"{value:g}"


def check_env(env: Mapping[str, str]) -> str:
    """Return added variables as a JSON object; raise ``UsageError`` if one could not be set."""
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise UsageError(f"the variable {name!r} cannot be set; write NAME=VALUE")
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            raise UsageError(f"the variable {name!r} is not valid UTF-8") from None
    return json.dumps(dict(env), sort_keys=True, separators=(",", ":"))


def check_timeout(timeout_s: float) -> int | None:
    """Return a timeout in milliseconds; 0 is none."""
    if timeout_s == 0:
        return None
    setting = SETTINGS["timeout"]
    check_number(timeout_s, "the timeout", 0.001, 100 * 365 * 86400 if setting.high == float("inf") else setting.high)
    return max(1, round(timeout_s * 1000))


def check_plain(command: str, settings: Settings, cwd: str) -> JobRow:
    """Return the row of a job that is a command and nothing else, as ``check_job`` would."""
    return JobRow(
        name=None,
        command=check_command(command),
        queue="default",
        priority=0,
        label=None,
        cwd=cwd,
        env=None,
        max_attempts=settings.max_attempts,
        timeout_ms=check_timeout(settings.number("timeout")),
        backoff_base=settings.number("backoff-base"),
        ok_exit=None,
        dead_exit=None,
        run_at=None,
    )


def check_job(job: NewJob, settings: Settings, cwd: str) -> JobRow:
    """Return the row of a new job, the settings' defaults filled in; ``cwd`` is where a relative directory starts.

    Raises ``UsageError`` with the reason when the job is not acceptable.
    """
    check_number(job.priority, "the priority", -MAX_PRIORITY, MAX_PRIORITY)
    attempts = settings.max_attempts if job.max_attempts is None else job.max_attempts
    check_number(attempts, "max-attempts", SETTINGS["max-attempts"].low, SETTINGS["max-attempts"].high)
    base = settings.number("backoff-base") if job.backoff_base is None else job.backoff_base
    check_number(base, "backoff-base", SETTINGS["backoff-base"].low, SETTINGS["backoff-base"].high)
    timeout_s = settings.number("timeout") if job.timeout_s is None else job.timeout_s
    directory = cwd if job.cwd is None else os.path.normpath(os.path.join(cwd, os.path.expanduser(job.cwd)))
    return JobRow(
        name=None if job.name is None else check_name(job.name),
        command=check_command(job.command),
        queue="default" if job.queue == "default" else check_queue(job.queue),
        priority=int(job.priority),
        label=None if job.label is None else check_text(job.label, "label"),
        cwd=directory if job.cwd is None else check_text(directory, "directory", longest=4096),
        env=None if not job.env else check_env(job.env),
        max_attempts=int(attempts),
        timeout_ms=check_timeout(timeout_s),
        backoff_base=float(base),
        ok_exit=None if job.ok_exit is None else parse_exit_codes(job.ok_exit, "ok-exit"),
        dead_exit=None if job.dead_exit is None else parse_exit_codes(job.dead_exit, "dead-exit"),
        run_at=None if job.run_at is None else to_ms(job.run_at),
    )
