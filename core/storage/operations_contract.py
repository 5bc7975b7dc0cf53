"""What an engine promises about operations of users on jobs, as in ``core.storage.contract``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from core.model import Act, LastAct, NewEdge, Verb
from core.rules.job_fields import JobRow
from core.rules.operations import Progress
from core.storage.values import Selection


class Operations(Protocol):
    """What users do to jobs that exist: the verbs of ``rules.states.VERBS``, and their undo. Wakes the workers.

    An operation on many jobs is one transaction per 1,000 of them; jobs whose state does not allow it are skipped and
    counted. What it changed is kept in the history, in the same transaction.
    """

    def apply(
        self,
        verb: Verb,
        jobs: Selection,
        *,
        before_ms: int | None = None,
        is_kill: bool = False,
        with_dependents: bool = False,
        progress: Progress | None = None,
    ) -> Act:
        """Do what ``VERBS`` says of a verb (any but EDIT) to jobs; return the operation, its id 0 if nothing changed.

        ``before_ms`` limits a purge to jobs that entered their state until then; ``is_kill`` has a cancel send KILL.
        Raises ``InvalidTransition`` for a single job that does not allow the verb. A purge works on a full disk, too.
        ``with_dependents``, for RETRY and CANCEL, is for all jobs that depend on these, too, directly or not, in one
        transaction. Dependents that run or are purged are skipped; a retry arms the edges among the others again.
        """

    def edit(
        self,
        job_id: int,
        row: JobRow,
        *,
        given: Collection[str],
        then_retry: bool,
        edges: Sequence[NewEdge] | None = None,
    ) -> Act:
        """Give a pending or dead job the columns ``given`` of ``row``; the old values stay in its history.

        ``run_at`` among them moves a pending job to that time; ``then_retry`` also makes it run now. ``edges`` replace
        all that it waits for; they are as in ``NewJobs.add_many``, each ``on`` a job. Raises ``InvalidTransition``,
        ``NameTaken``, ``JobNotFound`` for a needed job, ``UsageError`` if what is given contradicts what was edited
        meanwhile, and ``Refused`` for fewer attempts than the job has spent, for a circle of edges, and to retry what
        is blocked.
        """

    def undo(self, act_id: int, progress: Progress | None) -> Act:
        """Put the jobs of an operation back as they were; jobs that moved on since are skipped and counted.

        Raises ``Refused`` for one that has no undo, was undone already, or would close a circle of edges.
        """

    def last_act(self) -> LastAct | None:
        """Return the newest operation that changed something and was not undone, whether it can be undone or not."""

    def last_purge(self) -> int | None:
        """Return the id of the newest purge that was not undone."""
