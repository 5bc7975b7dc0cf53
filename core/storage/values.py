"""What goes into a storage and comes out of it beside the words of ``core.model``: frozen values, no I/O."""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.model import Decision, Ending, Job
from core.process_place import Place
from core.rules.settings import Settings


class Selection(NamedTuple):
    """The jobs that a verb is for. Of a ``is_single`` one, a state that forbids the verb is an error."""

    ids: Sequence[int]
    is_single: bool = False


class Registration(NamedTuple):
    """A worker's entry in the register: its ``id``, and the descriptor whose lock says that it lives.

    Commands must not inherit the ``lock``; closing it, in every process that has it, says that the worker is dead.
    """

    id: int
    lock: int


class Claim(NamedTuple):
    """A job that was just claimed, with what is needed to run it. ``job`` is running, its attempts are counted.

    ``stop_asked_ms`` is when a user first wanted an adopted one stopped, in unix milliseconds. ``units`` are the
    numbers that it was given of each resource that it needs.
    """

    job: Job
    attempt_id: int
    number: int
    environment_id: int
    started_ms: int
    stop_requested: str | None = None
    stop_asked_ms: int | None = None
    units: Mapping[str, Sequence[int]] = {}


class Recorded(NamedTuple):
    """An ending that was written, and what follows for its job."""

    claim: Claim
    ending: Ending
    decision: Decision


class ClaimCapacity(NamedTuple):
    """What a worker may claim: as many jobs as it has free ``slots``, of these ``queues`` (none: of all)."""

    worker_id: int
    slots: int = 0
    queues: Sequence[str] = ()


class StepTerms(NamedTuple):
    """On what terms a step is written: the settings that decide about retries, and how soon it must be on the disk.

    ``is_durable`` syncs the transaction, and all before it, to the disk; ``is_rolled_up`` adds what was counted since
    the last time to the totals by minute, which else grow in memory.
    """

    settings: Settings
    is_durable: bool = True
    is_rolled_up: bool = True


class StepResult(NamedTuple):
    """What one step wrote, and when the next delayed job is due, in unix milliseconds; past if more are due by now.

    ``refusal`` is the system's error that ended the claiming early: ``before_commit`` raised it.
    """

    recorded: Sequence[Recorded]
    claimed: Sequence[Claim]
    next_due_ms: int | None
    refusal: OSError | None = None


class OpenAttempt(NamedTuple):
    """An open attempt of another worker: its job, where its command was started, whether it is to be stopped.

    ``may_lack_file``: its worker may not have come to make its run file; without one nothing was started.
    """

    id: int
    worker_id: int
    job_id: int
    stop_requested: str | None
    place: Place | None
    may_lack_file: bool = False


class HostSeen(NamedTuple):
    """Another host as one look at the register found it: its ``renewals`` count up for as long as it lives."""

    id: int
    name: str
    renewals: int
    lease_s: float
    is_own_spool: bool


class HostLook(NamedTuple):
    """One look at the register of hosts: those that live, but for the one that looks.

    ``server_life`` changes whenever the server was started again: what was seen before that proves nothing. On one
    that is not ``is_known`` nothing is claimed: it took another's place, and may lack the last claims. If it
    ``is_synchronous`` it lacks none.
    """

    others: Sequence[HostSeen]
    server_life: str
    is_known: bool = True
    is_synchronous: bool = False


class SharedOutput(NamedTuple):
    """What readers on other hosts may read of an output: spans from start to end, in bytes; ``host`` has all of it."""

    host: str
    spans: Sequence[tuple[int, int]]
