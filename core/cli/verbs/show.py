"""``queuectl show``: everything about one job."""

# annotations are evaluated here, as in core.model

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NamedTuple

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.tables import COLOURS, Cell, Column, show_pairs, show_table
from core.model import Attempt, Dependency, EdgeKind, Event, Job, State, Waiting
from core.rules.environment import masked
from core.rules.job_fields import FIELD, JobField
from core.rules.needs import format_needs, spans_of
from core.rules.units import fingerprint_text, format_duration
from core.wording import (
    OUT_OF_REACH,
    ago,
    count,
    duration,
    ending_words,
    local_time,
    outcome_words,
    phase_word,
    size,
    until,
    used_words,
)

#: What is shown above the state.
_FIRST = ("name", "command")
#: How many of the jobs that one waits for are named.
_NAMED = 8


class Links(NamedTuple):
    """What a job has to do with others: its edges, how many wait for it, the canary that it waits for."""

    edges: Sequence[Dependency]
    dependents: int
    canary: int | None


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_job()
    parser.add_argument("--environment", action="store_true", help="also the variables that were kept with it")
    parser.add_argument("--tree", action="store_true", help="what it waits for and what waits for it, and nothing else")
    parser.examples("queuectl show 42", "queuectl show nightly --json", "queuectl show deploy --tree")


def run(session: Session, options: Namespace) -> int:
    """Print a job, its attempts and its history."""
    queue = session.queue()
    if options.tree:
        from core.cli.job_tree import show_tree

        return show_tree(session, queue, options.job)
    (job,) = queue.watched([queue.job(options.job)])
    attempts, history, waiting = queue.attempts(job.id), queue.history(job.id), queue.waiting(job.id)
    environment = queue.environment(job.id) if options.environment else None
    links = Links(
        queue.edges_of([job.id]), queue.waiting_for([job.id]).get(job.id, 0), queue.canaries([job.id]).get(job.id)
    )
    if session.is_json:
        _print_json(session, job, attempts, history, waiting, environment, links)
        return DONE
    _show_job(session, job, waiting, links)
    if job.state is State.RUNNING and job.id in queue.out_of_reach():
        session.note(f"queuectl: job {job.id} {OUT_OF_REACH}")
    if attempts:
        session.say("")
        _show_attempts(session, attempts)
    if history:
        session.say("")
        _show_history(session, history)
    if environment is not None:
        session.say("")
        left = Cell("(left to the worker)", "dim")
        show_pairs(session, [(name, left if value is None else value) for name, value in environment.items()])
    return DONE


def _print_json(
    session: Session,
    job: Job,
    attempts: list[Attempt],
    history: list[Event],
    waiting: Waiting | None,
    environment: dict[str, str | None] | None,
    links: Links,
) -> None:
    from core.cli.json_output import flat, job_object, needed_jobs, plain, print_object

    shown: dict[str, Any] = job_object(job, session.now())
    shown["waiting_for"] = None if waiting is None else waiting.reason
    if waiting is not None:
        shown["phase"] = plain(waiting.phase)
    shown["after"] = needed_jobs(links.edges)
    shown["dependents"] = links.dependents
    shown["canary"] = links.canary
    shown["attempt_list"] = [flat(attempt) for attempt in attempts]
    shown["history"] = [flat(event) for event in history]
    if environment is not None:
        shown["environment"] = environment
    print_object(shown)


def _show_job(session: Session, job: Job, waiting: Waiting | None, links: Links) -> None:
    now, dependents, canary = session.now(), links.dependents, links.canary
    word = phase_word(job, now) if waiting is None else waiting.phase.value
    shown = word if word == job.state.value else f"{job.state.value}, {word}"
    show_pairs(
        session,
        (
            ("job", Cell(str(job.id), "bold")),
            *_fields(job, _FIRST),
            ("state", Cell(f"{shown} (since {local_time(job.since)}, {ago(job.since, now)})", COLOURS[word])),
            ("not watched", None if job.unwatched is None else job.unwatched.reason),
            ("not running", None if waiting is None else waiting.reason),
            ("after", _after(links.edges) or None),
            ("dependents", f"{count(dependents, 'job')} waiting for it; --tree shows which" if dependents else None),
            ("canary", None if canary is None else f"{canary}; once that completes this job is replayed"),
            ("next run", None if job.run_at is None else f"{local_time(job.run_at)} ({until(job.run_at, now)})"),
            ("last result", ending_words(job) or None),
            ("last words", job.last_line),
            ("group", None if job.fingerprint is None else fingerprint_text(job.fingerprint)),
            ("used", used_words(job.cpu_s, job.max_rss_bytes) or None),
            ("attempts", f"{job.attempts} of {job.max_attempts}"),
            ("interrupts", str(job.interrupts) if job.interrupts else None),
            *_fields(job, [name for name in Job._fields if name not in _FIRST]),
            ("enqueued", f"{local_time(job.enqueued_at)} ({ago(job.enqueued_at, now)})"),
        ),
    )


