"""``queuectl enqueue --stdin`` and ``--file``: many jobs, all or none."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import BinaryIO

from core.cli.failures import DONE, REFUSED
from core.cli.jobfields import fields_of_options
from core.cli.joblines import JobLines
from core.cli.jsonable import print_object
from core.cli.progress import Progress
from core.cli.session import Session
from core.cli.wording import count
from core.errors import NameTaken, UsageError


def add_lines(session: Session, options: Namespace) -> int:
    """Add a job for each line of a stream; the options hold for the lines that do not say otherwise."""
    if options.words:
        raise UsageError("give a command, --stdin or --file, only one of them")
    if options.stdin and options.file is not None:
        raise UsageError("--stdin and --file exclude each other; give one of them")
    if options.name is not None:
        raise UsageError("--name is for one job; in a batch give names in JSON lines")
    defaults = fields_of_options(options, session.now)
    with _opened(options.file) as stream:
        lines = JobLines(stream, b"\0" if options.null else b"\n", defaults, session.now)
        with Progress(session, "adding jobs") as progress:
            try:
                ids = session.queue(create=True).enqueue_many(lines, progress=progress)
            except (UsageError, NameTaken) as error:
                raise lines.placed(error) from None
    if ids:
        session.done = f"{count(len(ids), 'job')} added (IDs: {ids[0]}-{ids[-1]})"
    _report(session, ids, is_quiet=options.quiet)
    if ids and not options.quiet:
        session.note_left_out()
    return DONE if ids else REFUSED


def _opened(path: str | None) -> BinaryIO:
    if path is not None:
        return open(path, "rb")
    if sys.stdin is None:
        raise UsageError("there is no standard input to read")
    return sys.stdin.buffer


def _report(session: Session, ids: range, *, is_quiet: bool) -> None:
    if session.is_json:
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        print_object({"added": len(ids), "first_id": first, "last_id": last})
    elif is_quiet:
        for job_id in ids:
            session.say(str(job_id))
    elif not ids:
        session.note("queuectl: nothing to add: there was no line with a command")
    elif len(ids) == 1:
        session.say(f"Job added successfully (ID: {ids[0]})")
    else:
        session.say(f"{count(len(ids), 'job')} added successfully (IDs: {ids[0]}-{ids[-1]})")
