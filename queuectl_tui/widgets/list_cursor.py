"""Keep the cursor of a list on its job while the list moves under it. Pure.

Of a list of any length the rows of a window are known; everything else is a line number. Rules:

- The cursor is on a job. When the job moves in the list, the cursor's line follows and the list scrolls so that it
  stays on the same line of the screen. When the job leaves, the cursor stays on that line, on the next job.
- At the very top (line 0, not scrolled) the cursor is live and stays there: in lists whose newest job comes first, and
  in the others until it was moved.
- While the cursor is scrolled away, what is on screen stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.model import Job, Key, Row, Sort
from queuectl_tui.snapshot import Pane, PaneData


class CursorPosition(NamedTuple):
    """Where the cursor is: its line, the job there (``None`` while its row is not loaded), the first line shown."""

    line: int = 0
    job_id: int | None = None
    top: int = 0

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
    """Return where the cursor is after a list changed; the rules are at the top of this module."""
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
    """Return the line that is selected in place of a job that left: where the next one that stayed is now."""
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


class ListCursor:
    """The cursor of one list: the window of loaded rows, the lines on screen, and the job under the cursor.

    ``job`` is the job as last loaded and ``key`` where it stands in the list's order; ``None`` while its row was
    never loaded, or when there is no job.
    """

    def __init__(self, pane: Pane, data: PaneData) -> None:
        self.data = data
        self.position = CursorPosition()
        #: How many lines of the list fit on the screen.
        self.height = 0
        self.job: Job | None = None
        self.key: Key | None = None
        self._is_newest_first = pane in (Pane.COMPLETED, Pane.DLQ)
        self._has_moved = False

    @property
    def line(self) -> int:
        """The cursor's line in the list, from 0."""
        return self.position.line

    @property
    def is_live(self) -> bool:
        """Whether the cursor stays at the top while jobs come in above it."""
        view = self.data.view
        is_newest_first = self._is_newest_first and view.sort is Sort.DEFAULT and not view.is_reversed
        return self.position.line == self.position.top == 0 and (is_newest_first or not self._has_moved)

    def row_at(self, line: int) -> Row | None:
        """Return the row on a line, ``None`` if it is not loaded."""
        index = line - self.data.start
        return self.data.rows[index] if 0 <= index < len(self.data.rows) else None

    # --- moving

    def show(self, data: PaneData) -> int:
        """Take a new window of the list; return by how many lines the screen moved down with it."""
        old, before = self.data, self.position
        self.data = data
        self.position = follow(before, old, data, self.height, is_live=self.is_live)
        self._find_job()
        return self.position.top - before.top

    def go(self, line: int, top: int | None = None) -> None:
        """Go to a line, as near as there is one; the screen begins at ``top``, or moves as little as needed."""
        if not self.data.total:
            return
        self._has_moved = True
        line = _clamp(line, self.data.total - 1)
        top = self.position.top if top is None else top
        top = min(max(top, line - max(1, self.height) + 1), line)
        self.position = CursorPosition(line, id_at(self.data, line), self._clamp_top(top))
        self._find_job()

    def go_with_screen(self, lines: int) -> None:
        """Move cursor and screen by so many lines, so that the cursor keeps its line of the screen."""
        self.go(self.position.line + lines, self._clamp_top(self.position.top + lines))

    def scroll_to(self, top: int) -> None:
        """Begin the screen at the line ``top``; the cursor stays where it is."""
        self.position = self.position._replace(top=top)

    def resize(self, height: int) -> None:
        """Have so many lines on screen, and keep the cursor there if it was."""
        line, top = self.position.line, self.position.top
        was_on_screen = not self.height or self.position.is_on_screen(self.height)
        self.height = height
        if was_on_screen and height:
            top = min(max(top, line - height + 1), line)
        self.position = self.position._replace(top=self._clamp_top(top))

    def _clamp_top(self, top: int) -> int:
        return _clamp(top, self.data.total - max(1, self.height))

    def _find_job(self) -> None:
        row = self.row_at(self.position.line)
        if row is not None:
            self.job, self.key = row.job, row.key
        elif self.position.job_id is None or self.job is None or self.job.id != self.position.job_id:
            self.job = self.key = None

    # --- the window

    @property
    def is_window_short(self) -> bool:
        """Whether less than a screen either way of the visible lines is loaded, as far as the list has lines."""
        if not self.height or not self.data.total:
            return False
        first = max(0, self.position.top - self.height)
        last = min(self.data.total, self.position.top + 2 * self.height)
        return first < self.data.start or self.data.start + len(self.data.rows) < last

    def window_wanted(self) -> tuple[int, int]:
        """Return first line and number of lines of the window to load: the screen and two more either way."""
        lines, top = max(1, self.height), self.position.top
        if top == 0:  # where most lists stand all day; what is loaded is looked at with every change
            return 0, 2 * lines
        start = max(0, top - 2 * lines)
        return start, top + 3 * lines - start
