"""Views: which are valid, of which segments one consists, and a job's key in one. Pure."""

# annotations are evaluated here, as in core.model

import enum
from collections.abc import Sequence
from typing import NamedTuple

from core.errors import UsageError
from core.model import Job, Key, Sort, State, Term, View
from core.rules.arguments import check_kind, check_whole, shown
from core.rules.output_pattern import matcher_of

#: The two states in which a job needs no attention: listed together, the newest end first.
DONE = (State.COMPLETED, State.CANCELLED)

#: The fields that a term of a view can have; those of texts first, the others are compared with whole numbers.
_TEXT_FIELDS = ("text", "queue", "label", "name", "state", "outcome", "group", "output", "ids", "is")
TERM_FIELDS = (
    *_TEXT_FIELDS,
    "after",
    *("id", "exit", "signal", "attempts", "took_over", "took_under", "age_over", "age_under"),
)


#: What a term ``is`` asks of a pending job: its phase by its own fields, or that what it waits for is in the way. A job
#: that waits for others is ``blocked``, held besides or not.
WAITS = ("ready", "delayed", "retrying", "blocked", "held", "stuck")


class Rows(enum.Enum):
    """Which jobs a segment of a view has."""

    #: pending jobs whose time has come, by the clock: where they are claimed
    DUE = "due"
    DELAYED = "delayed"
    #: pending jobs that wait for other jobs or for their release, whether or not they have a run_at as well
    BLOCKED = "blocked"
    RUNNING = "running"
    #: those of the one state of the view, in which jobs have ended
    ENDED = "ended"
    DONE = "done"
    #: those of all states of the view, in an order that only the id or a sort has
    CHOSEN = "chosen"
    #: none: no job of the segment can meet the terms
    NONE = "none"


class Segment(NamedTuple):
    """One run of rows of a view: which jobs, and by which column and id they are ordered.

    A view is a few segments one after the other (due jobs, delayed ones, blocked ones). Its rows are paged by key in
    two steps, "same value, later id" and "later value", each a range of an index.
    """

    rows: Rows
    column: str
    is_descending: bool
    is_id_descending: bool

    def flipped(self) -> "Segment":
        """Return the same rows in the opposite order."""
        return self._replace(is_descending=not self.is_descending, is_id_descending=not self.is_id_descending)


#: Where the largest value stands first, the newest job of those alike.
_LARGEST_FIRST = {Sort.DURATION: "took_ms", Sort.CPU: "cpu_ms", Sort.MEMORY: "max_rss_bytes"}


def segments_of(view: View) -> list[Segment]:
    """Return the segments of a view, first to last, without its terms; check the view."""
    check_view(view)
    segments = _in_default_order(view) if view.sort is Sort.DEFAULT else [_sorted(view)]
    places = _places(view.terms)
    if places != _PENDING_ROWS:
        segments = [segment._replace(rows=_narrowed(segment.rows, places, view.states)) for segment in segments]
    return [segment.flipped() for segment in reversed(segments)] if view.is_reversed else segments


_PENDING_ROWS = frozenset({Rows.DUE, Rows.DELAYED, Rows.BLOCKED})


def _places(terms: Sequence[Term]) -> frozenset[Rows]:
    """Return where pending jobs that meet the terms can be; where terms ask for such jobs alone, not everywhere."""
    found = _PENDING_ROWS
    for term in terms:
        if term.field == "is" and not term.is_negated:
            found &= {_PLACE_OF.get(str(term.value), Rows.BLOCKED)}
        elif term.field == "after" and not term.is_negated:
            found &= {Rows.BLOCKED}
    return found


_PLACE_OF = {"ready": Rows.DUE, "delayed": Rows.DELAYED, "retrying": Rows.DELAYED}


def _narrowed(rows: Rows, places: frozenset[Rows], states: Sequence[State]) -> Rows:
    """Return which jobs of a segment are to be looked at, where those that the terms ask for are in some places."""
    if rows in _PENDING_ROWS:
        return rows if rows in places else Rows.NONE
    if rows is not Rows.CHOSEN or not places or (states and State.PENDING not in states):
        return Rows.NONE
    (place,) = places
    return place if place is not Rows.DUE else rows  # those are in two indexes, neither of which has another order


