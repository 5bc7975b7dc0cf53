"""A screen that finds no removed widget under the mouse."""

from __future__ import annotations

from textual.geometry import Offset
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class PastRemovedWidgets(Screen[ScreenResultType]):
    """A screen that finds no removed widget under the mouse. It comes last among bases: the style is the first one's.

    Textual 8.2.8 asks for the region of the parent that a removed widget no longer has.
    """

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return the widget at a place of the screen, unless it was removed, and the offset in its content."""
        widget, offset = super().get_widget_and_offset_at(x, y)
        return (widget, offset) if widget is None or widget.parent is not None else (None, None)
