"""Show the groups of dead jobs, the largest first, with a cursor that stays on its group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from core.model import DeadGroup
from queuectl_tui.cells import clip, width
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.glyphs import Part
from queuectl_tui.widgets.group_line import Columns, columns_for, heading, line
from queuectl_tui.widgets.line_painter import RowStyles
from queuectl_tui.widgets.line_table import LineTable

PREFIX = "group-table--"
#: With fewer lines the table has no heading.
_LINES_WITH_HEADING = 4


class _Look(NamedTuple):
    """What a line of the screen shows; ``row`` is ``"focus"`` or ``"cursor"`` for the cursor's, else ``""``."""

    parts: tuple[Part, ...] = ()
    row: str = ""


class GroupTable(LineTable, inherit_bindings=False):
    """A list of groups with a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"{PREFIX}{name}" for name in ("dead", "muted", "heading", "empty", "pointer", "cursor", "focus")
    }

    class CursorMoved(Message):
        """The cursor is on another group now, or on none."""

    class Opened(Message):
        """A group was double-clicked."""

    def __init__(self, *, is_ascii: bool = False, id: str | None = None) -> None:
        self.pane = Pane.DLQ
        #: The groups that are shown, ``None`` until they were read.
        self.data: tuple[DeadGroup, ...] | None = None
        self._is_ascii = is_ascii
        self._now: datetime | None = None
        self._line = self._top = 0
        self._has_moved = False
        self._columns = Columns(0)
        self._lines = 0
        self._shown: list[_Look] = []
        self._colours = RowStyles(self, PREFIX)
        super().__init__(id=id)

    # --- what it shows

    def show(self, groups: tuple[DeadGroup, ...] | None, now: datetime) -> None:
        """Take the groups as they are now; the cursor stays on its group, and at the top until it was moved."""
        if groups is self.data and self._now is not None:
            return
        before = self.cursor_group
        self.data, self._now = groups, now
        lines = {group.fingerprint: number for number, group in enumerate(groups or ())}
        if before is not None and self._has_moved:
            found = lines.get(before.fingerprint, self._line)
            self._top += found - self._line
            self._line = found
        self._fit()
        self._settle(before)

    def tick(self, now: datetime) -> None:
        """Repaint the lines whose times have moved on."""
        self._now = now
        self._repaint()

    @property
    def cursor_group(self) -> DeadGroup | None:
        """The group under the cursor."""
        return self.data[self._line] if self.data and self._line < len(self.data) else None

    # --- the cursor

    def reset(self) -> None:
        """Forget the groups and go to the top: they are about to be read anew."""
        self.data, self._line, self._top, self._has_moved = None, 0, 0, False
        self._repaint()

    def move(self, lines: int) -> None:
        """Move the cursor, and scroll as little as needed to show it."""
        self._go(self._line + lines)

    def home(self) -> None:
        """Go to the largest group."""
        self._go(0)

    def end(self) -> None:
        """Go to the smallest group."""
        self._go(len(self.data or ()) - 1)

    def page(self, pages: float) -> None:
        """Move the cursor by so many screens."""
        self._go(self._line + int(pages * max(1, self._rows)))

    def _go(self, number: int) -> None:
        before = self.cursor_group
        if before is not None:
            self._has_moved = True
            self._line = max(0, min(number, len(self.data or ()) - 1))
            self._settle(before)

    def _settle(self, before: DeadGroup | None) -> None:
        """Scroll to the cursor, paint what has changed, and report another group under the cursor."""
        total, rows = len(self.data or ()), max(1, self._rows)
        self._line = max(0, min(self._line, total - 1))
        top = min(max(self._top, self._line - rows + 1), self._line)
        self._begin_at(max(0, min(top, total - rows)))
        self._repaint()
        here = self.cursor_group
        if (before and before.fingerprint) != (here and here.fingerprint) or (before is None) is not (here is None):
            self.post_message(self.CursorMoved())

    # --- size and scroll position, without layouts

    @property
    def _has_heading(self) -> bool:
        return self._lines >= _LINES_WITH_HEADING and bool(self.data)

    @property
    def _rows(self) -> int:
        return self._lines - self._has_heading

    def take_size(self) -> None:
        """Fit the lines to the present size, and keep the cursor on screen."""
        self._bar_extent = None
        self._lines = self.scrollable_content_region.height
        self._fit()
        rows = max(1, self._rows)
        self._begin_at(min(max(self._top, self._line - rows + 1), self._line))
        self._shown = self._looks()

    def _fit(self) -> None:
        self._columns = columns_for(self.scrollable_content_region.width, self.data or ())
        self._set_extent(self._columns.cells, len(self.data or ()) + self._has_heading)

    def _begin_at(self, top: int) -> None:
        self._top = top
        self._set_top(top)
        self._set_scrollbar(top, self.virtual_size.height, self._lines)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the wheel and the scrollbar; the cursor stays where it is."""
        super().watch_scroll_y(old_value, new_value)
        if round(new_value) != self._top:
            self._begin_at(round(new_value))
            self._repaint()

    # --- painting

    def watch_has_focus(self, has_focus: bool) -> None:
        """Repaint the cursor's line."""
        self._repaint()

    def notify_style_update(self) -> None:
        self._colours.forget()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        look = self._shown[y] if y < len(self._shown) else _Look()
        segments = [Segment(text, self._colours(name, look.row)) for text, name in look.parts]
        return Strip(segments).adjust_cell_length(self._columns.cells, self._colours("", look.row))

    def _repaint(self) -> None:
        old = self._shown
        self._shown = new = self._looks()
        if len(old) != len(new):
            self.refresh()
            return
        regions = [Region(0, y, self._columns.cells, 1) for y, look in enumerate(new) if look != old[y]]
        if regions:
            self.refresh(*regions)

    def _looks(self) -> list[_Look]:
        if self._now is None or not self._lines:
            return [_Look()] * self._lines
        if not self.data:
            return self._said("Reading …" if self.data is None else "No dead jobs. Esc goes back to the list.")
        looks = [_Look(((heading(self._columns), "heading"),))] if self._has_heading else []
        shown: Sequence[DeadGroup] = self.data[self._top : self._top + self._rows]
        looks += [self._look(group, number, self._now) for number, group in enumerate(shown, self._top)]
        return looks + [_Look()] * (self._lines - len(looks))

    def _said(self, text: str) -> list[_Look]:
        looks = [_Look()] * self._lines
        said = clip(text, self._columns.cells)
        indent = " " * ((self._columns.cells - width(said)) // 2)
        looks[(self._lines - 1) // 2] = _Look(((indent + said, "empty"),))
        return looks

    def _look(self, group: DeadGroup, number: int, now: datetime) -> _Look:
        is_cursor = number == self._line
        row = ("focus" if self.has_focus else "cursor") if is_cursor else ""
        sign = (">" if self._is_ascii else "▶") if is_cursor else " "
        pointer = (sign, "pointer" if row == "focus" else "muted")
        return _Look((pointer, *line(group, self._columns, now, is_ascii=self._is_ascii)), row)

    # --- the mouse

    def _row_at(self, event: events.MouseEvent) -> int | None:
        offset = event.get_content_offset(self)
        row = -1 if offset is None else offset.y - self._has_heading
        return row + self._top if row >= 0 and row + self._top < len(self.data or ()) else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor on the line that is pressed; Textual focuses the table."""
        row = self._row_at(event)
        if row is not None and event.button == 1:
            self._go(row)

    def on_click(self, event: events.Click) -> None:
        """Open the group of a double click."""
        if event.chain == 2 and event.button == 1 and self._row_at(event) == self._line:
            self.post_message(self.Opened())
