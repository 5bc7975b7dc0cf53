"""``queuectl edit``: change a job that waits or is dead."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.job_options import (
    EDIT_DEFAULTS,
    add_job_options,
    add_unset_env,
    edited_variables,
    fields_of_options,
    links_of_options,
)
from core.cli.parser import Parser
from core.cli.verbs.enqueue import note_dead, note_missing_directories
from core.errors import UsageError
from core.rules.job_fields import FIELDS
from core.wording import title

#: The fields that can be absent, by the word behind ``--clear``.
_CLEARABLE = {field.key: field.name for field in FIELDS if field.is_clearable}


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_job()
    parser.add_argument("--command", metavar="COMMAND", help="the shell command")
    add_job_options(parser, EDIT_DEFAULTS)
    add_unset_env(parser)
    parser.add_argument(
        "--clear", metavar="WHAT", action="append", choices=sorted(_CLEARABLE), help=", ".join(sorted(_CLEARABLE))
    )
    parser.add_argument("--retry", action="store_true", help="and try it again now")
    parser.description = (
        "Change a job that waits or is dead; what no option names stays as it is, and what it was before stays in its "
        "history."
    )
    parser.examples(
        "queuectl edit 42 --command './import.sh --safe' --retry",
        "queuectl edit nightly --timeout 2h --clear label",
        "queuectl edit nightly --env MODE=fast --unset-env DEBUG",
        "queuectl edit 15 --after 13          # and for no other job; --after '' for none",
    )


def run(session: Session, options: Namespace) -> int:
    """Change the job and report whether anything differed."""
    fields = _changes(session, options)
    queue = session.queue()
    before = queue.job(options.job)
    job_id = before.id  # the edit may remove the name that the job was referred to by
    if options.unset_env or fields.get("env"):
        fields["env"] = edited_variables(f"job {job_id}", before.env, fields.get("env") or {}, options.unset_env or ())
    act = queue.edit(job_id, then_retry=options.retry, **fields)
    if act.count:
        session.done = f"job {job_id} was changed"
    job = queue.job(job_id)
    if "cwd" in fields:
        note_missing_directories(session, [job.cwd])
    if fields.get("after"):
        note_dead(session, queue, fields["after"])
    if session.is_json:
        from core.cli.json_output import job_object, print_object

        print_object(job_object(job, session.now()))
    elif act.count:
        session.say(f"Job {title(job)} changed{' and will run again' if options.retry else ''}")
    else:
        session.say(f"Job {title(job)} is like that already")
    return DONE


def _changes(session: Session, options: Namespace) -> dict[str, Any]:
    """Return the fields that the options give or clear; raise ``UsageError`` if they contradict or change nothing."""
    fields: dict[str, Any] = {**fields_of_options(options, session.now), **links_of_options(options)}
    if options.command is not None:
        fields["command"] = options.command
    for what in options.clear or ():
        if _CLEARABLE[what] in fields:
            raise UsageError(f"--clear {what} and a new value for it exclude each other")
        fields[_CLEARABLE[what]] = None
    if options.unset_env and "env" in (options.clear or ()):
        raise UsageError("--clear env takes every variable out; leave --unset-env out")
    if not fields and not options.unset_env and not options.retry:
        raise UsageError("nothing to change; give an option such as --command or --timeout")
    return fields
