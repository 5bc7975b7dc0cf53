"""The reader thread: waits until something changed, reads one picture, and has one message in flight at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from core.errors import DatabaseBusy, DatabaseReplaced, Interrupted, JobNotFound, OutputUnavailable, QueueError
from core.model import Counts, Job, Key, State, View, Waiting
from core.queue import Queue
from queuectl_tui.gateway.meter import Meter
from queuectl_tui.gateway.window import Wanted, Window
from queuectl_tui.snapshot import JobDetail, Pane, PaneData, Snapshot, empty_snapshot

#: How often the reader looks whether another process committed, and how far apart two pictures are at least.
POLL_S = 0.05
SPACING_S = 0.1
#: How often it looks when nothing has changed for so long: looking is most of what an idle dashboard costs.
CALM_POLL_S = 0.1
CALM_AFTER_S = 10.0
#: A picture may take up to this share of the time.
LOAD_SHARE = 0.25
#: How long what a key asks for waits for the next key.
KEY_S = 0.01
#: How long to wait after an error.
RETRY_S = 0.5
#: How long a read may go on once something newer is wanted; twice as long each time, so that it ends some day.
PATIENCE_S = 0.03
#: How old the time of the oldest waiting job may be, which takes a look at a thousand jobs.
OLDEST_S = 1.0
#: The same while no job changes its state.
OLDEST_CALM_S = 10.0
#: How often to look whether workers died, while jobs run.
WATCH_S = 1.0
#: How often to look whether the database could be written, and for how long a lock must be held to be told of.
WRITE_CHECK_S = 1.0
LOCKED_S = 1.5
#: How long one look waits for a lock.
LOCK_PATIENCE_S = 0.02
#: Minutes of history in the chart.
MINUTES = 60


class DetailRequest(NamedTuple):
    """Which job's detail and which attempt's output are shown; no number means the newest attempt."""

    job_id: int
    number: int | None = None


class Reader:
    """Reads on its own thread and connection; ``on_news`` is called there whenever a new picture waits."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._on_news: Callable[[], bool] = lambda: False
        self._is_started = False
        self._condition = threading.Condition()
        self._is_stopping = False
        self._is_in_flight = False
        self._is_woken = True
        self._requests: list[Callable[[], None]] = []
        self._windows = {pane: Window(pane) for pane in Pane}
        self._dirty_panes: set[Pane] = set()
        self._detail_request: DetailRequest | None = None
        self._is_detail_dirty = False
        self._environment: tuple[int, dict[str, str | None]] = (0, {})
        self._meter = Meter()
        self._snapshot = empty_snapshot(queue.now())
        self._taken: Snapshot | None = None
        self._not_before_s = 0.0
        self._file_check_s = self._watch_check_s = self._write_check_s = 0.0
        self._write_error: QueueError | None = None
        self._next_due_at: datetime | None = None
        self._locked_since_s: float | None = None
        self._version: int | None = None
        self._last_error: str | None = None
        self._changed_s = time.monotonic()
        self._began_s = 0.0
        self._patience_s = PATIENCE_S
        self._is_unwanted = False
        self._oldest: tuple[float, Counts | None, datetime | None] = (-OLDEST_CALM_S, None, None)
        self._waits: tuple[tuple[object, ...] | None, Waiting | None] = (None, None)
        self.own_worker_id: Callable[[], int | None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="queuectl-reader", daemon=True)

    # --- called from any thread

    def start(self, on_news: Callable[[], bool] | None = None) -> None:
        """Begin to read, and tell of news from now on; before anybody wants to hear them the pictures just wait."""
        if on_news is not None:
            with self._condition:
                self._on_news = on_news
                self._is_woken = self._is_woken or self._snapshot is not self._taken
                self._condition.notify()
        if not self._is_started:
            self._is_started = True
            self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread and wait for it."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Look at the database now: this process has just committed."""
        with self._condition:
            self._is_woken = True
            self._condition.notify()

    def take(self) -> Snapshot:
        """Return the newest picture and let the reader make the next one."""
        with self._condition:
            self._is_in_flight = False
            if self._has_work():  # else it would wake only to fall asleep again
                self._condition.notify()
            self._taken = self._snapshot
            return self._snapshot

    def show_view(self, pane: Pane, view: View) -> None:
        """Show another selection or order in a pane."""
        self._request(lambda: self._set_view(pane, view), supersedes=True)

    def want(self, pane: Pane, wanted: Wanted) -> None:
        """Show other rows of a pane."""
        self._request(lambda: self._set_wanted(pane, wanted), supersedes=True)

    def hold(self, pane: Pane, key: Key | None) -> None:
        """Keep the pane's window at the row of this key while others come and go; ``None`` stays at the top."""
        self._request(lambda: self._set_anchor(pane, key))

    def show_detail(self, request: DetailRequest | None) -> None:
        """Show this job's detail and output."""
        self._request(lambda: self._set_detail(request), supersedes=True)

    def read_range(self, pane: Pane, start: int, length: int, on_read: Callable[[list[int]], None]) -> None:
        """Read the ids of a pane's rows; ``on_read`` gets them on the reader's thread."""
        self._request(lambda: on_read(self._queue.ids(self._windows[pane].view)[start : start + length]))

    def _request(self, change: Callable[[], None], *, supersedes: bool = False) -> None:
        """Do this on the reader's thread next; what ``supersedes`` ends a slow read that goes on now."""
        with self._condition:
            self._requests.append(change)
            self._is_unwanted = self._is_unwanted or supersedes
            self._condition.notify()

    # --- the reader's own thread

    def _set_view(self, pane: Pane, view: View) -> None:
        self._windows[pane].set_view(view)
        self._dirty_panes.add(pane)

    def _set_wanted(self, pane: Pane, wanted: Wanted) -> None:
        self._windows[pane].want(wanted)
        self._dirty_panes.add(pane)

    def _set_anchor(self, pane: Pane, key: Key | None) -> None:
        window = self._windows[pane]
        if key is None:
            if window.wanted.anchor is not None:
                window.want(Wanted(0, window.wanted.length))
                self._dirty_panes.add(pane)
            return
        window.want(window.wanted._replace(anchor=key))

    def _set_detail(self, request: DetailRequest | None) -> None:
        self._detail_request = request
        self._is_detail_dirty = True

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_stopping or self._has_work(), self._pause_s())
                if self._is_stopping:
                    return
                if self._requests:
                    # let the dashboard paint the key that asked first, and a held key ask once for all
                    self._condition.wait_for(lambda: self._is_stopping, KEY_S)
                requests, self._requests = self._requests, []
                self._is_unwanted = False
                is_in_flight, is_woken = self._is_in_flight, self._is_woken
            try:
                for change in requests:
                    change()
                if not is_in_flight:
                    self._read(is_woken)
            except Interrupted:
                self._patience_s *= 2
                self.wake()  # and read all that was not
            except Exception as error:  # the gateway's boundary: whatever it is, it is shown and the reader goes on
                self._fail(error)

    def _pause_s(self) -> float:
        return CALM_POLL_S if time.monotonic() - self._changed_s > CALM_AFTER_S else POLL_S

    def _has_work(self) -> bool:
        if self._is_in_flight:
            return False
        is_due = self._is_woken and time.monotonic() >= self._not_before_s
        return bool(self._requests or self._dirty_panes or self._is_detail_dirty or is_due)

    def _read(self, is_woken: bool) -> None:
        started_s = time.monotonic()
        self._began_s = started_s
        if started_s >= self._not_before_s and self._is_changed(is_woken):
            with self._queue.snapshot(self._gives_up):
                snapshot = self._read_all()
            self._last_error = None
            self._publish(snapshot)
            cost_s = time.monotonic() - started_s
            self._not_before_s = started_s + max(SPACING_S, cost_s / LOAD_SHARE)
        elif self._dirty_panes or self._is_detail_dirty:
            with self._queue.snapshot(self._gives_up):
                snapshot = self._read_parts()
            self._publish(snapshot)
        self._patience_s = PATIENCE_S

    def _gives_up(self) -> bool:
        """Tell whether what is being read is no longer wanted and has taken long enough; asked once a millisecond."""
        if self._is_stopping:
            return True
        return self._is_unwanted and time.monotonic() - self._began_s > self._patience_s

    def _is_changed(self, is_woken: bool) -> bool:
        """Tell whether anything may look different; also once a second while a rate or an error is shown."""
        self._check_file()
        version = self._queue.data_version()
        is_changed = is_woken or version != self._version or self._last_error is not None
        self._version = version
        if is_changed:
            self._changed_s = time.monotonic()
        if is_woken:
            with self._condition:
                self._is_woken = False
        return (
            self._is_write_error_changed()  # always asked: it is due by the clock alone
            or is_changed
            or self._is_ageing()
            or self._is_watch_changed()
            or any(window.is_count_due for window in self._windows.values())
        )

    def _is_ageing(self) -> bool:
        if self._next_due_at is not None and self._queue.now() >= self._next_due_at:
            return True  # a job has become due, and nobody may be there to commit anything about it
        snapshot = self._snapshot
        age_s = (self._queue.now() - snapshot.taken_at).total_seconds()
        return age_s >= 60 or (age_s >= 1 and snapshot.rates.per_s > 0)

    def _is_watch_changed(self) -> bool:
        """Tell, once a second while jobs run, whether a worker died or an unwatched command ended: neither commits."""
        now_s = time.monotonic()
        if now_s < self._watch_check_s or not self._snapshot.counts.of(State.RUNNING):
            return False
        self._watch_check_s = now_s + WATCH_S
        if tuple(self._queue.workers()) != self._snapshot.workers:
            return True
        shown = [row.job for row in self._snapshot.panes[Pane.RUNNING].rows if row.job.unwatched is not None]
        return bool(shown) and self._queue.watched(shown) != shown

    def _is_write_error_changed(self) -> bool:
        """Return whether what keeps the database from being written differs from what is shown; looks once a second.

        A lock is told of once it has been held for a while, by look after look: each alone may meet a long write.
        """
        now_s = time.monotonic()
        if now_s < self._write_check_s:
            return False
        self._write_check_s = now_s + WRITE_CHECK_S
        error = self._queue.write_error(LOCK_PATIENCE_S)
        if not isinstance(error, DatabaseBusy):
            self._locked_since_s = None
        elif self._locked_since_s is None or self._queue.data_version() != self._version:
            self._locked_since_s, error = now_s, None
        elif now_s - self._locked_since_s < LOCKED_S:
            error = None
        is_changed = str(error) != str(self._write_error)
        if is_changed:
            self._write_error = error
        return is_changed

    def _check_file(self) -> None:
        """Notice, once a second, that the file was deleted: whoever writes to it now writes into the void."""
        now_s = time.monotonic()
        if now_s < self._file_check_s:
            return
        self._file_check_s = now_s + 1.0
        self._queue.check_identity()

    def _read_all(self) -> Snapshot:
        queue, now = self._queue, self._queue.now()
        second = int(now.timestamp())
        # read before what it is about: what becomes due between the two reads, the counts or the next look see
        self._next_due_at = queue.next_due_at()
        counts = queue.counts()
        minutes = tuple(queue.minutes(MINUTES))
        self._meter.feed(minutes, second)
        waits = _ready(counts)
        panes = self._read_panes(counts)
        snapshot = Snapshot(
            taken_at=now,
            counts=counts,
            lanes=tuple(queue.lanes(counts)),
            is_paused=queue.is_paused(),
            workers=tuple(queue.workers()),
            minutes=minutes,
            rates=self._meter.rates(minutes, waits, second),
            oldest_pending_at=self._oldest_pending_at(counts),
            pulses=self._meter.pulses(),
            panes=panes,
            write_error=self._write_error,
            own_worker_id=self.own_worker_id(),
        )
        snapshot = snapshot._replace(detail=self._read_detail(snapshot))
        self._dirty_panes.clear()
        self._is_detail_dirty = False
        return snapshot

    def _read_panes(self, counts: Counts) -> dict[Pane, PaneData]:
        """Read all lists: those that stand at their top together, of which only what changed is made."""
        windows, queue = self._windows, self._queue
        at_top = {pane: window for pane, window in windows.items() if window.is_at_top}
        wanted = [(window.view, window.wanted.length) for window in at_top.values()]
        found = queue.first_pages(wanted, [window.page for window in at_top.values()]) if wanted else ()
        pages = dict(zip(at_top, found, strict=True))
        return {
            pane: self._watched(window.show_page(pages[pane], counts) if pane in pages else window.read(queue, counts))
            for pane, window in windows.items()
        }

    def _watched(self, data: PaneData) -> PaneData:
        """Return a list with what is to be known of running jobs that no living worker watches."""
        if data.view.states != Pane.RUNNING.states:
            return data
        jobs = self._queue.watched([row.job for row in data.rows])
        if all(job.unwatched is None for job in jobs):
            return data
        rows = tuple(row._replace(job=job) for row, job in zip(data.rows, jobs, strict=True))
        return data._replace(rows=rows)

    def _oldest_pending_at(self, counts: Counts) -> datetime | None:
        """Return since when the longest waiting job has been due.

        It is a second old at most while jobs change their states, ten while nothing but words about them is changed.
        """
        read_s, counted, _ = self._oldest
        age_s = time.monotonic() - read_s
        had_any = counted is not None and _ready(counted) > 0
        is_due = age_s >= OLDEST_S and counts != counted
        if is_due or age_s >= OLDEST_CALM_S or had_any is not (_ready(counts) > 0):
            self._oldest = (time.monotonic(), counts, self._queue.oldest_pending_at())
        return self._oldest[2]

    def _read_parts(self) -> Snapshot:
        """Read only what the person asked for since; the database itself has not changed (or will be read next)."""
        snapshot = self._snapshot
        panes = dict(snapshot.panes)
        for pane in self._dirty_panes:
            panes[pane] = self._watched(self._windows[pane].read(self._queue, snapshot.counts, is_changed=False))
        detail = self._read_detail() if self._is_detail_dirty else snapshot.detail
        self._dirty_panes.clear()
        self._is_detail_dirty = False
        return snapshot._replace(panes=panes, detail=detail)

    def _read_detail(self, fresh: Snapshot | None = None) -> JobDetail | None:
        """Read all about the job that is shown, which is mostly in one of the lists that were just read."""
        request, queue = self._detail_request, self._queue
        if request is None:
            return None
        panes = fresh.panes.values() if fresh is not None else ()
        job = next((row.job for data in panes for row in data.rows if row.job.id == request.job_id), None)
        try:
            job = job or queue.watched([queue.job(request.job_id)])[0]
        except JobNotFound:
            return None
        attempts = queue.attempts(job.id)
        number = request.number if request.number is not None else (attempts[-1].number if attempts else None)
        output = None
        if attempts:
            try:
                output = queue.output(job.id, number)
            except OutputUnavailable:
                output = None
        waiting = self._waiting(job, fresh)
        if self._environment[0] != job.id:
            self._environment = (job.id, queue.environment(job.id))
        history = tuple(queue.history(job.id))
        detail = JobDetail(job, tuple(attempts), history, waiting, number, output, self._environment[1])
        old = self._snapshot.detail
        # the same object tells the dashboard that there is nothing to paint
        return old if old is not None and detail._replace(output=old.output) == old else detail

    def _waiting(self, job: Job, fresh: Snapshot | None) -> Waiting | None:
        """Return why a pending job does not run; asked again only when something that can be the reason has changed."""
        if job.state is not State.PENDING:
            return None
        question: tuple[object, ...] | None = None  # there is none when the time or a full queue can change the answer
        if fresh is not None and job.run_at is None:
            question = (job, fresh.is_paused, fresh.lanes, fresh.workers)
            if any(lane.name == job.queue and lane.limit is not None for lane in fresh.lanes):
                question = None
        if question is None or question != self._waits[0]:
            self._waits = (question, self._queue.waiting(job.id))
        return self._waits[1]

    def _publish(self, snapshot: Snapshot) -> None:
        with self._condition:
            self._snapshot = snapshot
            self._is_in_flight = True
        if not self._on_news():
            with self._condition:
                self._is_in_flight = False

    def _fail(self, error: Exception) -> None:
        """Show what went wrong beside the last good data, once, and try again at leisure."""
        said = self._words_for(error)
        if said != self._last_error:
            self._last_error = said
            self._publish(self._snapshot._replace(error=said))
        self._not_before_s = time.monotonic() + RETRY_S
        self._dirty_panes.clear()
        self._is_detail_dirty = False

    def _words_for(self, error: Exception) -> str:
        """Return what to show; one fact has one wording, whether the look at the file or a read noticed it."""
        if not isinstance(error, DatabaseReplaced):
            return str(error) or type(error).__name__
        if error.is_deleted:
            return f"{self._queue.path} was deleted or moved; nothing is read or run any more"
        return f"{self._queue.path} was replaced; start again to use the new file"


def _ready(counts: Counts) -> int:
    """Return how many jobs wait and are due."""
    return counts.of(State.PENDING) - counts.delayed
