"""Keep the cursor and the marks on their jobs while the list moves under them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

from queuectl_tui.snapshot import PaneData


class CursorPosition(NamedTuple):
    """Where the cursor is: its line, the job there (``None`` while its row is not loaded), the first line shown."""

    line: int = 0
    job_id: int | None = None
    top: int = 0

    def thumb(self, height: int, total: int) -> tuple[int, int]:
        """Return where a scrollbar's thumb begins and ends, in eighths of a cell; nowhere while all lines fit."""
        if total <= height:
            return 0, 0
        cells = max(1.0, height * height / total)
        start = int((height - cells) * self.top / (total - height) * 8)
        return start, start + ceil(cells * 8)

    def is_on_screen(self, height: int) -> bool:
        """Return whether the cursor's line is one of the ``height`` lines on screen."""
        return self.top <= self.line < self.top + height


def lines_of(data: PaneData) -> dict[int, int]:
    """Return the line of every loaded job by its id."""
    return {row.job.id: line for line, row in enumerate(data.rows, data.start)}


def id_at(data: PaneData, line: int) -> int | None:
    """Return the id of the job on a line, ``None`` if that row is not loaded."""
    index = line - data.start
    return data.rows[index].job.id if 0 <= index < len(data.rows) else None


def follow(position: CursorPosition, old: PaneData, new: PaneData, height: int, *, is_live: bool) -> CursorPosition:
    """Return where the cursor is after a list changed; see the module ``job_table`` for the rules."""
    height = max(1, height)
    if is_live or new.total == 0:
        return CursorPosition(0, id_at(new, 0), 0)
    lines = lines_of(new)
    found = None if position.job_id is None else lines.get(position.job_id)
    if found is None and old.view != new.view:
        return CursorPosition(0, id_at(new, 0), 0)
    if not position.is_on_screen(height):
        return _follow_screen(position, old, new, height, lines)
    if found is None:
        found = _heir(position, old, lines)
    found = _clamp(found, new.total - 1)
    job_id = id_at(new, found)
    if job_id is None and not _is_replaced(position, new, lines):
        job_id = position.job_id
    return CursorPosition(found, job_id, _clamp(found - (position.line - position.top), new.total - height))


def _clamp(value: int, highest: int) -> int:
    return max(0, min(value, highest))


def _is_replaced(position: CursorPosition, new: PaneData, lines: Mapping[int, int]) -> bool:
    """Return whether the cursor's job is known to be gone: the whole list is loaded and it is not in it."""
    return len(new.rows) == new.total and position.job_id not in lines


def _heir(position: CursorPosition, old: PaneData, lines: Mapping[int, int]) -> int:
    """Return the line that takes over from a job that left: where the next one that stayed is now."""
    index = next((index for index, row in enumerate(old.rows) if row.job.id == position.job_id), None)
    if index is None:
        return position.line
    stayed = (lines[row.job.id] for row in reversed(old.rows[:index]) if row.job.id in lines)
    previous = next(stayed, None)
    for row in old.rows[index + 1 :]:
        line = lines.get(row.job.id)
        if line is not None and (previous is None or line > previous):
            return line
    return position.line if previous is None else previous + 1


def _follow_screen(
    position: CursorPosition, old: PaneData, new: PaneData, height: int, lines: Mapping[int, int]
) -> CursorPosition:
    """Keep what is on screen where it is while the cursor is somewhere else; its line is exact once it is loaded."""
    shift = 0
    for line in range(position.top, position.top + height):
        job_id = id_at(old, line)
        if job_id is not None and job_id in lines:
            shift = lines[job_id] - line
            break
    top = _clamp(position.top + shift, new.total - height)
    if position.job_id is not None and position.job_id in lines:
        return CursorPosition(lines[position.job_id], position.job_id, top)
    line = _clamp(position.line + shift, new.total - 1)
    there = id_at(new, line)
    return CursorPosition(line, position.job_id if there is None else there, top)


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
