"""Show one list of jobs as a virtual table that repaints only the lines that changed.

The cursor (``list_cursor``) and the marks (``marks``) know where they are; the table paints them and reports the facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from core.model import Job, View
from queuectl_tui.line_text import word_rows
from queuectl_tui.snapshot import Pane, PaneData, RunProgress
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.columns import Column
from queuectl_tui.widgets.line_painter import BLANK, LinePainter, Look, RowStyles
from queuectl_tui.widgets.line_table import LineTable
from queuectl_tui.widgets.list_cursor import ListCursor
from queuectl_tui.widgets.marks import ListMarks

PREFIX = "job-table--"


@dataclass
class TableMessage(Message, namespace="job_table"):
    """A fact about the table of one pane."""

    pane: Pane


class JobTable(LineTable, inherit_bindings=False):
    """A list of jobs. What keys do to its ``marks`` is there; what they do to its ``cursor`` goes through the table."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"{PREFIX}{name}"
        for name in (
            *("pending", "delayed", "running", "completed", "cancelled", "dead"),
            *("name", "muted", "heading", "empty", "mark", "pointer", "cursor", "marked", "focus"),
        )
    }

    @dataclass
    class CursorMoved(TableMessage):
        """The cursor is on another job now, or on none."""

        job: Job | None

    @dataclass
    class WindowWanted(TableMessage):
        """Rows are on screen, or will soon be, that are not loaded."""

        start: int
        length: int

    @dataclass
    class RangeWanted(TableMessage):
        """The range that is being drawn covers lines that were never loaded; ``ListMarks.learn`` gets their ids."""

        start: int
        length: int

    @dataclass
    class Marked(TableMessage):
        """Another number of jobs is marked now."""

        count: int

    @dataclass
    class HeadingClicked(TableMessage):
        """A heading was clicked: id, command, or that of one of the table's columns."""

        column: str

    @dataclass
    class Opened(TableMessage):
        """A job was double-clicked."""

        job: Job

    def __init__(self, pane: Pane, *, is_ascii: bool = False, id: str | None = None) -> None:
        self.pane = pane
        self.is_ascii = is_ascii
        self.cursor = ListCursor(pane, PaneData(0, 0, (), View(states=pane.states)))
        self.marks = ListMarks(self.cursor, self._settle, lambda sentence: toast(self, sentence, "warning"))
        self._now: datetime | None = None
        self._painter = LinePainter(pane, is_ascii=is_ascii)
        self._show_heading = False
        self._empty_text = ""
        self._shown: list[Look] = []
        self._colours = RowStyles(self, PREFIX)
        #: What was reported last: the id of the cursor's job, the number of marks, and the window that was asked for.
        self._reported_id: int | None = None
        self._reported_marks = 0
        self._asked: tuple[int, int] | None = None
        super().__init__(id=id)

    # --- what it shows

    def show(self, data: PaneData, now: datetime) -> None:
        """Take a new window of the list, and repaint the lines that look different."""
        self._asked = None
        old = self.cursor.data
        if data is old:
            if self._now is None:
                self.tick(now)  # later ones come by themselves: a picture that brings nothing here costs nothing here
            self._ask()
            return
        self._now = now.astimezone()
        shift = self.cursor.show(data)
        self.marks.show(old)
        if (data.notes, data.canaries) != (self._painter.notes, self._painter.canaries):
            self._painter.notes, self._painter.canaries = data.notes, data.canaries
            self._painter.move_on()
        if old.view.terms != data.view.terms:
            self._painter.use_columns(self._painter.ranked)  # other rows, which may differ in other columns
        self._make_room()
        self._set_extent(self._painter.columns.cells, data.total + self._show_heading)
        self._settle(shift)

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
            return "says the same in every row" if self.cursor.data.rows else ""
        is_shown = any(field.column is column for field in self._painter.columns.fields)
        return "" if is_shown else "no room in rows of this width"

    def _make_room(self) -> None:
        if self._now is not None:
            self._painter.make_room([row.job for row in self.cursor.data.rows], self._now)

    def tick(self, now: datetime) -> None:
        """Repaint what shows the time, where its text has changed."""
        self._now = now.astimezone()
        self._painter.move_on()
        self._repaint()

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

    def move(self, lines: int) -> None:
        """Move the cursor, and scroll as little as needed to show it."""
        self.cursor.go(self.cursor.line + lines)
        self._settle()

    def home(self) -> None:
        """Go to the first job."""
        self.cursor.go(0)
        self._settle()

    def end(self) -> None:
        """Go to the last job."""
        self.cursor.go(self.cursor.data.total - 1)
        self._settle()

    def page(self, pages: int) -> None:
        """Move cursor and screen by whole screens, so that the cursor keeps its line of the screen."""
        self.cursor.go_with_screen(pages * max(1, self.cursor.height))
        self._settle()

    def half_page(self, halves: int) -> None:
        """Move cursor and screen by half screens."""
        self.cursor.go_with_screen(halves * max(1, self.cursor.height // 2))
        self._settle()

    def _settle(self, shift: int = 0) -> None:
        """Paint and report what has changed, and ask for rows that are missing; ``shift`` is how far the list moved."""
        self._set_top(self.cursor.position.top)
        self._place_scrollbar()
        missing = self.marks.stretch(shift)
        if missing is not None:
            self.post_message(self.RangeWanted(self.pane, missing[0], missing[1] - missing[0] + 1))
        self._repaint()
        job = self.cursor.job
        job_id = None if job is None else job.id
        if job_id != self._reported_id:
            self._reported_id = job_id
            self.post_message(self.CursorMoved(self.pane, job))
        if self.marks.count != self._reported_marks:
            self._reported_marks = self.marks.count
            self.post_message(self.Marked(self.pane, self.marks.count))
        self._ask()

    def _ask(self) -> None:
        if not self.cursor.is_window_short:
            return
        wanted = self.cursor.window_wanted()
        if wanted != self._asked:
            self._asked = wanted
            self.post_message(self.WindowWanted(self.pane, *wanted))

    # --- size and scroll position, without layouts

    def take_size(self) -> None:
        """Fit the lines to the present size, and keep the cursor on screen if it was."""
        self._bar_extent = None
        cells, height = self.scrollable_content_region.size
        if cells != self._painter.columns.cells:
            self._painter.fit(cells)
        self.cursor.resize(max(0, height - self._show_heading))
        self._set_extent(cells, self.cursor.data.total + self._show_heading)
        self._set_top(self.cursor.position.top)
        self._place_scrollbar()
        self._shown = self._looks()
        self._ask()

    def _place_scrollbar(self) -> None:
        self._set_scrollbar(self.cursor.position.top, self.cursor.data.total, self.cursor.height)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the wheel and the scrollbar; the cursor stays where it is."""
        super().watch_scroll_y(old_value, new_value)
        top = round(new_value)
        if top != self.cursor.position.top:
            self.cursor.scroll_to(top)
            self._place_scrollbar()
            self._repaint()
            self._ask()

    # --- painting

    def watch_has_focus(self, has_focus: bool) -> None:
        """Repaint the cursor's line; Textual 8.2.8 would ask the style sheet anew: 8 ms that change nothing."""
        self._painter.use_focus(has_focus)
        self._repaint()

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
        regions = [Region(0, y, self._painter.columns.cells, 1) for y, look in enumerate(new) if look != old[y]]
        if regions:
            self.refresh(*regions)

    def _looks(self) -> list[Look]:
        height = self.cursor.height
        if self._now is None or not height:
            return [BLANK] * (height + self._show_heading)
        looks = [self._painter.heading()] if self._show_heading else []
        if self.cursor.data.total:
            top = self.cursor.position.top
            looks.extend(self._look(line, self._now) for line in range(top, top + height))
        else:
            lines = [BLANK] * height
            cells = max(1, self._painter.columns.cells)
            texts = [row for line in self._empty_text.split("\n") for row in word_rows(line, cells)][:height]
            first = (height - len(texts)) // 2
            lines[first : first + len(texts)] = [Look("empty", head=((text, ""),)) for text in texts]
            looks.extend(lines)
        return looks

    def _look(self, line: int, now: datetime) -> Look:
        cursor = self.cursor
        row, is_cursor = cursor.row_at(line), line == cursor.line
        if row is None:
            return Look("missing", self._painter.cursor if is_cursor else "") if line < cursor.data.total else BLANK
        return self._painter.row(row.job, now, is_cursor=is_cursor, is_marked=row.job.id in self.marks)

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
        elif line + self.cursor.position.top < self.cursor.data.total:
            self.cursor.go(self.cursor.position.top + line)
            self._settle()

    def on_click(self, event: events.Click) -> None:
        """Open the job of a double click."""
        offset, job = event.get_content_offset(self), self.cursor.job
        if event.chain != 2 or event.button != 1 or offset is None or job is None:
            return
        if offset.y - self._show_heading == self.cursor.line - self.cursor.position.top:
            self.post_message(self.Opened(self.pane, job))
