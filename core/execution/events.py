"""What a worker reports about its work: facts, in the past tense."""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from typing import NamedTuple, Union

from core.model import Decision, Ending, Job


class WorkerStarted(NamedTuple):
    """The worker holds its lock and looks for jobs."""

    worker_id: int
    slots: int


class AttemptStarted(NamedTuple):
    """A command runs. ``job`` is as claimed: its ``attempts`` counts this attempt."""

    job: Job
    attempt_id: int
    number: int


class AttemptAdopted(NamedTuple):
    """A command that a dead worker started is watched by this one now."""

    job: Job
    attempt_id: int
    number: int


class AttemptEnded(NamedTuple):
    """An attempt's ending is recorded, with the decision that followed. ``job`` is the job while it ran."""

    job: Job
    attempt_id: int
    number: int
    ending: Ending
    decision: Decision


class CommandOutOfReach(NamedTuple):
    """A command is to be stopped that was started in another pid namespace (container): no signal can be sent to it.

    It is watched until it ends.
    """

    job: Job
    attempt_id: int
    number: int


class SpawningPaused(NamedTuple):
    """The system refuses new processes or files; claimed jobs went back.

    For ``for_s`` seconds the worker runs no more commands at once than the system left it.
    """

    reason: str
    for_s: float


class StorageTrouble(NamedTuple):
    """The database cannot be written just now; results are kept and tried again."""

    message: str


class StorageRecovered(NamedTuple):
    """The database can be written again."""


class LockFileRemoved(NamedTuple):
    """The worker's lock file was gone from the spool, and was made again.

    Of the ``running`` commands the run files may be gone, too: if this worker is killed, their results are not known.
    """

    spool: str
    running: int


class RecoveryBlocked(NamedTuple):
    """Attempts of other workers may be running or lost, which cannot be seen: why, and what to do."""

    message: str


class RecoveryUnblocked(NamedTuple):
    """No attempts are in doubt any more."""


class HostGivenUp(NamedTuple):
    """Other hosts gave this one up, since its lease was not renewed: its commands were ended, their jobs run again."""


class OtherHostGivenUp(NamedTuple):
    """Another host had not renewed its lease for as long as that is: its running jobs are lost, and run again."""

    name: str
    host_id: int


class ServerReplaced(NamedTuple):
    """The database's server failed over to another, which may lack the last claims: none are made for ``wait_s``."""

    wait_s: float


class LoopFailed(NamedTuple):
    """An error inside one step of the loop; the loop goes on."""

    error: BaseException


class WorkerStopping(NamedTuple):
    """The worker claims no more; ``mode`` is ``drain``, ``now`` or ``detach``, ``running`` what it still has."""

    mode: str
    running: int


class WorkerStopped(NamedTuple):
    """The worker gave up its lock; ``detached`` commands go on without it."""

    worker_id: int
    detached: int


WorkerEvent = Union[  # noqa: UP007 - an alias that 3.10 evaluates at import
    WorkerStarted,
    AttemptStarted,
    AttemptAdopted,
    AttemptEnded,
    CommandOutOfReach,
    SpawningPaused,
    StorageTrouble,
    StorageRecovered,
    LockFileRemoved,
    RecoveryBlocked,
    RecoveryUnblocked,
    HostGivenUp,
    OtherHostGivenUp,
    ServerReplaced,
    LoopFailed,
    WorkerStopping,
    WorkerStopped,
]
