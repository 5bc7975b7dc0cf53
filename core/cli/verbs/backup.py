"""``queuectl backup``: copy the database while it is in use."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.text import clean_line
from core.wording import count


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("file", metavar="FILE", help="a new file")
    parser.description = (
        "Write a consistent copy of the database to a new file while it is in use. Outputs longer than 64 KiB are"
        " kept in files beside the database and are not copied."
    )
    parser.examples("queuectl backup queue-$(date +%F).db")


def run(session: Session, options: Namespace) -> int:
    """Write the copy and note which outputs are not in it."""
    queue = session.queue()
    left_out = queue.backup(options.file)
    session.done = f"the copy {options.file} was written"
    if session.is_json:
        from core.cli.json_output import print_object

        print_object({"file": options.file, "outputs_left_out": left_out})
    else:
        session.say(f"Copied to {clean_line(options.file)}")
        if left_out:
            session.note(
                f"queuectl: {count(left_out, 'output')} longer than 64 KiB not copied; the files are in"
                f" {clean_line(queue.outputs_directory)}"
            )
    return DONE
