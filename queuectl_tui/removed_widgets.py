"""A screen on which a toast whose time is up leaves nothing behind: no cells, and no widget under the mouse."""

from __future__ import annotations

from typing import Any

from textual.geometry import Offset
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class PastRemovedWidgets(Screen[ScreenResultType]):
    """A screen that finds no removed widget under the mouse. It comes last among bases: the style is the first one's.

    Textual 8.2.8 asks for the region of the parent that a removed widget no longer has; and it paints over where a
    toast was at the last whole layout, not over where a scroll to a later toast has moved it since.
    """

    _toast_count = 0

    def on_mount(self) -> None:
        """Paint all of the screen again after each layout that has removed a toast."""
        self.screen_layout_refresh_signal.subscribe(self, self._after_layout, immediate=True)

    def _after_layout(self, _: Screen[Any]) -> None:
        before, self._toast_count = self._toast_count, len(self.query("Toast"))
        if self._toast_count < before:
            self.refresh()

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return the widget at a place of the screen, unless it was removed, and the offset in its content."""
        widget, offset = super().get_widget_and_offset_at(x, y)
        return (widget, offset) if widget is None or widget.parent is not None else (None, None)
