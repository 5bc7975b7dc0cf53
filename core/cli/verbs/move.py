"""``queuectl move``: move the whole queue to another database, and leave a mark in the old one."""

from __future__ import annotations

import shlex
from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.errors import UsageError
from core.moving import Moved, move
from core.text import clean_line
from core.wording import count


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("source", metavar="FROM", help="the database of the queue: a path or postgresql://…")
    parser.add_argument("target", metavar="TO", help="a database without jobs; a file, or the tables, are made")
    parser.add_argument(
        "--skip-missing-outputs",
        action="store_true",
        help="leave out the outputs longer than 64 KiB whose files are not on this host",
    )
    parser.description = (
        "Move all of a queue from a file to a PostgreSQL server, back, or from one to another of a kind: jobs with"
        " their ids, attempts, outputs in the database and in files, history, environments, settings, queues and"
        " totals. Workers must have stopped. FROM stays as it is until all was copied and compared; then it refuses"
        " new jobs and names TO, which takes them from that moment on. A move that was interrupted goes on when it is"
        " started again. FROM is not deleted."
    )
    parser.examples(
        "queuectl move ~/.local/share/queuectl/queue.db postgresql://queuectl@db.example.org/queuectl",
        "queuectl move postgresql:///queuectl ~/jobs.db",
    )


def run(session: Session, options: Namespace) -> int:
    """Move the queue; print what was moved, and the SHA-256 of each part as both databases gave it back."""
    if options.db is not None:
        raise UsageError("FROM and TO name the databases; leave out --db")
    with ProgressBar(session, "Moving") as update:

        def progress(what: str, done: int, of: int) -> None:
            if update is not None:
                update(done, of)

        moved = move(
            options.source, options.target, skip_missing_outputs=options.skip_missing_outputs, progress=progress
        )
    session.done = f"the queue was moved to {moved.target}"
    if session.is_json:
        from core.cli.json_output import print_object

        print_object(_answer(moved))
    else:
        _print(session, moved)
    return DONE


def _answer(moved: Moved) -> dict[str, object]:
    parts = {name: {"rows": part.rows, "sha256": part.sha256} for name, part in moved.parts.items()}
    return {
        "from": moved.source,
        "to": moved.target,
        "parts": parts,
        "output_files": {"files": moved.files.rows, "sha256": moved.files.sha256},
        "outputs_missing": list(moved.missing),
    }


def _print(session: Session, moved: Moved) -> None:
    for name, part in (*moved.parts.items(), ("output files", moved.files)):
        if part.rows:
            session.say(f"{name:<14}{part.rows:>12,}  sha256 {part.sha256}")
    jobs = count(moved.parts["jobs"].rows, "job")
    session.say(f"Moved {jobs} to {clean_line(moved.target)}")
    if moved.missing:
        session.note(
            f"queuectl: {count(len(moved.missing), 'output')} left out: the files are on another host, or gone"
        )
    session.note(
        f"queuectl: {clean_line(moved.source)} takes no jobs any more; start workers with"
        f" --db {clean_line(shlex.quote(moved.target))}"
    )
