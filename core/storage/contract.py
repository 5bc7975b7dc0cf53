"""What an engine promises: one Protocol per role, each method with its guarantee and its errors. No SQL, no connection.

For all roles alike:

- Each method is one transaction (bulk verbs: one per 1,000 jobs), may be called from any thread, and reads the newest
  commit. Inside of ``Storage.snapshot`` all reads of a thread see one moment instead, and writes are refused.
- A write is on disk when it returns, unless its docstring says "soon durable": such a write is on disk with the next
  durable one of any process; a power cut before that loses the newest of them, never an older one alone.
- A method that raises has changed nothing, but for the finished transactions of a bulk verb. Beside what is named:
  ``DatabaseBusy`` (another writer for longer than the busy timeout), ``DatabaseReadOnly``, ``DiskFull``,
  ``DatabaseReplaced``, ``DatabaseClosed``, ``DatabaseCorrupt``, ``DatabaseError`` for what the system refuses.
- Instants are unix milliseconds by ``Storage.now_ms`` where a number is given, aware datetimes in values of
  ``core.model``.
- A job is referred to by id or by name; ``JobNotFound`` is raised for none.

What engines need not have in common: what time it is (``now_ms``), where an output lies (``Outputs``), how a sleeping
worker is woken (``Changes``), and by what a worker is known to live (``Workers``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from core.clock import Clock
from core.errors import QueueError
from core.model import (
    Attempt,
    CompletedRun,
    Counts,
    DeadGroup,
    Ending,
    Event,
    Finding,
    Job,
    JobRef,
    Key,
    Metrics,
    Minute,
    NewEdge,
    Page,
    QueueInfo,
    Row,
    RowCache,
    SearchedOutput,
    State,
    Totals,
    View,
    WorkerInfo,
)
from core.rules.environment import Captured
from core.rules.holds import Hold
from core.rules.job_fields import JobRow
from core.rules.lanes import Demand
from core.rules.settings import Settings
from core.spool import Spool
from core.storage.host_contract import Hosts, SharedOutputs
from core.storage.operations_contract import Operations
from core.storage.transfer import Records, Transfer
from core.storage.values import (
    Claim,
    ClaimCapacity,
    OpenAttempt,
    Registration,
    StepResult,
    StepTerms,
)
from core.storage.work_contract import Canaries, Dependencies, Hooks, Schedules


class Roles(Protocol):
    """The roles of one database."""

    @property
    def new_jobs(self) -> NewJobs: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def dependencies(self) -> Dependencies: ...
    @property
    def lists(self) -> Lists: ...
    @property
    def operations(self) -> Operations: ...
    def attempts(self, jitter: Callable[[], float] | None = None) -> Attempts:
        """Return the attempts for one worker, or for one look: what the worker counts is kept in there.

        ``jitter`` is called once for each back-off and returns a factor from -1 to 1; without it that is drawn.
        """

    def drain(self, queues: Sequence[str]) -> Drain:
        """Return what says whether these queues (none: all) are done.

        Jobs that wait for others, those that a user holds or scheduled for later, those of a queue that is paused or
        has a limit of 0, and those that need more than there is of a resource are not waited for.
        """

    @property
    def queues(self) -> Queues: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def settings(self) -> StoredSettings: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def changes(self) -> Changes: ...
    @property
    def outputs(self) -> Outputs: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def records(self) -> Records: ...
    @property
    def transfer(self) -> Transfer: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def schedules(self) -> Schedules: ...
    @property
    def canaries(self) -> Canaries: ...
    @property
    def maintenance(self) -> Maintenance: ...


class Storage(Roles, Protocol):
    """One database, open. What the roles do is said there; this is about the whole."""

    @property
    def address(self) -> str:
        """What names this database to a user and to ``core.storage.open``, without any secret."""

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused: because that was asked for, or for want of rights."""

    @property
    def clock(self) -> Clock:
        """The clocks of this host. Only its stopwatch is for measuring; for what time it is, ask ``now_ms``."""

    @property
    def spool(self) -> Spool:
        """The directory on this host with the locks, run files and outputs of what is run here."""

    def now_ms(self) -> int:
        """Return what time it is to this database, in unix milliseconds; all that is stored is compared with it."""

    def snapshot(self, give_up: Callable[[], bool]) -> AbstractContextManager[None]:
        """Let all reads of this thread in a ``with`` block see one moment.

        ``give_up`` is asked about once a millisecond while a read runs, which raises ``Interrupted`` once it is true.
        """

    def check_identity(self) -> None:
        """Raise ``DatabaseReplaced`` when what is at the address is not what was opened."""

    def write_error(self, patience_s: float) -> QueueError | None:
        """Return the error that a write would meet now, ``None`` if none is to be seen; writes nothing.

        A lock counts that is held for ``patience_s`` seconds while nothing is committed; this waits as long.
        """

    def set_busy_timeout(self, seconds: float) -> None:
        """Wait this long for other writers from now on, in all threads."""

    def limit_cache(self, kib: int) -> None:
        """Keep at most so many KiB of the database in memory for this thread, until it calls ``close_thread``."""

    def close_thread(self) -> None:
        """Let go of what this thread holds open; a later use of it opens it again."""

    def close(self) -> None:
        """Let go of what all threads hold open; every later use raises ``DatabaseClosed``.

        A transaction that runs in another thread is finished first.
        """


