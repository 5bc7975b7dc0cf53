"""``queuectl doctor``: check the database, the spool and the workers, with advice for each finding."""

from __future__ import annotations

from argparse import Namespace

from core.addresses import is_on_server
from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED
from core.cli.parser import Parser
from core.errors import DatabaseCorrupt, DatabaseError, DatabaseMissing
from core.model import Finding
from core.text import clean_line

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.description = "Check the database and its surroundings; say what is wrong and what to do. Changes nothing."
    parser.examples("queuectl doctor", "queuectl doctor --json")


def run(session: Session, options: Namespace) -> int:
    """Print the findings; refused when one of them is an error."""
    try:
        findings = session.queue().doctor()
    except DatabaseMissing:
        raise
    except DatabaseError as error:
        advice = "restore a backup"
        if not is_on_server(session.database_name()):
            advice += ", or copy what is left with 'sqlite3 FILE .recover'"
        findings = [Finding("error", "database", str(error), advice if isinstance(error, DatabaseCorrupt) else "")]
    if session.is_json:
        from core.cli.json_output import flat, print_array

        print_array(flat(finding) for finding in findings)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            level = session.style(f"{finding.level:7}", _COLOURS[finding.level])
            advice = f"; {finding.advice}" if finding.advice else ""
            session.say(f"{level}  {finding.check:{width}}  {clean_line(finding.message + advice)}")
    return REFUSED if any(finding.level == "error" for finding in findings) else DONE
