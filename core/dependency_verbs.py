"""The verbs of ``Queue`` that add jobs with what they wait for, and those on what waits for what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from core.model import EdgeKind, NewEdge, NewJob
from core.rules import environment, submission
from core.rules.arguments import check_whole
from core.rules.dependencies import BatchEdges, references_of
from core.rules.settings import Settings
from core.surroundings import working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.blocker import Blocker
    from core.model import Dependency, JobRef, Tree
    from core.storage.contract import Storage
    from core.storage.operations_contract import Progress


class DependencyVerbs:
    """How jobs are added, and what is asked about their waiting for each other; a part of ``core.queue.Queue``."""

    storage: Storage

    def add(self, job: NewJob | str, **fields: Any) -> int:
        """Add one job as ``enqueue`` does, and return its id alone."""
        settings = Settings(self.storage.settings.stored())
        if isinstance(job, str) and not fields:
            return self.storage.new_jobs.add(submission.row_of(job, settings, working_directory()), captured(settings))
        new = submission.new_job(job, fields)
        batch = BatchEdges()
        (row,) = (submission.row_of(one, settings, working_directory()) for one in batch.noting([new]))
        return self.storage.new_jobs.add(row, captured(settings), batch.edges())

    def enqueue_many(
        self,
        jobs: Iterable[NewJob | str],
        *,
        chain: bool = False,
        then: NewJob | str | None = None,
        progress: Progress | None = None,
    ) -> Sequence[int]:
        """Add jobs, or commands alone, in one transaction, all or none; return their ids, in the order given.

        In a ``chain`` each waits until the one before it has completed. ``then`` is one more job, which waits for the
        end of all the others. ``progress`` is called with the number staged so far (of an unknown total: 0). A refused
        job raises ``UsageError`` whose message begins with its place in the input, counted from 1; jobs that cannot
        wait for each other as they say raise ``BatchRefused``.
        """
        submission.check_jobs(jobs)
        settings = Settings(self.storage.settings.stored())
        batch = BatchEdges(is_chain=chain, then=then)
        rows = submission.rows_of(batch.noting(jobs), settings, working_directory(), progress)
        return self.storage.new_jobs.add_many(rows, captured(settings), _edges_of(batch))

    def tree(self, ref: JobRef, *, limit: int = 300) -> Tree:
        """Return a job with up to ``limit`` jobs that it waits or waited for, directly or not, and as many that wait.

        The nearest ones first.
        """
        check_whole(limit, "limit", 1, 10_000)
        return self.storage.dependencies.tree(ref, limit)

    def edges_of(self, ids: Iterable[int]) -> list[Dependency]:
        """Return what jobs wait or waited for, by job and needed job."""
        return self.storage.dependencies.edges_of(ids)

    def waiting_for(self, ids: Iterable[int]) -> dict[int, int]:
        """Return how many jobs wait for each of these, directly; those that none waits for are left out."""
        return self.storage.dependencies.waiting_for(ids)

    def blockers(self, ids: Iterable[int]) -> dict[int, Blocker]:
        """Return what keeps jobs back, of those that wait for others; the rest is left out."""
        return self.storage.dependencies.blockers(ids)


def captured(settings: Settings) -> environment.Captured:
    """Return what of this process's environment is kept with new jobs."""
    return environment.captured(str(settings["capture-env"]), os.environ)


def edited_edges(fields: dict[str, Any]) -> list[NewEdge] | None:
    """Return the edges that the fields of an edit give, ``None`` if they give none; those fields are taken out."""
    if not fields.keys() & {"after", "after_end"}:
        return None
    after, after_end = (fields.pop(name, None) or () for name in ("after", "after_end"))
    given = ((EdgeKind.COMPLETE, references_of(after, "after")), (EdgeKind.END, references_of(after_end, "after-end")))
    return [NewEdge(0, None, on, kind) for kind, references in given for on in references]


def _edges_of(batch: BatchEdges) -> Iterator[NewEdge]:
    """Yield the edges of a batch; asked for the first of them once all jobs have passed."""
    yield from batch.edges()
