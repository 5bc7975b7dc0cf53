"""Ask for the name to save a filter by."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from core.text import clean_line
from queuectl_tui.application import Program
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.toasts import toast


def ask_filter_name(app: App[Any], program: Program, text: str) -> None:
    """Ask for a name and save a filter by it; without a filter, say how to make one."""
    if not text:
        toast(app, "&: there is no filter to save; / makes one", "warning")
        return

    def answered(name: str | None) -> None:
        if name is None:
            return
        program.filters.save(text, name)
        toast(app, f"Filter saved as {name}; ↑ in a filter brings it back." if name else "The filter has no name now.")

    known = next((past.name for past in program.filters.past() if past.text == text and past.name), "")
    app.push_screen(FilterNameScreen(text, known), answered)


class FilterNameScreen(Dialog[str]):
    """Shows a filter and asks for its name: the result, ``""`` for none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]
    DEFAULT_CSS = dialog_css("FilterNameScreen") + "FilterNameScreen > .dialog { width: 60; }"

    def __init__(self, text: str, name: str) -> None:
        super().__init__()
        self._filter_text = text
        self._known_name = name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Save the filter"
            dialog.border_subtitle = "⏎ saves · empty: no name · Esc"
            yield Static(f"/{clean_line(self._filter_text)}", markup=False)
            yield Input(self._known_name, placeholder="name", compact=True, select_on_focus=False)

    @on(Input.Submitted)
    def _save(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(clean_line(event.value).strip())

    def action_cancel(self) -> None:
        """Close and save nothing."""
        self.dismiss(None)
