"""Reads about what waits for what: on a server nothing does."""

from __future__ import annotations

from collections.abc import Iterable

from core.blocker import Blocker
from core.model import Dependency, JobRef, Tree
from core.storage.contract import Jobs


class Dependencies:
    """The edges of one database, which has none; see ``core.storage.contract.Dependencies``."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def tree(self, reference: JobRef, limit: int) -> Tree:
        """Return a job alone."""
        job = self._jobs.job(reference)
        return Tree(job.id, {job.id: job}, ())

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return no edge."""
        return []

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return that none waits."""
        return {}

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return that nothing is blocked."""
        return {}
