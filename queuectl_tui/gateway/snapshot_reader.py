"""Reads snapshots: a whole one, or of the last one only the parts that were requested since."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from core.errors import QueueError
from core.model import Counts, DeadGroup, Key, State, View
from core.queue import Queue
from queuectl_tui.gateway.detail_reader import DetailReader, DetailRequest
from queuectl_tui.gateway.meter import Meter, may_estimate
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.waits_reader import WaitsReader
from queuectl_tui.gateway.window import CostlyQuery, Wanted, Window
from queuectl_tui.snapshot import Pane, PaneData, Plan, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_tui.gateway.progress_reader import ProgressReader

#: How old the time of the oldest waiting job may be, in seconds: reading it looks at a thousand jobs.
OLDEST_S = 1.0
#: The same while no job changes its state.
OLDEST_CALM_S = 10.0
T = TypeVar("T")

#: Minutes of history in the chart.
MINUTES = 60


class OldestPending:
    """Remembers since when the longest waiting job has been due."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._read_s = -OLDEST_CALM_S
        self._counts: Counts | None = None
        self._at: datetime | None = None

    def at(self, counts: Counts) -> datetime | None:
        """Return since when the oldest waiting job has been due, ``None`` if none waits.

        It may be a second old while ``counts`` change, else ten seconds.
        """
        age_s = time.monotonic() - self._read_s
        had_any = self._counts is not None and _ready(self._counts) > 0
        is_due = age_s >= OLDEST_S and counts != self._counts
        if is_due or age_s >= OLDEST_CALM_S or had_any is not (_ready(counts) > 0):
            self._read_s, self._counts, self._at = time.monotonic(), counts, self._queue.oldest_pending_at()
        return self._at


