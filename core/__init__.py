"""queuectl as a library: a durable queue for shell commands on SQLite.

    from core import Queue, Worker

    with Queue("jobs.db") as queue:
        job = queue.enqueue("echo hello", max_attempts=5)
        Worker(queue, slots=4, drain=True).run()
        print(queue.job(job.id).state, queue.output(job.id).read(0, 1000))

Names are loaded when they are first used, so that a program pays only for what it needs.
"""

from __future__ import annotations

from core.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.errors import (
        DatabaseError,
        InvalidTransition,
        JobNotFound,
        NameTaken,
        OutputUnavailable,
        QueueError,
        Refused,
        UsageError,
    )
    from core.execution.worker import StopMode, Worker
    from core.model import (
        Act,
        Attempt,
        Counts,
        Event,
        Job,
        NewJob,
        Outcome,
        Phase,
        Sort,
        State,
        Term,
        View,
        WorkerInfo,
    )
    from core.output import Output
    from core.queue import Queue
    from core.spool import default_database

_HOME = {
    "core.errors": (
        "DatabaseError",
        "InvalidTransition",
        "JobNotFound",
        "NameTaken",
        "OutputUnavailable",
        "QueueError",
        "Refused",
        "UsageError",
    ),
    "core.model": (
        "Act",
        "Attempt",
        "Counts",
        "Event",
        "Job",
        "NewJob",
        "Outcome",
        "Phase",
        "Sort",
        "State",
        "Term",
        "View",
        "WorkerInfo",
    ),
    "core.output": ("Output",),
    "core.queue": ("Queue",),
    "core.spool": ("default_database",),
    "core.execution.worker": ("StopMode", "Worker"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Act",
    "Attempt",
    "Counts",
    "DatabaseError",
    "Event",
    "InvalidTransition",
    "Job",
    "JobNotFound",
    "NameTaken",
    "NewJob",
    "Outcome",
    "Output",
    "OutputUnavailable",
    "Phase",
    "Queue",
    "QueueError",
    "Refused",
    "Sort",
    "State",
    "StopMode",
    "Term",
    "UsageError",
    "View",
    "Worker",
    "WorkerInfo",
    "__version__",
    "default_database",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value