class NewJobs(Protocol):
    """The way in. Wakes the workers."""

    def add(self, row: JobRow, captured: Captured, edges: Iterable[NewEdge] = ()) -> int:
        """Store one job, pending, with its captured environment; return its id, larger than any before it.

        Raises ``NameTaken`` if a job that is not purged has its name; of a purged one the name is taken away. ``edges``
        are as in ``add_many``.
        """

    def add_many(self, rows: Iterable[JobRow], captured: Captured, edges: Iterable[NewEdge] = ()) -> Sequence[int]:
        """Store jobs in one transaction, all or none; return their ids in the order given, each larger than the last.

        Other writers wait for the storing, not for ``rows``. Raises ``NameTaken``, also for a name given twice.
        ``edges``, which are read after the rows and have no circle, say what the jobs wait for; one to a job that has
        ended as its kind asks is met at once. Of two edges between the same jobs that until completion holds. Raises
        ``JobNotFound`` with the reference given, ``Refused`` for a purged job and for a cancelled one that is to
        complete.
        """


class Jobs(Protocol):
    """Single jobs, and what is due when."""

    def find(self, references: Iterable[JobRef]) -> list[int]:
        """Return the ids of jobs, in the order given."""

    def job(self, reference: JobRef) -> Job:
        """Return a job; ``unwatched`` is not set."""

    def job_and_hold(self, reference: JobRef) -> tuple[Job, Hold]:
        """Return a job, and what may hold it or the due jobs of its queue, as of one moment."""

    def purged_from(self, reference: JobRef) -> State | None:
        """Return the state that a purged job had; ``None`` for a job that is not purged."""

    def attempts(self, reference: JobRef) -> list[Attempt]:
        """Return a job's attempts, the first one first."""

    def attempt(self, reference: JobRef, number: int | None) -> Attempt | None:
        """Return one attempt by its number from 1, the newest without one, ``None`` if there is none."""

    def history(self, reference: JobRef) -> list[Event]:
        """Return what users did to a job, the first operation first; variables among ``before`` are not masked."""

    def environment(self, reference: JobRef) -> tuple[dict[str, str], Sequence[str]]:
        """Return the variables stored for a job, its own ones included and unmasked, and the names left to workers."""


