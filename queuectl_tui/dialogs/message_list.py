"""All messages of this run of the dashboard, with their times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from core.wording import ago
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.message_log import LoggedMessage
from queuectl_tui.toasts import SIGNS

#: The colour of a message's sign and time, by severity, as a variable of the theme.
_COLOURS = {"information": "foreground-darken-3", "warning": "warning", "error": "error"}


class MessagesScreen(Dialog[None]):
    """Lists messages in the order given, each with its local time and its age at ``now``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,m", "close", "Close", show=False),
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
    ]
    DEFAULT_CSS = (
        dialog_css("MessagesScreen")
        + """
    MessagesScreen > .dialog { width: 94; max-height: 90%; }
    MessagesScreen Static { height: auto; padding: 0 1 0 0; }
    """
    )

    def __init__(self, messages: Sequence[LoggedMessage], now: datetime) -> None:
        super().__init__()
        self._messages = messages
        self._now = now
        self._dialog = VerticalScroll(classes="dialog", can_focus=False)

    def compose(self) -> ComposeResult:
        self._dialog.border_title = "Messages"
        self._dialog.border_subtitle = "↑ ↓ scroll · Esc closes"
        with self._dialog:
            yield Static(self._table() if self._messages else Text("No messages yet."), markup=False)

    def _table(self) -> Table:
        colours = self.app.theme_variables
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(no_wrap=True, width=2)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right", style=colours["foreground-darken-3"])
        table.add_column(ratio=1)
        for message in self._messages:
            time = Text(f"{message.at.astimezone():%H:%M:%S}", style=colours[_COLOURS[message.severity]])
            sign = Text(SIGNS[message.severity].strip(), style=colours[_COLOURS[message.severity]])
            table.add_row(sign, time, Text(ago(message.at, self._now)), Text(message.text))
        return table

    def action_close(self) -> None:
        """Go back to the dashboard."""
        self.dismiss(None)

    def action_scroll_by(self, lines: int) -> None:
        """Scroll the list."""
        self._dialog.scroll_relative(y=lines, animate=False)

    def action_page(self, direction: int) -> None:
        """Scroll the list by a page."""
        self._dialog.scroll_relative(y=direction * max(1, self._dialog.size.height - 3), animate=False)
