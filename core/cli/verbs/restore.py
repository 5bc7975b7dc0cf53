"""``queuectl restore``: bring purged jobs back."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.cli.report import report, report_named
from core.errors import UsageError


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names")
    parser.add_argument("--last", action="store_true", help="the jobs of the last purge")
    parser.examples("queuectl restore 42", "queuectl restore --last")


def run(session: Session, options: Namespace) -> int:
    """Restore the jobs and report which."""
    if bool(options.words) is options.last:
        raise UsageError("restore which job? give numbers or names, or --last for those of the last purge")
    queue = session.queue()
    with ProgressBar(session, "restoring") as progress:
        if options.words:
            act = queue.restore(options.words, progress=progress)
            return report_named(session, queue, act, options.words, "restored")
        act = queue.restore(progress=progress)
    return report(session, act, "restored")
