"""What makes a new job acceptable: checks that refuse it with the reason before anything is stored. Pure."""

from __future__ import annotations

import json
import os
import re
from collections import namedtuple
from collections.abc import Mapping
from datetime import datetime

from core.clock import to_ms
from core.errors import UsageError
from core.rules.arguments import check_kind, check_number, check_whole
from core.rules.settings import SETTINGS, Settings
from core.rules.units import exit_code_matches, parse_exit_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.newjob import NewJob

#: The kernel takes no longer single argument (MAX_ARG_STRLEN, its end mark included).
MAX_COMMAND_BYTES = 128 * 1024 - 1
MAX_NAME_CHARACTERS = 200
#: What every shell takes for the name of a variable.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    check_kind(command, "the command", str, "a text")
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
    """Return a job's name: one line, at least one character no digit, so that it is never taken for an id."""
    if check_text(name, "name").isdigit():
        raise UsageError(f"the name {name!r} is a number and could be taken for an id; add a letter")
    return name


def check_queue(queue: str) -> str:
    """Return the name of a queue: one word."""
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


def check_exit_codes(ok_exit: str | None, dead_exit: str | None) -> tuple[str | None, str | None]:
    """Return both lists of exit codes in their canonical form; raise ``UsageError`` if they contradict each other."""
    ok = None if ok_exit is None else _exit_codes(ok_exit, "ok-exit")
    dead = None if dead_exit is None else _exit_codes(dead_exit, "dead-exit")
    if dead is None:
        return ok, dead
    if exit_code_matches(0, dead):
        raise UsageError(f"dead-exit {dead} has 0, which is success; leave it out")
    both = [code for code in range(256) if ok and exit_code_matches(code, ok) and exit_code_matches(code, dead)]
    if both:
        raise UsageError(f"exit code {both[0]} is in ok-exit and in dead-exit; leave it out of one")
    return ok, dead


def _exit_codes(text: str, what: str) -> str:
    check_kind(text, what, str, "exit codes such as '0,24' or '64-78'")
    return parse_exit_codes(text, what)


def check_instant(instant: datetime) -> int:
    """Return an instant in unix milliseconds; one without a zone is local time."""
    check_kind(instant, "run_at", datetime, "a datetime")
    if not 2 <= instant.year <= 9998:  # in another zone the first and the last year have no clock
        raise UsageError(f"run_at {instant} is out of range; the years 2 to 9998 are taken")
    return to_ms(instant)


def check_timeout(timeout_s: float) -> int | None:
    """Return a timeout in milliseconds; 0 is none."""
    if timeout_s == 0 and timeout_s is not False:
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
    check_whole(job.priority, "the priority", -MAX_PRIORITY, MAX_PRIORITY)
    attempts = settings.max_attempts if job.max_attempts is None else job.max_attempts
    check_whole(attempts, "max-attempts", int(SETTINGS["max-attempts"].low), int(SETTINGS["max-attempts"].high))
    base = settings.number("backoff-base") if job.backoff_base is None else job.backoff_base
    check_number(base, "backoff-base", SETTINGS["backoff-base"].low, SETTINGS["backoff-base"].high)
    timeout_s = settings.number("timeout") if job.timeout_s is None else job.timeout_s
    ok_exit, dead_exit = check_exit_codes(job.ok_exit, job.dead_exit)
    return JobRow(
        name=None if job.name is None else check_name(job.name),
        command=check_command(job.command),
        queue="default" if job.queue == "default" else check_queue(job.queue),
        priority=job.priority,
        label=None if job.label is None else check_text(job.label, "label"),
        cwd=cwd if job.cwd is None else check_directory(job.cwd, cwd),
        env=None if job.env is None else check_env(job.env),
        max_attempts=attempts,
        timeout_ms=check_timeout(timeout_s),
        backoff_base=float(base),
        ok_exit=ok_exit,
        dead_exit=dead_exit,
        run_at=None if job.run_at is None else check_instant(job.run_at),
    )