class Lists(Protocol):
    """The jobs of a view in its order, by pages. A key is opaque, and holds for the view in both directions."""

    def rows(
        self,
        view: View,
        *,
        after: Key | None,
        before: Key | None,
        limit: int,
        known: RowCache | None = None,
        now: datetime | None = None,
    ) -> list[Row]:
        """Return up to ``limit`` rows in view order: the first ones, those after a key, or the last ones before a key.

        A row that is in ``known`` and did not change is the same object again; ``known`` learns those that are new.
        Due is what is due at ``now``; without it, by the clock.
        """

    def last_rows(self, view: View, *, limit: int, known: RowCache | None = None) -> list[Row]:
        """Return the last ``limit`` rows of a view, in view order; ``known`` as in ``rows``."""

    def first_pages(self, wanted: Sequence[tuple[View, int]], before: Sequence[Page]) -> list[Page]:
        """Return the first ``limit`` rows of each ``(view, limit)``; a page equal to its ``before`` is the same object.

        The views have no terms, and are in their default order or by id.
        """

    def count(self, view: View) -> int:
        """Return how many rows a view has; microseconds without terms, a scan with them."""

    def key_at(self, view: View, position: int) -> Key | None:
        """Return the key of the row at a position counted from 0, ``None`` beyond the end."""

    def position_of(self, view: View, key: Key) -> int:
        """Return how many rows of a view come before a key."""

    def ids(self, view: View) -> list[int]:
        """Return the ids of all rows of a view, in its order."""


class Attempts(Protocol):
    """The attempts as one worker writes and reads them, in its own thread."""

    def record_and_claim(
        self,
        endings: Sequence[tuple[Claim, Ending]],
        capacity: ClaimCapacity,
        before_commit: Callable[[Claim], None],
        terms: StepTerms,
    ) -> StepResult:
        """Record endings, make delayed jobs due, and claim jobs up to a capacity: all in one transaction.

        A job is claimed by one worker, in the order of priority and id, within the limits and pauses of the queues.
        ``before_commit(claim)`` is called before others can see the claim, or on a server just after it is committed;
        nothing is started before. If it raises ``OSError``, that job stays pending, no more are claimed, and the error
        is the ``refusal``. An ending whose attempt is closed already,
        since another worker recorded it, is left out of ``recorded``. Soon durable, or durable by ``terms``.
        """

    def make_durable(self) -> None:
        """Put all commits so far on the disk, and add what was counted to the statistics."""

    def give_back(self, attempt_ids: Sequence[int]) -> set[int]:
        """Undo claims whose command could not be started: their jobs are pending again, no attempt is spent.

        Return the attempts that stay open instead, since a user asked meanwhile to stop them. Soon durable.
        """

    def adopt(self, attempt_id: int, *, dead_worker: int, worker_id: int) -> Claim | None:
        """Make an open attempt of a dead worker another's; ``None`` when a third one was faster. Soon durable."""

    def shorten_backoffs(self) -> int:
        """Let no back-off end later than its whole length from now; return how many would have. Soon durable."""

    def environment_of(self, environment_id: int) -> tuple[str, Mapping[str, str], Sequence[str] | None]:
        """Return the mode and the variables of a captured environment, and the names that were left to the worker."""

    def stop_requests(self, worker_id: int) -> dict[int, str]:
        """Return the open attempts of a worker that a user wants stopped: attempt id to ``cancel`` or ``kill``."""

    def open_elsewhere(self, worker_id: int) -> list[OpenAttempt]:
        """Return the open attempts of all other workers, by worker, the oldest first."""


class Drain(Protocol):
    """What a draining worker waits for."""

    def is_over(self) -> bool:
        """Return whether nothing of the queues is due, runs, or waits for its next attempt."""


class Queues(Protocol):
    """The named queues: counts, what is due next, pause flags, limits. Its writes wake the workers."""

    def counts(self) -> Counts:
        """Return the number of jobs by queue and state; as fast for a million jobs as for ten."""

    def queues(self, counts: Counts | None = None) -> list[QueueInfo]:
        """Return the queues that have jobs, a pause flag or a limit, by name; ``counts`` if they were read already."""

    def rates(self) -> dict[str, float]:
        """Return how many jobs a second of each queue completed or died, of the last minute, by name.

        Where more than 500 did, the newest 500 decide. Queues of which none did are left out.
        """

    def next_due_at(self) -> int | None:
        """Return when the next delayed job becomes due; ``None`` if none is delayed."""

    def oldest_pending_at(self) -> int | None:
        """Return when the pending job that has been due for longest became due; ``None`` if none is due.

        Of many due jobs only the next 1,000 in claim order need be looked at.
        """

    def next_schedule_at(self) -> int | None:
        """Return when the next schedule is due; ``None`` if none is, ever."""

    def is_paused(self) -> bool:
        """Return whether all queues are paused at once."""

    def set_all_paused(self, is_paused: bool) -> None:
        """Pause all queues, or lift that; the flags of single queues stay."""

    def set_paused(self, name: str, is_paused: bool) -> None:
        """Pause or resume one queue; raise ``QueueNotFound`` on resuming one that has no jobs, pause flag or limit."""

    def set_limit(self, name: str, limit: int | None) -> None:
        """Let at most ``limit`` jobs of a queue run at once, over all workers; ``None`` lifts it."""

    def set_on_lost_host(self, name: str, choice: str | None) -> None:
        """Say what becomes of a queue's running jobs whose host is given up: ``"hold"``, or ``None`` to run again."""


