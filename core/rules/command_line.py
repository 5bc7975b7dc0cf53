"""The command line that enqueues a job like a given one, for a shell to read. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from core.model import Job, Phase
from core.rules.environment import is_secret
from core.rules.job_fields import FIELDS, JobField
from core.rules.needs import format_needs
from core.rules.units import format_duration


def command_line(job: Job) -> str:
    """Return the ``queuectl enqueue`` of a job like this one, to be pasted into a POSIX shell.

    Left out are the name, which this job has, and what a new job has whatever the settings are. ``run_at`` is given if
    the job waits for it and a user chose it; once that is past, the new job is due at once. The value of a variable
    that holds a secret is not shown: the shell inserts that of its own variable of this name, and refuses if there is
    none. What no option can say is the environment that was kept with the job: the new one gets that of the shell.
    """
    options = [option for field in FIELDS for option in _options(field, job)]
    command = job.command
    if command.lstrip().startswith(("{", "[")):  # a group of commands, a test: they could be read as JSON
        command = json.dumps({"command": command}, ensure_ascii=False)
    return " ".join(["queuectl enqueue", *options, "--", shlex.quote(command)])


def written(field: JobField, value: object) -> str:
    """Return the text that the option or the form reads back as this value of a field; of no duration ``0s``."""
    if field.kind == "duration":
        return format_duration(float(str(value or 0)))
    if isinstance(value, Mapping):
        return format_needs(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)


def _options(field: JobField, job: Job) -> Iterator[str]:
    """Yield the words, as a shell reads them, that give a job's field; none for what need not be said."""
    value = getattr(job, field.name)
    if field.kind == "variables":
        # another tool may have put other names into the database, which would be read as a part of the command line
        names = [name for name in value if name.isascii() and name.isidentifier()]
        yield from (_variable(field, name, value[name]) for name in names)
    elif field.name in ("command", "name") or (field.kind == "instant" and not _was_put_off(job)):
        return
    elif field.kind == "flag":
        yield from [f"--{field.key}"] if value else []
    elif field.setting or (value is not None and value != field.default):
        # with "=", so that a value that begins with a dash is no option
        yield shlex.quote(f"--{field.exact_key}={written(field, value)}")


def _was_put_off(job: Job) -> bool:
    """Return whether a job waits for a time that a user chose, not for a back-off."""
    return job._replace(blocks=0).phase(job.since) is Phase.DELAYED


def _variable(field: JobField, name: str, text: str) -> str:
    if is_secret(name, text):
        return f'--{field.exact_key}={name}="${{{name}?}}"'
    return shlex.quote(f"--{field.exact_key}={name}={text}")
