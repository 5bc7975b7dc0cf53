"""``queuectl list``: jobs as a table or as JSON."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.job_selection import add_filter_options, limit_of, pages_of, searched, take_state_word, view_of
from core.cli.parser import Parser
from core.cli.tables import COLOURS, Cell, Column, show_table
from core.model import Job, Sort, State, View
from core.queue import Queue
from core.wording import ago, ending_words, phase_word, until

_SHOWN = 100


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("word", metavar="STATE", nargs="?", help="a state; processing means running, dlq means dead")
    add_filter_options(parser)
    parser.add_argument(
        "--limit", metavar="N", type=limit_of, help=f"at most so many; 0 for all (default: {_SHOWN}, with --json all)"
    )
    parser.add_argument("--after", metavar="ID", help="only jobs with a higher number, in the order of their numbers")
    parser.add_argument(
        "--sort", metavar="ORDER", choices=[sort.value for sort in Sort], help="id, command, duration, cpu, memory"
    )
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.description = (
        "List jobs: those of one state in the order of that state (pending: who is next; running: who started first; "
        "else: who ended last), those of several by number, the newest at the end. That there are none is no failure: "
        "the exit code is 0."
    )
    parser.examples(
        "queuectl list",
        "queuectl list dead",
        "queuectl list --state completed,dead --grep 'ffmpeg >10m'",
        "queuectl list --json | jq '.[] | select(.attempts > 1) | .id'",
    )


def run(session: Session, options: Namespace) -> int:
    """Print the jobs that were asked for."""
    take_state_word(options)
    queue = session.queue()
    view = searched(session, queue, view_of(options))._replace(
        sort=Sort(options.sort or "default"), is_reversed=options.reverse
    )
    if options.after is not None:
        view = view._replace(sort=Sort.ID)
    if session.is_json:
        from core.cli.json_output import job_object, print_array

        pages = pages_of(queue, view, limit=options.limit or None, after=_key(queue, view, options.after))
        now = session.now()
        print_array(job_object(job, now) for page in pages for job in queue.watched(page))
        return DONE
    limit = _SHOWN if options.limit is None else options.limit or None
    list_jobs(session, queue, view, limit=limit, after=options.after)
    return DONE


def _key(queue: Queue, view: View, after: str | None) -> object:
    return None if after is None else queue.key_of(view, queue.job(after))


def list_jobs(session: Session, queue: Queue, view: View, *, limit: int | None, after: str | None = None) -> None:
    """Print a table of a view's jobs; of several states without ``after`` the last ones when there are too many."""
    shown = 0
    if limit is not None and after is None and view.sort is Sort.DEFAULT and len(view.states) != 1:
        pages = iter([[row.job for row in queue.last_rows(view, limit=limit)]])
    else:
        pages = pages_of(queue, view, limit=limit, after=_key(queue, view, after))
    for page in pages:
        if page:
            _show(session, queue.watched(page), has_header=shown == 0)
        shown += len(page)
    if shown == 0:
        session.note("queuectl: no such jobs" if view.states or view.terms else "queuectl: no jobs yet")
    elif limit is not None and shown == limit and (total := queue.count(view)) > shown:
        session.note(f"queuectl: {shown:,} of {total:,} jobs; --limit 0 shows all")


_COLUMNS = (
    Column("id", is_right=True),
    Column("state"),
    Column("name"),
    Column("queue"),
    Column("label"),
    Column("prio", is_right=True),
    Column("tries", is_right=True),
    Column("since", is_right=True),
    Column("result"),
    Column("command", is_wide=True),
    Column("last words"),
)
#: Columns that a terminal leaves out when no row has more than this to say in them.
_USUAL = {"name": "", "queue": "default", "label": "", "prio": "0", "result": "", "last words": ""}


def _show(session: Session, jobs: Sequence[Job], *, has_header: bool) -> None:
    now = session.now()
    dead = [job.id for job in jobs if job.state is State.DEAD]
    canaries = session.queue().canaries(dead) if dead else {}
    rows = []
    for job in jobs:
        word = phase_word(job, now)
        rows.append(
            (
                str(job.id),
                Cell(word, COLOURS[word]),
                job.name or "",
                job.queue,
                job.label or "",
                str(job.priority),
                f"{job.attempts}/{job.max_attempts}",
                until(job.run_at, now)
                if job.run_at is not None and word in ("delayed", "retrying")
                else ago(_since(job), now),
                Cell(_result(job, canaries), "red" if job.state is State.DEAD else "dim"),
                job.command,
                Cell("" if job.fingerprint is None else job.last_line or "", "red"),
            )
        )
    columns: Sequence[Column] = _COLUMNS
    if session.is_terminal:
        keep = [
            index
            for index, column in enumerate(_COLUMNS)
            if column.title not in _USUAL or any(_text(row[index]) != _USUAL[column.title] for row in rows)
        ]
        columns = [_COLUMNS[index] for index in keep]
        show_table(session, columns, [[row[index] for index in keep] for row in rows], has_header=has_header)
    else:
        filled = [[value if _text(value) else "-" for value in row] for row in rows]
        show_table(session, columns, filled, has_header=has_header)


def _result(job: Job, canaries: Mapping[int, int]) -> str:
    """Return how the newest attempt of a job ended, and the canary that a dead one waits for."""
    words = ending_words(job)
    return f"{words}; canary {canaries[job.id]}" if job.id in canaries else words


def _since(job: Job) -> datetime:
    """Return when a job entered its state, or, when its end is not recorded yet, its command ended."""
    ended_at = None if job.unwatched is None else job.unwatched.ended_at
    return ended_at or job.since


def _text(value: str | Cell) -> str:
    return value.text if isinstance(value, Cell) else value
