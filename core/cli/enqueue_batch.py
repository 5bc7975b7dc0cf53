"""``queuectl enqueue --stdin``, ``--file`` and of a JSON array: many jobs, all or none."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from core.cli.batch_input import JobLines, new_job_of_text
from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED, Refused
from core.cli.job_options import fields_of_new, fields_of_object, json_of
from core.cli.json_output import print_object
from core.cli.progress import ProgressBar
from core.cli.verbs.enqueue import note_dead, note_missing_directories
from core.errors import JobNotFound, NameTaken, UsageError
from core.model import JobRef, NewJob
from core.wording import count

#: The options that say when a job may start: they hold for the jobs that --then comes after.
_WHEN = ("run_at", "is_held", "after", "after_end")
#: Of so many jobs outside of the batch it is looked at whether they are dead.
_LOOKED_AT = 20


def add_lines(session: Session, options: Namespace) -> int:
    """Add a job for each line of a stream; the options hold for the lines that do not say otherwise."""
    if options.words or options.command is not None:
        raise UsageError("give a command, --stdin or --file, only one of them")
    if options.stdin and options.file is not None:
        raise UsageError("--stdin and --file exclude each other; give one of them")
    if options.name is not None:
        raise UsageError("--name is for one job; in a batch give names in JSON lines")
    defaults = fields_of_new(options, session.now_for_new)
    then = _then(options, defaults, session)
    with _opened(options.file) as stream:
        lines = JobLines(stream, b"\0" if options.null else b"\n", defaults, session.now_for_new, then=then)
        queue = session.queue(create=True)
        with ProgressBar(session, "adding jobs") as progress:
            try:
                ids = queue.enqueue_many(lines, progress=progress, chain=options.chain, then=then)
            except (UsageError, NameTaken, Refused, JobNotFound) as error:
                raise lines.placed(error) from None
    return _finish(session, ids, lines.directories, lines.awaited, is_quiet=options.quiet)


def _then(options: Namespace, defaults: Mapping[str, Any], session: Session) -> NewJob | None:
    """Return the job of ``--then``; of the options those hold for it that do not say when it may start."""
    if options.then is None:
        return None
    fields = {name: value for name, value in defaults.items() if name not in _WHEN}
    try:
        return new_job_of_text(options.then, fields, session.now_for_new)
    except UsageError as error:
        raise UsageError(f"--then: {error}") from None


def add_array(session: Session, options: Namespace) -> int:
    """Add the jobs of a JSON array, all or none; the options hold for the objects that do not say otherwise."""
    if options.name is not None:
        raise UsageError("--name is for one job; in an array give each object its name")
    defaults = fields_of_new(options, session.now_for_new)
    then = _then(options, defaults, session)
    jobs: list[NewJob] = []
    for number, value in enumerate(json_of(options.words[0]), start=1):
        try:
            jobs.append(NewJob(**{**defaults, **fields_of_object(value, session.now_for_new)}))
        except UsageError as error:
            raise UsageError(f"job {number}: {error}; nothing was added") from None
    names = [job.name for job in (*jobs, then) if job is not None and job.name is not None]
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise Refused(f"the name {twice!r} is twice in this array; nothing was added")
    try:
        ids = session.queue(create=True).enqueue_many(jobs, chain=options.chain, then=then)
    except UsageError as error:
        raise UsageError(f"{error}; nothing was added") from None
    except NameTaken as error:
        raise Refused(f"a job named {error.name!r} exists already, choose another name; nothing was added") from None
    except Refused as error:
        raise Refused(f"{error}; nothing was added") from None
    except JobNotFound as error:
        numbers = (number for number, job in enumerate(jobs, 1) if error.reference in (*job.after, *job.after_end))
        raise JobNotFound(error.reference, f"job {next(numbers, len(jobs) + 1)}") from None
    directories = dict.fromkeys(job.cwd for job in jobs if job.cwd is not None)
    awaited = dict.fromkeys(reference for job in jobs for reference in job.after)
    within = {name for job in jobs for name in (job.ref, job.name)}
    return _finish(session, ids, directories, [one for one in awaited if one not in within], is_quiet=options.quiet)


def _finish(
    session: Session, ids: Sequence[int], directories: Iterable[str], awaited: Sequence[JobRef], *, is_quiet: bool
) -> int:
    if ids:
        session.done = f"{count(len(ids), 'job')} added (IDs: {ids[0]}-{ids[-1]})"
    _report(session, ids, is_quiet=is_quiet)
    if ids:
        note_missing_directories(session, directories)
        note_dead(session, session.queue(), awaited[:_LOOKED_AT])
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
