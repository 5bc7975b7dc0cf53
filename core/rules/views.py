"""Views: which are valid, and a job's key in one. Pure."""

from __future__ import annotations

from core.errors import UsageError
from core.model import Job, Key, Sort, State, Term, View
from core.rules.arguments import check_kind, check_whole, shown
from core.rules.output_pattern import matcher_of

#: The two states in which a job needs no attention: listed together, the newest end first.
DONE = (State.COMPLETED, State.CANCELLED)

#: The fields that a term of a view can have; those of texts first, the others are compared with whole numbers.
_TEXT_FIELDS = ("text", "queue", "label", "name", "state", "outcome", "group", "output", "ids")
TERM_FIELDS = (
    *_TEXT_FIELDS,
    *("id", "exit", "signal", "attempts", "took_over", "took_under", "age_over", "age_under"),
)


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
        due_ms = None if job.run_at is None else round(job.run_at.timestamp() * 1000)
        if due_ms is not None and due_ms > now_ms:
            return (1, due_ms, job.id)
        return (0, job.priority, job.id)
    if view.states == (State.RUNNING,):
        return (0, round((job.started_at or job.since).timestamp() * 1000), job.id)
    return (0, round(job.since.timestamp() * 1000), job.id)
