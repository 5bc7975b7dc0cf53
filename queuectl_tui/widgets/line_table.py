"""A table that is painted line by line, and repaints nothing else when it scrolls, grows or gets the focus.

Measured with Textual 8.2.8: setting ``virtual_size`` or the scroll position through their reactives lays out or
repaints the whole widget, and so do Textual's handlers of the focus (8 ms for styles that do not change); ``refresh()``
drops the cached styles. So these are set with ``set_reactive``, the widget repaints the lines that show something else,
and has ``RowStyles`` of its own.
"""

from __future__ import annotations

from math import ceil

from textual import events
from textual.geometry import Size
from textual.widget import Widget

from queuectl_tui.widgets.measured_view import MeasuredView


class LineTable(MeasuredView, can_focus=True, inherit_bindings=False):
    """The base of the tables: how they look, take the focus and scroll. They bind no keys: the dashboard moves them."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    LineTable {
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

    _bar_extent: tuple[int, int, int] | None = None
    _thumb: tuple[int, int] = (0, 0)

    def on_focus(self, event: events.Focus) -> None:
        """Do what Textual does for ``event``, but for the repainting."""
        event.prevent_default()
        self.has_focus = True
        if self.parent is not None:
            self.parent.post_message(events.DescendantFocus(self))

    def on_blur(self, event: events.Blur) -> None:
        """Do what Textual does for ``event``, but for the repainting."""
        event.prevent_default()
        self.has_focus = False
        if self.parent is not None:
            self.parent.post_message(events.DescendantBlur(self))

    def _set_extent(self, cells: int, lines: int) -> None:
        """Set the size of the whole content."""
        size = Size(cells, lines)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)

    def _set_top(self, top: int) -> None:
        """Set the line that the screen begins at."""
        if top != self.scroll_y:
            self.set_reactive(Widget.scroll_y, float(top))
            self.set_reactive(Widget.scroll_target_y, float(top))

    def _set_scrollbar(self, top: int, total: int, lines: int) -> None:
        """Repaint the scrollbar of a list of ``total`` lines, if its thumb is somewhere else now."""
        extent = (top, total, lines)
        if extent == self._bar_extent or not lines or not self.show_vertical_scrollbar:
            return  # asking Textual for the two sizes costs more than painting a line
        self._bar_extent = extent
        height, whole = self.scrollable_content_region.height, self.virtual_size.height
        thumb = thumb_of(top, height, whole)
        if thumb != self._thumb:
            self._thumb = thumb
            bar = self.vertical_scrollbar
            bar.window_size, bar.window_virtual_size = height, whole
            bar.position = top


def thumb_of(top: int, height: int, total: int) -> tuple[int, int]:
    """Return where a scrollbar's thumb begins and ends, in eighths of a cell; nowhere while all lines fit."""
    if total <= height:
        return 0, 0
    cells = max(1.0, height * height / total)
    start = int((height - cells) * top / (total - height) * 8)
    return start, start + ceil(cells * 8)
