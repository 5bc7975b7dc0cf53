"""What all dialogs have in common: a bordered box in the middle that fits small terminals, and one end."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType
from textual.widget import Widget

from queuectl_tui.removed_widgets import PastRemovedWidgets
from queuectl_tui.toasts import Toast
from queuectl_tui.widgets.toast_line import ToastLine

#: Quitting, from any screen.
QUIT = Binding("ctrl+q", "app.quit", "Quit", show=False)
#: For a screen of this class with one container of class ``dialog``; ``NAME`` is the screen's class name.
DIALOG_CSS = """
NAME {
    align: center middle;
    background: $background 60%;
}
NAME > .dialog {
    width: 76;
    max-width: 100%;
    height: auto;
    max-height: 100%;
    padding: 0 1;
    background: $surface;
    color: $foreground;
    border: round $primary;
    border-title-color: $primary;
    border-title-style: bold;
    border-subtitle-color: $text-muted;
    scrollbar-size-vertical: 1;
    scrollbar-background: $surface;
    scrollbar-background-hover: $surface;
    scrollbar-background-active: $surface;
}
"""


def dialog_css(name: str) -> str:
    """Return the style of a dialog for the screen class of this name."""
    return DIALOG_CSS.replace("NAME", name)


class Dialog(ModalScreen[ScreenResultType], PastRemovedWidgets[ScreenResultType]):
    """A screen in front of the dashboard that gives one result.

    Keys typed in one burst must act in their order. A binding with priority overtakes the text typed before it; one
    without comes after the text typed behind it. So a widget for text offers each key to its dialog first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [QUIT]
    _toast_line: ToastLine | None = None

    def show_toast(self, toast: Toast | None) -> None:
        """Show a toast below the dialog; ``None`` shows none."""
        if self._toast_line is None:
            if toast is None or not self.is_attached:
                return
            self._toast_line = ToastLine()
            self.mount(self._toast_line)
        self._toast_line.show(toast)

    def takes_key(self, event: events.Key) -> bool:
        """Do at once what a key means that was pressed in a widget for text; return whether it means anything."""
        return False

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close with a result, unless the dialog has closed already or has another screen above it.

        Keys that arrive in one burst all reach the dialog before the first of them has closed it, and Textual 8.2.8
        removes the top screen of its stack at each ``dismiss``, whichever that is by then: the dashboard, too.
        """
        return super().dismiss(result) if self.is_active else AwaitComplete()


def offer_key(widget: Widget, event: events.Key) -> bool:
    """Offer a key to the dialog that a widget for text stands in; return whether the dialog has taken it."""
    is_taken = isinstance(widget.screen, Dialog) and widget.screen.takes_key(event)
    if is_taken:
        event.stop()
        event.prevent_default()
    return is_taken
