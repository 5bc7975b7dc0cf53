"""What an engine promises of work that waits for work, or follows it: a Protocol per role, as in ``contract``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from core.blocker import Blocker
from core.model import Act, Dependency, JobRef, Tree
from core.rules.environment import Captured
from core.rules.hook_events import Hook, NewHook
from core.rules.schedules import Occurrence, Schedule, ScheduleRow


class Dependencies(Protocol):
    """What waits for what. An edge that was met stays met, until a verb arms it again."""

    def tree(self, reference: JobRef, limit: int) -> Tree:
        """Return a job with those that it needs and those that wait for it, directly or not, as of one moment.

        Of each of the two up to ``limit``, the nearest first; with all edges between these jobs.
        """

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return what these jobs wait or waited for, by job and needed job."""

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return how many jobs wait for each of these, directly and now; those that none waits for are left out."""

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return what keeps these jobs back, of those that are pending and have an unmet edge, as of one moment.

        A cause that is not needed directly is looked for among the 1,000 nearest jobs.
        """


class Canaries(Protocol):
    """One of several dead jobs replayed before the others. It is in the database, so any worker goes on with it."""

    def replay(self, ids: Sequence[int]) -> Act:
        """Replay the first dead one of these jobs; once it completes, the other dead ones are a part of the same act.

        If it ends in any other way they stay dead. Wakes the workers. Raises ``Refused`` if none is dead, or if one of
        them waits for a canary already.
        """

    def canaries(self, ids: Iterable[int]) -> dict[int, int]:
        """Return for which canary each of these jobs waits; those that wait for none are left out."""


class Hooks(Protocol):
    """The hooks, and what the jobs of hooks are given.

    What a hook wants is written down with the end that it reacts to, in one transaction; so is its job, or on a server
    soon after. Each hook that wants an end gets it once.
    """

    def add(self, hook: NewHook, captured: Captured) -> int:
        """Store a hook and its captured environment; return its id. It reacts to what ends from then on."""

    def hooks(self) -> list[Hook]:
        """Return the hooks, the oldest first."""

    def remove(self, hook_id: int) -> None:
        """Remove a hook; the job that gathers its events runs all the same. Raises ``HookNotFound``."""

    def lines(self, job_id: int) -> list[str]:
        """Return what the job of a hook is given, a line of JSON each, in the order of the attempts; else nothing."""


class Schedules(Protocol):
    """Recurring jobs. Each instant of a schedule is decided once, in the transaction that adds its job.

    Of several workers that find the same one due, one decides: the row of the schedule is guarded by its ``next_at``,
    and the occurrence by its key. A schedule is asked for by its name; ``ScheduleNotFound`` is raised for none.
    """

    def add(self, row: ScheduleRow, captured: Captured) -> int:
        """Store a schedule and its captured environment; return its id. Raises ``Refused`` if the name exists."""

    def edit(self, name: str, change: Callable[[Schedule], ScheduleRow], captured: Captured | None) -> Schedule:
        """Store a schedule as ``change`` makes it of what it is, and return it; its occurrences stay, a pause as well.

        While that is called no other can edit it; it may be called again. With another environment if one is given.
        Raises ``Refused`` if it gets the name of another one.
        """

    def set_next(self, name: str, next_at: int | None) -> None:
        """Have a schedule be due at an instant, or pause it."""

    def remove(self, name: str) -> None:
        """Remove a schedule and its occurrences; jobs that it added stay."""

    def find(self, name: str) -> Schedule:
        """Return a schedule."""

    def all(self) -> list[Schedule]:
        """Return the schedules, by name."""

    def occurrences(self, name: str, limit: int) -> list[Occurrence]:
        """Return up to ``limit`` occurrences of a schedule, the newest first."""

    def run_now(self, name: str) -> int:
        """Add the job of a schedule besides its plan; return its id. It counts as the last one."""

    def tick(self) -> int:
        """Decide about what is due now, by the policies of the schedules; return how many jobs were added.

        Of up to ``TICK`` schedules, the longest due first. One whose zone this host does not know is left alone, with
        a note. Wakes the workers.
        """

    def renew(self) -> None:
        """Have each schedule be due at its next instant, if a later one is planned: the calendar was set back."""
