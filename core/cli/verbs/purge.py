"""``queuectl purge``: put finished jobs out of sight, after a question or with ``--yes``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import timedelta

from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED, Refused
from core.cli.job_selection import add_filter_options, is_selecting, pages_of, searched, selection_of
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.cli.report import report
from core.errors import UsageError
from core.model import Job, State, Verb, View
from core.queue import Queue
from core.rules.states import states_of
from core.rules.units import parse_duration
from core.wording import count


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names of finished jobs")
    parser.add_argument("--all", action="store_true", help="all that are completed, dead or cancelled")
    add_filter_options(parser)
    parser.add_argument("--older-than", metavar="TIME", help="only what ended longer ago: 12h, 7d")
    add_consent_options(parser)
    parser.description = (
        "Put finished jobs out of sight. 'queuectl restore --last' and 'queuectl undo' bring them back, until the "
        "setting keep-purged (7 days by default) has them removed for good."
    )
    parser.examples(
        "queuectl purge 42 43",
        "queuectl purge --state completed --older-than 7d --yes",
        "queuectl purge --all --dry-run",
    )


def add_consent_options(parser: Parser) -> None:
    """Add the options that answer the question in advance."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; needed where no one could answer")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be purged")


def run(session: Session, options: Namespace) -> int:
    """Purge the jobs that were listed or selected."""
    has_selected = options.all or is_selecting(options) or options.older_than is not None
    if bool(options.words) is bool(has_selected):
        raise UsageError("purge which jobs? give numbers or names, or select with --state, --older-than … or --all")
    older_than_s = None if options.older_than is None else parse_duration(options.older_than, "older-than")
    view = selection_of(options, states=states_of(Verb.PURGE))
    for state in view.states:
        if state not in states_of(Verb.PURGE):
            hint = "; cancel them first" if state is not State.PURGED else "; see 'queuectl prune'"
            raise UsageError(f"{state.value} jobs cannot be purged{hint}")
    queue = session.queue()
    jobs = options.words or searched(session, queue, view)
    return purge_jobs(session, queue, jobs, options, older_than_s)


def purge_jobs(
    session: Session, queue: Queue, jobs: Sequence[str] | View, options: Namespace, older_than_s: float | None = None
) -> int:
    """Purge jobs after ``--yes`` or a confirmed question; return the exit code."""
    if options.dry_run:
        return _show_what_would_go(session, queue, jobs, older_than_s)
    if not options.yes:
        if not session.can_ask:
            raise UsageError("purge asks before it acts and no terminal is there to answer at; add --yes")
        number = sum(1 for _ in _matching(session, queue, jobs, older_than_s))
        if not number:
            raise Refused("no finished job matches")
        if not session.confirm(f"Purge {count(number, 'job')}?"):
            session.note("queuectl: nothing was purged")
            return REFUSED
    with ProgressBar(session, "purging") as progress:
        act = queue.purge(jobs, older_than_s=older_than_s, progress=progress)
    if not act.count and not session.is_json:
        raise Refused("no finished job matches")
    return report(session, act, "purged", hint="; 'queuectl restore --last' brings them back")


def _matching(session: Session, queue: Queue, jobs: Sequence[str] | View, older_than_s: float | None) -> Iterator[Job]:
    """Yield the jobs that a purge would put out of sight."""
    before = None if older_than_s is None else session.now() - timedelta(seconds=older_than_s)
    pages = pages_of(queue, jobs) if isinstance(jobs, View) else iter([[queue.job(reference) for reference in jobs]])
    for page in pages:
        yield from (
            job for job in page if job.state in states_of(Verb.PURGE) and (before is None or job.since <= before)
        )


def _show_what_would_go(session: Session, queue: Queue, jobs: Sequence[str] | View, older_than_s: float | None) -> int:
    found = _matching(session, queue, jobs, older_than_s)
    number = 0
    if session.is_json:
        from core.cli.json_output import job_object, print_array

        now = session.now()
        return DONE if print_array(job_object(job, now) for job in found) else REFUSED
    for job in found:
        number += 1
        if number <= 20:
            from core.text import clean_line

            session.say(f"would purge job {job.id} ({job.state.value}): {clean_line(job.command)}")
    if number > 20:
        session.say(f"… and {number - 20:,} more")
    session.note(f"queuectl: {count(number, 'job')} would be purged; nothing was changed")
    return DONE if number else REFUSED
