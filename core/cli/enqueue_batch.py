"""``queuectl enqueue --stdin``, ``--file`` and of a JSON array: many jobs, all or none."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from core.cli.batch_input import JobLines
from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED, Refused
from core.cli.job_options import fields_of_object, fields_of_options, json_of
from core.cli.json_output import print_object
from core.cli.progress import ProgressBar
from core.cli.verbs.enqueue import note_missing_directories
from core.errors import NameTaken, UsageError
from core.model import NewJob
from core.wording import count


def add_lines(session: Session, options: Namespace) -> int:
    """Add a job for each line of a stream; the options hold for the lines that do not say otherwise."""
    if options.words or options.command is not None:
        raise UsageError("give a command, --stdin or --file, only one of them")
    if options.stdin and options.file is not None:
        raise UsageError("--stdin and --file exclude each other; give one of them")
    if options.name is not None:
        raise UsageError("--name is for one job; in a batch give names in JSON lines")
    defaults = fields_of_options(options, session.now)
    with _opened(options.file) as stream:
        lines = JobLines(stream, b"\0" if options.null else b"\n", defaults, session.now)
        with ProgressBar(session, "adding jobs") as progress:
            try:
                ids = session.queue(create=True).enqueue_many(lines, progress=progress)
            except (UsageError, NameTaken) as error:
                raise lines.placed(error) from None
    return _finish(session, ids, lines.directories, is_quiet=options.quiet)


def add_array(session: Session, options: Namespace) -> int:
    """Add the jobs of a JSON array, all or none; the options hold for the objects that do not say otherwise."""
    if options.name is not None:
        raise UsageError("--name is for one job; in an array give each object its name")
    defaults = fields_of_options(options, session.now)
    jobs: list[NewJob] = []
    for number, value in enumerate(json_of(options.words[0]), start=1):
        try:
            jobs.append(NewJob(**{**defaults, **fields_of_object(value, session.now)}))
        except UsageError as error:
            raise UsageError(f"job {number}: {error}; nothing was added") from None
    names = [job.name for job in jobs if job.name is not None]
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise Refused(f"the name {twice!r} is twice in this array; nothing was added")
    try:
        ids = session.queue(create=True).enqueue_many(jobs)
    except UsageError as error:
        raise UsageError(f"{error}; nothing was added") from None
    except NameTaken as error:
        raise Refused(f"a job named {error.name!r} exists already, choose another name; nothing was added") from None
    directories = dict.fromkeys(job.cwd for job in jobs if job.cwd is not None)
    return _finish(session, ids, directories, is_quiet=options.quiet)


def _finish(session: Session, ids: Sequence[int], directories: Iterable[str], *, is_quiet: bool) -> int:
    if ids:
        session.done = f"{count(len(ids), 'job')} added (IDs: {ids[0]}-{ids[-1]})"
    _report(session, ids, is_quiet=is_quiet)
    if ids:
        note_missing_directories(session, directories)
    if ids and not is_quiet:
        session.note_left_out(session.queue().left_to_worker())
    return DONE if ids else REFUSED


def _opened(path: str | None) -> BinaryIO:
    if path is not None:
        return open(path, "rb")
    if sys.stdin is None:
        raise UsageError("there is no standard input to read")
    return sys.stdin.buffer


def _report(session: Session, ids: Sequence[int], *, is_quiet: bool) -> None:
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
