"""The words of the queue as frozen values: jobs, attempts, states, counts. No I/O, no clock.

They are named tuples: the class of a dataclass costs every start four times as much, and its values are slower.
"""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

#: A job is asked for by id or by name.
JobRef = int | str


class State(str, Enum):
    """The states of a job; no others are stored."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    PURGED = "purged"


#: The states of jobs that wait or run, and those of jobs that have come to an end; a purged job is out of sight.
OPEN_STATES, ENDED_STATES = (State.PENDING, State.RUNNING), (State.COMPLETED, State.DEAD, State.CANCELLED)


class Verb(str, Enum):
    """An operation of a user (or a program) on a job that exists."""

    CANCEL = "cancel"
    REPLAY = "replay"
    RETRY = "retry"
    EDIT = "edit"
    PURGE = "purge"
    RESTORE = "restore"
    HOLD = "hold"
    RELEASE = "release"


class EdgeKind(str, Enum):
    """What a dependency waits for: that the needed job completes, or its end, dead and cancelled included."""

    COMPLETE = "complete"
    END = "end"


class Phase(str, Enum):
    """What a pending job is waiting for, or that no living worker watches a running one; derived, never stored.

    ``BLOCKED``: it waits for other jobs. ``HELD``: a user holds it, or its queue does. ``UNWATCHED``: its command runs,
    as far as is known. ``ENDED``: it has ended, and that is not recorded yet.
    """

    READY = "ready"
    DELAYED = "delayed"
    RETRYING = "retrying"
    BLOCKED = "blocked"
    HELD = "held"
    UNWATCHED = "unwatched"
    ENDED = "ended"


class Outcome(str, Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    SPAWN_ERROR = "spawn_error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"


#: Outcomes that cost an attempt and lead to a retry or to the DLQ.
FAILURES = frozenset({Outcome.FAILED, Outcome.SIGNALLED, Outcome.TIMED_OUT, Outcome.SPAWN_ERROR})


class Unwatched(NamedTuple):
    """What is known of a running job that no living worker watches: a phase, and one line that says why.

    ``ended_at`` is when its command ended, if its run file says it; ``is_stopping`` whether a user cancelled it.
    """

    phase: Phase
    reason: str
    ended_at: datetime | None = None
    is_stopping: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the command ended by itself, with a result that waits to be recorded."""
        return self.phase is Phase.ENDED and self.ended_at is not None


class Job(NamedTuple):
    """A shell command with its settings and where it stands now.

    ``started_at``, ``finished_at`` and the ``last_*`` fields speak of the newest attempt. ``run_s`` is how long that
    attempt took (``None`` while it runs), ``cpu_s`` and ``max_rss_bytes`` what it used, ``last_line`` and
    ``fingerprint`` why it ended: see ``Attempt``. ``since`` is when the job entered its state. ``blocks`` counts what
    keeps a pending job back: its unmet dependencies, and one more while a user holds it (``is_held``). ``unwatched`` is
    only set by ``Queue.watched``: the database alone does not know it.
    """

    id: int
    name: str | None
    command: str
    queue: str
    priority: int
    label: str | None
    cwd: str
    env: Mapping[str, str]
    max_attempts: int
    timeout_s: float | None
    backoff_base: float
    ok_exit: str | None
    dead_exit: str | None
    state: State
    run_at: datetime | None
    attempts: int
    interrupts: int
    enqueued_at: datetime
    since: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_s: float | None
    last_outcome: Outcome | None
    last_exit_code: int | None
    last_signal: int | None
    last_error: str | None
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    last_line: str | None = None
    fingerprint: int | None = None
    is_held: bool = False
    blocks: int = 0
    on_dead: str | None = None
    on_complete: str | None = None
    needs: Mapping[str, int] | None = None
    on_lost_host: str | None = None
    unwatched: Unwatched | None = None

    def phase(self, now: datetime) -> Phase | None:
        """Return what a pending job waits for by its own fields; that its queue is held is a fact about the queue.

        Of a running one whether it is ``unwatched``, as ``Queue.watched`` found it; else ``None``.
        """
        if self.state is State.RUNNING and self.unwatched is not None:
            return self.unwatched.phase
        if self.state is not State.PENDING:
            return None
        if self.blocks > 0:
            return Phase.HELD if self.is_held else Phase.BLOCKED
        if self.run_at is None or self.run_at <= now:
            return Phase.READY
        return Phase.RETRYING if self.attempts > 0 and self.last_outcome in FAILURES else Phase.DELAYED


