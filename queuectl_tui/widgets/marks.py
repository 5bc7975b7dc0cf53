"""Which jobs of a list are marked: one by one, by a range that the cursor draws, or all that match."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.model import Job, View
from queuectl_tui.snapshot import PaneData
from queuectl_tui.widgets.list_cursor import ListCursor, lines_of


class Marks:
    """Which jobs are marked: listed ones, or all that match except some; and a range that is being drawn."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids = set(ids)
        self.excluded: set[int] = set()
        self.is_all = False
        self._anchor: tuple[int, int] | None = None
        self._drawn: dict[int, int] = {}
        self._seen: dict[int, int] = {}

    @property
    def is_drawing(self) -> bool:
        """Return whether a range is being drawn."""
        return self._anchor is not None

    def __bool__(self) -> bool:
        return self.is_all or bool(self.ids) or self.is_drawing

    def __contains__(self, job_id: int) -> bool:
        if self.is_all:
            return job_id not in self.excluded
        return job_id in self.ids or job_id in self._drawn

    def listed(self) -> frozenset[int]:
        """Return the ids that are marked one by one or by the range; none when all are marked."""
        return frozenset() if self.is_all else frozenset(self.ids.union(self._drawn))

    def count(self, total: int) -> int:
        """Return how many jobs are marked in a list of ``total``."""
        return max(0, total - len(self.excluded)) if self.is_all else len(self.ids.union(self._drawn))

    def toggle(self, job_id: int) -> None:
        """Mark a job, or take its mark away; a range that is being drawn is done then."""
        self.end_range()
        chosen = self.excluded if self.is_all else self.ids
        chosen.symmetric_difference_update((job_id,))

    def mark_all(self) -> None:
        """Mark all that match, whatever was marked before."""
        self.clear()
        self.is_all = True

    def clear(self) -> bool:
        """Take all marks away; return whether there were any."""
        had_any = bool(self)
        self.ids.clear()
        self.excluded.clear()
        self.is_all = False
        self._drop_range()
        return had_any

    def forget_missing(self, present: Iterable[int]) -> None:
        """Take the marks from all jobs but these: they have left the list."""
        self.ids.intersection_update(present)
        self.excluded.intersection_update(present)

    def start_range(self, line: int, job_id: int) -> None:
        """Start to draw a range at a job; the mark of all is over then."""
        if self.is_all:
            self.clear()
        self._anchor = (line, job_id)
        self._seen = {line: job_id}
        self._drawn = {job_id: line}

    def end_range(self) -> None:
        """Keep what the range covers and stop drawing it."""
        self.ids.update(self._drawn)
        self._drop_range()

    def _drop_range(self) -> None:
        self._anchor = None
        self._drawn = {}
        self._seen = {}

    def stretch(self, cursor_line: int, data: PaneData, shift: int = 0) -> tuple[int, int] | None:
        """Let the range reach from its start to the cursor; ``shift`` is how far the list moved since the last time.

        Return the first and last line of what lies between but was never loaded, ``None`` when nothing is missing.
        """
        if self._anchor is None:
            return None
        lines = lines_of(data)
        anchor_line, anchor_id = self._anchor
        anchor_line = lines.get(anchor_id, max(0, anchor_line + shift))
        self._anchor = (anchor_line, anchor_id)
        if shift:
            self._seen = {line + shift: job_id for line, job_id in self._seen.items()}
        present = set(lines)
        self._seen = {line: job_id for line, job_id in self._seen.items() if job_id not in present}
        for job_id, line in lines.items():
            self._seen[line] = job_id
        first, last = min(anchor_line, cursor_line), max(anchor_line, cursor_line)
        self._drawn = {job_id: line for line, job_id in self._seen.items() if first <= line <= last}
        self._drawn[anchor_id] = anchor_line
        if len(self._drawn) > last - first:
            return None
        missing = [line for line in range(first, last + 1) if line not in self._seen]
        return (missing[0], missing[-1]) if missing else None

    def learn(self, start: int, ids: Iterable[int]) -> None:
        """Take the ids on lines from ``start`` on, which ``stretch`` had found missing."""
        if self._anchor is not None:
            self._seen.update(enumerate(ids, start))


