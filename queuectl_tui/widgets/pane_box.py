"""One of the four panes: its title, its filter row and its table; it knows which view of the queue it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from core.errors import UsageError
from core.model import Counts, Job, Sort, State, Term, View
from core.rules.filters import parse_filter
from core.text import clean_line
from core.wording import count
from queuectl_tui.gateway.gateway import Wanted
from queuectl_tui.preferences import PastFilter
from queuectl_tui.snapshot import Pane, PaneData, Snapshot, empty_snapshot
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.title import Title, list_words, order_words

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway

#: What the list of waiting jobs says besides while there has been no job at all.
FIRST_RUN = """
In a shell: queuectl enqueue 'sleep 5'
? shows all keys, : finds a command by its words"""
_NONE = Counts({}, {})
#: Which order a click on a column heading asks for.
_SORT_OF_HEADING = {
    "id": Sort.ID,
    "command": Sort.COMMAND,
    "took": Sort.DURATION,
    "elapsed": Sort.DURATION,
    "cpu": Sort.CPU,
    "memory": Sort.MEMORY,
}


class PaneBox(Vertical):
    """Joins title, filter row and table of one pane, and asks the gateway for the rows that they show.

    ``unseen`` is how many jobs came in since the list last had the focus; it stands in the title.
    """

    class FilterKept(Message):
        """A filter was typed and is to stay."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, pane: Pane, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(id=f"pane-{pane.name.lower()}", classes="box pane")
        self.pane = pane
        self.view = View(states=pane.states)
        self.filter_text = ""
        self.is_opening = False
        self._gateway = gateway
        self._unseen = 0
        self._snapshot = empty_snapshot(gateway.now())
        self._shown: PaneData | None = None
        self._is_ascii = is_ascii
        self.title = Title(pane.value, pane.title, is_ascii=is_ascii)
        self.filter_bar = FilterBar()
        self.table = JobTable(pane, is_ascii=is_ascii, id=f"table-{pane.name.lower()}")

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.table

    def add_row(self) -> None:
        """Add the hidden filter row: it costs as much as all else together and is not needed for the first picture."""
        if self.is_attached and not self.filter_bar.is_attached:
            self.mount(self.filter_bar, after=self.title)

    # --- what it shows

    @property
    def focus_target(self) -> Widget:
        """The widget that the keys of this pane go to."""
        return self.table

    @property
    def cursor_job(self) -> Job | None:
        """The job under the cursor."""
        return self.table.cursor.job

    def tick(self, now: datetime) -> None:
        """Repaint the ages and countdowns that have changed."""
        self.table.tick(now)

    def is_showing(self, snapshot: Snapshot) -> bool:
        """Return whether the rows of a snapshot are shown already; never while a filter is typed."""
        is_same = self.pane is not Pane.RUNNING or snapshot.progress is self.table.progress
        return is_same and snapshot.panes[self.pane] is self._shown and not self.filter_bar.is_open

    @property
    def is_empty(self) -> bool:
        """Whether the list is known to have no job."""
        data = self._snapshot.panes[self.pane]
        return data.is_counted and data.total == 0 and self.table.cursor.job is None

    @property
    def unseen(self) -> int:
        """How many jobs came in since the list last had the focus."""
        return self._unseen

    @unseen.setter
    def unseen(self, number: int) -> None:
        self._unseen = number
        self.write_title()

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Show the newest rows and counts."""
        self._snapshot = snapshot
        data = snapshot.panes[self.pane]
        if data.view != self.view:
            return  # read before the filter or the order changed
        self._shown = data
        if self.pane is Pane.PENDING:
            self.table.held_queues = held_queues(snapshot)
        if self.pane is Pane.RUNNING:
            self.table.progress = snapshot.progress
        self.table.empty_text = self._empty_text(snapshot)
        self.table.show(data, now)
        if self.filter_bar.is_open and self.view.terms:
            self.filter_bar.show_count(data.total if data.is_counted and data.searched >= 1 else None)
        self.write_title()

    def write_title(self) -> None:
        """Write counts, filter, marks and order into the title."""
        data, counts = self._snapshot.panes[self.pane], self._snapshot.counts
        plain = sum(counts.of(state) for state in self.pane.states)
        kept_back = counts if self.pane is Pane.PENDING else _NONE
        text, more = list_words(data, plain, kept_back, self._filter_words)
        if marked := self.table.marks.count:
            more = f"· {count(marked)} marked {more}".rstrip()
        arrow = "" if self._is_ascii else (" ↑" if self.view.is_reversed else " ↓")
        if self._unseen:
            self.title.set_text(text, more=more, right=f"! {count(self._unseen)} new", right_style="alarm")
        else:
            is_plain = self.view.sort is Sort.DEFAULT and not self.view.is_reversed
            right = order_words(self.pane, self.view.sort, self.view.is_reversed) + arrow
            if is_plain and self.is_empty:
                right = ""  # nothing stands in any order
            self.title.set_text(text, more=more, right=right, right_style="muted" if is_plain else "accent")

    @property
    def _filter_words(self) -> str:
        """What the title says of the filter, ``""`` without one."""
        return f"/{clean_line(self.filter_text)}" if self.filter_text else ""

    def _empty_text(self, snapshot: Snapshot) -> str:
        if self.filter_text and snapshot.panes[self.pane].searched < 1:
            return "Searching the outputs, the newest first …"
        if self.filter_text:
            return f"No match for /{clean_line(self.filter_text)}. Esc clears."
        is_read_only = self._gateway.is_read_only
        if self.pane is Pane.PENDING:
            if is_read_only:
                return "Nothing queued."
            is_new = snapshot.panes[self.pane].is_counted and not any(map(snapshot.counts.of, State))
            return "Nothing queued. Press e to enqueue a job." + (FIRST_RUN if is_new else "")
        if self.pane is Pane.RUNNING:
            return _idle_text(snapshot, is_read_only=is_read_only)
        return "No dead jobs." if self.pane is Pane.DLQ else "Nothing has completed yet."

    # --- which rows it needs

    def on_job_table_cursor_moved(self) -> None:
        """Keep the loaded rows at the cursor while others come and go."""
        self._gateway.reader.hold(self.pane, None if self.table.cursor.is_live else self.table.cursor.key)

    def on_job_table_window_wanted(self, message: JobTable.WindowWanted) -> None:
        """Ask for the rows that the table needs, around its cursor if that is among them."""
        key, line = self.table.cursor.key, self.table.cursor.line
        is_inside = message.start <= line < message.start + message.length
        anchor = key if key is not None and is_inside and not self.table.cursor.is_live else None
        self._gateway.reader.want(self.pane, Wanted(message.start, message.length, anchor))

    def on_job_table_range_wanted(self, message: JobTable.RangeWanted) -> None:
        """Ask for the ids that a range of marks covers."""
        self._gateway.read_range(self.pane, message.start, message.length)

    def on_job_table_marked(self) -> None:
        """Write how many jobs are marked into the title."""
        self.write_title()

    def on_job_table_heading_clicked(self, message: JobTable.HeadingClicked) -> None:
        """Sort by the column that was clicked; the second time the other way round."""
        sort = _SORT_OF_HEADING.get(message.column, Sort.DEFAULT)
        if sort is self.view.sort:
            self.reverse()
        else:
            self.sort_by(sort)

    # --- filter and order

    def open_filter(self, past: Sequence[PastFilter] = ()) -> None:
        """Open the row for a filter, at once or as soon as it is there; the arrow keys bring back those of ``past``."""
        self.filter_bar.past = past
        self.is_opening = not self.filter_bar.is_ready
        if self.filter_bar.is_ready:
            self.filter_bar.open(self.filter_text)
            self.post_message(FilterBar.Opened())
        elif self.is_attached:  # while the program ends there will be none
            self.add_row()
            self.call_later(self.open_filter, past)

    def set_filter(self, text: str) -> None:
        """Show only what matches; a text that cannot be read leaves the list as it is and says why."""
        try:
            terms = parse_filter(text)
        except UsageError as error:
            self.filter_bar.show_error(str(error))
            return
        if not terms:
            self.filter_bar.show_error("")  # nor is there anything to count
        self.filter_text = text.strip()
        self._set_view(self.view._replace(terms=terms))

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Filter by what was typed so far."""
        message.stop()
        self.set_filter(message.text)

    def on_filter_bar_submitted(self, message: FilterBar.Submitted) -> None:
        """Keep the filter."""
        message.stop()
        self.set_filter(message.text)
        if self.filter_text:
            self.post_message(self.FilterKept(self.filter_text))

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        """Drop the filter."""
        message.stop()
        self.clear_filter()

    def clear_filter(self) -> bool:
        """Show all jobs again; return whether there was a filter."""
        had_one = bool(self.filter_text)
        self.filter_bar.close()
        if had_one:
            self.set_filter("")
        return had_one

    def sort_by_next(self) -> None:
        """Sort by the order after this one, the first after the last."""
        orders = list(Sort)
        self.sort_by(orders[(orders.index(self.view.sort) + 1) % len(orders)])

    def sort_by(self, sort: Sort) -> None:
        """Sort by another order."""
        self._set_view(self.view._replace(sort=sort, is_reversed=False))

    def reverse(self) -> None:
        """Turn the order round."""
        self._set_view(self.view._replace(is_reversed=not self.view.is_reversed))

    def _set_view(self, view: View) -> None:
        if view != self.view:
            self.view = view
            self._gateway.reader.show_view(self.pane, view)
            self.write_title()

    # --- what is selected

    def selected(self) -> list[int] | View:
        """Return what a verb acts on: the marked jobs, else the one under the cursor; a view stands for all of it."""
        selection = self.table.marks.selection()
        if isinstance(selection, View):
            return without(selection, self.table.marks.excluded)
        return selection


def without(view: View, excluded: Iterable[int]) -> View:
    """Return the view without some jobs."""
    return view._replace(terms=(*view.terms, *(Term("id", job_id, is_negated=True) for job_id in sorted(excluded))))


def held_queues(snapshot: Snapshot) -> frozenset[str] | None:
    """Return the queues whose waiting jobs cannot start now: paused or full; ``None`` is all of them."""
    if snapshot.is_paused:
        return None
    return frozenset(
        queue.name
        for queue in snapshot.queues
        if queue.is_paused or (queue.limit is not None and queue.counts.get(State.RUNNING, 0) >= queue.limit)
    )


def _idle_text(snapshot: Snapshot, *, is_read_only: bool) -> str:
    if snapshot.is_paused:
        return "Paused." if is_read_only else "Paused. Press p to resume."
    slots = sum(worker.slots for worker in snapshot.workers if worker.is_alive)
    if not any(worker.is_alive for worker in snapshot.workers):
        return "No worker is alive. Start one: queuectl worker"
    if slots == 0 and not is_read_only:
        return "No slots. Press ) to run a job."
    return f"Idle. {count(slots, 'slot')} waiting."
