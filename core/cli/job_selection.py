"""Select the jobs of a command: options for states, queues, labels and filters, and the pages of what they select."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence

from core.cli.context import Session
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.progress import ProgressBar
from core.errors import Refused, UsageError
from core.model import Job, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter, parse_state

_PAGE = 500
#: How many jobs' outputs are searched between two looks at the progress bar.
_SEARCHED = 1000
#: Reads ``--limit``: a number of jobs, 0 for all.
limit_of = whole_number("--limit", 100)


def add_filter_options(parser: Parser) -> None:
    """Add the options that select jobs."""
    parser.add_argument(
        "--state",
        metavar="STATES",
        help="pending, running, completed, dead, cancelled, purged; a,b; failed: what waits for its next attempt",
    )
    parser.add_argument("--queue", metavar="QUEUE", help="only this queue")
    parser.add_argument("--label", metavar="LABEL", help="only jobs with this label")
    parser.add_argument(
        "--grep",
        metavar="FILTER",
        help="only jobs with these words; also label:x, exit:1, outcome:lost, output:ENOSPC, output:/regex/, after:12, "
        "is:stuck, '>5m', 'age:<1h', '!word'",
    )


def parse_states(text: str | None) -> tuple[State, ...]:
    """Return the states that a list of words names, each once; see ``view_of`` for ``failed``."""
    if text is None:
        return ()
    return tuple(dict.fromkeys(parse_state(word.strip()) for word in text.split(",")))


def searched(session: Session, queue: Queue, view: View) -> View:
    """Return the view with the jobs that its ``output`` terms find in their place, and show the search as it goes on.

    Where nothing shows it, or there is no such term, the view itself: one statement then finds the same.
    """
    wanted = tuple(term for term in view.terms if term.field == "output")
    if not wanted:
        return view
    with ProgressBar(session, "searching outputs") as progress:
        if progress is None:
            return view
        rest = tuple(term for term in view.terms if term.field != "output")
        candidates = queue.ids(View(view.states, rest))
        found: list[int] = []
        for begin in range(0, len(candidates), _SEARCHED):
            progress(begin, len(candidates))
            chunk = Term("ids", json.dumps(candidates[begin : begin + _SEARCHED]))
            found += queue.ids(View(view.states, (chunk, *wanted)))
    return view._replace(terms=(*rest, Term("ids", json.dumps(found))))


def take_state_word(options: Namespace) -> None:
    """Have ``view_of`` read the state that stands as a word of its own.

    Raise ``UsageError`` when ``--state`` is given as well.
    """
    if options.word is not None:
        if options.state is not None:
            raise UsageError("give a state or --state, only one of them")
        options.state = options.word


def view_of(options: Namespace, *, states: Sequence[State] = ()) -> View:
    """Return the view that the options select; ``states`` hold when they name none."""
    terms = list(parse_filter(options.grep or ""))
    if options.state is not None and options.state.strip().lower() == "failed":
        # other queues' word for what failed and is to be tried again; such a job has spent an attempt and waits
        return _with_queue(View((State.PENDING,), (*terms, Term("attempts", 0, is_negated=True))), options)
    return _with_queue(View(parse_states(options.state) or tuple(states), tuple(terms)), options)


def _with_queue(view: View, options: Namespace) -> View:
    """Return the view narrowed to what ``--queue`` and ``--label`` name."""
    named = [Term(field, vars(options)[field]) for field in ("queue", "label") if vars(options).get(field) is not None]
    return view._replace(terms=(*view.terms, *named))


def selection_of(options: Namespace, *, states: Sequence[State]) -> View:
    """Return the view that an act is for; raise ``UsageError`` for a ``--grep`` that would leave nothing out."""
    if options.grep is not None and not parse_filter(options.grep):
        raise UsageError(f"--grep {options.grep!r} has nothing to look for; leave it out and pass --all to mean all")
    if options.grep is not None and "!" in options.grep.split():
        # a filter ignores a lone "!": in the dashboard its word is still being typed; here it would act on only those
        raise UsageError(f"--grep {options.grep!r} has a '!' with nothing behind it; write !word for all but those")
    return view_of(options, states=states)


def selected_ids(session: Session, queue: Queue, options: Namespace, verb: str, states: Sequence[State]) -> list[int]:
    """Return the ids of the jobs that a command is for, each once: those listed, or the group that it selects now.

    A group is of ``states`` unless ``--state`` names others. Raises ``UsageError`` when there is neither or both, and
    ``Refused`` when nothing matches.
    """
    is_group = is_selecting(options)
    if bool(options.words) is is_group:
        hint = (
            "give jobs or select a group, not both"
            if is_group
            else "give numbers or names, or --queue, --label, --grep"
        )
        raise UsageError(f"{verb} which job? {hint}")
    if not is_group:
        return list(dict.fromkeys(queue.job(reference).id for reference in options.words))
    ids = queue.ids(searched(session, queue, selection_of(options, states=states)))
    if not ids:
        raise Refused(f"no job to {verb} matches; nothing was changed")
    return list(ids)


def is_selecting(options: Namespace) -> bool:
    """Return whether an option selects a group of jobs."""
    return any(vars(options).get(name) is not None for name in ("state", "queue", "label", "grep"))


def pages_of(queue: Queue, view: View, *, limit: int | None = None, after: object = None) -> Iterator[list[Job]]:
    """Yield the jobs of a view in pages, up to ``limit`` of them, those after a key if one is given."""
    now = queue.now()  # of all pages: what becomes due meanwhile changes none
    left = limit
    key = after if isinstance(after, tuple) else None
    while left is None or left > 0:
        rows = queue.rows(view, after=key, limit=_PAGE if left is None else min(_PAGE, left), now=now)
        if not rows:
            return
        yield [row.job for row in rows]
        key = rows[-1].key
        if left is not None:
            left -= len(rows)
