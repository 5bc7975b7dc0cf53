"""Reads the visible part of one list by key, so that its rows stay in sight while the list moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from core.model import Counts, Key, Page, Row, RowCache, Sort, View
from core.queue import Queue
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.snapshot import Pane, PaneData

#: A query that took this long is not asked again before ten times as long has passed.
SLOW_S = 0.01
#: So many times the rows of a window are known before those that it left are forgotten.
KNOWN_WINDOWS = 4

_T = TypeVar("_T")


class CostlyQuery:
    """Remembers the answer of a query that may be slow, and asks again only as often as that can be afforded."""

    def __init__(self) -> None:
        self._question: object = None
        self._answer: object = None
        self._not_before_s = 0.0

    @property
    def may_ask(self) -> bool:
        """Return whether the same question would be asked again by now."""
        return time.monotonic() >= self._not_before_s

    def ask(self, question: object, read: Callable[[], _T]) -> tuple[_T, bool]:
        """Return the answer and whether it is fresh; a new question is always asked."""
        now_s = time.monotonic()
        if question == self._question and now_s < self._not_before_s:
            return self._answer, False  # type: ignore[return-value]
        answer = read()
        cost_s = time.monotonic() - now_s
        self._question, self._answer = question, answer
        self._not_before_s = now_s + (cost_s * 11 if cost_s > SLOW_S else 0.0)
        return answer, True


class Wanted(NamedTuple):
    """What the dashboard asks of one list: rows from ``start``, or around the row of key ``anchor``."""

    start: int = 0
    length: int = 16  # two screens of a list at 120x40; a list with longer screens asks for more
    anchor: Key | None = None


class Window:
    """One pane's part of its list: the view, the wanted rows, and those that were read last."""

    def __init__(self, pane: Pane) -> None:
        self.pane = pane
        self.view = View(states=pane.states)
        #: The view as it is read: the jobs that an output was found of in place of what to look for.
        self.read_view = self.view
        self.searched = 1.0
        self.wanted = Wanted()
        self.data = PaneData(0, 0, (), self.view)
        self._counting = CostlyQuery()
        self._placing = CostlyQuery()
        self._is_total_old = False
        self._known: RowCache = {}
        self.page = Page()

    @property
    def is_count_due(self) -> bool:
        """Return whether the total is not the newest and may be counted again."""
        return self._is_total_old and self._counting.may_ask

    def set_view(self, view: View) -> None:
        """Show another selection or order, from its top."""
        self.view = self.read_view = view
        self.searched = 1.0
        self.wanted = Wanted(0, self.wanted.length)
        self.data = PaneData(0, 0, (), view, is_counted=False)

    @property
    def patterns(self) -> list[str]:
        """Return what is looked for in outputs."""
        return [str(term.value) for term in self.view.terms if term.field == "output"]

    def resolve(self, finder: OutputFinder) -> None:
        """Read from now on what has been found in outputs by now."""
        if self.patterns:
            self.read_view, self.searched = finder.resolve(self.view)

    def want(self, wanted: Wanted) -> None:
        """Set the rows to read; an ``anchor`` keeps the window at that row while rows come and go above it."""
        self.wanted = wanted

    @property
    def is_at_top(self) -> bool:
        """Return whether the first rows of a whole list are wanted, which can be read together with those of others."""
        is_first = self.wanted.start == 0 and self.wanted.anchor is None
        return is_first and not self.view.terms and self.view.sort in (Sort.DEFAULT, Sort.ID)

    def show_page(self, page: Page, counts: Counts) -> PaneData:
        """Return the first rows of a whole list, which were just read."""
        self.page = page
        self._is_total_old = False
        total = sum(counts.of(state) for state in self.view.states)
        return self._keep(PaneData(max(total, len(page.rows)), 0, page.rows, self.view))

    def _keep(self, data: PaneData) -> PaneData:
        """Store and return ``data``, or return the stored object if equal: the same object means nothing to paint."""
        if data != self.data:
            self.data = data
        return self.data

    def read(self, queue: Queue, counts: Counts, *, is_changed: bool = True) -> PaneData:
        """Return the wanted rows as they are now, and remember at which position they stand.

        ``is_changed`` is false when nothing was committed since the last reading.
        """
        wanted, known_total = self.wanted, self._plain_total(counts)
        if wanted.anchor is not None:
            start, rows = self._around(queue, wanted.anchor, is_changed)
        elif wanted.start > 0:
            start, rows = self._far(queue, wanted, self.data.total if known_total is None else known_total)
        else:
            start, rows = 0, queue.rows(self.read_view, limit=wanted.length, known=self._known)
        total, is_counted = self._total(queue, start, rows, known_total)
        start = min(start, max(0, total - len(rows)))
        self._keep(PaneData(total, start, tuple(rows), self.view, is_counted, self.searched))
        if len(self._known) > KNOWN_WINDOWS * wanted.length:
            self._known = {row.job.id: self._known[row.job.id] for row in rows}
        if wanted.anchor is not None or start > 0:
            anchor = wanted.anchor or (rows[len(rows) // 2].key if rows else None)
            self.wanted = wanted._replace(start=start, anchor=anchor)
        return self.data

    def _plain_total(self, counts: Counts) -> int | None:
        """Return the number of rows when the view has no filter: the counters know it."""
        return None if self.view.terms else sum(counts.of(state) for state in self.view.states)

    def _total(self, queue: Queue, start: int, rows: list[Row], known: int | None) -> tuple[int, bool]:
        self._is_total_old = False
        if known is not None:
            return max(known, start + len(rows)), True
        if start == 0 and len(rows) < self.wanted.length:
            return len(rows), True
        if not self.data.is_counted and not self.data.rows and rows:
            self._is_total_old = True  # show the first rows before the rest is counted
            return start + len(rows), False
        total, is_fresh = self._counting.ask(self.read_view, lambda: queue.count(self.read_view))
        self._is_total_old = not is_fresh
        return max(total, start + len(rows)), True

    def _around(self, queue: Queue, anchor: Key, is_changed: bool) -> tuple[int, list[Row]]:
        """Return rows so that the anchor's keeps its distance from the top of the window."""
        length = self.wanted.length
        index = next((i for i, row in enumerate(self.data.rows) if row.key == anchor), None)
        distance = length // 2 if index is None else self.data.start + index - self.wanted.start
        offset = min(max(distance, 0), length - 1)
        reach = max(offset, 1)
        above = queue.rows(self.read_view, before=anchor, limit=reach, known=self._known)
        below = queue.rows(self.read_view, after=above[-1].key if above else None, limit=length, known=self._known)
        rows = ((above if offset else []) + below)[:length]
        if len(above) < reach or not rows:
            return 0, (above + below)[:length]
        if index is not None and not is_changed:
            return self.data.start + index - offset, rows
        first = rows[0].key
        start, _ = self._placing.ask((self.read_view, first), lambda: queue.position_of(self.read_view, first))
        return start, rows

    def _far(self, queue: Queue, wanted: Wanted, total: int) -> tuple[int, list[Row]]:
        """Return rows at a position that was not read before; the last ones are read from the end."""
        if wanted.start + wanted.length >= total:
            rows = queue.last_rows(self.read_view, limit=wanted.length, known=self._known)
            return max(0, total - len(rows)), rows
        key = queue.key_at(self.read_view, wanted.start - 1)
        if key is None:
            return 0, queue.rows(self.read_view, limit=wanted.length, known=self._known)
        return wanted.start, queue.rows(self.read_view, after=key, limit=wanted.length, known=self._known)
