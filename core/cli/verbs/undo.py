"""``queuectl undo``: undo the last act, or the one of ``--act``."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.cli.report import report
from core.errors import Refused


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument(
        "--act", metavar="N", type=whole_number("--act", 7, 1), help="this act, as 'queuectl show' numbers them"
    )
    parser.examples("queuectl undo", "queuectl undo --act 7")


def run(session: Session, options: Namespace) -> int:
    """Undo an act and report how many jobs went back."""
    queue = session.queue()
    act_id = options.act
    if act_id is None and (last := queue.last_act()) is not None:
        if last.obstacle is not None:
            older = "'queuectl undo --act N' undoes an older one; 'queuectl show JOB' numbers them"
            raise Refused(f"{last.refusal}; {older}")
        act_id = last.act.id
    with ProgressBar(session, "undoing") as progress:
        act = queue.undo(act_id, progress=progress)
    return report(session, act, f"put back as before the {act.verb.removeprefix('undo ')}")
