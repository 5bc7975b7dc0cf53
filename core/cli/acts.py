"""``queuectl retry``, ``restore`` and ``undo``: acts on jobs that are done when the command returns."""

from __future__ import annotations

from argparse import Namespace

from core.cli.acting import report, report_named
from core.cli.numbers import whole_number
from core.cli.parser import Parser
from core.cli.progress import Progress
from core.cli.selecting import add_filter_options, chosen
from core.cli.session import Session
from core.errors import Refused, UsageError
from core.model import State


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    if name == "undo":
        parser.add_argument(
            "--act", metavar="N", type=whole_number("--act", 7, 1), help="this act, as 'queuectl show' numbers them"
        )
        parser.examples("queuectl undo", "queuectl undo --act 7")
        return
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names")
    if name == "restore":
        parser.add_argument("--last", action="store_true", help="the jobs of the last purge")
        parser.examples("queuectl restore 42", "queuectl restore --last")
    else:
        parser.description = (
            "Try jobs again now: dead, completed and cancelled ones get a fresh start, delayed ones become due."
            " A group is of dead and pending jobs, unless --state names others."
        )
        add_filter_options(parser)
        parser.examples("queuectl retry 42", "queuectl retry nightly 7 8", "queuectl retry --queue media --grep exit:1")


def run(session: Session, options: Namespace) -> int:
    """Do the act and say what it did."""
    return {"retry": _retry, "restore": _restore, "undo": _undo}[options.command_name](session, options)


def _retry(session: Session, options: Namespace) -> int:
    queue = session.queue()
    jobs = chosen(queue, options, "retry", (State.DEAD, State.PENDING))
    with Progress(session, "retrying") as progress:
        act = queue.retry(jobs, progress=progress)
    if not options.words:
        return report(session, act, "will run again")
    return report_named(session, queue, act, options.words, "will run again")


def _restore(session: Session, options: Namespace) -> int:
    if bool(options.words) is options.last:
        raise UsageError("restore which job? give numbers or names, or --last for those of the last purge")
    queue = session.queue()
    with Progress(session, "restoring") as progress:
        if options.words:
            act = queue.restore(options.words, progress=progress)
            return report_named(session, queue, act, options.words, "restored")
        act = queue.restore(progress=progress)
    return report(session, act, "restored")


def _undo(session: Session, options: Namespace) -> int:
    queue = session.queue()
    act_id = options.act
    if act_id is None and (last := queue.last_act()) is not None:
        if last.obstacle is not None:
            older = "'queuectl undo --act N' undoes an older one; 'queuectl show JOB' numbers them"
            raise Refused(f"{last.refusal}; {older}")
        act_id = last.act.id
    with Progress(session, "undoing") as progress:
        act = queue.undo(act_id, progress=progress)
    return report(session, act, f"put back as before the {act.verb.removeprefix('undo ')}")
