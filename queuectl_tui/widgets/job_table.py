"""Show one list of jobs as a virtual table that repaints only the lines that changed.

The table knows the rows of a window (``show``); everything else of a list of any length is a line number. Rules:

- The cursor is on a job. When the job moves in the list, the cursor's line follows and the list scrolls so that it
  stays on the same line of the screen. When the job leaves, the cursor stays on that line, on the next job.
- At the very top (line 0, not scrolled) the cursor is live and stays there: in lists whose newest job comes first, and
  in the others until a person has moved it.
- While the cursor is scrolled away, what is on screen stays where it is.
- Marks are on jobs too.

Measured with Textual 8.2.8: setting ``virtual_size`` or the scroll position through their reactives lays out or
repaints the whole widget, and ``refresh()`` drops the cached styles; so this widget sets them with ``set_reactive``,
compares what each line of the screen shows with what it should show, and caches its own styles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from core.model import Job, Key, Row, Sort, View
from queuectl_tui.snapshot import Pane, PaneData, RunProgress
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.columns import Column
from queuectl_tui.widgets.line_focus import give_focus, take_focus
from queuectl_tui.widgets.line_painter import BLANK, LinePainter, Look, RowStyles
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.selection import CursorPosition, Marks, follow, id_at

PREFIX = "job-table--"


class TableMessage(Message, namespace="job_table"):
    """A fact about the table of one pane."""

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane


class JobTable(MeasuredView, can_focus=True, inherit_bindings=False):
    """A list of jobs with a cursor and marks. It binds no keys: the dashboard calls its methods."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"{PREFIX}{name}"
        for name in (
            *("pending", "delayed", "running", "completed", "cancelled", "dead"),
            *("name", "muted", "heading", "empty", "mark", "pointer", "cursor", "marked", "focus"),
        )
    }
    DEFAULT_CSS = """
    JobTable {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 20%;
    }
    """

    class CursorMoved(TableMessage):
        """The cursor is on another job now, or on none."""

        def __init__(self, pane: Pane, job: Job | None) -> None:
            super().__init__(pane)
            self.job = job

    class WindowWanted(TableMessage):
        """Rows are on screen, or will soon be, that are not loaded."""

        def __init__(self, pane: Pane, start: int, length: int) -> None:
            super().__init__(pane)
            self.start = start
            self.length = length

    class RangeWanted(TableMessage):
        """The range that is being drawn covers lines that were never loaded; ``JobTable.learn`` takes their ids."""

        def __init__(self, pane: Pane, start: int, length: int) -> None:
            super().__init__(pane)
            self.start = start
            self.length = length

    class Marked(TableMessage):
        """Another number of jobs is marked now."""

        def __init__(self, pane: Pane, count: int) -> None:
            super().__init__(pane)
            self.count = count

    class HeadingClicked(TableMessage):
        """A heading was clicked: id, command, or that of one of the table's columns."""

        def __init__(self, pane: Pane, column: str) -> None:
            super().__init__(pane)
            self.column = column

    class Opened(TableMessage):
        """A job was double-clicked."""

        def __init__(self, pane: Pane, job: Job) -> None:
            super().__init__(pane)
            self.job = job

    def __init__(self, pane: Pane, *, id: str | None = None) -> None:
        self.pane = pane
        self._data = PaneData(0, 0, (), View(states=pane.states))
        self._now: datetime | None = None
        self._position = CursorPosition()
        self._has_moved = False
        #: The job under the cursor as it was last loaded, ``None`` while its row is not loaded or there is no job; and
        #: where it stands in the list's order.
        self.cursor_job: Job | None = None
        self.cursor_key: Key | None = None
        #: How many jobs are marked.
        self.mark_count = 0
        self._marks = Marks()
        self._asked: tuple[int, int] | None = None
        self._painter = LinePainter(pane)
        self._cells = self._lines = 0
        self._thumb: tuple[int, int] = (0, 0)
        self._bar_extent: tuple[int, int, int] | None = None
        self._is_ascii = self._show_heading = False
        self._empty_text = ""
        self._shown: list[Look] = []
        self._colours = RowStyles(self, PREFIX)
        super().__init__(id=id)

    # --- what it shows

    def show(self, data: PaneData, now: datetime) -> None:
        """Take a new window of the list, and repaint the lines that look different."""
        self._asked = None
        if data is self._data:
            if self._now is None:
                self.tick(now)  # later ones come by themselves: a picture that brings nothing here costs nothing here
            self._ask()
            return
        old, self._data, self._now = self._data, data, now.astimezone()
        before = self._position
        self._position = follow(before, old, data, self._lines, is_live=self.is_live)
        if self._marks and len(data.rows) == data.total and not data.view.terms:
            self._marks.forget_missing({row.job.id for row in data.rows})
        if self._marks.is_all and old.view.terms != data.view.terms:
            self._marks.clear()
        if old.view.terms != data.view.terms:
            self._painter.use_columns(self._painter.ranked)  # other rows, which may differ in other columns
        self._make_room()
        self._set_extent()
        self._set_top(self._position.top)
        self._stretch(self._position.top - before.top)
        self._settle()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that stand behind the command where they fit and say something, by rank."""
        return self._painter.ranked

    def use_columns(self, columns: Sequence[Column]) -> None:
        """Have these columns, by rank."""
        self._painter.use_columns(columns)
        self._make_room()
        self._repaint(is_whole=True)

    def obstacle_to(self, column: Column) -> str:
        """Return why one of its columns is not drawn, in a few words; ``""`` when it is."""
        if not self._painter.is_drawn(column):
            return "says the same in every row" if self._data.rows else ""
        is_shown = any(field.column is column for field in self._painter.columns.fields)
        return "" if is_shown else "no room in rows of this width"

    def _make_room(self) -> None:
        if self._now is not None:
            self._painter.make_room([row.job for row in self._data.rows], self._now)

    def tick(self, now: datetime) -> None:
        """Repaint what shows the time, where its text has changed."""
        self._now = now.astimezone()
        self._painter.move_on()
        self._repaint()

    @property
    def data(self) -> PaneData:
        """The window that is shown."""
        return self._data

    @property
    def is_ascii(self) -> bool:
        """Whether signs are drawn in ASCII."""
        return self._is_ascii

    @is_ascii.setter
    def is_ascii(self, is_ascii: bool) -> None:
        if is_ascii != self._is_ascii:
            self._is_ascii = is_ascii
            self._painter.use_ascii(is_ascii)
            self._repaint(is_whole=True)

    @property
    def empty_text(self) -> str:
        """What a list without jobs says."""
        return self._empty_text

    @empty_text.setter
    def empty_text(self, text: str) -> None:
        if text != self._empty_text:
            self._empty_text = text
            self._repaint()

    @property
    def show_heading(self) -> bool:
        """Whether the first line holds the column headings."""
        return self._show_heading

    @show_heading.setter
    def show_heading(self, show_heading: bool) -> None:
        if show_heading != self._show_heading:
            self._show_heading = show_heading
            self.take_size()
            self.refresh()

    @property
    def held_queues(self) -> frozenset[str] | None:
        """The queues whose waiting jobs are held (paused or full); ``None`` when all of them are."""
        return self._painter.held

    @held_queues.setter
    def held_queues(self, queues: frozenset[str] | None) -> None:
        if queues != self._painter.held:
            self._painter.held = queues
            self._painter.move_on()
            self._make_room()
            self._repaint()

    @property
    def progress(self) -> Mapping[int, RunProgress]:
        """What is known of how far running jobs are, by id."""
        return self._painter.progress

    @progress.setter
    def progress(self, progress: Mapping[int, RunProgress]) -> None:
        if progress is not self._painter.progress:
            self._painter.progress = progress
            self._painter.move_on()
            self._make_room()
            self._repaint()

    # --- the cursor

    @property
    def cursor_line(self) -> int:
        """The cursor's line in the list, from 0."""
        return self._position.line

    @property
    def is_live(self) -> bool:
        """Whether the cursor stays at the top while jobs come in above it."""
        view = self._data.view
        is_newest_first = self.pane in (Pane.COMPLETED, Pane.DLQ) and view.sort is Sort.DEFAULT and not view.is_reversed
        return self._position.line == self._position.top == 0 and (is_newest_first or not self._has_moved)

    def move(self, lines: int) -> None:
        """Move the cursor, and scroll as little as needed to show it."""
        self._go(self._position.line + lines)

    def home(self) -> None:
        """Go to the first job."""
        self._go(0)

    def end(self) -> None:
        """Go to the last job."""
        self._go(self._data.total - 1)

    def page(self, pages: int) -> None:
        """Move cursor and screen by whole screens, so that the cursor keeps its line of the screen."""
        self._scroll_with_cursor(pages * max(1, self._lines))

    def half_page(self, halves: int) -> None:
        """Move cursor and screen by half screens."""
        self._scroll_with_cursor(halves * max(1, self._lines // 2))

    # --- marks

    @property
    def marks(self) -> frozenset[int]:
        """The ids that are marked one by one or by a range; none when all that match are marked."""
        return self._marks.listed()

    @property
    def is_all_marked(self) -> bool:
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
            return self._data.view
        if marked := self._marks.listed():
            return sorted(marked)
        return [] if self.cursor_job is None else [self.cursor_job.id]

    def toggle_mark(self) -> None:
        """Mark the cursor's job or take its mark away, and move on."""
        job = self._job_to_mark()
        if job is not None:
            self._marks.toggle(job.id)
            self._go(self._position.line + 1)

    def _job_to_mark(self) -> Job | None:
        """Return the job under the cursor, and say so when there is none."""
        if self.cursor_job is None:
            toast(self, "There is no job to mark.", "warning")
        return self.cursor_job

    def start_range(self) -> None:
        """Let the cursor's moves draw a range of marks from here; the second time, keep it."""
        job = self._job_to_mark()
        if job is None:
            return
        if self._marks.is_drawing:
            self._marks.end_range()
        else:
            self._marks.start_range(self._position.line, job.id)
        self._settle()

    def learn(self, start: int, ids: Iterable[int]) -> None:
        """Take the ids that ``RangeWanted`` asked for."""
        self._marks.learn(start, ids)
        self._stretch()
        self._settle()

    def mark_all(self) -> None:
        """Mark all jobs that match, loaded or not."""
        if self._job_to_mark() is not None:
            self._marks.mark_all()
            self._settle()

    def take_marks(self) -> tuple[Marks, View]:
        """Take all marks away, and return them for ``give_back_marks``."""
        taken, self._marks = self._marks, Marks()
        taken.end_range()
        self._settle()
        return taken, self._data.view

    def give_back_marks(self, taken: tuple[Marks, View]) -> None:
        """Mark again what was marked, unless other jobs are marked by now or the list shows another selection."""
        marks, view = taken
        if not self._marks and view.terms == self._data.view.terms:
            self._marks = marks
            self._settle()

    def clear_marks(self) -> bool:
        """Take all marks away; tell whether there were any."""
        had_any = self._marks.clear()
        self._settle()
        return had_any

    # --- the window

    def window_wanted(self) -> tuple[int, int]:
        """Return first line and number of lines of the window to load: the screen and two more either way."""
        lines = max(1, self._lines)
        if self._position.top == 0:  # where most lists stand all day; what is loaded is looked at with every change
            return 0, 2 * lines
        start = max(0, self._position.top - 2 * lines)
        return start, self._position.top + 3 * lines - start

    # --- moving

    def _go(self, line: int, top: int | None = None) -> None:
        if not self._data.total:
            return
        self._has_moved = True
        line = max(0, min(line, self._data.total - 1))
        top = self._position.top if top is None else top
        top = min(max(top, line - max(1, self._lines) + 1), line)
        self._position = CursorPosition(line, id_at(self._data, line), self._clamp_top(top))
        self._set_top(self._position.top)
        self._stretch()
        self._settle()

    def _scroll_with_cursor(self, lines: int) -> None:
        self._go(self._position.line + lines, self._clamp_top(self._position.top + lines))

    def _clamp_top(self, top: int) -> int:
        return max(0, min(top, self._data.total - max(1, self._lines)))

    def _stretch(self, shift: int = 0) -> None:
        missing = self._marks.stretch(self._position.line, self._data, shift)
        if missing is not None:
            self.post_message(self.RangeWanted(self.pane, missing[0], missing[1] - missing[0] + 1))

    def _settle(self) -> None:
        """Paint and report what has changed, and ask for rows that are missing."""
        before_id = None if self.cursor_job is None else self.cursor_job.id
        row = self._row_at(self._position.line)
        if row is not None:
            self.cursor_job, self.cursor_key = row.job, row.key
        elif self._position.job_id is None or self.cursor_job is None or self.cursor_job.id != self._position.job_id:
            self.cursor_job = self.cursor_key = None
        self._repaint()
        job_id = None if self.cursor_job is None else self.cursor_job.id
        if job_id != before_id:
            self.post_message(self.CursorMoved(self.pane, self.cursor_job))
        mark_count = self._marks.count(self._data.total)
        if mark_count != self.mark_count:
            self.mark_count = mark_count
            self.post_message(self.Marked(self.pane, mark_count))
        self._ask()

    def _ask(self) -> None:
        """Ask for another window when less than a screen either way of the visible lines is loaded."""
        if not self._lines or not self._data.total:
            return
        first = max(0, self._position.top - self._lines)
        last = min(self._data.total, self._position.top + 2 * self._lines)
        if self._data.start <= first and last <= self._data.start + len(self._data.rows):
            return
        wanted = self.window_wanted()
        if wanted != self._asked:
            self._asked = wanted
            self.post_message(self.WindowWanted(self.pane, *wanted))

    # --- size and scroll position, without layouts

    def take_size(self) -> None:
        """Fit the lines to the present size, and keep the cursor on screen if it was."""
        self._bar_extent = None
        cells, height = self.scrollable_content_region.size
        lines = max(0, height - self._show_heading)
        was_on_screen = not self._lines or self._position.is_on_screen(self._lines)
        self._lines = lines
        if cells != self._cells:
            self._cells = cells
            self._painter.fit(cells)
        top = self._position.top
        if was_on_screen and lines:
            top = min(max(top, self._position.line - lines + 1), self._position.line)
        self._position = CursorPosition(self._position.line, self._position.job_id, self._clamp_top(top))
        self._set_extent()
        self._set_top(self._position.top)
        self._shown = self._looks()
        self._ask()

    def _set_extent(self) -> None:
        size = Size(self._cells, self._data.total + self._show_heading)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)

    def _set_top(self, top: int) -> None:
        if top != self.scroll_y:
            self.set_reactive(Widget.scroll_y, float(top))
            self.set_reactive(Widget.scroll_target_y, float(top))
        self._set_scrollbar()

    def _set_scrollbar(self) -> None:
        """Repaint the scrollbar if its thumb, in eighths of a cell, is somewhere else now."""
        extent = (self._position.top, self._data.total, self._lines)
        if extent == self._bar_extent or not self._lines or not self.show_vertical_scrollbar:
            return  # asking Textual for the two sizes costs more than painting a line
        self._bar_extent = extent
        height, total = self.scrollable_content_region.height, self.virtual_size.height
        thumb = self._position.thumb(height, total)
        if thumb != self._thumb:
            self._thumb = thumb
            bar = self.vertical_scrollbar
            bar.window_size = height
            bar.window_virtual_size = total
            bar.position = self._position.top

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the wheel and the scrollbar; the cursor stays where it is."""
        super().watch_scroll_y(old_value, new_value)
        top = round(new_value)
        if top != self._position.top:
            self._position = CursorPosition(self._position.line, self._position.job_id, top)
            self._set_scrollbar()
            self._repaint()
            self._ask()

    # --- painting

    def watch_has_focus(self, has_focus: bool) -> None:
        """Repaint the cursor's line; Textual 8.2.8 would ask the style sheet anew: 8 ms that change nothing."""
        self._painter.use_focus(has_focus)
        self._repaint()

    def on_focus(self, event: events.Focus) -> None:
        take_focus(self, event)

    def on_blur(self, event: events.Blur) -> None:
        give_focus(self, event)

    def render_line(self, y: int) -> Strip:
        return self._painter.strip(self._shown[y] if y < len(self._shown) else BLANK, self._colours)

    def notify_style_update(self) -> None:
        self._colours.forget()
        self._painter.forget_styles()
        super().notify_style_update()

    def _repaint(self, *, is_whole: bool = False) -> None:
        """Work out what each line of the screen should show, and refresh those that show something else."""
        old = self._shown
        self._shown = new = self._looks()
        if is_whole or len(old) != len(new):
            self.refresh()
            return
        regions = [Region(0, y, self._cells, 1) for y, look in enumerate(new) if look != old[y]]
        if regions:
            self.refresh(*regions)

    def _looks(self) -> list[Look]:
        if self._now is None or not self._lines:
            return [BLANK] * (self._lines + self._show_heading)
        looks = [self._painter.heading()] if self._show_heading else []
        if self._data.total:
            top = self._position.top
            looks.extend(self._look(line, self._now) for line in range(top, top + self._lines))
        else:
            lines = [BLANK] * self._lines
            texts = self._empty_text.split("\n")[: self._lines]
            first = (self._lines - len(texts)) // 2
            lines[first : first + len(texts)] = [Look("empty", head=((text, ""),)) for text in texts]
            looks.extend(lines)
        return looks

    def _look(self, line: int, now: datetime) -> Look:
        is_cursor = line == self._position.line
        row = self._row_at(line)
        if row is None:
            return Look("missing", self._painter.cursor if is_cursor else "") if line < self._data.total else BLANK
        return self._painter.row(row.job, now, is_cursor=is_cursor, is_marked=row.job.id in self._marks)

    def _row_at(self, line: int) -> Row | None:
        index = line - self._data.start
        return self._data.rows[index] if 0 <= index < len(self._data.rows) else None

    # --- the mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor on the line that is pressed; Textual focuses the table."""
        offset = event.get_content_offset(self)
        if offset is None or event.button != 1:
            return
        line = offset.y - self._show_heading
        if line < 0:
            column = self._painter.columns.heading_at(offset.x)
            if column:
                self.post_message(self.HeadingClicked(self.pane, column))
        elif line + self._position.top < self._data.total:
            self._go(self._position.top + line)

    def on_click(self, event: events.Click) -> None:
        """Open the job of a double click."""
        offset = event.get_content_offset(self)
        if event.chain != 2 or event.button != 1 or offset is None or self.cursor_job is None:
            return
        if offset.y - self._show_heading == self._position.line - self._position.top:
            self.post_message(self.Opened(self.pane, self.cursor_job))
