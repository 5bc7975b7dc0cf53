"""A dialog that asks for one of a few things, each with a key and a line that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from core.text import clean_line
from queuectl_tui.cells import clip, flat, pad
from queuectl_tui.dialogs.dialog import Dialog, dialog_css
from queuectl_tui.line_text import word_rows

_WIDE = 56
_KEY_CELLS = 4


class Choice(NamedTuple):
    """One thing to choose: what is given back, its key, its name and a line that explains it."""

    value: str
    key: str
    name: str
    explanation: str


class ChoiceList(Widget, can_focus=True):
    """The choices, one pointed at. With room a line each, else the explanation below."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "choices--key",
        "choices--explanation",
        "choices--name",
        "choices--current",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j,tab", "move(1)", "Down", show=False),
        Binding("up,k,shift+tab", "move(-1)", "Up", show=False),
        Binding("enter,space", "take", "Choose", show=False),
    ]
    DEFAULT_CSS = """
    ChoiceList { height: auto; width: 100%; background: $surface; color: $foreground; }
    ChoiceList > .choices--key { color: $primary; text-style: bold; }
    ChoiceList > .choices--explanation { color: $text-muted; }
    ChoiceList > .choices--name { text-style: bold; }
    ChoiceList > .choices--current { background: $primary 25%; }
    """

    class Taken(Message):
        """A choice was made."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    def __init__(self, choices: Sequence[Choice], current: int = 0) -> None:
        super().__init__()
        self._choices = tuple(choices)
        self.current = current
        self._rows: list[tuple[int, Strip]] = []

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def _lines(self, width: int) -> list[tuple[int, list[tuple[str, str]]]]:
        """Return (number of the choice, parts with their styles) for each line."""
        names = max(len(choice.name) for choice in self._choices) + 2
        lines: list[tuple[int, list[tuple[str, str]]]] = []
        for number, choice in enumerate(self._choices):
            explanation = flat(clean_line(choice.explanation))
            parts = [(pad(f" {choice.key}", _KEY_CELLS - 1), "key"), (pad(choice.name, names), "name")]
            if width >= _WIDE:
                parts.append((clip(explanation, width - names - _KEY_CELLS), "explanation"))
                lines.append((number, parts))
            else:
                rows = word_rows(explanation, max(8, width - _KEY_CELLS))
                lines.append((number, parts))
                lines += [(number, [(" " * (_KEY_CELLS - 1) + row, "explanation")]) for row in rows]
        return lines

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, self.rich_style)
        number, parts = lines[y]
        is_current = number == self.current
        base = self.get_component_rich_style("choices--current") if is_current else self.rich_style
        segments = [
            Segment(text, base + self.get_component_rich_style(f"choices--{name}", partial=name != "explanation"))
            for text, name in parts
        ]
        if is_current:
            segments = [Segment(segment.text, (segment.style or base) + base.background_style) for segment in segments]
        return Strip(segments).adjust_cell_length(width, base)

    def action_move(self, step: int) -> None:
        """Point at another choice."""
        self.current = (self.current + step) % len(self._choices)
        self.refresh()

    def action_take(self) -> None:
        """Choose what is pointed at."""
        self.post_message(self.Taken(self._choices[self.current].value))

    def on_key(self, event: events.Key) -> None:
        """Choose by key."""
        for choice in self._choices:
            if event.key == choice.key:
                event.stop()
                self.post_message(self.Taken(choice.value))

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        lines = self._lines(self.size.width)
        if 0 <= event.y < len(lines):
            self.current = lines[event.y][0]
            self.action_take()


class ChoiceScreen(Dialog[str | None]):
    """Gives the value of the choice that was made, or ``None``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "cancel", "Cancel", show=False)]
    DEFAULT_CSS = (
        dialog_css("ChoiceScreen")
        + """
    ChoiceScreen .intro { height: auto; padding: 0 1 1 1; }
    """
    )

    def __init__(self, title: str, intro: str, choices: Sequence[Choice], *, closing: str = "Esc closes") -> None:
        super().__init__()
        self._heading = title
        self._intro = intro
        self._choices = choices
        self._way_out = closing

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = self._heading
            dialog.border_subtitle = f"⏎ chooses · {self._way_out}"
            if self._intro:
                yield Static(self._intro, classes="intro", markup=False)
            yield ChoiceList(self._choices)

    def on_mount(self) -> None:
        self.query(ChoiceList).focus()  # none where the program ends meanwhile

    def on_choice_list_taken(self, event: ChoiceList.Taken) -> None:
        """Close with what was chosen."""
        self.dismiss(event.value)

    def action_cancel(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
