"""Pages of lists: which segments of a view a page is read from, and rows made only where something changed. No I/O."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime

from core.clock import to_ms
from core.model import Key, Page, Row, RowCache, View
from core.rules.arguments import check_kind
from core.rules.views import Segment, check_view, segment_of_key, segments_of
from core.storage.rows import SqlRow, job_of


def numbered_segments(view: View, after: Key | None = None) -> Iterator[tuple[int, Segment, Key | None]]:
    """Yield the segments of a view that have rows behind a key, in view order, each with its number for keys.

    With the first of them the key is yielded that its rows are behind, if it is in that segment.
    """
    segments = segments_of(view)
    first = 0 if after is None else segment_of_key(view, after)
    for place in range(first, len(segments)):
        number = len(segments) - 1 - place if view.is_reversed else place
        yield number, segments[place], after if place == first else None


def flipped(view: View) -> View:
    """Return a view in the opposite order."""
    check_view(view)
    return View(view.states, view.terms, view.sort, not view.is_reversed)


class PagedLists(ABC):
    """Pages in both directions from an engine's pages in one: a page before a key is one of the view turned round."""

    def rows(
        self,
        view: View,
        *,
        after: Key | None,
        before: Key | None,
        limit: int,
        known: RowCache | None = None,
        now: datetime | None = None,
    ) -> list[Row]:
        """Return up to ``limit`` rows in view order: the first ones, those after a key, or the last ones before a key.

        A row that is in ``known`` and did not change is returned as the same object; new ones are added to ``known``.
        Jobs are due by ``now``, by default the clock's.
        """
        if now is not None:
            check_kind(now, "now", datetime, "a datetime")
        now_ms = None if now is None else to_ms(now)
        if before is not None:
            return list(reversed(self._page(flipped(view), before, limit, known, now_ms)))
        return self._page(view, after, limit, known, now_ms)

    def last_rows(self, view: View, *, limit: int, known: RowCache | None = None) -> list[Row]:
        """Return the last ``limit`` rows of a view, in view order."""
        return list(reversed(self._page(flipped(view), None, limit, known)))

    @abstractmethod
    def _page(
        self, view: View, after: Key | None, limit: int, known: RowCache | None, now_ms: int | None = None
    ) -> list[Row]:
        """Return up to ``limit`` rows in view order behind a key, the first ones without; due by ``now_ms``."""


def row_of(number: int, row: SqlRow) -> Row:
    """Return the row of a list from the columns of a job with the value of the order behind them."""
    job = job_of(row)
    return Row((number, row[-1], job.id), job)


def known_row(known: RowCache | None, number: int, row: SqlRow) -> Row:
    """Return the same as ``row_of``: the object in ``known`` if nothing changed, else a new one, which is added."""
    if known is None:
        return row_of(number, row)
    read, job_id = (number, row), row[0]
    old = known.get(job_id)
    if old is not None and old[0] == read:
        return old[1]
    made = row_of(number, row)
    known[job_id] = (read, made)
    return made


def page_of(text: str, before: Page) -> Page:
    """Return the page of a text, which has a JSON array a line: a job's columns, the value of the order, the segment.

    Rows that stood in ``before`` are the same objects; so is the page if all are.
    """
    if text == before.text:
        return before
    known = dict(zip(before.text.split("\n"), before.rows, strict=True)) if before.text else {}
    lines = text.split("\n") if text else ()
    return Page(text, tuple(known.get(line) or _row_in(line) for line in lines))


def _row_in(line: str) -> Row:
    *values, key, number = json.loads(line)
    return row_of(number, (*values, key))
