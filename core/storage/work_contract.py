"""What an engine promises of work that waits for work, or follows it: a Protocol per role, as in ``contract``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from core.blocker import Blocker
from core.model import Dependency, JobRef, Tree
from core.rules.environment import Captured
from core.rules.hook_events import Hook, NewHook


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
