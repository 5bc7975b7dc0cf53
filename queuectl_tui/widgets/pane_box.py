"""One of the four panes: its title, its filter row and its table; it knows which view of the queue it shows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from core.errors import UsageError
from core.model import Sort, State, Term, View
from core.rules.filters import parse_filter
from core.text import clean_line
from queuectl_tui.format import count, plural
from queuectl_tui.snapshot import Pane, PaneData, Snapshot
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.title import Title, list_words, order_words

#: Which order a click on a column heading asks for.
_SORT_OF_HEADING = {"id": Sort.ID, "command": Sort.COMMAND, "took": Sort.DURATION, "time": Sort.DURATION}


class PaneBox(Vertical):
    """Joins title, filter row and table of one pane."""

    class ViewChanged(Message):
        """The pane shows another selection or order of jobs now."""

        def __init__(self, pane: Pane, view: View) -> None:
            super().__init__()
            self.pane = pane
            self.view = view

    def __init__(self, pane: Pane, *, is_ascii: bool = False) -> None:
        super().__init__(id=f"pane-{pane.name.lower()}", classes="box pane")
        self.pane = pane
        self.view = View(states=pane.states)
        self.filter_text = ""
        self.news = 0
        self.is_opening = False
        self._shown: PaneData | None = None
        self._is_ascii = is_ascii
        self.title = Title(pane.value, pane.title, is_ascii=is_ascii)
        self.filter_bar = FilterBar()
        self.table = JobTable(pane, id=f"table-{pane.name.lower()}")
        self.table.is_ascii = is_ascii

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.table

    def add_row(self) -> None:
        """Add the hidden filter row: it costs as much as all else together and is not needed for the first picture."""
        if self.is_attached and not self.filter_bar.is_attached:
            self.mount(self.filter_bar, after=self.title)

    # --- what it shows

    def is_showing(self, snapshot: Snapshot) -> bool:
        """Tell whether these very rows are shown; while a filter is typed nobody knows."""
        return snapshot.panes[self.pane] is self._shown and not self.filter_bar.is_open

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Take the newest rows and counts."""
        data = snapshot.panes[self.pane]
        if data.view != self.view:
            return  # read before the filter or the order changed
        self._shown = data
        if self.pane is Pane.PENDING:
            self.table.held_queues = held_queues(snapshot)
        self.table.empty_text = self._empty_text(snapshot)
        self.table.show(data, now)
        if self.filter_bar.is_open and self.view.terms:
            self.filter_bar.show_count(data.total if data.is_counted else None)
        self.say(snapshot)

    def say(self, snapshot: Snapshot) -> None:
        """Write the title."""
        data = snapshot.panes[self.pane]
        counts = snapshot.counts
        plain = sum(counts.of(state) for state in self.pane.states)
        delayed = counts.delayed if self.pane is Pane.PENDING else 0
        told, more = list_words(data, plain, delayed, self.filter_text)
        if marked := self.table.mark_count:
            more = f"· {count(marked)} marked {more}".rstrip()
        arrow = "" if self._is_ascii else (" ↑" if self.view.is_reversed else " ↓")
        if self.news:
            self.title.say(told, more=more, right=f"! {count(self.news)} new", right_style="alarm")
        else:
            is_plain = self.view.sort is Sort.DEFAULT and not self.view.is_reversed
            right = order_words(self.pane, self.view.sort, self.view.is_reversed) + arrow
            self.title.say(told, more=more, right=right, right_style="muted" if is_plain else "accent")

    def _empty_text(self, snapshot: Snapshot) -> str:
        if self.filter_text:
            return f"No match for /{clean_line(self.filter_text)}. Esc clears."
        if self.pane is Pane.PENDING:
            return "Nothing queued. Press e to enqueue a job."
        if self.pane is Pane.RUNNING:
            return _idle_text(snapshot)
        return "No dead jobs." if self.pane is Pane.DLQ else "Nothing has completed yet."

    # --- filter and order

    def open_filter(self) -> None:
        """Let the person type a filter, at once or as soon as the row is there."""
        self.is_opening = not self.filter_bar.is_ready
        if self.filter_bar.is_ready:
            self.filter_bar.open(self.filter_text)
        elif self.is_attached:  # while the program ends there will be none
            self.add_row()
            self.call_later(self.open_filter)

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

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        """Drop the filter."""
        message.stop()
        self.clear_filter()

    def clear_filter(self) -> bool:
        """Show all jobs again; tell whether there was a filter."""
        had_one = bool(self.filter_text)
        self.filter_bar.close()
        if had_one:
            self.set_filter("")
        return had_one

    def sort_by(self, sort: Sort) -> None:
        """Show another order."""
        self._set_view(self.view._replace(sort=sort, is_reversed=False))

    def reverse(self) -> None:
        """Turn the order round."""
        self._set_view(self.view._replace(is_reversed=not self.view.is_reversed))

    def sort_by_heading(self, heading: str) -> None:
        """Order by the column that was clicked; the second time the other way round."""
        sort = _SORT_OF_HEADING.get(heading, Sort.DEFAULT)
        if sort is self.view.sort:
            self.reverse()
        else:
            self.sort_by(sort)

    def _set_view(self, view: View) -> None:
        if view != self.view:
            self.view = view
            self.post_message(self.ViewChanged(self.pane, view))

    # --- what is selected

    def selected(self) -> list[int] | View:
        """Return what a verb acts on: the marked jobs, else the one under the cursor; a view stands for all of it."""
        selection = self.table.selection()
        if isinstance(selection, View):
            return without(selection, self.table.excluded)
        return selection


def without(view: View, excluded: Iterable[int]) -> View:
    """Return the view without some jobs."""
    return view._replace(terms=(*view.terms, *(Term("id", job_id, is_negated=True) for job_id in sorted(excluded))))


def held_queues(snapshot: Snapshot) -> frozenset[str] | None:
    """Return the queues whose waiting jobs cannot start now: paused or full; ``None`` is all of them."""
    if snapshot.is_paused:
        return None
    return frozenset(
        lane.name
        for lane in snapshot.lanes
        if lane.is_paused or (lane.limit is not None and lane.counts.get(State.RUNNING, 0) >= lane.limit)
    )


def _idle_text(snapshot: Snapshot) -> str:
    if snapshot.is_paused:
        return "Paused. Press p to resume."
    slots = sum(worker.slots for worker in snapshot.workers if worker.is_alive)
    if not any(worker.is_alive for worker in snapshot.workers):
        return "No worker is alive. Start one: queuectl worker"
    if slots == 0:
        return "No slots. Press ) to run a job."
    return f"Idle. {plural(slots, 'slot')} waiting."
