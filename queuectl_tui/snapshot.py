"""One frozen picture of everything the dashboard shows. Pure.

Here and in the rest of the dashboard values are named tuples: to make a dataclass costs a start four times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from core.errors import QueueError
from core.model import (
    Attempt,
    Counts,
    DeadGroup,
    Dependency,
    Event,
    Job,
    Minute,
    QueueInfo,
    Row,
    State,
    Tree,
    View,
    Waiting,
    WorkerInfo,
)
from core.rules.views import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.model import ResourceInfo
    from core.rules.estimates import ReportedProgress
    from core.rules.schedules import ScheduleInfo


class Pane(Enum):
    """One of the four lists; the value is the digit that focuses it."""

    PENDING = 1
    RUNNING = 2
    COMPLETED = 3
    DLQ = 4

    @property
    def title(self) -> str:
        """Return the name that stands in the pane's title line."""
        return "DLQ" if self is Pane.DLQ else self.name.capitalize()

    @property
    def states(self) -> tuple[State, ...]:
        """Return the states whose jobs stand in this pane."""
        return _STATES[self]


_STATES: Mapping[Pane, tuple[State, ...]] = {
    Pane.PENDING: (State.PENDING,),
    Pane.RUNNING: (State.RUNNING,),
    Pane.COMPLETED: DONE,
    Pane.DLQ: (State.DEAD,),
}


class PaneData(NamedTuple):
    """Rows ``start`` to ``start + len(rows)`` of a list of ``total`` jobs, in the order of ``view``.

    ``is_counted`` is false while a filter's total is still being counted; ``total`` is then what is known so far.
    ``searched`` is the share of all outputs, 0 to 1, in which the filter's ``output:`` was looked for. ``notes`` say by
    id what a blocked job waits for, and how many wait for a dead one; ``canaries`` for which one a dead job waits.
    """

    total: int
    start: int
    rows: tuple[Row, ...]
    view: View
    is_counted: bool = True
    searched: float = 1.0
    notes: Mapping[int, str] = MappingProxyType({})
    canaries: Mapping[int, int] = MappingProxyType({})


class Rates(NamedTuple):
    """How fast things go: jobs ended a second, share of attempts that failed, seconds until nothing waits."""

    per_s: float = 0.0
    failure_share: float | None = None
    eta_s: float | None = None


class RunProgress(NamedTuple):
    """How far a running job says it has come, and how long runs of its command usually take, from so many ``runs``."""

    progress: ReportedProgress | None = None
    usual_s: float | None = None
    runs: int = 0


class Readable(Protocol):
    """An attempt's output, wherever its bytes are (``core.output.Output``); ``path`` is its file while it is one."""

    @property
    def attempt(self) -> Attempt: ...
    @property
    def path(self) -> str | None: ...
    def size(self) -> int: ...
    def read(self, offset: int, length: int) -> bytes: ...


class FoundLine(NamedTuple):
    """A line of an output that shows what a filter looks for: its number, from 1, and what stands around the first hit.

    ``hits`` are where in ``text`` it was found; ``is_cut`` says that the line begins before it.
    """

    number: int
    text: str
    hits: tuple[tuple[int, int], ...]
    is_cut: bool = False


class Found(NamedTuple):
    """The first lines of an attempt's output that show what a filter looks for, and how many do in ``total``.

    ``is_all`` is false while the rest of the output is still being searched, and where there are too many to count.
    """

    attempt: int
    lines: tuple[FoundLine, ...]
    total: int
    is_all: bool = True


class JobDetail(NamedTuple):
    """The job under the cursor with all that detail and output show; ``number`` is the attempt with this output.

    ``compared_with`` is the attempt that ``output`` compares it with, ``None`` when ``output`` is its own.
    ``environment`` has secrets masked, and ``None`` for what was left to the worker. ``tree`` is what waits for what
    around it, ``None`` while that is not shown. ``canary`` is the job whose completion has a dead one replayed.
    ``edges`` are those by which a pending job waits, ``None`` where they are too many to be edited. ``found`` is what
    a filter found in the newest of its outputs that has it, ``None`` while nothing is looked for, or found.
    """

    job: Job
    attempts: tuple[Attempt, ...] = ()
    history: tuple[Event, ...] = ()
    waiting: Waiting | None = None
    number: int | None = None
    output: Readable | None = None
    environment: Mapping[str, str | None] = MappingProxyType({})
    compared_with: int | None = None
    tree: Tree | None = None
    canary: int | None = None
    edges: tuple[Dependency, ...] | None = ()
    found: Found | None = None


class Plan(NamedTuple):
    """What is to run again and again, and what jobs share while they run; both by name."""

    schedules: tuple[ScheduleInfo, ...] = ()
    resources: tuple[ResourceInfo, ...] = ()


class Snapshot(NamedTuple):
    """Everything the dashboard shows, read in one go at ``taken_at``; ``minutes`` are newest last.

    ``own_worker_id`` is the worker inside this process.
    ``error`` is what went wrong when it was read; the rest is then the last good data. ``write_error`` is what a write
    would meet. ``next_due_at`` is when the next of the delayed jobs becomes due. ``progress`` has by id what is known
    of the running jobs that are shown, at most a second old.
    ``groups`` are those of the dead jobs, the largest first; ``None`` while they are not shown. ``queue_rates`` are
    jobs ended a second by queue, of those that have any; empty while nothing shows them.
    ``plan`` is ``None`` while it is not shown.
    """

    taken_at: datetime
    counts: Counts
    queues: tuple[QueueInfo, ...]
    is_paused: bool
    workers: tuple[WorkerInfo, ...]
    minutes: tuple[Minute, ...]
    rates: Rates
    oldest_pending_at: datetime | None
    panes: Mapping[Pane, PaneData]
    detail: JobDetail | None = None
    error: str | None = None
    write_error: QueueError | None = None
    own_worker_id: int | None = None
    next_due_at: datetime | None = None
    progress: Mapping[int, RunProgress] = MappingProxyType({})
    groups: tuple[DeadGroup, ...] | None = None
    queue_rates: Mapping[str, float] = MappingProxyType({})
    plan: Plan | None = None

    def frame(self) -> tuple[object, ...]:
        """Return all but the lists and the detail: while it stays equal, only time moves what stands around them."""
        return (
            *(self.counts, self.queues, self.is_paused, self.workers, self.minutes),
            *(self.rates, self.oldest_pending_at, self.error, self.write_error),
            self.own_worker_id,
        )


def empty_snapshot(now: datetime) -> Snapshot:
    """Return the picture of a queue about which nothing is known yet."""
    panes = {pane: PaneData(0, 0, (), View(states=pane.states), is_counted=False) for pane in Pane}
    return Snapshot(now, Counts({}, {}), (), False, (), (), Rates(), None, panes)
