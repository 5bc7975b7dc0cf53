"""A short list of rows in columns with a cursor that follows its row: the queues, the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from queuectl_tui.cells import pad, pad_left, width
from queuectl_tui.line_text import word_rows
from queuectl_tui.widgets.theme_styles import styles_of

_GAP = "  "
#: The fewest cells for the first column, if its texts are that long.
_NARROWEST = 8
_WHEEL_ROWS = 3


class Column(NamedTuple):
    """A column: its title, the rank by which it goes when there is no room (0 stays), the side its texts stand at."""

    title: str
    rank: int = 0
    is_right: bool = False


class Cell(NamedTuple):
    """A text in a style of ``theme_styles``; "" is the row's own."""

    text: str
    style: str = ""


class RowOfCells(NamedTuple):
    """What the row is about, which no other row has, and a cell for each column."""

    key: str
    cells: tuple[Cell, ...]


class FittedColumn(NamedTuple):
    """Which column is shown, and over how many cells."""

    number: int
    cells: int


class RowList(Widget, can_focus=True, inherit_bindings=False):
    """Shows rows under a line of headings; it has no keys of its own.

    While the cursor's row is there the cursor stays with it; after it has gone, on the same line.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--heading", "row-list--cursor", "row-list--focus"}
    DEFAULT_CSS = "RowList { height: 1fr; background: $background; color: $foreground; }"

    class Mounted(Message):
        """The list is there and can have the focus."""

    class CursorMoved(Message):
        """The cursor was moved to another row."""

    def __init__(self, columns: Sequence[Column], empty_text: str, *, is_ascii: bool = False, id: str) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._empty_text = empty_text
        self._pointer = ">" if is_ascii else "▶"
        self._rows: tuple[RowOfCells, ...] = ()
        self._fitted: tuple[int, list[FittedColumn]] | None = None
        self._cursor = self._top = 0

    def show(self, rows: Sequence[RowOfCells]) -> None:
        """Show other rows; nothing is repainted when they are what stands there already."""
        new = tuple(rows)
        if new == self._rows:
            return
        key = self.cursor_key
        self._rows = new
        self._fitted = None
        keys = [row.key for row in new]
        self._cursor = keys.index(key) if key in keys else min(self._cursor, max(0, len(new) - 1))
        self._keep_in_view()
        self.refresh()

    @property
    def cursor_key(self) -> str | None:
        """Return what the row under the cursor is about, ``None`` when there is no row."""
        return self._rows[self._cursor].key if self._rows else None

    # --- moving

    def move(self, rows: int) -> None:
        """Move the cursor down, or up when negative, as far as there are rows."""
        self._cursor = min(max(0, self._cursor + rows), max(0, len(self._rows) - 1))
        self._keep_in_view()
        self.refresh()
        self.post_message(self.CursorMoved())

    def page(self, direction: int) -> None:
        """Move the cursor a page down, or up when ``direction`` is negative."""
        self.move(direction * max(1, self._height - 1))

    def home(self) -> None:
        """Move the cursor to the first row."""
        self.move(-len(self._rows))

    def end(self) -> None:
        """Move the cursor to the last row."""
        self.move(len(self._rows))

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def _keep_in_view(self) -> None:
        self._scroll(min(max(self._top, self._cursor - self._height + 1), self._cursor))

    def _scroll(self, top: int) -> None:
        self._top = min(max(0, top), max(0, len(self._rows) - self._height))

    def on_mount(self) -> None:
        self.post_message(self.Mounted())

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._keep_in_view()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row that was clicked."""
        row = self._top + event.y - 1
        if event.y and row < len(self._rows):
            self.move(row - self._cursor)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._on_wheel(event, _WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._on_wheel(event, -_WHEEL_ROWS)

    def _on_wheel(self, event: events.MouseEvent, rows: int) -> None:
        event.stop()
        event.prevent_default()
        self._scroll(self._top + rows)
        self.refresh()

    # --- painting

    def _columns_for(self, cells: int) -> list[FittedColumn]:
        """Return the columns that fit, those of a high rank left out first, then the first one cut."""
        if self._fitted is None or self._fitted[0] != cells:
            self._fitted = cells, fitted_columns(self._columns, self._rows, cells - 2)
        return self._fitted[1]

    def render_line(self, y: int) -> Strip:
        cells, base = self.size.width, self.rich_style
        row = self._top + y - 1
        if not self._rows:
            said = word_rows(self._empty_text, max(1, cells))
            line = y - max(0, self.size.height // 2 - len(said) // 2)
            text = said[line] if 0 <= line < len(said) else ""
            segments = [Segment(" " * ((cells - width(text)) // 2) + text, base + styles_of(self.app)["muted"])]
        elif y == 0:
            base = base + self._style("heading")
            headings = [Cell(column.title) for column in self._columns]
            segments = self._segments("  ", headings, base, cells)
        elif row < len(self._rows):
            is_here = row == self._cursor
            if is_here:
                base = base + self._style("focus" if self.has_focus else "cursor")
            segments = self._segments(f"{self._pointer if is_here else ' '} ", self._rows[row].cells, base, cells)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(cells, base)

    def _segments(self, start: str, texts: Sequence[Cell], base: Style, cells: int) -> list[Segment]:
        styles = styles_of(self.app)
        segments = [Segment(start, base)]
        for index, room in self._columns_for(cells):
            text, style = texts[index]
            shown = pad_left(text, room) if self._columns[index].is_right else pad(text, room)
            segments += [Segment(shown, base + styles[style] if style else base), Segment(_GAP, base)]
        return segments

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"row-list--{name}", partial=True)


def fitted_columns(columns: Sequence[Column], rows: Sequence[RowOfCells], room: int) -> list[FittedColumn]:
    """Return the columns that say something and fit into ``room`` cells.

    The highest rank goes first, and at last the first column is cut.
    """
    cells = [
        max(width(column.title), *(width(row.cells[index].text) for row in rows), 0)
        for index, column in enumerate(columns)
    ]
    said = {index for row in rows for index, cell in enumerate(row.cells) if cell.text}
    kept = [index for index in range(len(columns)) if cells[index] and (index in said or not rows)]

    def excess() -> int:
        return sum(cells[index] + len(_GAP) for index in kept) - len(_GAP) - room

    while excess() > 0 and (rank := max(columns[index].rank for index in kept)):
        kept = [index for index in kept if columns[index].rank != rank]
    if excess() > 0:
        cells[kept[0]] = max(_NARROWEST, cells[kept[0]] - excess())
    return [FittedColumn(index, cells[index]) for index in kept]
