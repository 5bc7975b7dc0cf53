"""The verbs of ``Queue`` that add jobs, one or many, with what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.model import NewEdge, NewJob
from core.rules import submission
from core.rules.dependencies import BatchEdges
from core.rules.settings import Settings
from core.surroundings import captured_environment, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.rules.operations import Progress
    from core.storage.contract import Storage


class EnqueueVerbs:
    """How jobs are added; a part of ``core.queue.Queue``."""

    storage: Storage

    def add(self, job: NewJob | str, **fields: Any) -> int:
        """Add one job as ``enqueue`` does, and return its id alone."""
        settings = Settings(self.storage.settings.stored())
        if isinstance(job, str) and not fields:
            return self.storage.new_jobs.add(
                submission.row_of(job, settings, working_directory()), captured_environment(settings)
            )
        new = submission.new_job(job, fields)
        batch = BatchEdges()
        (row,) = (submission.row_of(one, settings, working_directory()) for one in batch.noting([new]))
        return self.storage.new_jobs.add(row, captured_environment(settings), batch.edges())

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
        return self.storage.new_jobs.add_many(rows, captured_environment(settings), _edges_of(batch))


def _edges_of(batch: BatchEdges) -> Iterator[NewEdge]:
    """Yield the edges of a batch; asked for the first of them once all jobs have passed."""
    yield from batch.edges()
