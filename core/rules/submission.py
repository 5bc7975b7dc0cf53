"""Checked rows from what a caller submits: a command alone, a ``NewJob``, or fields by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from core.errors import UsageError
from core.model import Job, NewJob
from core.rules.arguments import check_kind, shown
from core.rules.job_fields import FIELD, FIELDS, JobRow
from core.rules.job_input import check_command, check_job, check_plain
from core.rules.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def new_job(job: NewJob | str, fields: Mapping[str, Any]) -> NewJob:
    """Return the job that a command or a ``NewJob`` is; ``fields`` replace those of ``NewJob``."""
    return _with_fields(_new_job(job), fields)


def row_of(job: NewJob | str, settings: Settings, cwd: str) -> JobRow:
    """Return the row of one job, by default to run in ``cwd``. Raises ``UsageError``."""
    if isinstance(job, str):
        return check_plain(job, settings, cwd)
    return check_job(job, settings, cwd)


def check_jobs(jobs: Iterable[NewJob | str]) -> None:
    """Raise ``UsageError`` for a single job where several are asked for."""
    if isinstance(jobs, (str, NewJob)) or not isinstance(jobs, Iterable):
        raise UsageError(f"jobs is a list of commands or NewJobs, not {shown(jobs)}")


def rows_of(
    jobs: Iterable[NewJob | str], settings: Settings, cwd: str, progress: Callable[[int, int], None] | None
) -> Iterator[JobRow]:
    """Yield the rows of jobs, in their order, by default to run in ``cwd``.

    A ``UsageError`` has the job's number, from 1. ``progress`` is called with the number of rows so far and 0, at each
    thousandth row and at the end.
    """
    plain = check_plain(":", settings, cwd)
    nothing_else = NewJob("")[1:]
    number = 0
    for number, one in enumerate(jobs, start=1):
        try:
            job = _new_job(one)
            if job[1:] == nothing_else:
                row = plain._replace(command=check_command(job.command))
            else:
                row = check_job(job, settings, cwd)
        except UsageError as error:
            raise UsageError(f"job {number}: {error}") from None
        yield row
        if progress is not None and number % 1000 == 0:
            progress(number, 0)
    if progress is not None:
        progress(number, 0)


def edited_row(job: Job, fields: Mapping[str, Any], settings: Settings) -> tuple[JobRow, Collection[str]]:
    """Return the row of a job in which ``fields`` of ``NewJob`` are replaced, and the columns that these give.

    ``None`` clears what can be absent.
    """
    if "is_held" in fields:
        raise UsageError("an edit cannot hold or release a job; there are verbs for it")
    cleared = {name: FIELD[name].nothing for name, value in fields.items() if value is None and name in FIELD}
    row = check_job(_with_fields(new_job_like(job), {**fields, **cleared}), settings, job.cwd)
    return row, {FIELD[name].column for name in fields}


def new_job_like(job: Job) -> NewJob:
    """Return a ``NewJob`` with all fields of a job, its name and ``run_at`` among them."""
    values = {field.name: getattr(job, field.name) for field in FIELDS}
    cleared = {name: FIELD[name].nothing for name, value in values.items() if value is None}
    return NewJob(**{**values, **cleared})


def _new_job(job: NewJob | str) -> NewJob:
    check_kind(job, "job", (str, NewJob), "a command or a NewJob")
    return NewJob(job) if isinstance(job, str) else job


def _with_fields(job: NewJob, fields: Mapping[str, Any]) -> NewJob:
    unknown = fields.keys() - job._fields
    if unknown:
        raise UsageError(f"a job has no field {', '.join(sorted(unknown))}; it has {', '.join(job._fields)}")
    return job._replace(**fields)