class NewJob(NamedTuple):
    """A job that is to be added; a field that is ``None`` gets the setting's value at the moment of enqueueing.

    ``run_at`` is an aware datetime; ``ok_exit`` and ``dead_exit`` are exit codes as in ``"0,24,64-78"``; ``env`` wins
    over the captured environment; ``needs`` is as ``{"gpu": 2}`` or ``"gpu=2,license"``. A job that ``is_held`` waits
    for its release, one with ``after`` until those have completed, with ``after_end`` until they have ended: numbers,
    names, or ``ref``s of the same batch, which hold in it alone. ``on_dead`` and ``on_complete`` are commands that run
    as jobs after it. With ``on_lost_host`` ``"hold"`` it waits for a host that is given up.

    The fields are checked when the job is added, not here: a named tuple cannot check what it is made of, and
    ``_replace`` would go round a class that does. The refusal then names the field and, in a batch, the job.
    """

    command: str
    name: str | None = None
    queue: str = "default"
    priority: int = 0
    run_at: datetime | None = None
    max_attempts: int | None = None
    timeout_s: float | None = None
    backoff_base: float | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    label: str | None = None
    ok_exit: str | None = None
    dead_exit: str | None = None
    is_held: bool = False
    on_dead: str | None = None
    on_complete: str | None = None
    needs: Mapping[str, int] | str | None = None
    on_lost_host: str | None = None
    after: Sequence[JobRef] = ()
    after_end: Sequence[JobRef] = ()
    ref: str | None = None


class NewEdge(NamedTuple):
    """What a new job waits for: the job at ``position`` of a batch for that at ``on_position``, else for job ``on``."""

    position: int
    on_position: int | None
    on: JobRef | None
    kind: EdgeKind


class Attempt(NamedTuple):
    """One started execution of a job, numbered from 1 within the job.

    ``exit_code`` is what the shell reported (128 + n after signal n); ``signal`` is n then. ``output_bytes`` is
    ``None`` while the attempt runs. ``stop_requested`` is ``"cancel"`` or ``"kill"`` once it was asked for.
    ``cpu_s`` is the processor time of all its processes that were waited for, ``max_rss_bytes`` the peak memory of the
    largest. Both are ``None`` where they are not known: while it runs, after a KILL, and for one that was adopted; the
    memory also when it is less than the worker's own, in which Linux counts the start of a program.
    ``last_line`` is the line of its output that says why it ended (``core.rules.fingerprint.last_words``), ``None``
    without one. ``fingerprint`` is the number that attempts with the same fault share; ``None`` for a success.
    ``units`` are the numbers that it was given of each resource that its job needs.
    """

    id: int
    job_id: int
    number: int
    worker_id: int
    started_at: datetime
    ended_at: datetime | None
    run_s: float | None
    outcome: Outcome | None
    exit_code: int | None
    signal: int | None
    error: str | None
    output_bytes: int | None
    stop_requested: str | None
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    last_line: str | None = None
    fingerprint: int | None = None
    units: Mapping[str, Sequence[int]] = MappingProxyType({})


class Event(NamedTuple):
    """One act of a user on one job; ``before`` holds the fields that changed, with their values before the act.

    Times in it are instants, durations are in seconds. ``undone_at`` is when the act was undone, for all of its jobs
    that had not moved on since.
    """

    act_id: int
    job_id: int
    at: datetime
    verb: str
    before: Mapping[str, object]
    undone_at: datetime | None = None


class Act(NamedTuple):
    """What one verb did to one or many jobs; ``id`` (0 when nothing changed) undoes it.

    ``skipped`` are jobs whose state did not allow it, ``unnamed`` restored ones whose name another job has by now.
    """

    id: int
    verb: str
    count: int  # type: ignore[assignment]  # as all the others are called, over the method of tuples
    skipped: int = 0
    unnamed: int = 0


class LastAct(NamedTuple):
    """The newest act that was not undone, made at ``at``; ``sample`` is the command of one of its jobs.

    ``obstacle`` is why it cannot be undone, ``None`` when it can.
    """

    act: Act
    at: datetime
    sample: str
    obstacle: str | None

    @property
    def title(self) -> str:
        """The act's name for use in a sentence: ``purge of 17 jobs``."""
        return f"{self.act.verb} of {self.act.count:,} {'job' if self.act.count == 1 else 'jobs'}"

    @property
    def refusal(self) -> str:
        """Why ``undo`` does nothing, in one line."""
        return f"the last act, {self.title}, cannot be undone: {self.obstacle}"


