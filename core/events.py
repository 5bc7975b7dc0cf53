"""What a worker tells about its work: facts, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from core.model import Decision, Ending, Job


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """The worker holds its lock and looks for jobs."""

    worker_id: int
    slots: int


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A command runs. ``job`` is as claimed: its ``attempts`` counts this attempt."""

    job: Job
    attempt_id: int
    number: int


@dataclass(frozen=True, slots=True)
class AttemptAdopted:
    """A command that a dead worker started is watched by this one now."""

    job: Job
    attempt_id: int
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt's ending is recorded, and so is what follows. ``job`` is as it was while it ran."""

    job: Job
    attempt_id: int
    number: int
    ending: Ending
    decision: Decision


@dataclass(frozen=True, slots=True)
class SpawningPaused:
    """The system refuses new processes or files; claimed jobs went back, the worker waits ``for_s`` seconds."""

    reason: str
    for_s: float


@dataclass(frozen=True, slots=True)
class StorageTrouble:
    """The database cannot be written just now; results are kept and tried again."""

    message: str


@dataclass(frozen=True, slots=True)
class StorageRecovered:
    """The database takes writes again."""


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """An error inside one turn of the loop; the loop goes on."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class WorkerStopping:
    """The worker claims no more; ``mode`` is ``drain``, ``now`` or ``detach``, ``running`` what it still has."""

    mode: str
    running: int


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """The worker gave up its lock; ``detached`` commands go on without it."""

    worker_id: int
    detached: int


WorkerEvent = Union[  # noqa: UP007 - an alias that 3.10 evaluates at import
    WorkerStarted,
    AttemptStarted,
    AttemptAdopted,
    AttemptEnded,
    SpawningPaused,
    StorageTrouble,
    StorageRecovered,
    LoopFailed,
    WorkerStopping,
    WorkerStopped,
]
