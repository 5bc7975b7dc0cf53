"""Schedules: what one is as it is stored, which of its occurrences run, and the job that an occurrence adds. Pure."""

# annotations are evaluated here, as in core.model

import contextlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.clock import to_datetime
from core.errors import Refused, UsageError
from core.model import NewJob, State
from core.rules.arguments import check_kind, check_number
from core.rules.job_fields import FIELDS, JobRow
from core.rules.job_input import check_job, check_text
from core.rules.occurrences import MIN_EVERY_MS, MISSED, OVERLAP, Recipe, check_cron, next_after, zone_of
from core.rules.settings import Settings
from core.rules.units import MAX_DURATION_S, format_duration

#: The variables that the job of an occurrence has: the schedule's name, and its instant (ISO 8601, UTC).
NAME_VARIABLE = "QUEUECTL_SCHEDULE"
DUE_VARIABLE = "QUEUECTL_DUE_AT"
#: How many schedules one tick decides about.
TICK = 50
#: How many occurrences of a schedule are kept.
KEPT = 2000
#: Fields of a job that its schedule decides, or that make no sense in one.
REFUSED = ("name", "run_at", "is_held", "after", "after_end", "ref")


class ScheduleRow(NamedTuple):
    """A checked schedule that is to be stored: when it is due, and the job that it adds, as JSON of a ``JobRow``."""

    name: str
    cron: str | None
    every_ms: int | None
    zone: str
    anchor_at: int
    job: str
    missed: str
    overlap: str
    next_at: int | None


class Schedule(NamedTuple):
    """A stored schedule; ``next_at`` is ``None`` while it is paused, ``note`` why nothing came of its last instant."""

    id: int
    name: str
    cron: str | None
    every_ms: int | None
    zone: str
    anchor_at: int
    job: str
    environment_id: int
    missed: str
    overlap: str
    next_at: int | None
    added_at: int
    last_job_id: int | None
    note: str | None
    last_state: State | None

    @property
    def recipe(self) -> Recipe:
        """When it is due."""
        return Recipe(self.cron, self.every_ms, self.zone, self.anchor_at)


#: The stored columns of a schedule, but for the state of its last job.
COLUMNS = ", ".join(Schedule._fields[:-1])


class ScheduleInfo(NamedTuple):
    """A schedule as users see it: ``when`` it is due (a cron line, or ``every 15m``), and the job that it adds.

    ``next_at`` is ``None`` while it is paused; ``note`` is why nothing came of its last instant.
    """

    id: int
    name: str
    when: str
    cron: str | None
    every_s: float | None
    zone: str
    missed: str
    overlap: str
    is_paused: bool
    next_at: datetime | None
    added_at: datetime
    last_job_id: int | None
    last_state: State | None
    note: str | None
    job: NewJob


class Occurrence(NamedTuple):
    """An instant of a schedule about which was decided: the job that it added, or why there is none (``why``)."""

    due_at: datetime
    decided_at: datetime
    job_id: int | None
    why: str


class Unfinished(NamedTuple):
    """A job of a schedule that has not ended; ``is_followed`` if another one of them waits for its end."""

    job_id: int
    is_running: bool
    is_followed: bool


class OccurrenceDecision(NamedTuple):
    """What becomes of an instant of a schedule: whether its job is added, and after the ends of which others.

    ``is_chained``: after the end of the job that the decision before this one adds.
    """

    due_at: int
    runs: bool
    why: str = ""
    after: tuple[int, ...] = ()
    is_chained: bool = False


def schedule_of(row: Sequence[Any]) -> Schedule:
    """Return the schedule in a row of ``COLUMNS`` and the state of its last job."""
    values = list(row)
    values[-1] = None if values[-1] is None else State(values[-1])
    return Schedule(*values)


def occurrence_of(row: Sequence[Any]) -> Occurrence:
    """Return the occurrence in a row of its fields, instants in milliseconds."""
    due_at, decided_at, job_id, why = row
    return Occurrence(to_datetime(due_at), to_datetime(decided_at), job_id, why)


def decisions(overlap: str, instants: Sequence[int], unfinished: Sequence[Unfinished]) -> list[OccurrenceDecision]:
    """Return what becomes of instants that are due together, given the unfinished jobs of their schedule by number.

    ``replace`` has these cancelled if an instant runs. A job that has ended is no obstacle, however it ended.
    """
    if overlap == "allow":
        return [OccurrenceDecision(due_at, True) for due_at in instants]
    if overlap == "queue":
        return [_queued(due_at, unfinished) if at == 0 else _chained(due_at) for at, due_at in enumerate(instants)]
    if overlap == "replace":
        why = f"instead of {_numbers(unfinished)}" if unfinished else ""
        running = tuple(job.job_id for job in unfinished if job.is_running)
        replaced = [OccurrenceDecision(due_at, False, "skipped: the next one replaces it") for due_at in instants[:-1]]
        return [*replaced, *(OccurrenceDecision(due_at, True, why, running) for due_at in instants[-1:])]
    if unfinished:
        is_are = "is" if len(unfinished) == 1 else "are"
        return [
            OccurrenceDecision(due_at, False, f"skipped: {_numbers(unfinished)} {is_are} unfinished")
            for due_at in instants
        ]
    first = [OccurrenceDecision(due_at, True) for due_at in instants[:1]]
    return [
        *first,
        *(OccurrenceDecision(due_at, False, "skipped: the one before is unfinished") for due_at in instants[1:]),
    ]


