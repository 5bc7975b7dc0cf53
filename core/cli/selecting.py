"""Which jobs a command is about: options for states, queues and filters, and walking what they select."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence

from core.cli.numbers import whole_number
from core.cli.parser import Parser
from core.errors import UsageError
from core.filter import parse_filter, parse_state
from core.model import Job, State, Term, View
from core.queue import Queue

_PAGE = 500
#: Reads ``--limit``: a number of jobs, 0 for all.
limit_of = whole_number("--limit", 100)


def add_filter_options(parser: Parser) -> None:
    """Add the options that select jobs."""
    parser.add_argument("--state", metavar="STATES", help="pending, running, completed, dead, cancelled, purged; a,b")
    parser.add_argument("--queue", metavar="QUEUE", help="only this queue")
    parser.add_argument(
        "--grep",
        metavar="FILTER",
        help="only jobs with these words; also label:x, exit:1, outcome:lost, '>5m', 'age:<1h', '!word'",
    )


def states_of(text: str | None) -> tuple[State, ...]:
    """Return the states that a list of words names, each once."""
    if text is None:
        return ()
    return tuple(dict.fromkeys(parse_state(word.strip()) for word in text.split(",")))


def view_of(options: Namespace, *, states: Sequence[State] = ()) -> View:
    """Return the view that the options select; ``states`` hold when they name none."""
    terms = list(parse_filter(options.grep or ""))
    if options.queue is not None:
        terms.append(Term("queue", options.queue))
    return View(states_of(options.state) or tuple(states), tuple(terms))


def selection_of(options: Namespace, *, states: Sequence[State]) -> View:
    """Return the view that an act is for; raise ``UsageError`` for a ``--grep`` that would leave nothing out."""
    if options.grep is not None and not parse_filter(options.grep):
        raise UsageError(f"--grep {options.grep!r} has nothing to look for; leave it out and pass --all to mean all")
    if options.grep is not None and "!" in options.grep.split():
        # while it is typed such a sign is about to get its word; here it would turn "all but" into "only"
        raise UsageError(f"--grep {options.grep!r} has a '!' with nothing behind it; write !word for all but those")
    return view_of(options, states=states)


def walk(queue: Queue, view: View, *, limit: int | None = None, after: object = None) -> Iterator[list[Job]]:
    """Yield the jobs of a view in pages, up to ``limit`` of them, those after a key if one is given."""
    left = limit
    key = after if isinstance(after, tuple) else None
    while left is None or left > 0:
        rows = queue.rows(view, after=key, limit=_PAGE if left is None else min(_PAGE, left))
        if not rows:
            return
        yield [row.job for row in rows]
        key = rows[-1].key
        if left is not None:
            left -= len(rows)
