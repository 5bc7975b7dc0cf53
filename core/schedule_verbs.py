"""The verbs of ``Queue`` on schedules: recurring jobs."""

from __future__ import annotations

from core.loading import LOADING
from core.model import NewJob
from core.rules.arguments import check_kind, check_whole
from core.rules.settings import Settings
from core.rules.submission import new_job
from core.surroundings import captured_environment, local_zone, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.rules.schedules import Occurrence, Schedule, ScheduleInfo, ScheduleRow
    from core.storage.contract import Storage


class ScheduleVerbs:
    """What a queue is asked about schedules, and what it is asked to change; a part of ``core.queue.Queue``.

    A schedule is asked for by its name; ``ScheduleNotFound`` is raised for none.
    """

    storage: Storage

    def schedules(self) -> list[ScheduleInfo]:
        """Return the schedules, by name."""
        return [_info_of(schedule) for schedule in self.storage.schedules.all()]

    def schedule(self, name: str) -> ScheduleInfo:
        """Return a schedule."""
        return _info_of(self._schedule(name))

    def occurrences(self, name: str, limit: int = 20) -> list[Occurrence]:
        """Return what became of the last ``limit`` instants of a schedule, the newest first."""
        return self.storage.schedules.occurrences(name, check_whole(limit, "limit", 1))

    def add_schedule(
        self,
        name: str,
        job: NewJob | str,
        /,
        *,
        cron: str | None = None,
        every_s: float | None = None,
        zone: str | None = None,
        missed: str = "once",
        overlap: str | None = None,
        **fields: Any,
    ) -> ScheduleInfo:
        """Have a job added again and again: by a ``cron`` line of five fields in a ``zone``, or every ``every_s``.

        ``zone`` is an IANA name, this host's by default. ``missed`` says what becomes of instants at which no worker
        was alive: ``once`` (one job for all of them), ``skip``, ``all``. ``overlap`` says what happens while the job
        before is unfinished: ``skip``, ``queue`` (after it), ``replace`` (it is cancelled), ``allow``; by default
        ``skip``, and ``queue`` where all that was missed is made up for. Jobs have this process's environment and
        ``fields`` of ``NewJob``. Raises ``UsageError``, and ``Refused`` for a name that is taken.
        """
        with LOADING:
            from core.rules import schedules  # most callers have nothing to do with them

        settings, now = self._settings(), self.storage.now_ms()
        stored = schedules.checked_job(new_job(job, fields), settings, working_directory())
        recipe = schedules.checked_recipe(cron, every_s, local_zone() if zone is None else zone, now)
        row = schedules.row_of(name, recipe, stored, missed, overlap or schedules.default_overlap(missed), now)
        self.storage.schedules.add(row, captured_environment(settings))
        return self.schedule(row.name)

    def edit_schedule(
        self,
        name: str,
        /,
        *,
        new_name: str | None = None,
        cron: str | None = None,
        every_s: float | None = None,
        zone: str | None = None,
        missed: str | None = None,
        overlap: str | None = None,
        **fields: Any,
    ) -> ScheduleInfo:
        """Change a schedule; what is not given stays. It is due next as if it had been added now; its history stays.

        A new ``command`` brings this process's environment along.
        """
        with LOADING:
            from core.rules import schedules

        settings, now, cwd = self._settings(), self.storage.now_ms(), working_directory()

        def changed(old: Schedule) -> ScheduleRow:
            recipe, stored = old.recipe, old.job
            if cron is not None or every_s is not None or zone is not None:
                recipe = schedules.edited_recipe(old, cron, every_s, zone, now)
            if fields:
                stored = schedules.checked_job(new_job(_info_of(old).job, fields), settings, cwd)
            wanted = old.name if new_name is None else new_name
            return schedules.row_of(wanted, recipe, stored, missed or old.missed, overlap or old.overlap, now)

        captured = captured_environment(settings) if "command" in fields else None
        return _info_of(self.storage.schedules.edit(_checked(name), changed, captured))

    def pause_schedule(self, name: str) -> None:
        """Have a schedule add no jobs until it is resumed."""
        self.storage.schedules.set_next(name, None)

    def resume_schedule(self, name: str) -> None:
        """Have a paused schedule add jobs from now on; what would have been due meanwhile is not made up for."""
        with LOADING:
            from core.rules.occurrences import next_after

        schedule = self._schedule(name)
        if schedule.next_at is None:
            self.storage.schedules.set_next(name, next_after(schedule.recipe, self.storage.now_ms()))

    def run_schedule(self, name: str) -> int:
        """Add the job of a schedule now, besides its plan; return its id."""
        return self.storage.schedules.run_now(_checked(name))

    def remove_schedule(self, name: str) -> None:
        """Remove a schedule; jobs that it added stay."""
        self.storage.schedules.remove(_checked(name))

    def _schedule(self, name: str) -> Schedule:
        return self.storage.schedules.find(_checked(name))

    def _settings(self) -> Settings:
        return Settings(self.storage.settings.stored())


def _checked(name: str) -> str:
    check_kind(name, "the name of a schedule", str, "a text")
    return name


def _info_of(schedule: Schedule) -> ScheduleInfo:
    with LOADING:
        from core.clock import to_datetime
        from core.rules.schedules import ScheduleInfo, stored_row_of
        from core.rules.units import format_duration
        from core.storage.rows import new_job_of

    every_s = None if schedule.every_ms is None else schedule.every_ms / 1000
    return ScheduleInfo(
        id=schedule.id,
        name=schedule.name,
        when=schedule.cron or f"every {format_duration(every_s or 0)}",
        cron=schedule.cron,
        every_s=every_s,
        zone=schedule.zone,
        missed=schedule.missed,
        overlap=schedule.overlap,
        is_paused=schedule.next_at is None,
        next_at=None if schedule.next_at is None else to_datetime(schedule.next_at),
        added_at=to_datetime(schedule.added_at),
        last_job_id=schedule.last_job_id,
        last_state=schedule.last_state,
        note=schedule.note,
        job=new_job_of(stored_row_of(schedule.job)),
    )