class OnDemand(Generic[T]):
    """Reads something while it is shown, no more often than it can be afforded."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._query = CostlyQuery()
        self._known: T | None = None
        self._is_old = False
        self.is_shown = self.is_stale = False

    def show(self, is_shown: bool) -> None:
        """Read it from now on, or no longer."""
        self.is_shown = self.is_stale = is_shown
        self._known, self._is_old, self._query = None, False, CostlyQuery()

    @property
    def is_due(self) -> bool:
        """Return whether it is not the newest and may be read again."""
        return self._is_old and self._query.may_ask

    def read(self) -> T | None:
        """Return it, the same object while it is the same; ``None`` while it is not shown."""
        if not self.is_shown:
            return None
        found, is_fresh = self._query.ask("all", self._read)
        self._is_old, self.is_stale = not is_fresh, False
        if found != self._known:
            self._known = found
        return self._known

    def read_again(self, last: T | None) -> T | None:
        """Return it where it was requested since ``last``, which it was then; else that."""
        return self.read() if self.is_stale or not self.is_shown else last


class SnapshotReader:
    """Holds what is to be read of each list and of one job, and reads it; used by one thread, in a transaction."""

    def __init__(self, queue: Queue, finder: OutputFinder) -> None:
        self._queue = queue
        self._finder = finder
        self._windows = {pane: Window(pane) for pane in Pane}
        self._stale_panes: set[Pane] = set()
        self._detail = DetailReader(queue)
        self._groups: OnDemand[tuple[DeadGroup, ...]] = OnDemand(lambda: tuple(queue.dead_groups()))
        self._plan = OnDemand(lambda: Plan(tuple(queue.schedules()), tuple(queue.resources())))
        self._waits = WaitsReader(queue)
        self._meter = Meter()
        self._oldest = OldestPending(queue)
        self._progress: ProgressReader | None = None
        self._has_rates = self._are_rates_stale = False

    # --- what is to be read

    def show_view(self, pane: Pane, view: View) -> None:
        """Read another selection or order of a list, from its top."""
        self._windows[pane].set_view(view)
        self._finder.want(pattern for window in self._windows.values() for pattern in window.patterns)
        self._windows[pane].resolve(self._finder)
        self._stale_panes.add(pane)

    def take_found(self) -> None:
        """Read the lists again that show what was found in outputs."""
        for pane, window in self._windows.items():
            if window.patterns:
                window.resolve(self._finder)
                self._stale_panes.add(pane)

    def want(self, pane: Pane, wanted: Wanted) -> None:
        """Read other rows of a list."""
        self._windows[pane].want(wanted)
        self._stale_panes.add(pane)

    def hold(self, pane: Pane, key: Key | None) -> None:
        """Read the rows around the one with this key from now on, ``None`` the first ones."""
        window = self._windows[pane]
        if key is not None:
            window.want(window.wanted._replace(anchor=key))
        elif window.wanted.anchor is not None:
            self.want(pane, Wanted(0, window.wanted.length))

    def show_detail(self, request: DetailRequest | None) -> None:
        """Read the detail of this job."""
        self._detail.show(request)

    def show_groups(self, is_shown: bool) -> None:
        """Read the groups of dead jobs from now on, or no longer."""
        self._groups.show(is_shown)

    def show_plan(self, is_shown: bool) -> None:
        """Read the schedules and resources from now on, or no longer."""
        self._plan.show(is_shown)

    def show_queue_rates(self, is_shown: bool) -> None:
        """Read the rates of the queues now and with each snapshot, or no more."""
        self._has_rates = is_shown
        self._are_rates_stale = True

    def view(self, pane: Pane) -> View:
        """Return which jobs of a pane are read, in which order."""
        return self._windows[pane].read_view

    @property
    def is_stale(self) -> bool:
        """Return whether a list, a detail, the groups, the plan or the rates were requested and not read yet."""
        is_other_stale = self._groups.is_stale or self._plan.is_stale or self._are_rates_stale
        return bool(self._stale_panes) or self._detail.is_stale or is_other_stale

    @property
    def is_count_due(self) -> bool:
        """Return whether the total of a filtered list, the groups, the plan or notes are old and may be read again."""
        readers = (self._groups, self._plan, self._waits)
        is_other_due = any(reader.is_due for reader in readers)
        return is_other_due or any(window.is_count_due for window in self._windows.values())

    def forget_requests(self) -> None:
        """Drop all requests: after an error everything is read again."""
        self._stale_panes.clear()
        self._detail.found.give_up()
        self._detail.is_stale = self._groups.is_stale = self._plan.is_stale = self._are_rates_stale = False

    # --- reading

    def read_all(self, last: Snapshot, write_error: QueueError | None) -> Snapshot:
        """Return a new snapshot of everything; lists and detail equal to those in ``last`` are the same objects."""
        queue, now = self._queue, self._queue.now()
        second = int(now.timestamp())
        # read before what it is about: what becomes due between the two reads, the counts or the next look see
        next_due_at = queue.next_due_at()
        counts = queue.counts()
        minutes = tuple(queue.minutes(MINUTES))
        self._meter.feed(minutes, second)
        snapshot = Snapshot(
            taken_at=now,
            counts=counts,
            queues=tuple(queue.queues(counts)),
            is_paused=queue.is_paused(),
            workers=tuple(queue.workers()),
            minutes=minutes,
            rates=self._meter.rates(minutes, _ready(counts), second),
            oldest_pending_at=self._oldest.at(counts),
            panes=self._read_panes(counts, last),
            next_due_at=next_due_at,
            write_error=write_error,
            progress=last.progress,
            groups=self._groups.read(),
            queue_rates=self._read_rates(),
            plan=self._plan.read(),
        )
        self._stale_panes.clear()
        if not may_estimate(snapshot.queues, snapshot.is_paused, snapshot.workers):
            snapshot = snapshot._replace(rates=snapshot.rates._replace(eta_s=None))
        return snapshot._replace(detail=self._detail.read(last.detail, snapshot))

    def read_parts(self, last: Snapshot) -> Snapshot:
        """Return ``last`` with the lists and the detail that were requested since read anew; all else is kept."""
        panes = dict(last.panes)
        for pane in self._stale_panes:
            data = self._watched(self._windows[pane].read(self._queue, last.counts, is_changed=False))
            panes[pane] = self._waits.noted(pane, data, last.counts, last.panes.get(pane))
        self._stale_panes.clear()
        detail = self._detail.read(last.detail) if self._detail.is_stale else last.detail
        groups, plan = self._groups.read_again(last.groups), self._plan.read_again(last.plan)
        rates = self._read_rates() if self._are_rates_stale else last.queue_rates
        return last._replace(panes=panes, detail=detail, groups=groups, queue_rates=rates, plan=plan)

    def _read_rates(self) -> dict[str, float]:
        self._are_rates_stale = False
        return self._queue.queue_rates() if self._has_rates else {}

    @property
    def has_more_to_find(self) -> bool:
        """Return whether outputs of the shown job were not yet searched for what a filter looks for."""
        return self._detail.found.has_more

    def read_found(self, last: Snapshot) -> Snapshot:
        """Return ``last`` with what one more step found in the outputs of its shown job; itself for nothing new."""
        found, detail = self._detail.found, last.detail
        if detail is None or not found.step_if_due() or found.found == detail.found:
            return last
        return last._replace(detail=detail._replace(found=found.found))

    def read_progress(self, last: Snapshot) -> Snapshot:
        """Return ``last`` with the progress of its running jobs, itself when that is the same or under a second old."""
        if self._progress is None:
            if not last.counts.of(State.RUNNING):
                return last
            from queuectl_tui.gateway.progress_reader import ProgressReader  # patterns that a start need not compile

            self._progress = ProgressReader(self._queue)
        return self._progress.read(last)

    def _read_panes(self, counts: Counts, last: Snapshot) -> dict[Pane, PaneData]:
        """Read all lists: those that stand at their top together, of which only what changed is made."""
        windows, queue = self._windows, self._queue
        at_top = {pane: window for pane, window in windows.items() if window.is_at_top}
        wanted = [(window.view, window.wanted.length) for window in at_top.values()]
        found = queue.first_pages(wanted, [window.page for window in at_top.values()]) if wanted else ()
        pages = dict(zip(at_top, found, strict=True))
        panes = {}
        for pane, window in windows.items():
            data = window.show_page(pages[pane], counts) if pane in pages else window.read(queue, counts)
            panes[pane] = self._waits.noted(pane, self._watched(data), counts, last.panes.get(pane))
        return panes

    def _watched(self, data: PaneData) -> PaneData:
        """Return a pane's data with ``unwatched`` set on the running jobs that no living worker watches."""
        if data.view.states != Pane.RUNNING.states:
            return data
        jobs = self._queue.watched([row.job for row in data.rows])
        if all(job.unwatched is None for job in jobs):
            return data
        rows = tuple(row._replace(job=job) for row, job in zip(data.rows, jobs, strict=True))
        return data._replace(rows=rows)


def _ready(counts: Counts) -> int:
    """Return how many jobs wait, are due and could start."""
    return counts.of(State.PENDING) - counts.delayed - counts.blocked
