"""``queuectl prune``: remove for good what is older than the settings allow."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED
from core.cli.parser import Parser
from core.errors import UsageError
from core.wording import count


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("--trash", action="store_true", help="also all purged jobs, whatever their age")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before emptying the trash")
    parser.description = (
        "Remove for good the completed and purged jobs that are older than the settings keep-completed and"
        " keep-purged say."
    )
    parser.examples("queuectl prune", "queuectl prune --trash --yes")


def run(session: Session, options: Namespace) -> int:
    """Remove old jobs, and with ``--trash`` all purged ones after a question."""
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
        from core.cli.json_output import print_object

        print_object({"removed": removed})
    else:
        session.say(f"{count(removed, 'job')} removed for good")
    return DONE
