"""Every error that queuectl raises on purpose, in one tree.

    QueueError
    ├── UsageError               a bad argument: option, number, duration, setting
    ├── JobNotFound              no job has this id or name
    ├── Refused                  there is nothing to act on, or its condition forbids the act; nothing changed
    │   └── BatchRefused         the jobs of a batch wait for each other in a way that cannot be; nothing was added
    ├── InvalidTransition        the job's state does not allow this move; nothing changed
    ├── NameTaken                a job of this name exists
    ├── QueueNotFound            no queue has this name
    ├── WorkerNotFound           no worker has this id
    ├── ScheduleNotFound         no schedule has this name
    ├── HookNotFound             no hook has this id
    ├── OutputUnavailable        the attempt has no output to read (yet, or any more)
    ├── Interrupted              a read was given up, as ``give_up`` of ``Queue.snapshot`` asked for
    └── DatabaseError            the file behind the queue
        ├── DatabaseMissing      nothing at this path, and creating was not asked for
        ├── NotOurDatabase       not SQLite, or another application's; never touched
        ├── DatabaseTooNew       written by a newer queuectl
        ├── DatabaseCorrupt      SQLite says the file is damaged
        ├── DatabaseReplaced     deleted or replaced while open; nothing was acknowledged
        ├── DatabaseClosed       used after close()
        ├── DatabaseMoved        the queue was moved to another database, or is filled from one
        ├── DatabaseReadOnly     file, directory or connection cannot be written
        ├── DatabaseBusy         another process held the write lock for longer than the busy timeout
        └── DiskFull             no room left; nothing was changed

Each message is one line that says what is wrong and what to do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class QueueError(Exception):
    """Base of all errors that queuectl raises on purpose; the message is one line."""


class UsageError(QueueError):
    """An option, number, duration or setting is not of the form asked for."""


class JobNotFound(QueueError):
    """No job has this id or name; ``place`` is where in a batch it was asked for."""

    def __init__(self, reference: int | str, place: str = "") -> None:
        text = str(reference)
        missing = f"no job {text if len(text) <= 200 else text[:200] + '…'}"
        if place:
            super().__init__(f"{place}: {missing} in this batch or before it; nothing was added; see 'queuectl list'")
        else:
            super().__init__(f"{missing}; see 'queuectl list'")
        self.reference = reference


class Refused(QueueError):
    """There is nothing to act on, or its condition forbids the act; nothing was changed."""


class BatchRefused(Refused):
    """Jobs of a batch cannot wait for each other as they say; nothing was added.

    ``words`` are those of the reason, in which a whole number is a job's place in the batch, counted from 0.
    """

    def __init__(self, words: Iterable[str | int]) -> None:
        self.words = tuple(words)
        super().__init__(self.placed(lambda position: f"job {position + 1}"))

    def placed(self, name: Callable[[int], str]) -> str:
        """Return the reason with each place in the batch as ``name`` puts it."""
        return "".join(word if isinstance(word, str) else name(word) for word in self.words)


class InvalidTransition(QueueError):
    """A verb does not work on a job in its present state; nothing was changed."""

    def __init__(self, job_id: int, state: str, verb: str, hint: str = "") -> None:
        super().__init__(f"cannot {verb} job {job_id}: it is {state}" + (f"; {hint}" if hint else ""))
        self.job_id = job_id
        self.state = state
        self.verb = verb


class NameTaken(QueueError):
    """A job of this name exists already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a job named {name!r} exists already; choose another name")
        self.name = name


class QueueNotFound(QueueError):
    """No queue has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no queue {name!r}; see 'queuectl queue list'")
        self.name = name


class WorkerNotFound(QueueError):
    """No worker has this id."""

    def __init__(self, worker_id: int) -> None:
        super().__init__(f"no worker {worker_id}; see 'queuectl worker list'")
        self.worker_id = worker_id


class ScheduleNotFound(QueueError):
    """No schedule has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no schedule {name!r}; see 'queuectl schedule list'")
        self.name = name


class HookNotFound(QueueError):
    """No hook has this id."""

    def __init__(self, hook_id: int) -> None:
        super().__init__(f"no hook {hook_id}; see 'queuectl hook list'")
        self.hook_id = hook_id


class OutputUnavailable(QueueError):
    """The attempt has no output that could be read."""


class Interrupted(QueueError):
    """A read was given up, as its ``give_up`` function asked for; see ``Queue.snapshot``."""


class DatabaseError(QueueError):
    """The file behind the queue cannot be used as asked."""


class DatabaseMissing(DatabaseError):
    """Nothing is at this path, and creating it was not asked for."""


class NotOurDatabase(DatabaseError):
    """The file is not SQLite, or belongs to another application; it was not touched."""


class DatabaseTooNew(DatabaseError):
    """The file was written by a newer queuectl."""


class DatabaseCorrupt(DatabaseError):
    """SQLite reports damage in the file."""


class DatabaseReplaced(DatabaseError):
    """The file at the path is no longer the one that was opened; nothing was acknowledged.

    ``is_deleted`` when no file is there any more.
    """

    def __init__(self, message: str, *, is_deleted: bool = False) -> None:
        super().__init__(message)
        self.is_deleted = is_deleted


class DatabaseClosed(DatabaseError):
    """A queue or database was used after its ``close``; nothing was changed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the queue at {path} was closed; open it again with Queue({path!r})")
        self.path = path


class DatabaseMoved(DatabaseError):
    """The queue was moved to another database, or this one is not whole yet; nothing was changed.

    A database says so itself, in the text of an engine's error, which begins with ``MARK``.
    """

    MARK = "queuectl moved: "


class DatabaseReadOnly(DatabaseError):
    """The file, its directory or this connection cannot be written."""


class DatabaseBusy(DatabaseError):
    """Another process held the write lock for longer than the busy timeout."""


class DiskFull(DatabaseError):
    """No room is left on the disk; nothing was changed."""


def may_pass(error: QueueError) -> bool:
    """Return whether the same may succeed later: a lock was held, a disk full, a system short of something or away."""
    return type(error) in (DatabaseError, DatabaseBusy, DiskFull)
