"""``queuectl dlq``: the dead letter queue, the jobs that failed for good."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE, Refused
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.cli.report import report, report_named
from core.errors import UsageError
from core.model import State, View
from core.queue import Queue
from core.wording import count, title

_DEAD = View((State.DEAD,))


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    if name == "dlq list":
        from core.cli.job_selection import limit_of

        parser.add_argument("--limit", metavar="N", type=limit_of, default=100, help="at most so many; 0 for all")
        parser.examples("queuectl dlq", "queuectl dlq list --json")
        return
    if name == "dlq groups":
        from core.cli.job_selection import limit_of

        parser.add_argument("--limit", metavar="N", type=limit_of, default=30, help="at most so many; 0 for all")
        parser.examples("queuectl dlq groups", "queuectl dlq replay --group 9f86d081", "queuectl dlq groups --json")
        return
    parser.add_argument("words", metavar="JOB", nargs="*", help="numbers or names of dead jobs")
    parser.add_argument("--all", action="store_true", help="all dead jobs")
    parser.add_argument("--group", metavar="F", help="all of a group that 'dlq groups' shows; 4 digits will do")
    if name == "dlq purge":
        from core.cli.verbs.purge import add_consent_options

        add_consent_options(parser)
        parser.examples("queuectl dlq purge 42", "queuectl dlq purge --all --yes")
    else:
        parser.add_argument(
            "--canary", action="store_true", help="replay one of them; the others follow once it completes"
        )
        parser.examples(
            "queuectl dlq replay 42",
            "queuectl dlq replay --all",
            "queuectl dlq replay --group 9f86d081",
            "queuectl dlq replay --group 9f86d081 --canary",
        )


def run(session: Session, options: Namespace) -> int:
    """List, group, replay or purge dead jobs."""
    if options.command_name == "dlq list":
        return _list(session, options)
    if options.command_name == "dlq groups":
        return _list_groups(session, options)
    queue = session.queue()
    chosen = _chosen(queue, options)
    if options.command_name == "dlq purge":
        from core.cli.verbs.purge import purge_jobs

        return purge_jobs(session, queue, chosen, options)
    if options.canary:
        return _replay_canary(session, queue, chosen)
    with ProgressBar(session, "replaying") as progress:
        act = queue.replay(chosen, progress=progress)
    if isinstance(chosen, View):
        return report(session, act, "will run again")
    return report_named(session, queue, act, options.words, "will run again")


def _replay_canary(session: Session, queue: Queue, chosen: View | list[str]) -> int:
    """Replay one of the jobs and report how many wait for it."""
    ids = queue.ids(chosen) if isinstance(chosen, View) else [queue.job(reference).id for reference in chosen]
    act = queue.canary(ids)
    waiting = queue.canaries(ids)
    follow = f"; {count(len(waiting), 'other')} {'follows' if len(waiting) == 1 else 'follow'} once it completes"
    canary = next(iter(waiting.values()), ids[0])
    if session.is_json:
        return report(session, act, "will run again")
    session.done = f"job {canary} will run again"
    session.say(f"Job {title(queue.job(canary))} will run again{follow if waiting else ''}")
    return DONE


def _chosen(queue: Queue, options: Namespace) -> View | list[str]:
    """Return the dead jobs that are meant: a view, or references to jobs that are dead."""
    if [bool(options.words), options.all, options.group is not None].count(True) != 1:
        raise UsageError(f"{options.command_name} which job? give numbers or names, or --all, or --group F")
    if options.group is not None:
        from core.cli.dead_groups import view_of_group

        return view_of_group(queue, options.group)
    words: list[str] = options.words
    for reference in words:
        _check_dead(queue, reference)
    if options.all and not queue.count(_DEAD):
        raise Refused("the dead letter queue is empty")
    return _DEAD if options.all else words


def _list_groups(session: Session, options: Namespace) -> int:
    from core.cli.dead_groups import group_object, read_groups, show_groups

    queue = session.queue()
    groups = read_groups(session, queue, limit=options.limit or None)
    if session.is_json:
        from core.cli.json_output import print_array

        print_array(map(group_object, groups))
    elif groups:
        show_groups(session, groups)
    else:
        session.note("queuectl: the dead letter queue is empty")
    return DONE


def _check_dead(queue: Queue, reference: str) -> None:
    job = queue.job(reference)
    if job.state is not State.DEAD:
        raise Refused(f"job {job.id} is {job.state.value}, not in the dead letter queue; see 'queuectl dlq list'")


def _list(session: Session, options: Namespace) -> int:
    queue = session.queue()
    limit = options.limit or None
    if session.is_json:
        from core.cli.job_selection import pages_of
        from core.cli.json_output import job_object, print_array

        now = session.now()
        print_array(job_object(job, now) for page in pages_of(queue, _DEAD, limit=limit) for job in page)
    elif not queue.count(_DEAD):
        session.note("queuectl: the dead letter queue is empty")
    else:
        from core.cli.verbs.list import list_jobs

        list_jobs(session, queue, _DEAD, limit=limit)
    return DONE
