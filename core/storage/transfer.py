"""What leaves a queue: records for an export, and its parts as plain rows, the same on each engine, for a move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from core.model import Job
from core.records import JobRecord, StoredEnvironment
from core.rules.job_fields import JobRow

#: A row of a part: ``None``, ``int``, ``float``, ``str`` and ``bytes`` in the order of its columns.
Record = tuple[Any, ...]


class Part(NamedTuple):
    """The rows of one kind; the first ``key_length`` of the ``columns`` are the key, in whose order they are read.

    ``chunk`` is how many are read and written at once.
    """

    name: str
    key_length: int
    columns: tuple[str, ...]
    chunk: int = 1000

    def key_of(self, record: Record) -> Record:
        """Return the key of a row."""
        return record[: self.key_length]


# what a new job has, and what became of it
_OF_A_JOB = (
    "environment_id state run_at backoff_ms attempts interrupts starts enqueued_at due_at since attempt_id started_at"
    " finished_at run_ms outcome exit_code signal error cpu_ms max_rss_bytes last_line fingerprint purged_from"
    " purged_name"
)
_ATTEMPT = (
    "id job_id number worker_id started_at ended_at run_ms outcome exit_code signal error stop_requested output_bytes"
    " cpu_ms max_rss_bytes last_line fingerprint units"
)

SETTINGS = Part("settings", 1, ("key", "value"))
QUEUES = Part("queues", 1, ("name", "is_paused", "running_limit", "on_lost_host"))
RESOURCES = Part("resources", 1, ("name", "capacity", "is_per_host"))
ENVIRONMENTS = Part("environments", 1, ("id", "digest", "mode", "variables", "left_out"), 100)
#: A job's ``state`` and ``run_at`` are as the queue speaks of them. None of them runs.
JOBS = Part("jobs", 1, ("id", *(name for name in JobRow._fields if name != "run_at"), *_OF_A_JOB.split()))
#: Ended attempts; ``output`` is ``None`` for one that is in a file or not there at all.
ATTEMPTS = Part("attempts", 1, (*_ATTEMPT.split(), "output"), 200)
#: The same without what their commands wrote: for a look whether they changed.
ATTEMPTS_ALONE = Part("attempts", 1, tuple(_ATTEMPT.split()))
#: What a job waits or waited for.
DEPENDENCIES = Part("dependencies", 2, ("job_id", "on_id", "kind", "is_met"))
ACTS = Part("acts", 1, ("id", "verb", "at", "n", "undone_at"))
HISTORY = Part("history", 2, ("act_id", "job_id", "before"))
HOOKS = Part(
    "hooks",
    1,
    ("id", "event", "queue", "command", "window_ms", "cwd", "environment_id", "added_at", "gathering"),
)
HOOK_EVENTS = Part("hook_events", 2, ("hook_job_id", "attempt_id", "line"))
SCHEDULES = Part(
    "schedules",
    1,
    (
        *(
            "id",
            "name",
            "cron",
            "every_ms",
            "zone",
            "anchor_at",
            "job",
            "environment_id",
            "missed",
            "overlap",
            "next_at",
        ),
        *("added_at", "last_job_id", "note"),
    ),
)
OCCURRENCES = Part("occurrences", 2, ("schedule_id", "due_at", "decided_at", "job_id", "why"))
#: The acts of which one job was replayed before the others, with that job; and which jobs wait for which of these acts.
CANARIES = Part("canaries", 1, ("act_id", "job_id"))
CANARY_JOBS = Part("canary_jobs", 1, ("job_id", "act_id"))
MINUTES = Part("minutes", 1, ("minute", "enqueued", "succeeded", "failed", "dead", "run_ms", "wait_ms"))
#: Ended jobs of which not all consequences are drawn.
SETTLING = Part("settling", 1, ("id", "job_id", "attempt_id", "event", "has_edges", "is_end"))
DURATIONS = Part("durations", 3, ("minute", "kind", "bucket", "n"))
#: Whether all is paused, and the sums of old minutes, by key; what is 0 has no row.
FACTS = Part("facts", 1, ("key", "value"))
#: The last number that was given to a job, attempt, act and worker, by those names (plural); 0 before the first.
SEQUENCES = Part("sequences", 1, ("name", "last"))

#: All of them; what is referred to comes before what refers to it.
PARTS = (
    SETTINGS,
    QUEUES,
    RESOURCES,
    ENVIRONMENTS,
    JOBS,
    ATTEMPTS,
    DEPENDENCIES,
    ACTS,
    HISTORY,
    HOOKS,
    HOOK_EVENTS,
    SCHEDULES,
    OCCURRENCES,
    CANARIES,
    CANARY_JOBS,
    SETTLING,
    MINUTES,
    DURATIONS,
    FACTS,
    SEQUENCES,
)


class Records(Protocol):
    """Reads for an export."""

    def records(self, jobs: Sequence[Job]) -> list[JobRecord]:
        """Return the records of jobs that were just read, in their order; a job removed since is left out."""

    def environments(self, ids: Iterable[int]) -> list[StoredEnvironment]:
        """Return captured environments, by id, unmasked; an id that is not there is left out."""


class TransferState(NamedTuple):
    """Which part in a move a queue has: where it is now if it was moved away, or from where it is being filled.

    ``is_used`` if it has, or ever had, jobs; ``open_attempts`` counts those that have not ended.
    """

    moved_to: str | None
    filled_from: str | None
    is_used: bool
    open_attempts: int


class Transfer(Protocol):
    """A whole queue as rows of these parts, for a move to or from another engine.

    While a queue is filled, and once it was moved away, all who add jobs, run them or act on them get
    ``DatabaseMoved``; reading goes on.
    """

    def state(self) -> TransferState:
        """Return which part in a move this queue has."""

    def check_rights(self) -> None:
        """Raise ``DatabaseReadOnly`` if this user may not mark this queue as moved, which ``hand_over`` does."""

    def read(self, part: Part, after: Record | None, until: Record | None, limit: int) -> list[Record]:
        """Return up to ``limit`` rows of a part behind one key, up to another and with it, by key."""

    def write(self, part: Part, records: Sequence[Record], gone: Sequence[Record]) -> None:
        """Store these rows in place of those with their keys, and remove those whose keys are ``gone``.

        For a queue that ``begin`` has marked.
        """

    def derive(self, enqueued: int) -> None:
        """Derive what is in no part once all of them are written; ``enqueued`` is how many jobs there ever were."""

    def begin(self, source: str) -> None:
        """Mark this queue as being filled from the one at ``source``."""

    def finish(self) -> None:
        """Let others use this queue, which is filled."""

    def hand_over(self, target: str, last_look: Callable[[], None]) -> None:
        """Call ``last_look`` while no other can write, then mark this queue as moved to ``target``.

        ``last_look`` may read this queue, may be called again if the connection breaks, and prevents all if it raises.
        """