class Resources(Protocol):
    """What jobs need while they run, by name; running jobs have it, none else. Its writes wake the workers."""

    def demand(self) -> Demand:
        """Return what is wanted of resources and what is in use, as of one moment."""

    def set(self, name: str, capacity: int, *, is_per_host: bool) -> None:
        """Say how much there is of a resource: over all, or on each host. What runs goes on, whatever it has."""

    def unset(self, name: str) -> None:
        """Forget how much there is of a resource, which is 1 then; raise ``Refused`` if it was not set."""


class StoredSettings(Protocol):
    """The settings that were set, as text by key; nothing is checked here. Its writes wake the workers."""

    def stored(self) -> dict[str, str]:
        """Return the texts by key."""

    def set(self, key: str, text: str | None) -> None:
        """Store a setting's text, or with ``None`` forget it."""


class Statistics(Protocol):
    """What happened when. A worker that is killed may lose what it added in its last moment."""

    def minutes(self, count: int) -> list[Minute]:
        """Return the last ``count`` minutes, the current one last, minutes in which nothing happened included."""

    def window(self, window_s: int) -> Metrics:
        """Return totals and percentiles of the last ``window_s`` seconds, in whole minutes, with the current one."""

    def totals(self) -> Totals:
        """Return what happened since the database was made, as counters that never fall, whatever is pruned."""

    def newest_runs(self, limit: int, after_ms: int) -> list[CompletedRun]:
        """Return the runs of the ``limit`` jobs that completed last and after an instant, the newest first.

        Of each command the first 1,000 characters. Costs as much for a million jobs as for ``limit``.
        """


class Workers(Protocol):
    """The register of workers. Whether a worker lives is decided by what it holds, never by its row alone."""

    @property
    def hosts(self) -> Hosts | None:
        """The register of hosts; ``None`` where the database is used by one host alone and locks say who lives."""

    def register(self, *, slots: int, queues: Sequence[str]) -> Registration:
        """Enter a worker of this process; its lock is held before its row can be seen."""

    def lock_again(self, worker_id: int, lock: int) -> int | None:
        """Make a living worker's lock again if it was removed; return its descriptor, ``None`` if it is there.

        The old ``lock`` stays the caller's to close. Soon durable.
        """

    def set_slots(self, worker_id: int, slots: int) -> None:
        """Store how many slots a worker has now. Soon durable."""

    def forget(self, worker_id: int) -> None:
        """Delete a worker that ended from the register, unless attempts of its are open. Soon durable."""

    def workers(self) -> list[WorkerInfo]:
        """Return the registered workers, the oldest first, dead ones that still have open attempts among them."""

    def request_stop(self, worker_id: int, mode: str) -> None:
        """Ask a worker to stop, ``drain`` or ``now``, and wake it; raise ``WorkerNotFound``."""

    def note_stop(self, worker_id: int, mode: str) -> None:
        """Store that a worker stops by a signal or its program, unless it was asked to stop ``now``. Soon durable."""

    def requested_stop(self, worker_id: int) -> str | None:
        """Return ``drain`` or ``now`` if a worker was asked to stop, else ``None``."""

    def jobs_out_of_reach(self) -> set[int]:
        """Return the running jobs that were started in another pid namespace or boot than their worker's, by id."""


