"""``Queue``: the verbs of the queue on one database; what programs, the CLI and the dashboard use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from core.addresses import short_name
from core.canary_verbs import CanaryVerbs
from core.clock import Clock, to_datetime, to_ms
from core.dependency_verbs import DependencyVerbs, edited_edges
from core.enqueue_verbs import EnqueueVerbs
from core.errors import OutputUnavailable, QueueError, Refused, UsageError
from core.hook_verbs import HookVerbs
from core.loading import LOADING
from core.model import (
    Act,
    Attempt,
    CompletedRun,
    Counts,
    DeadGroup,
    Event,
    Finding,
    Job,
    JobRef,
    Key,
    LastAct,
    Metrics,
    Minute,
    NewJob,
    Page,
    QueueInfo,
    Row,
    RowCache,
    SearchedOutput,
    State,
    Totals,
    Verb,
    View,
    Waiting,
    WorkerInfo,
)
from core.output import Output
from core.resource_verbs import ResourceVerbs
from core.rules import environment, holds, submission, views
from core.rules.arguments import MAX_WHOLE, check_kind, check_number, check_whole
from core.rules.job_fields import LOST_HOST_CHOICES
from core.rules.job_input import MAX_LIMIT, check_queue
from core.rules.output_pattern import matcher_of
from core.rules.settings import Settings, find_setting
from core.rules.units import MAX_DURATION_S
from core.schedule_verbs import ScheduleVerbs
from core.selection import Selectable, selected
from core.storage.open import open_storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime
    from typing import Any

    from core.records import JobRecord, StoredEnvironment
    from core.rules.comparison import Comparison
    from core.rules.operations import Progress


class Queue(CanaryVerbs, DependencyVerbs, EnqueueVerbs, HookVerbs, ResourceVerbs, ScheduleVerbs):
    """A queue of shell commands in one database; any number of these may be open on it, in any processes.

    Every method may be called from any thread and is one transaction (bulk verbs: one a thousand jobs). Reads see the
    newest commit; writes are on disk when they return. ``path`` is that of an SQLite file, or the URL of a database on
    a PostgreSQL server. With ``create`` a file is made, private to the user, and in a database the tables.
    A server that is still starting is waited for, 5 s; with ``on_wait`` for as long as it is not ready, and that is
    called once with a line that says so.

    Raises ``DatabaseError`` of some kind when the database cannot be used, and leaves it unchanged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        is_read_only: bool = False,
        clock: Clock | None = None,
        busy_timeout_s: float | None = None,
        on_wait: Callable[[str], object] | None = None,
    ) -> None:
        check_kind(path, "path", (str, os.PathLike), "a path")
        if busy_timeout_s is not None:
            check_number(busy_timeout_s, "busy_timeout_s", 0, MAX_DURATION_S)
        self.storage = open_storage(
            os.fspath(path),
            create=create,
            is_read_only=is_read_only,
            clock=clock,
            busy_timeout_s=busy_timeout_s,
            on_wait=on_wait,
        )
        if busy_timeout_s is None:
            try:
                self.storage.set_busy_timeout(self.settings().number("busy-timeout"))
            except BaseException:
                self.close()
                raise

    @property
    def path(self) -> str:
        """The absolute path of the database, or its URL without a password."""
        return self.storage.address

    @property
    def display_name(self) -> str:
        """The database's name where a line has little room: that of its file, or ``database@host``."""
        return short_name(self.path)

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused: because that was asked for, or because the file cannot be written."""
        return self.storage.is_read_only

    def close(self) -> None:
        """Close the connections of all threads."""
        self.storage.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- adding

    def enqueue(self, job: NewJob | str, **fields: Any) -> Job:
        """Add one job, durable when this returns. ``fields`` are those of ``NewJob``.

        Raises ``UsageError`` (the job is not acceptable) or ``NameTaken``; nothing was added then.
        """
        return self.job(self.add(job, **fields))

    def left_to_worker(self) -> tuple[str, ...]:
        """Return the names of this process's variables that new jobs take from their worker instead, sorted."""
        return environment.left_to_worker(str(self.settings()["capture-env"]), os.environ)

    # --- reading

    def job(self, ref: JobRef) -> Job:
        """Return a job; raise ``JobNotFound``."""
        return self.storage.jobs.job(ref)

    def purged_from(self, ref: JobRef) -> State | None:
        """Return the state that a purged job had, to which ``restore`` brings it back; ``None`` for any other job."""
        return self.storage.jobs.purged_from(ref)

    def snapshot(self, give_up: Callable[[], bool] = lambda: False) -> AbstractContextManager[None]:
        """Return a ``with`` block in which all reads of this thread see one moment, and writes are refused.

        ``give_up`` is called about once a millisecond while a statement runs; once it returns true the statement
        raises ``Interrupted``.
        """
        return self.storage.snapshot(give_up)

    def rows(
        self,
        view: View,
        *,
        after: Key | None = None,
        before: Key | None = None,
        limit: int = 100,
        known: RowCache | None = None,
        now: datetime | None = None,
    ) -> list[Row]:
        """Return up to ``limit`` rows in view order: the first, those after a key, or the last ones before a key.

        Rows that are in ``known`` and did not change are returned as the same objects, so that a caller that reads
        repeatedly can compare by identity; new rows are added to ``known``. Jobs count as due by ``now``, by default
        the clock's. Pages read one after the other need one ``now``: a job that becomes due between two pages would
        move to one that was read before.
        """
        return self.storage.lists.rows(view, after=after, before=before, limit=limit, known=known, now=now)

    def first_pages(self, wanted: Sequence[tuple[View, int]], before: Sequence[Page]) -> list[Page]:
        """Return the first ``limit`` rows of each ``(view, limit)``, a page per view, in the order given.

        The views have no filter and are in their default order or by id: no other order has an index. ``before`` holds
        the page returned last for each view (``Page()`` for none). A page or a row that is equal to the one before is
        returned as the same object, so that callers can compare by identity.
        """
        return self.storage.lists.first_pages(wanted, before)

    def last_rows(self, view: View, *, limit: int = 100, known: RowCache | None = None) -> list[Row]:
        """Return the last ``limit`` rows of a view, in view order; ``known`` as in ``rows``."""
        return self.storage.lists.last_rows(view, limit=limit, known=known)

    def jobs(self, view: View, *, after: Key | None = None, before: Key | None = None, limit: int = 100) -> list[Job]:
        """Return up to ``limit`` jobs in view order; arguments as in ``rows``."""
        return [row.job for row in self.rows(view, after=after, before=before, limit=limit)]

    def count(self, view: View) -> int:
        """Return how many jobs a view has."""
        return self.storage.lists.count(view)

    def key_at(self, view: View, position: int) -> Key | None:
        """Return the key at a position counted from 0, ``None`` beyond the end; walks the index, for far jumps."""
        return self.storage.lists.key_at(view, position)

    def position_of(self, view: View, key: Key) -> int:
        """Return how many rows of a view come before a key."""
        return self.storage.lists.position_of(view, key)

    def key_of(self, view: View, job: Job) -> Key:
        """Return the key that a job has, or would have, in a view."""
        return views.key_of(view, job, self.storage.now_ms())

    def ids(self, view: View) -> list[int]:
        """Return the ids of a view's jobs, in its order."""
        return self.storage.lists.ids(view)

    def attempts(self, ref: JobRef) -> list[Attempt]:
        """Return a job's attempts, by number."""
        return self.storage.jobs.attempts(ref)

    def history(self, ref: JobRef) -> list[Event]:
        """Return the acts of users on a job, oldest first; secrets among its variables are masked."""
        return [_masked(event) for event in self.storage.jobs.history(ref)]

    def environment(self, ref: JobRef) -> dict[str, str | None]:
        """Return the variables of a job by name, secrets masked; ``None`` for those that were left to the worker."""
        stored, left_out = self.storage.jobs.environment(ref)
        return dict(sorted({**dict.fromkeys(left_out), **environment.masked(stored)}.items()))

    def output(self, ref: JobRef, number: int | None = None) -> Output:
        """Return an attempt's output, the newest without a number; raise ``OutputUnavailable`` if there is none."""
        attempt = self.storage.jobs.attempt(ref, number)
        if attempt is None:
            raise OutputUnavailable(
                f"job {ref} has not started" if number is None else f"job {ref} has no attempt {number}"
            )
        return Output(self.storage, attempt)

    def output_of(self, attempt: Attempt) -> Output:
        """Return the output of an attempt that was just read."""
        return Output(self.storage, attempt)

    def search_outputs(
        self, pattern: str, *, after: int = 0, before: int = MAX_WHOLE, limit: int
    ) -> list[SearchedOutput]:
        """Search up to ``limit`` outputs of the attempts with ids between two others, the newest first.

        ``pattern`` is what stands behind ``output:`` in a filter. For whoever shows matches as they are found.
        """
        matcher_of(pattern)
        return self.storage.outputs.search(pattern, after=after, before=before, limit=limit)

    def search_outputs_again(self, pattern: str, attempt_ids: Sequence[int]) -> list[SearchedOutput]:
        """Search the outputs of these attempts, as far as they are still there."""
        return self.storage.outputs.search_again(pattern, attempt_ids)

    def compare_outputs(self, ref: JobRef, number: int | None = None, before: int | None = None) -> Comparison:
        """Return what an attempt (the newest) printed, line by line against another one: that just before it.

        Raises ``OutputUnavailable`` if there is no such attempt or an output is gone.
        """
        with LOADING:
            from core.rules.comparison import MAX_BYTES, Comparison, compare

        new = self.output(ref, number)
        if before is None and new.attempt.number == 1:
            raise OutputUnavailable(f"job {ref} has no attempt before the first to compare it with")
        old = self.output(ref, new.attempt.number - 1 if before is None else before)
        texts = (output.read(0, MAX_BYTES + 1) for output in (old, new))
        return Comparison(old.attempt, new.attempt, compare(*texts))

    def records(self, jobs: Sequence[Job]) -> list[JobRecord]:
        """Return jobs that were just read with their attempts, in their order; one removed since is left out."""
        return self.storage.records.records(jobs)

    def environments(self, ids: Iterable[int]) -> list[StoredEnvironment]:
        """Return captured environments by id, secrets and all; what the jobs' own variables add is not in them."""
        return self.storage.records.environments(ids)

    @property
    def outputs_directory(self) -> str:
        """The directory on this host with the outputs that are too long for the database."""
        return self.storage.spool.attempts

    def dead_groups(self, limit: int = 1000) -> list[DeadGroup]:
        """Return up to ``limit`` groups of dead jobs with the same fingerprint, the largest first.

        Jobs without a fingerprint (an older version ran them) are one group with the fingerprint ``None``: see
        ``read_last_words``.
        """
        check_whole(limit, "limit", 1)
        return self.storage.groups.groups(limit)

    def read_last_words(self, *, progress: Progress | None = None) -> int:
        """Store last words and fingerprint of each dead job that has none, read from its output; return how many.

        ``progress`` is called with the number read so far (of an unknown total: 0). A call that is interrupted leaves
        the rest to the next one.
        """
        with LOADING:
            from core.last_words import read_last_words  # with the patterns of many kinds of error

        return read_last_words(self.storage, progress)

    def waiting(self, ref: JobRef) -> Waiting | None:
        """Return why a pending job is not running, ``None`` for a job in any other state."""
        job, hold = self.storage.jobs.job_and_hold(ref)
        return holds.waiting(job, hold, self.workers(), to_datetime(self.storage.now_ms()))

    def watched(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs with ``unwatched`` set on the running ones that no living worker watches."""
        if not any(job.state is State.RUNNING for job in jobs):
            return list(jobs)
        with LOADING:
            from core.execution import unwatched  # what looks at processes: most lists have nothing for it to look at

        return unwatched.watched(self.storage, jobs)

    def out_of_reach(self) -> set[int]:
        """Return the running jobs that were started in another pid namespace than their worker's, by id."""
        return self.storage.workers.jobs_out_of_reach()

    def counts(self) -> Counts:
        """Return the number of jobs by queue and state; costs microseconds, whatever their number."""
        return self.storage.queues.counts()

    def minutes(self, count: int = 60) -> list[Minute]:
        """Return the last ``count`` minutes, the current one last."""
        return self.storage.statistics.minutes(count)

    def metrics(self, window_s: int) -> Metrics:
        """Return totals and percentiles of the last ``window_s`` seconds, in whole minutes."""
        return self.storage.statistics.window(window_s)

    def totals(self) -> Totals:
        """Return counters of all that happened since the database was made; they never fall."""
        return self.storage.statistics.totals()

    def newest_runs(self, limit: int, *, after: datetime | None = None) -> list[CompletedRun]:
        """Return the runs of the ``limit`` jobs that completed last, the newest first; with ``after`` only later ones.

        Of each command the first 1,000 characters. Costs as much for a million jobs as for ``limit``.
        """
        check_whole(limit, "limit", 1)
        after_ms = 0 if after is None else to_ms(after)
        return self.storage.statistics.newest_runs(limit, after_ms)

    def oldest_pending_at(self) -> datetime | None:
        """Return when the oldest job among those to be claimed next became due; ``None`` if no job is due."""
        found = self.storage.queues.oldest_pending_at()
        return None if found is None else to_datetime(found)

    def next_due_at(self) -> datetime | None:
        """Return when the next delayed job becomes due; ``None`` without delayed jobs."""
        found = self.storage.queues.next_due_at()
        return None if found is None else to_datetime(found)

    def write_error(self, patience_s: float = 0.25) -> QueueError | None:
        """Return the error that a write would meet (``DiskFull``, ``DatabaseReadOnly``, ``DatabaseBusy``) or ``None``.

        Nothing is written. A lock that another program holds counts once it was held for ``patience_s`` seconds; this
        waits as long.
        """
        check_number(patience_s, "patience_s", 0, MAX_DURATION_S)
        return self.storage.write_error(patience_s)

    def check_identity(self) -> None:
        """Raise ``DatabaseReplaced`` when the file at ``path`` was deleted or replaced since it was opened."""
        self.storage.check_identity()

    def now(self) -> datetime:
        """Return the time by the database's clock, in UTC."""
        return to_datetime(self.storage.now_ms())

    def data_version(self) -> int:
        """Return a number that changes whenever another connection than this thread's commits."""
        return self.storage.changes.version()

    # --- acts on jobs

    def replay(self, jobs: Selectable, *, progress: Progress | None = None) -> Act:
        """Send dead, completed or cancelled jobs back to pending with a fresh attempt budget; history is kept."""
        return self.storage.operations.apply(Verb.REPLAY, selected(self.storage, jobs), progress=progress)

    def retry(self, jobs: Selectable, *, with_dependents: bool = False, progress: Progress | None = None) -> Act:
        """Try jobs again now: replay finished ones, make delayed ones due.

        ``with_dependents`` does so to all jobs that wait or waited for them, directly or not, too, and these wait for
        each other again as they did; those that run are skipped.
        """
        chosen = selected(self.storage, jobs)
        return self.storage.operations.apply(Verb.RETRY, chosen, with_dependents=with_dependents, progress=progress)

    def cancel(
        self,
        jobs: Selectable,
        *,
        kill: bool = False,
        with_dependents: bool = False,
        progress: Progress | None = None,
    ) -> Act:
        """Cancel waiting jobs; ask the workers of running ones to stop them: TERM, grace, KILL, or KILL at once.

        ``with_dependents`` also cancels all jobs that wait for them, directly or not.
        """
        chosen = selected(self.storage, jobs)
        return self.storage.operations.apply(
            Verb.CANCEL, chosen, is_kill=kill, with_dependents=with_dependents, progress=progress
        )

    def hold(self, jobs: Selectable, *, progress: Progress | None = None) -> Act:
        """Keep waiting jobs from being claimed until they are released."""
        return self.storage.operations.apply(Verb.HOLD, selected(self.storage, jobs), progress=progress)

    def release(self, jobs: Selectable, *, progress: Progress | None = None) -> Act:
        """Let held jobs be claimed again, once nothing else keeps them back."""
        return self.storage.operations.apply(Verb.RELEASE, selected(self.storage, jobs), progress=progress)

    def edit(self, ref: JobRef, *, then_retry: bool = False, **fields: Any) -> Act:
        """Change a pending or dead job; ``fields`` are those of ``NewJob``, ``None`` clears what can be absent.

        With ``then_retry`` a dead job is replayed and a delayed one made due in the same transaction. ``after`` and
        ``after_end``, if one is given, replace all that the job waits for; both empty, it waits for nothing.
        """
        job = self.job(ref)
        edges = edited_edges(fields)
        row, given = submission.edited_row(job, fields, self.settings())
        return self.storage.operations.edit(job.id, row, given=given, then_retry=then_retry, edges=edges)

    def purge(self, jobs: Selectable, *, older_than_s: float | None = None, progress: Progress | None = None) -> Act:
        """Move finished jobs to the trash; ``restore`` and ``undo`` bring them back until the trash is emptied."""
        if older_than_s is not None:
            check_number(older_than_s, "older_than_s", 0, MAX_DURATION_S)
        before = None if older_than_s is None else self.storage.now_ms() - round(older_than_s * 1000)
        return self.storage.operations.apply(
            Verb.PURGE, selected(self.storage, jobs), before_ms=before, progress=progress
        )

    def restore(self, jobs: Selectable | None = None, *, progress: Progress | None = None) -> Act:
        """Bring purged jobs back to the state they came from; without a selection those of the last purge."""
        if jobs is not None:
            return self.storage.operations.apply(Verb.RESTORE, selected(self.storage, jobs), progress=progress)
        last = self.storage.operations.last_purge()
        if last is None:
            raise Refused("there is no purge to restore from")
        return self.storage.operations.undo(last, progress)

    def undo(self, act_id: int | None = None, *, progress: Progress | None = None) -> Act:
        """Undo an act (purge, replay, retry, edit, hold, release, cancel of a waiting job), without an id the last one.

        Jobs that moved on since are skipped and counted. Raises ``Refused`` when there is nothing to undo, and when
        the last act cannot be undone: an older one is undone only by its id.
        """
        if act_id is None:
            last = self.last_act()
            if last is None:
                raise Refused("there is nothing to undo")
            if last.obstacle is not None:
                raise Refused(last.refusal)
            act_id = last.act.id
        return self.storage.operations.undo(act_id, progress)

    def last_act(self) -> LastAct | None:
        """Return the newest act not undone yet, which ``undo`` without an id undoes or refuses; ``None`` for none."""
        return self.storage.operations.last_act()

    # --- queues

    def queues(self, counts: Counts | None = None) -> list[QueueInfo]:
        """Return the queues that have jobs, a pause flag or a limit, by name.

        ``counts`` that were read in the same ``snapshot`` need not be read again.
        """
        return self.storage.queues.queues(counts)

    def queue_rates(self) -> dict[str, float]:
        """Return how many jobs a second of each queue completed or died, of the last minute, by name.

        Where more than 500 did, the newest 500 decide. Queues of which none did are left out.
        """
        return self.storage.queues.rates()

    def is_paused(self) -> bool:
        """Return whether everything is paused."""
        return self.storage.queues.is_paused()

    def pause(self, name: str | None = None) -> None:
        """Let no job of one queue, or of any, be claimed; running ones go on. A queue need not have jobs yet."""
        self._set_paused(name, True)

    def resume(self, name: str | None = None) -> None:
        """Let jobs be claimed again; raise ``QueueNotFound`` for a queue that has no jobs, pause flag or limit."""
        self._set_paused(name, False)

    def _set_paused(self, name: str | None, is_paused: bool) -> None:
        if name is None:
            self.storage.queues.set_all_paused(is_paused)
        else:
            self.storage.queues.set_paused(check_queue(name), is_paused)

    def limit(self, name: str, limit: int | None) -> None:
        """Let at most ``limit`` (0 to 1,000,000) jobs of a queue run at once, over all workers; ``None`` lifts it."""
        if limit is not None:
            check_whole(limit, "the limit", 0, MAX_LIMIT)
        self.storage.queues.set_limit(check_queue(name), limit)

    def set_on_lost_host(self, name: str, choice: str) -> None:
        """Say what becomes of a queue's running jobs whose host is given up; raise ``UsageError`` for a bad word.

        With ``"hold"`` they wait for the host, or for a word that it is gone; with ``"rerun"`` each job says itself. It
        holds at once, also for hosts that were given up and still have running jobs.
        """
        if choice not in LOST_HOST_CHOICES:
            raise UsageError(f"on a lost host: {' or '.join(LOST_HOST_CHOICES)}, not {choice!r}")
        self.storage.queues.set_on_lost_host(check_queue(name), choice if choice == "hold" else None)

    # --- settings

    def settings(self) -> Settings:
        """Return the settings in force."""
        return Settings(self.storage.settings.stored())

    def stored_settings(self) -> dict[str, str]:
        """Return the settings that were set, as text by key; those at their default are left out."""
        return self.storage.settings.stored()

    def set(self, key: str, text: str) -> None:
        """Store a setting's value, given as text; raise ``UsageError`` for an unknown key or a bad value."""
        check_kind(text, f"the value of {key}", str, "a text, as in 'config set'")
        setting = find_setting(key)
        value = setting.parse(text)
        if setting.key == "shell" and not _is_program(str(value)):
            raise UsageError(f"shell {text!r} is not a program; give its absolute path")
        self.storage.settings.set(setting.key, setting.format(value))

    def unset(self, key: str) -> None:
        """Remove a setting's stored value, so that its default holds; raise ``UsageError`` for an unknown key."""
        self.storage.settings.set(find_setting(key).key, None)

    # --- workers

    def workers(self) -> list[WorkerInfo]:
        """Return the registered workers, oldest first."""
        return self.storage.workers.workers()

    def stop_worker(self, worker_id: int, *, now: bool = False) -> None:
        """Ask a worker to stop: to let its commands finish, or ``now`` to end them. Does not wait."""
        self.storage.workers.request_stop(worker_id, "now" if now else "drain")

    # --- upkeep

    def prune(self) -> int:
        """Delete the jobs that are older than the settings keep-completed and keep-purged say; return how many."""
        return self.storage.maintenance.prune(self.settings())

    def empty_trash(self) -> int:
        """Delete all purged jobs; return how many."""
        return self.storage.maintenance.empty_trash()

    def doctor(self) -> list[Finding]:
        """Return one or more findings for each check of the database's health, in their order; changes nothing."""
        with LOADING:
            from core import doctor  # it looks at processes, too

        return doctor.findings(self.storage)

    def make_roles(self) -> Sequence[str]:
        """Make the roles ``queuectl_work`` and ``queuectl_enqueue`` on the server, with their rights; return the names.

        Raises ``Refused`` for a file.
        """
        return self.storage.maintenance.make_roles()

    def network_filesystem(self) -> str | None:
        """Return the kind of network filesystem the database is on, where locks may not hold; ``None`` if local."""
        return self.storage.maintenance.network_filesystem()

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Write a consistent copy to a new file while the database is in use; return how many outputs it lacks.

        Those are the ones longer than 64 KiB: they stay in files of their own.
        """
        check_kind(path, "path", (str, os.PathLike), "a path")
        return self.storage.maintenance.backup(path)


def _masked(event: Event) -> Event:
    variables = event.before.get("env")
    if not isinstance(variables, str):
        return event
    return event._replace(before={**event.before, "env": environment.masked_text(variables)})


def _is_program(path: str) -> bool:
    """Return whether a path leads to the same executable file wherever a worker runs."""
    return os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK)
