"""Taking and giving the focus without the repainting of a whole widget that Textual's own handlers bring.

For widgets that paint line by line and repaint what shows the focus themselves.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget


def take_focus(widget: Widget, event: events.Focus) -> None:
    """Do what Textual does for ``event``, but for the repainting; to be called by the widget's ``on_focus``."""
    event.prevent_default()
    widget.has_focus = True
    if widget.parent is not None:
        widget.parent.post_message(events.DescendantFocus(widget))


def give_focus(widget: Widget, event: events.Blur) -> None:
    """Do the same for a widget that loses the focus; to be called by its ``on_blur``."""
    event.prevent_default()
    widget.has_focus = False
    if widget.parent is not None:
        widget.parent.post_message(events.DescendantBlur(widget))