class Counts(NamedTuple):
    """How many jobs there are: ``by_queue[queue][state]``, and of the pending ones how many are delayed or blocked.

    Blocked are those that wait for other jobs or for their release, whether or not they have a ``run_at`` as well.
    """

    by_queue: Mapping[str, Mapping[State, int]]
    delayed_by_queue: Mapping[str, int]
    blocked_by_queue: Mapping[str, int] = MappingProxyType({})

    def of(self, state: State, queue: str | None = None) -> int:
        """Return the number of jobs in a state, in one queue or in all."""
        if queue is not None:
            return self.by_queue.get(queue, {}).get(state, 0)
        return sum(states.get(state, 0) for states in self.by_queue.values())

    @property
    def delayed(self) -> int:
        """Return how many pending jobs have a ``run_at`` that is still to come."""
        return sum(self.delayed_by_queue.values())

    @property
    def blocked(self) -> int:
        """Return how many pending jobs wait for other jobs or for their release."""
        return sum(self.blocked_by_queue.values())


class QueueInfo(NamedTuple):
    """A named queue: pause flag, limit on running jobs over all workers, counts, ``"hold"`` to wait for lost hosts."""

    name: str
    is_paused: bool
    limit: int | None
    counts: Mapping[State, int]
    delayed: int
    blocked: int = 0
    on_lost_host: str | None = None


class ResourceInfo(NamedTuple):
    """A resource: how much there is of it, how much of that running jobs have, and how many ready jobs need it.

    ``is_set`` is false for one that was never set: there is one of it. ``is_per_host``: that much is on each host.
    ``waiting`` looks at no more than 1,000 ready jobs; ``next_job`` is the first of them in order. ``holders`` are the
    running jobs that have some, with how much, by their numbers.
    """

    name: str
    capacity: int
    is_per_host: bool
    is_set: bool
    in_use: int
    waiting: int
    next_job: int | None
    holders: Mapping[int, int]


class Presence(str, Enum):
    """Whether a registered worker lives, as far as its lock file says.

    ``HIDDEN``: the file is missing or was replaced, so the worker may live. ``ELSEWHERE``: it registered when the
    database was at another path, whose lock files are not here: with another copy of it, maybe.
    """

    ALIVE = "alive"
    DEAD = "dead"
    HIDDEN = "hidden"
    ELSEWHERE = "elsewhere"


class WorkerInfo(NamedTuple):
    """A registered worker: its process, slots and queues, and whether it lives (its lock is held).

    ``queues`` is empty when it serves all; ``stop_requested`` is ``"drain"`` or ``"now"`` or ``None``.
    """

    id: int
    pid: int
    host: str
    slots: int
    queues: tuple[str, ...]
    started_at: datetime
    is_alive: bool
    stop_requested: str | None
    running: int
    presence: Presence = Presence.DEAD


class HostInfo(NamedTuple):
    """A host that shares the database with others: since when, how long its lease is, and what it has to do with jobs.

    ``is_live`` is false for one that was given up and still has open attempts; ``is_here`` marks the caller's own.
    ``silent_s`` is for how long it has not renewed its lease, by the clock of the server: it decides nothing.
    """

    id: int
    name: str
    joined_at: datetime
    version: str
    lease_s: float
    silent_s: float
    is_live: bool
    is_here: bool
    workers: int
    running: int


class Sort(str, Enum):
    """Orders a list can have. ``DEFAULT`` is claim order for pending jobs, start for running, newest end first else."""

    DEFAULT = "default"
    ID = "id"
    COMMAND = "command"
    DURATION = "duration"
    CPU = "cpu"
    MEMORY = "memory"


class Term(NamedTuple):
    """One condition of a filter: ``field`` as in ``core.rules.filters``, its value, and whether it is inverted."""

    field: str
    value: str | int
    is_negated: bool = False


class SearchedOutput(NamedTuple):
    """One attempt whose output was searched; one ``is_open`` has not ended and may print more."""

    attempt_id: int
    job_id: int
    is_open: bool
    is_match: bool


