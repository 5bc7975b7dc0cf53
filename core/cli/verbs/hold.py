"""``queuectl hold`` and ``release``: keep waiting jobs from being run, and let them be run again."""

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
    add_filter_options(parser)
    if name == "hold":
        parser.description = (
            "Keep waiting jobs from being run until they are released; 'queue pause' does that with a whole queue."
            " 'undo' takes it back. A group is of pending jobs."
        )
        parser.examples("queuectl hold 15", "queuectl hold deploy 16", "queuectl hold --label nightly")
    else:
        parser.description = (
            "Let held jobs be run again, once nothing else keeps them back. 'undo' takes it back. A group is of pending"
            " jobs; those that are not held are left alone."
        )
        parser.examples("queuectl release 15", "queuectl release --label nightly")


def run(session: Session, options: Namespace) -> int:
    """Hold or release the jobs and report which."""
    queue = session.queue()
    verb, past = options.command_name, {"hold": "held", "release": "released"}[options.command_name]
    jobs = selected_ids(session, queue, options, verb, (State.PENDING,))
    act = queue.hold if verb == "hold" else queue.release
    with ProgressBar(session, "holding" if verb == "hold" else "releasing") as progress:
        done = act(jobs, progress=progress)
    return report_named(session, queue, done, options.words, past) if options.words else report(session, done, past)