class ListMarks:
    """What the keys of a list do to its marks, at its cursor. Calls ``on_change`` after each change that is to be seen.

    ``on_refusal`` gets the sentence when there is no job to mark. ``count`` is how many jobs are marked.
    """

    def __init__(self, cursor: ListCursor, on_change: Callable[[], None], on_refusal: Callable[[str], None]) -> None:
        self.count = 0
        self._cursor = cursor
        self._marks = Marks()
        self._on_change = on_change
        self._on_refusal = on_refusal

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._marks

    @property
    def ids(self) -> frozenset[int]:
        """The ids that are marked one by one or by a range; none when all that match are marked."""
        return self._marks.listed()

    @property
    def is_all(self) -> bool:
        """Whether all that match are marked, except ``excluded``."""
        return self._marks.is_all

    @property
    def excluded(self) -> frozenset[int]:
        """The ids whose mark was taken away after all were marked."""
        return frozenset(self._marks.excluded)

    def selection(self) -> list[int] | View:
        """Return what a verb acts on: the marked ids, the view when all are marked, else the cursor's job or nothing.

        With a view, ``excluded`` still names the jobs that are not meant.
        """
        if self._marks.is_all:
            return self._cursor.data.view
        if marked := self._marks.listed():
            return sorted(marked)
        return [] if self._cursor.job is None else [self._cursor.job.id]

    # --- with the list

    def show(self, old: PaneData) -> None:
        """Take the marks from jobs that have left the list ``old``, and the mark of all when other jobs match."""
        new = self._cursor.data
        if self._marks and len(new.rows) == new.total and not new.view.terms:
            self._marks.forget_missing({row.job.id for row in new.rows})
        if self._marks.is_all and old.view.terms != new.view.terms:
            self._marks.clear()

    def stretch(self, shift: int = 0) -> tuple[int, int] | None:
        """Let a range that is being drawn reach to the cursor, and count; ``shift`` is how far the list moved.

        Return the first and last line of what the range covers but was never loaded, ``None`` when nothing is missing.
        """
        missing = self._marks.stretch(self._cursor.line, self._cursor.data, shift)
        self.count = self._marks.count(self._cursor.data.total)
        return missing

    def learn(self, start: int, ids: Iterable[int]) -> None:
        """Take the ids on lines from ``start`` on, which ``stretch`` had found missing."""
        self._marks.learn(start, ids)
        self._on_change()

    # --- with the keys

    def toggle(self) -> None:
        """Mark the cursor's job or take its mark away, and move on."""
        job = self._job_to_mark()
        if job is not None:
            self._marks.toggle(job.id)
            self._cursor.go(self._cursor.line + 1)
            self._on_change()

    def start_range(self) -> None:
        """Let the cursor's moves draw a range of marks from here; the second time, keep it."""
        job = self._job_to_mark()
        if job is None:
            return
        if self._marks.is_drawing:
            self._marks.end_range()
        else:
            self._marks.start_range(self._cursor.line, job.id)
        self._on_change()

    def mark_all(self) -> None:
        """Mark all jobs that match, loaded or not."""
        if self._job_to_mark() is not None:
            self._marks.mark_all()
            self._on_change()

    def _job_to_mark(self) -> Job | None:
        if self._cursor.job is None:
            self._on_refusal("There is no job to mark.")
        return self._cursor.job

    def clear(self) -> bool:
        """Take all marks away; return whether there were any."""
        had_any = self._marks.clear()
        self._on_change()
        return had_any

    def take(self) -> tuple[Marks, View]:
        """Take all marks away, and return them for ``give_back``."""
        taken, self._marks = self._marks, Marks()
        taken.end_range()
        self._on_change()
        return taken, self._cursor.data.view

    def give_back(self, taken: tuple[Marks, View]) -> None:
        """Mark again what was marked, unless other jobs are marked by now or the list shows another selection."""
        marks, view = taken
        if not self._marks and view.terms == self._cursor.data.view.terms:
            self._marks = marks
            self._on_change()
