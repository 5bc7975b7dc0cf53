"""A scrolled widget that takes its size while it is laid out, so that the first picture already has its content.

Textual 8.2.8 tells a widget of its size by a message, and paints before the message is read: a screen full of nothing,
60 ms before there is something to see at the start, and a flicker at each resize.
"""

from __future__ import annotations

from textual.geometry import Size
from textual.scroll_view import ScrollView


class EarlySize(ScrollView, inherit_bindings=False):
    """Calls ``take_size`` between the layout and the painting of it."""

    def take_size(self) -> None:
        """Make what depends on the size; all of the widget is painted next."""
        raise NotImplementedError

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        is_new = size != self._size
        has_changed = super()._size_updated(size, virtual_size, container_size, layout)
        if is_new:
            self.take_size()
        return has_changed

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
