"""``queuectl doctor``, ``backup`` and ``prune``: keeping the database well."""

from __future__ import annotations

from argparse import Namespace

from core.cli.failures import DONE, REFUSED
from core.cli.parser import Parser
from core.cli.session import Session
from core.cli.wording import count
from core.errors import DatabaseCorrupt, DatabaseError, DatabaseMissing, UsageError
from core.model import Finding
from core.text import clean_line

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    if name == "backup":
        parser.add_argument("file", metavar="FILE", help="a new file")
        parser.description = (
            "Write a consistent copy of the database to a new file while it is in use. Outputs longer than 64 KiB are"
            " kept in files beside the database and are not copied."
        )
        parser.examples("queuectl backup queue-$(date +%F).db")
    elif name == "prune":
        parser.add_argument("--trash", action="store_true", help="also all purged jobs, whatever their age")
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask before emptying the trash")
        parser.description = (
            "Remove for good the completed and purged jobs that are older than the settings keep-completed and"
            " keep-purged say."
        )
        parser.examples("queuectl prune", "queuectl prune --trash --yes")
    else:
        parser.description = (
            "Check the database and its surroundings; say what is wrong and what to do. Changes nothing."
        )
        parser.examples("queuectl doctor", "queuectl doctor --json")


def run(session: Session, options: Namespace) -> int:
    """Check, copy or prune."""
    return {"doctor": _doctor, "backup": _backup, "prune": _prune}[options.command_name](session, options)


def _doctor(session: Session, options: Namespace) -> int:
    try:
        findings = session.queue().doctor()
    except DatabaseMissing:
        raise
    except DatabaseError as error:
        advice = "restore a backup, or copy what is left with 'sqlite3 FILE .recover'"
        findings = [Finding("error", "database", str(error), advice if isinstance(error, DatabaseCorrupt) else "")]
    if session.is_json:
        from core.cli.jsonable import flat, print_array

        print_array(flat(finding) for finding in findings)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            level = session.style(f"{finding.level:7}", _COLOURS[finding.level])
            advice = f"; {finding.advice}" if finding.advice else ""
            session.say(f"{level}  {finding.check:{width}}  {clean_line(finding.message + advice)}")
    return REFUSED if any(finding.level == "error" for finding in findings) else DONE


def _backup(session: Session, options: Namespace) -> int:
    queue = session.queue()
    left_out = queue.backup(options.file)
    session.done = f"the copy {options.file} was written"
    if session.is_json:
        from core.cli.jsonable import print_object

        print_object({"file": options.file, "outputs_left_out": left_out})
    else:
        session.say(f"Copied to {clean_line(options.file)}")
        if left_out:
            session.note(
                f"queuectl: {count(left_out, 'output')} longer than 64 KiB not copied; the files are in"
                f" {clean_line(queue.database.spool.attempts)}"
            )
    return DONE


def _prune(session: Session, options: Namespace) -> int:
    queue = session.queue()
    if options.trash and not options.yes:
        if not session.can_ask:
            raise UsageError("prune --trash asks before it acts and no terminal is there to answer at; add --yes")
        if not session.confirm("Remove all purged jobs for good?"):
            session.note("queuectl: nothing was removed")
            return REFUSED
    removed = queue.prune() + (queue.empty_trash() if options.trash else 0)
    if removed:
        session.done = f"{count(removed, 'job')} removed for good"
    if session.is_json:
        from core.cli.jsonable import print_object

        print_object({"removed": removed})
    else:
        session.say(f"{count(removed, 'job')} removed for good")
    return DONE
