"""A small dialog beside a list that chooses and orders the list's columns; each change is seen in the list at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Offset, Region, Size
from textual.strip import Strip
from textual.widget import Widget

from queuectl_tui.application import Program
from queuectl_tui.cells import clip, pad
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.columns import RANKED, Column, offered
from queuectl_tui.widgets.glyphs import ASCII, UNICODE, Glyphs
from queuectl_tui.widgets.pane_box import PaneBox

_CELLS = 58
_NAME_CELLS = 12

#: What draws other columns in the list: called with those that are shown, in their order.
Draw = Callable[[Sequence[Column]], None]
#: Why a column that is to be shown is not drawn, ``""`` when it is.
Obstacle = Callable[[Column], str]


def choose_columns(app: App[int], program: Program, box: PaneBox) -> None:
    """Open the dialog for the list of a pane; what it chooses is drawn at once, and remembered by the program."""
    pane, table = box.pane, box.table

    def draw(columns: Sequence[Column]) -> None:
        table.use_columns(columns)
        is_first = tuple(columns) == RANKED[pane]
        program.remember_columns(pane, None if is_first else [column.name for column in columns])

    columns = ColumnList(pane, table.columns, ASCII if table.is_ascii else UNICODE, draw, table.obstacle_to)
    app.push_screen(ColumnsScreen(f"Columns of {pane.title}", columns, box.region))


class ColumnList(Widget, can_focus=True):
    """The columns in their order, each shown or hidden, one pointed at."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"columns--current", "columns--muted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j,tab", "point(1)", "Down", show=False),
        Binding("up,k,shift+tab", "point(-1)", "Up", show=False),
        Binding("space,x", "switch", "Show or hide", show=False),
        Binding("J,shift+down,right", "move(1)", "Move down", show=False),
        Binding("K,shift+up,left", "move(-1)", "Move up", show=False),
        Binding("0", "reset", "As at first", show=False),
    ]
    DEFAULT_CSS = """
    ColumnList { height: auto; width: 100%; background: $surface; color: $foreground; }
    ColumnList > .columns--current { background: $primary 25%; }
    """

    def __init__(
        self,
        pane: Pane,
        shown: Sequence[Column],
        glyphs: Glyphs,
        draw: Draw,
        obstacle: Obstacle,
    ) -> None:
        super().__init__()
        self._pane = pane
        self._glyphs = glyphs
        self._draw = draw
        self._obstacle = obstacle
        self._current = 0
        self._set_shown(shown)

    def _set_shown(self, shown: Sequence[Column]) -> None:
        self._shown = set(shown)
        self._columns = [*shown, *(column for column in offered(self._pane) if column not in self._shown)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._columns)

    def render_line(self, y: int) -> Strip:
        cells = self.size.width
        if y >= len(self._columns):
            return Strip.blank(cells, self.rich_style)
        column = self._columns[y]
        is_shown = column in self._shown
        base = self.get_component_rich_style("columns--current") if y == self._current else self.rich_style
        muted = base + self.get_component_rich_style("columns--muted", partial=True)
        pointer = self._glyphs.cursor if y == self._current else " "
        mark = self._glyphs.mark if is_shown else " "
        why = self._obstacle(column) if is_shown else ""
        explanation = clip(why or column.explanation, cells - _NAME_CELLS - 4, self._glyphs.ellipsis)
        name = Segment(f"{pad(column.name, _NAME_CELLS)} ", base if is_shown else muted)
        strip = Strip([Segment(f"{pointer}{mark} ", base), name, Segment(explanation, muted)])
        return strip.adjust_cell_length(cells, base)

    def action_point(self, step: int) -> None:
        """Point at another column, the first after the last."""
        self._current = (self._current + step) % len(self._columns)
        self.refresh()

    def action_switch(self) -> None:
        """Show or hide the column that is pointed at."""
        self._shown ^= {self._columns[self._current]}
        self._show_change()

    def action_move(self, step: int) -> None:
        """Give the column that is pointed at another rank."""
        other = self._current + step
        if 0 <= other < len(self._columns):
            columns = self._columns
            columns[self._current], columns[other] = columns[other], columns[self._current]
            self._current = other
            self._show_change()

    def action_reset(self) -> None:
        """Show the columns that the pane has at first, in their order."""
        self._set_shown(RANKED[self._pane])
        self._show_change()

    def _show_change(self) -> None:
        self._draw([column for column in self._columns if column in self._shown])
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Show or hide the column that was clicked."""
        if 0 <= event.y < len(self._columns):
            self._current = event.y
            self.action_switch()


class ColumnsScreen(Dialog[None]):
    """Stands below or above the list whose columns it chooses, at ``beside``, and leaves all else in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,|,vertical_line", "close", "Close", show=False),
    ]
    DEFAULT_CSS = (
        dialog_css("ColumnsScreen")
        + f"""
    ColumnsScreen {{ align: left top; background: $background 0%; }}
    ColumnsScreen > .dialog {{ width: {_CELLS}; }}
    """
    )

    def __init__(self, title: str, columns: ColumnList, beside: Region) -> None:
        super().__init__()
        self._columns = columns
        self._beside = beside
        self._dialog = VerticalScroll(classes="dialog", can_focus=False)
        self._dialog.border_title = title
        self._dialog.border_subtitle = "Space on/off · J K order · 0 resets · Esc closes"

    def compose(self) -> ComposeResult:
        with self._dialog:
            yield self._columns

    def on_mount(self) -> None:
        self.query(ColumnList).focus()  # none where the program ends meanwhile
        self._place()

    def on_resize(self) -> None:
        """Stay on the screen."""
        self._place()

    def _place(self) -> None:
        columns, lines = self.app.size
        height = min(lines, self._columns.get_content_height(self.size, self.size, _CELLS) + 2)
        x, y = self._beside.x, self._beside.bottom
        if y + height > lines:
            y = self._beside.y - height if self._beside.y >= height else lines - height
        self._dialog.styles.offset = Offset(max(0, min(x, columns - _CELLS)), max(0, y))

    def action_close(self) -> None:
        """Go back to the list."""
        self.dismiss(None)
