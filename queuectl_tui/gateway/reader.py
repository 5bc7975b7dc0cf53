"""The reader thread: waits until something changed, reads a snapshot, and has one message in flight at most."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.errors import DatabaseReplaced, Interrupted
from core.model import Key, View
from core.queue import Queue
from queuectl_tui.gateway.change_watch import ChangeWatch
from queuectl_tui.gateway.detail_reader import DetailRequest
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.pacing import Pacing, poll_s
from queuectl_tui.gateway.snapshot_reader import SnapshotReader
from queuectl_tui.gateway.window import Wanted
from queuectl_tui.snapshot import Pane, Snapshot, empty_snapshot

#: How long what a key asks for waits for the next key.
KEY_S = 0.01


class Reader:
    """Reads on its own thread and connection; ``on_snapshot`` is called there whenever a new snapshot waits."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._finder = OutputFinder(queue, self._outputs_found)
        self._source = SnapshotReader(queue, self._finder)
        self._changes = ChangeWatch(queue)
        self._pacing = Pacing()
        self._thread = threading.Thread(target=self._run, name="queuectl-reader", daemon=True)
        self._on_snapshot: Callable[[], bool] = lambda: False
        # guarded by the condition, as far as another thread writes or reads it
        self._condition = threading.Condition()
        self._requests: list[Callable[[], object]] = []
        self._is_stopping = False
        self._is_woken = True
        self._is_unwanted = False
        self._is_in_flight = False
        self._snapshot = empty_snapshot(queue.now())
        self._taken: Snapshot | None = None

    # --- called from any thread

    def start(
        self,
        on_snapshot: Callable[[], bool] | None = None,
        on_search_refused: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """Begin to read, and call ``on_snapshot`` from now on; until it is given, snapshots just wait.

        ``on_search_refused`` gets the reason, one line, when a search in outputs cannot go on.
        """
        if on_snapshot is not None:
            self._finder.on_refused = on_search_refused
            with self._condition:
                self._on_snapshot = on_snapshot
                self._is_woken = self._is_woken or self._snapshot is not self._taken
                self._condition.notify()
        if self._thread.ident is None:
            self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread and wait for it."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        self._finder.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Make the reader look at the database now: this process has just committed."""
        with self._condition:
            self._is_woken = True
            self._condition.notify()

    def take(self) -> Snapshot:
        """Return the newest snapshot and let the reader make the next one."""
        with self._condition:
            self._is_in_flight = False
            if self._has_work():  # else it would wake only to fall asleep again
                self._condition.notify()
            self._taken = self._snapshot
            return self._snapshot

    def show_view(self, pane: Pane, view: View) -> None:
        """Show another selection or order in a pane."""
        self._request(lambda: self._source.show_view(pane, view), supersedes=True)

    def want(self, pane: Pane, wanted: Wanted) -> None:
        """Show other rows of a pane."""
        self._request(lambda: self._source.want(pane, wanted), supersedes=True)

    def hold(self, pane: Pane, key: Key | None) -> None:
        """Keep the pane's window at the row of this key while others come and go; ``None`` stays at the top."""
        self._request(lambda: self._source.hold(pane, key))

    def show_detail(self, request: DetailRequest | None) -> None:
        """Show this job's detail and output."""
        self._request(lambda: self._source.show_detail(request), supersedes=True)

    def show_groups(self, is_shown: bool) -> None:
        """Read the groups of dead jobs from now on, or no longer."""
        self._request(lambda: self._source.show_groups(is_shown), supersedes=True)

    def show_plan(self, is_shown: bool) -> None:
        """Read the schedules and resources from now on, or no longer."""
        self._request(lambda: self._source.show_plan(is_shown), supersedes=True)

    def show_queue_rates(self, is_shown: bool) -> None:
        """Read the rates of the queues now and with each snapshot, or no more."""
        self._request(lambda: self._source.show_queue_rates(is_shown))

    def read_range(self, pane: Pane, start: int, length: int, on_read: Callable[[list[int]], object]) -> None:
        """Read the ids of a pane's rows; ``on_read`` gets them on the reader's thread."""
        self._request(lambda: on_read(self._queue.ids(self._source.view(pane))[start : start + length]))

    def _outputs_found(self) -> None:
        self._request(self._source.take_found)

    def _request(self, change: Callable[[], object], *, supersedes: bool = False) -> None:
        """Call ``change`` on the reader's thread next; with ``supersedes`` a slow read that goes on now is given up."""
        with self._condition:
            self._requests.append(change)
            self._is_unwanted = self._is_unwanted or supersedes
            self._condition.notify()

    # --- the reader's own thread

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_stopping or self._has_work(), poll_s(self._changes.changed_s))
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
                self._pacing.interrupted()
                self.wake()  # and read all that was not
            except Exception as error:  # the gateway's boundary: whatever it is, it is shown and the reader goes on
                self._fail(error)

    def _has_work(self) -> bool:
        if self._is_in_flight:
            return False
        if self._requests or self._source.is_stale or self._source.has_more_to_find:
            return True
        return self._is_woken and self._pacing.is_due

    def _read(self, is_woken: bool) -> None:
        """Read and publish a snapshot if anything may have changed, else the requested parts, else what outputs say."""
        self._pacing.begin()
        is_full = self._pacing.is_due and self._is_outdated(is_woken)
        if is_full or self._source.is_stale:
            with self._queue.snapshot(self._gives_up):
                if is_full:
                    snapshot = self._source.read_all(self._snapshot, self._changes.write_error)
                else:
                    snapshot = self._source.read_parts(self._snapshot)
            self._publish(snapshot)
        else:
            snapshot = self._source.read_progress(self._source.read_found(self._snapshot))
            if snapshot is not self._snapshot:
                self._publish(snapshot)
        self._pacing.end(is_full=is_full)

    def _is_outdated(self, is_woken: bool) -> bool:
        is_outdated = self._changes.is_outdated(self._snapshot, is_woken=is_woken)
        if is_woken:
            with self._condition:
                self._is_woken = False
        return is_outdated or self._source.is_count_due

    def _gives_up(self) -> bool:
        """Return whether to give up the present read: superseded and slow, or stopping. Called once a millisecond."""
        return self._is_stopping or (self._is_unwanted and self._pacing.is_too_slow)

    def _publish(self, snapshot: Snapshot) -> None:
        with self._condition:
            self._snapshot = snapshot
            self._is_in_flight = True
        if not self._on_snapshot():
            with self._condition:
                self._is_in_flight = False

    def _fail(self, error: Exception) -> None:
        """Publish an error, once, beside the last good data, and delay the next reading."""
        text = self._words_for(error)
        if text != self._snapshot.error:
            self._publish(self._snapshot._replace(error=text))
        self._pacing.failed()
        self._source.forget_requests()

    def _words_for(self, error: Exception) -> str:
        """Return the text for an error; one fact has one wording, whether the look at the file or a read noticed it."""
        if not isinstance(error, DatabaseReplaced):
            return str(error) or type(error).__name__
        if error.is_deleted:
            return f"{self._queue.display_name} was deleted or moved; nothing is read or run any more"
        return f"{self._queue.display_name} was replaced; start again to use the new file"