def _in_default_order(view: View) -> list[Segment]:
    if view.states == (State.PENDING,):
        return [
            Segment(Rows.DUE, "priority", True, False),
            Segment(Rows.DELAYED, "run_at", False, False),
            Segment(Rows.BLOCKED, "priority", True, False),
        ]
    if view.states == (State.RUNNING,):
        return [Segment(Rows.RUNNING, "started_at", False, False)]
    if len(view.states) == 1:
        return [Segment(Rows.ENDED, "since", True, True)]
    if view.states == DONE:
        return [Segment(Rows.DONE, "since", True, True)]
    return [Segment(Rows.CHOSEN, "id", False, False)]


def _sorted(view: View) -> Segment:
    if view.sort is Sort.COMMAND:
        return Segment(Rows.CHOSEN, "command", False, False)
    if view.sort in _LARGEST_FIRST:
        return Segment(Rows.CHOSEN, _LARGEST_FIRST[view.sort], True, True)
    return Segment(Rows.CHOSEN, "id", False, False)


def segment_of_key(view: View, key: Key) -> int:
    """Return the place of a key's segment among ``segments_of(view)``.

    A key names its segment by its number in the unreversed view, so it holds in both directions.
    """
    number = int(str(key[0]))
    return len(segments_of(view)) - 1 - number if view.is_reversed else number


def only_queue(terms: Sequence[Term]) -> str | None:
    """Return the queue that a term limits a view to, if one names it in full."""
    for term in terms:
        if term.field == "queue" and not term.is_negated and "*" not in str(term.value):
            return str(term.value)
    return None


def check_view(view: View) -> None:
    """Raise ``UsageError`` unless ``view`` is a ``View`` of states, terms and an order that exist."""
    check_kind(view, "view", View, "a View, as View((State.DEAD,))")
    check_kind(view.states, "the states of a view", (tuple, list), "a tuple, as (State.DEAD,)")
    for state in view.states:
        check_kind(state, "each state of a view", State, "a State, as State.DEAD")
    check_kind(view.terms, "the terms of a view", (tuple, list), "a tuple, as parse_filter returns it")
    for term in view.terms:
        check_kind(term, "each term of a view", Term, "a Term, as core.rules.filters.parse_filter returns them")
        if term.field not in TERM_FIELDS:
            raise UsageError(f"no field {shown(term.field)} in a term; one of {', '.join(TERM_FIELDS)}")
        if term.field in _TEXT_FIELDS:
            check_kind(term.value, f"the value of the term {term.field!r}", str, "a text")
            if term.field == "output":
                matcher_of(str(term.value))
            if term.field == "is" and term.value not in WAITS:
                raise UsageError(f"the value of the term 'is' is one of {', '.join(WAITS)}, not {shown(term.value)}")
        elif term.field == "after":
            check_kind(term.value, "the value of the term 'after'", (int, str), "a job's number or name")
            if isinstance(term.value, int):
                check_whole(term.value, "the value of the term 'after'")
        else:
            check_whole(term.value, f"the value of the term {term.field!r}")
    check_kind(view.sort, "the order of a view", Sort, "a Sort, as Sort.ID")


def key_of(view: View, job: Job, now_ms: int) -> Key:
    """Return the key that a job has (or would have) in a view, whether or not it is in it."""
    check_view(view)
    check_kind(job, "job", Job, "a Job, as Queue.job returns it")
    if view.sort is Sort.COMMAND:
        return (0, job.command, job.id)
    if view.sort is Sort.DURATION:
        if job.state is State.RUNNING and job.started_at is not None:
            return (0, now_ms - round(job.started_at.timestamp() * 1000), job.id)
        return (0, -1 if job.run_s is None else round(job.run_s * 1000), job.id)
    if view.sort is Sort.CPU:
        return (0, -1 if job.cpu_s is None else round(job.cpu_s * 1000), job.id)
    if view.sort is Sort.MEMORY:
        return (0, -1 if job.max_rss_bytes is None else job.max_rss_bytes, job.id)
    if view.sort is Sort.ID or (len(view.states) != 1 and view.states != DONE):
        return (0, job.id, job.id)
    if view.states == (State.PENDING,):
        return _key_of_pending(job, now_ms)
    if view.states == (State.RUNNING,):
        return (0, round((job.started_at or job.since).timestamp() * 1000), job.id)
    return (0, round(job.since.timestamp() * 1000), job.id)


def _key_of_pending(job: Job, now_ms: int) -> Key:
    if job.blocks > 0:
        return (2, job.priority, job.id)
    due_ms = None if job.run_at is None else round(job.run_at.timestamp() * 1000)
    if due_ms is not None and due_ms > now_ms:
        return (1, due_ms, job.id)
    return (0, job.priority, job.id)