class View(NamedTuple):
    """Which jobs, in which order: what a pane shows and what a bulk verb acts on.

    No ``states`` means every state but ``purged``; several states are ordered by id, but for (completed, cancelled),
    which are listed newest end first as each of them is. All ``terms`` must hold.
    """

    states: tuple[State, ...] = ()
    terms: tuple[Term, ...] = ()
    sort: Sort = Sort.DEFAULT
    is_reversed: bool = False


#: Where a row stands in a view: its sort values, the id last. Opaque to callers.
Key = tuple[object, ...]


class Row(NamedTuple):
    """A job in a list together with its key in that list's order."""

    key: Key
    job: Job


class Page(NamedTuple):
    """The first rows of a view, and the text that they were read from: opaque to callers."""

    text: str = ""
    rows: tuple[Row, ...] = ()


#: Rows that were read before, by job id: those that did not change are not made again. Opaque to callers.
RowCache = dict[int, tuple[object, Row]]


class Waiting(NamedTuple):
    """Why a pending job is not running: the phase and one line of text; ``until`` is when time alone ends the wait.

    ``is_stuck`` when no living worker claims jobs of its queue.
    """

    phase: Phase
    reason: str
    until: datetime | None = None
    is_stuck: bool = False


class Dependency(NamedTuple):
    """That job ``job_id`` waits, or until it was met waited, for job ``on_id``."""

    job_id: int
    on_id: int
    kind: EdgeKind
    is_met: bool


class Tree(NamedTuple):
    """What a job waits for and what waits for it, as far as some hundred jobs; ``root`` is the job that was asked for.

    ``edges`` may lead to jobs that are not among ``jobs``: it is bounded.
    """

    root: int
    jobs: Mapping[int, Job]
    edges: tuple[Dependency, ...]


class Minute(NamedTuple):
    """What happened in one minute, over all queues; ``run_s`` and ``wait_s`` are sums over the attempts that ended."""

    at: datetime
    enqueued: int
    succeeded: int
    failed: int
    dead: int
    run_s: float
    wait_s: float


class CompletedRun(NamedTuple):
    """The successful run of a completed job: the start of its command, how long it took, and when the job ended."""

    command: str
    run_s: float
    ended_at: datetime


class Metrics(NamedTuple):
    """A window's totals. Percentiles are seconds, read from a histogram with steps of 19 %, ``None`` without data."""

    window_s: int
    enqueued: int
    succeeded: int
    failed: int
    dead: int
    per_s: float
    success_share: float | None
    wait_p50_s: float | None
    wait_p95_s: float | None
    run_p50_s: float | None
    run_p95_s: float | None


class Totals(NamedTuple):
    """What happened since the database was made; no prune lowers a number.

    ``enqueued`` and ``attempts_started`` are exact; of the others a worker that is killed loses its last moment.
    ``run_s`` and ``wait_s`` are sums; histograms pair a bucket of ``core.rules.histogram`` with its number of attempts.
    """

    enqueued: int
    attempts_started: int
    succeeded: int
    failed: int
    dead: int
    run_s: float
    wait_s: float
    run_histogram: tuple[tuple[int, int], ...]
    wait_histogram: tuple[tuple[int, int], ...]


class Finding(NamedTuple):
    """One line of ``doctor``: ``level`` is ``ok``, ``warning`` or ``error``; ``advice`` says what to do."""

    level: str
    check: str
    message: str
    advice: str = ""


class DeadGroup(NamedTuple):
    """The dead jobs that share a ``fingerprint``; ``None`` is the group of those whose output was not looked at yet.

    ``number`` is how many they are, ``first_at`` and ``last_at`` when the first and last died, ``queues`` their queues
    by name, ``hours`` how many died in each of the last 24 hours, the current one last; ``sample`` is the newest job.
    """

    fingerprint: int | None
    number: int
    first_at: datetime
    last_at: datetime
    queues: tuple[str, ...]
    hours: tuple[int, ...]
    sample: Job


class Decision(NamedTuple):
    """What follows an outcome: the job's next state and its counters. ``delay_ms`` counts from now, 0 is due now."""

    state: State
    attempts: int
    interrupts: int
    delay_ms: int = 0
    reason: str | None = None


class Ending(NamedTuple):
    """How an attempt ended, as its worker saw it; ``core.rules.states.decide`` says what follows."""

    outcome: Outcome
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    run_ms: int | None = None
    ended_at_ms: int | None = None
    output: bytes | None = None
    output_bytes: int = 0
    cpu_ms: int | None = None
    max_rss_bytes: int | None = None
    last_line: str | None = None
    fingerprint: int | None = None