def _queued(due_at: int, unfinished: Sequence[Unfinished]) -> OccurrenceDecision:
    """Return the decision to run after all that is unfinished; what is followed ends before what follows it."""
    last = [job for job in unfinished if not job.is_followed]
    return OccurrenceDecision(
        due_at, True, f"after {_numbers(last)}" if last else "", tuple(job.job_id for job in last)
    )


def _chained(due_at: int) -> OccurrenceDecision:
    return OccurrenceDecision(due_at, True, "after the one before", is_chained=True)


def _numbers(unfinished: Sequence[Unfinished]) -> str:
    more = f" and {len(unfinished) - 1:,} more" if len(unfinished) > 1 else ""
    return f"{unfinished[0].job_id}{more}"


def earlier(schedules: Iterable[Schedule], now: int) -> list[tuple[int, int, int]]:
    """Return of the schedules that are due too late, after the calendar was set back: when now, their ids, when before.

    Those whose zone this host does not know are left out.
    """
    found = []
    for schedule in schedules:
        with contextlib.suppress(UsageError):
            next_at = next_after(schedule.recipe, now)
            if schedule.next_at is not None and next_at < schedule.next_at:
                found.append((next_at, schedule.id, schedule.next_at))
    return found


def name_taken(name: str) -> Refused:
    """Return the error for a name that another schedule has."""
    return Refused(f"a schedule {name!r} exists already; change it with 'queuectl schedule edit', or remove it")


def missed_words(number: int) -> str:
    """Return why instants have no job of their own: they were missed."""
    return f"missed, with {number - 1:,} before it" if number > 1 else "missed"


def stored_row_of(job: str) -> JobRow:
    """Return the row of a job that ``checked_job`` made."""
    stored = json.loads(job)
    return JobRow(*[stored.get(field.column, field.default) for field in FIELDS])


def job_row_of(schedule: Schedule, due_at: int) -> JobRow:
    """Return the row of the job that an occurrence adds."""
    row = stored_row_of(schedule.job)
    due = to_datetime(due_at).isoformat(timespec="seconds").replace("+00:00", "Z")
    variables = {**json.loads(row.env or "{}"), NAME_VARIABLE: schedule.name, DUE_VARIABLE: due}
    return row._replace(env=json.dumps(variables, sort_keys=True), label=row.label or schedule.name)


def checked_job(job: NewJob, settings: Settings, cwd: str) -> str:
    """Return the job of a schedule as it is stored; raise ``UsageError`` if no schedule could add it."""
    nothing = NewJob("")
    for name in REFUSED:
        if getattr(job, name) != getattr(nothing, name):
            what = {"name": "names are unique for ever, give it a label", "run_at": "the schedule says when"}
            raise UsageError(f"a schedule's job cannot have {name}; {what.get(name, 'leave it out')}")
    return json.dumps(check_job(job, settings, cwd)._asdict())


def checked_name(name: str) -> str:
    """Return a schedule's name; raise ``UsageError`` unless it is a short line that is no number."""
    check_kind(name, "the name of a schedule", str, "a text")
    if not name.strip() or name.isdigit():
        raise UsageError(f"{name!r} is no name for a schedule; write one such as nightly")
    return check_text(name, "name of a schedule", longest=100)


def checked_recipe(cron: str | None, every_s: float | None, zone: str, anchor_ms: int) -> Recipe:
    """Return when a schedule is due: by a cron line in a zone, or every so many seconds from the anchor.

    Raises ``UsageError``.
    """
    if (cron is None) == (every_s is None):
        raise UsageError("a schedule has either a cron line such as '0 2 * * *' or a period such as --every 15m")
    zone_of(zone)
    if cron is not None:
        return Recipe(check_cron(cron, zone), None, zone, anchor_ms)
    assert every_s is not None
    if not check_number(every_s, "every", 0, MAX_DURATION_S) >= MIN_EVERY_MS / 1000:
        raise UsageError(f"a period is {format_duration(MIN_EVERY_MS / 1000)} or longer, as in --every 15m")
    return Recipe(None, round(every_s * 1000), zone, anchor_ms)


def edited_recipe(old: Schedule, cron: str | None, every_s: float | None, zone: str | None, anchor_ms: int) -> Recipe:
    """Return when a schedule is due that is given a cron line, a period or a zone; what is not given stays."""
    if cron is None and every_s is None:
        cron, every_s = old.cron, None if old.every_ms is None else old.every_ms / 1000
    return checked_recipe(cron, every_s, zone or old.zone, anchor_ms)


def checked_policy(value: str, name: str) -> str:
    """Return a policy for ``missed`` or ``overlap``; raise ``UsageError`` for an unknown one."""
    known = MISSED if name == "missed" else OVERLAP
    if value not in known:
        raise UsageError(f"{name} {value!r} is none of: {', '.join(known)}")
    return value


def default_overlap(missed: str) -> str:
    """Return the policy that holds if none is given: what is all made up for must not be in its own way."""
    return "queue" if missed == "all" else "skip"


def row_of(name: str, recipe: Recipe, job: str, missed: str, overlap: str, now: int) -> ScheduleRow:
    """Return a checked schedule; it is due for the first time after ``now``."""
    return ScheduleRow(
        checked_name(name),
        recipe.cron,
        recipe.every_ms,
        recipe.zone,
        recipe.anchor_ms,
        job,
        checked_policy(missed, "missed"),
        checked_policy(overlap, "overlap"),
        next_after(recipe, now),
    )