def _after(edges: Sequence[Dependency]) -> str:
    """Return what a job waits or waited for: ``11 (met), 12, the end of 13``, a few of them by number."""
    parts = [
        f"{'the end of ' if edge.kind is EdgeKind.END else ''}{edge.on_id}{' (met)' if edge.is_met else ''}"
        for edge in sorted(edges, key=lambda edge: edge.is_met)[:_NAMED]
    ]
    more = len(edges) - _NAMED
    return ", ".join([*parts, *([f"and {more:,} more: --tree"] if more > 0 else [])])


def _fields(job: Job, names: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return label and text of the attributes that are fields with a line of their own; no text leaves it out."""
    fields = [FIELD[name] for name in names if name in FIELD]
    return [(field.shown.label, _text(field, getattr(job, field.name))) for field in fields if field.shown is not None]


def _text(field: JobField, value: Any) -> str | None:
    if field.kind == "variables":
        return " ".join(f"{name}={text}" for name, text in masked(value).items()) or None
    if field.kind == "duration":
        return "none" if value is None else format_duration(value)
    if field.kind == "needs":
        return format_needs(value or {}) or None
    return None if value is None or field.shown is None else field.shown.line.format(value)


def _units(attempt: Attempt) -> str:
    """Return which units an attempt was given: ``db 0, gpu 0-2``, numbers in a row as one."""
    return ", ".join(f"{name} {spans_of(numbers)}" for name, numbers in sorted(attempt.units.items()))


def _show_attempts(session: Session, attempts: list[Attempt]) -> None:
    has_units = any(one.units for one in attempts)
    columns = (
        Column("attempt", is_right=True),
        Column("started"),
        Column("took", is_right=True),
        Column("cpu", is_right=True),
        Column("memory", is_right=True),
        Column("outcome"),
        Column("exit", is_right=True),
        Column("signal", is_right=True),
        Column("output", is_right=True),
        Column("worker", is_right=True),
        *([Column("units")] if has_units else []),
        Column("error or last words", is_wide=True),
    )
    rows = []
    for one in attempts:
        outcome = "running" if one.outcome is None else outcome_words(one.outcome)
        colour = {"succeeded": "green", "running": "green"}.get(outcome, "red")
        rows.append(
            (
                str(one.number),
                local_time(one.started_at),
                "" if one.run_s is None else duration(one.run_s),
                "" if one.cpu_s is None else duration(one.cpu_s),
                "" if one.max_rss_bytes is None else size(one.max_rss_bytes),
                Cell(outcome, colour),
                "" if one.exit_code is None else str(one.exit_code),
                "" if one.signal is None else str(one.signal),
                "" if one.output_bytes is None else size(one.output_bytes),
                str(one.worker_id),
                *([_units(one)] if has_units else []),
                one.error or (f"asked to stop ({one.stop_requested})" if one.stop_requested else one.last_line or ""),
            )
        )
    show_table(session, columns, rows)


def _show_history(session: Session, history: list[Event]) -> None:
    columns = (Column("act", is_right=True), Column("at"), Column("what"), Column("before", is_wide=True))
    rows = [
        (
            str(event.act_id),
            local_time(event.at),
            event.verb if event.undone_at is None else f"{event.verb} (undone)",
            " ".join(f"{key}={value}" for key, value in _before(event)),
        )
        for event in history
    ]
    show_table(session, columns, rows)


def _before(event: Event) -> list[tuple[str, object]]:
    """Return the fields worth showing: not those that only undo needs."""
    hidden = {"since", "due_at", "starts", "run_at", "backoff_s", "interrupts", "env"}
    return [(key, value) for key, value in event.before.items() if key not in hidden and value is not None]
