"""A scrolled widget that arranges its content for a new size when it is painted, so that no picture comes without it.

Textual 8.2.8 reports a widget's size by a message that is read after the first painting at that size: 60 ms of an empty
screen at the start, and a flicker at each resize.
"""

from __future__ import annotations

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class MeasuredView(ScrollView, inherit_bindings=False):
    """Calls ``take_size`` once for each new size, before the first line is painted at it."""

    _taken_size: Size | None = None

    def take_size(self) -> None:
        """Arrange the content for the present size, without a ``refresh``: all of the widget is being painted."""
        raise NotImplementedError

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a region of the widget, arranged for its present size."""
        self._take_new_size()
        return super().render_lines(crop)

    def on_resize(self) -> None:
        """Arrange the content also while the widget is covered and is not painted."""
        self._take_new_size()

    def _take_new_size(self) -> None:
        size = self.outer_size
        if size != self._taken_size:
            self._taken_size = size
            self.take_size()

    def hide_bar(self) -> None:
        """Do without the scrollbar and keep its column free: it is a widget of its own, a millisecond at the start."""
        self.styles.overflow_y = "hidden"
        self.styles.padding = (0, 1, 0, 0)

    def show_bar(self) -> None:
        """Have the scrollbar that the style sheet asks for."""
        inline = self.styles.inline
        inline.clear_rule("overflow_y")
        inline.clear_rule("padding")
        self.show_vertical_scrollbar = True
        self.vertical_scrollbar.position = self.scroll_y
        self.update_node_styles()  # one that is made after its widget was styled has no styles of its own
