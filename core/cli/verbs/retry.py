"""``queuectl retry``: try jobs again now."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.job_selection import add_filter_options, selected_ids
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.cli.report import report, report_named
from core.model import State


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names")
    parser.description = (
        "Try jobs again now: dead, completed and cancelled ones get a fresh start, delayed ones become due."
        " A group is of dead and pending jobs, unless --state names others."
    )
    add_filter_options(parser)
    parser.add_argument(
        "--with-dependents",
        action="store_true",
        help="also all that hangs on them, each once more after what it needs: retry 12 --with-dependents",
    )
    parser.examples(
        "queuectl retry 42",
        "queuectl retry nightly 7 8",
        "queuectl retry --queue media --grep exit:1",
        "queuectl retry build --with-dependents",
    )


def run(session: Session, options: Namespace) -> int:
    """Replay finished jobs, make delayed ones due, and report which."""
    queue = session.queue()
    jobs = selected_ids(session, queue, options, "retry", (State.DEAD, State.PENDING))
    with ProgressBar(session, "retrying") as progress:
        act = queue.retry(jobs, with_dependents=options.with_dependents, progress=progress)
    if options.with_dependents or not options.words:
        return report(session, act, "will run again")
    return report_named(session, queue, act, options.words, "will run again")