class Wakeup(Protocol):
    """What wakes one sleeping worker. It saves time and decides nothing: a wake-up may be lost."""

    @property
    def descriptor(self) -> int:
        """Readable once the worker was woken, until ``clear``."""

    def clear(self) -> None:
        """Forget all wake-ups so far; raises ``OSError`` when no more will come: open another one then."""

    def forget(self) -> None:
        """Let go of the descriptor alone, which is closed with it: another one took this one's place."""

    def close(self) -> None:
        """Let go of the descriptor, which is closed with it, and of what others ring by."""


class Changes(Protocol):
    """How a reader or a worker learns that something was committed."""

    @property
    def look_s(self) -> float:
        """How often a worker asks for the version, in seconds, for what wakes it not: a place that became free."""

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed; cheap enough to ask often."""

    def wakeup_of(self, worker_id: int) -> Wakeup:
        """Open what wakes a registered worker; raises ``OSError`` where the system has none: it must look then."""


class Groups(Protocol):
    """Dead jobs by the fingerprint of their newest attempt."""

    def groups(self, limit: int) -> list[DeadGroup]:
        """Return up to ``limit`` groups of dead jobs, the largest first; of those alike the one that grew last.

        Read from an index or kept totals, as of one moment: 50,000 dead jobs take tens of milliseconds.
        """

    def unread(self, limit: int) -> list[Attempt]:
        """Return the newest attempts of up to ``limit`` dead jobs that have no fingerprint."""

    def keep_last_words(self, attempts: Iterable[Attempt]) -> int:
        """Store ``last_line`` and ``fingerprint`` of ended attempts, and with their jobs that are still dead by them.

        Return how many jobs those were. One transaction, not synced: what is lost with the power is read again.
        """


class Outputs(Protocol):
    """The outputs of ended attempts that are short enough to be kept in the database."""

    @property
    def shared(self) -> SharedOutputs | None:
        """What is kept of outputs for other hosts; ``None`` where all who read are on the host with the files."""

    def stored(self, attempt_id: int) -> tuple[bool, bytes | None]:
        """Return whether an attempt has ended (or is gone), and its output if that is in the database."""

    def kept_in_files(self) -> list[int]:
        """Return the ids of the ended attempts whose output is in a file of the spool."""

    def search(self, pattern: str, *, after: int, before: int, limit: int) -> list[SearchedOutput]:
        """Search up to ``limit`` outputs of the attempts between two ids, the newest first, for a pattern.

        ``pattern`` as in ``rules.output_pattern``. Which of them match and which do not is returned.
        """

    def search_again(self, pattern: str, attempt_ids: Sequence[int]) -> list[SearchedOutput]:
        """Search the outputs of these attempts, as far as they are still there."""


class Maintenance(Protocol):
    """Upkeep."""

    def prune(self, settings: Settings) -> int:
        """Remove for good what ``keep-completed`` and ``keep-purged`` say is too old; return how many jobs."""

    def prune_some(self, settings: Settings) -> int:
        """Do one transaction of ``prune``; return how many jobs it removed, 0 when none is left. Soon durable.

        Without anything to remove nothing is written.
        """

    def empty_trash(self) -> int:
        """Remove all purged jobs for good, on a full disk too; return how many."""

    def leftovers(self) -> list[str]:
        """Return the paths of files in the spool that nothing needs any more; changes nothing."""

    def remove_leftovers(self) -> int:
        """Remove those files; return how many. A worker that is about to claim keeps its own."""

    def check_data(self) -> list[Finding]:
        """Return what there is to say about the data itself; changes nothing."""

    def check_surroundings(self) -> list[Finding]:
        """Return what there is to say about who may read and write it, and about room; changes nothing."""

    def make_roles(self) -> Sequence[str]:
        """Make the roles by which other users of a server use the queue, with their rights; return their names.

        Raises ``Refused`` for a file, which has its mode for that.
        """

    def network_filesystem(self) -> str | None:
        """Return the kind of network filesystem on which locks may not hold; ``None`` if there is no such doubt."""

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Write a consistent copy to a new file while the database is in use; return how many outputs it lacks.

        Raises ``Refused`` if there is something at the path.
        """
