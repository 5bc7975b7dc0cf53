"""The command palette: the commands that make sense now, one a line, found by typing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from textual import events, on
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from core.text import clean_line
from core.wording import count
from queuectl_tui.cells import clip, pad, width
from queuectl_tui.dialogs.dialog import Dialog, dialog_css, offer_key

_WIDE = 112
#: The names have at most so many cells, and a quarter of the line; the explanations begin in one column behind them.
_NAMES_MOST = 24
#: Fewer cells than these say nothing of an explanation.
_FEWEST = 8


class Command(NamedTuple):
    """One command: its name, a sentence that explains it, the keys that do the same, and what it does."""

    name: str
    explanation: str
    keys: str
    do: Callable[[], object]


def found_by(text: str, commands: Sequence[Command]) -> list[Command]:
    """Return the commands whose name begins with a text, then those with its words in the name or the explanation.

    If there are none, those whose name has its letters in order. An empty text finds all.
    """
    words = text.lower().split()
    ranked = [(rank, command) for command in commands if (rank := _rank(command, words)) is not None]
    ranked.sort(key=lambda found: found[0])
    if ranked:
        return [command for _, command in ranked]
    return [command for command in commands if _has_letters(command.name.lower(), "".join(words))]


def _rank(command: Command, words: Sequence[str]) -> int | None:
    name = command.name.lower()
    everything = f"{name} {command.explanation.lower()}"
    if name.startswith(" ".join(words)):
        return 0
    if all(word in name for word in words):
        return 1
    return 2 if all(word in everything for word in words) else None


def _has_letters(name: str, letters: str) -> bool:
    left = iter(name)
    return all(letter in left for letter in letters)


class SearchRow(Input):
    """The row that is typed into; keys go to the palette first."""

    def on_key(self, event: events.Key) -> None:
        """Offer a key to the palette before it is typed."""
        offer_key(self, event)

    def on_paste(self, event: events.Paste) -> None:
        """Insert the first line of a pasted text, its control characters removed."""
        event.stop()
        event.prevent_default()
        for line in event.text.splitlines()[:1]:
            self.replace(clean_line(line), *sorted(self.selection))


class CommandList(Widget):
    """The commands that were found, one a line, one pointed at."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"commands--current", "commands--key", "commands--explanation"}
    DEFAULT_CSS = """
    CommandList { height: 1fr; width: 100%; background: $surface; color: $foreground; }
    CommandList > .commands--current { background: $primary 25%; text-style: bold; }
    CommandList > .commands--key { color: $primary; text-style: bold; }
    CommandList > .commands--explanation { color: $muted; text-style: not bold; }
    """

    class Pointed(Message):
        """Other commands are found, or another one is pointed at."""

    class Clicked(Message):
        """A command was clicked: the one that is pointed at now."""

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__()
        self._found = tuple(commands)
        self._names = max((min(_NAMES_MOST, width(command.name)) for command in commands), default=0)
        self._line = self._top = 0

    @property
    def current(self) -> Command | None:
        """The command that is pointed at."""
        return self._found[self._line] if self._found else None

    @property
    def place(self) -> str:
        """Where in the list that is, in words."""
        return f"{count(self._line + 1)} of {count(len(self._found))}" if self._found else "no command found"

    def show(self, commands: Sequence[Command]) -> None:
        """Show other commands, and point at the first."""
        self._found = tuple(commands)
        self._point_at(0)

    def move(self, lines: int) -> None:
        """Point at a command so many lines below, or above when negative; the first comes after the last."""
        if self._found:
            self._point_at((self._line + lines) % len(self._found))

    def page(self, pages: int) -> None:
        """Point at a command so many screens below, or above when negative."""
        self._point_at(self._line + pages * max(1, self.size.height - 1))

    def _point_at(self, line: int) -> None:
        self._line = max(0, min(line, len(self._found) - 1))
        self._scroll()
        self.refresh()
        self.post_message(self.Pointed())

    def _scroll(self) -> None:
        lines = max(1, self.size.height)
        top = min(max(self._top, self._line - lines + 1), self._line)
        self._top = max(0, min(top, len(self._found) - lines))

    def on_resize(self) -> None:
        """Keep what is pointed at in sight."""
        self._scroll()

    def render_line(self, y: int) -> Strip:
        cells, number = self.size.width, y + self._top
        if number >= len(self._found):
            return Strip.blank(cells, self.rich_style)
        base = self.get_component_rich_style("commands--current") if number == self._line else self.rich_style
        name, explanation, keys = laid_out(self._found[number], min(self._names, cells // 4), cells)
        muted = base + self.get_component_rich_style("commands--explanation", partial=True)
        bright = base + self.get_component_rich_style("commands--key", partial=True)
        strip = Strip([Segment(name, base), Segment(explanation, muted), Segment(keys, bright)])
        return strip.adjust_cell_length(cells, base)

    def on_click(self, event: events.Click) -> None:
        """Point at what was clicked, and report it."""
        if 0 <= event.y < self.size.height and event.y + self._top < len(self._found):
            self._point_at(event.y + self._top)
            self.post_message(self.Clicked())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go down by a few commands."""
        event.stop()
        self._point_at(self._line + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go up by a few commands."""
        event.stop()
        self._point_at(self._line - 3)


def laid_out(command: Command, names: int, cells: int) -> tuple[str, str, str]:
    """Return name, explanation and keys of a command, together ``cells`` wide where that is enough for the keys.

    The names have ``names`` cells, the keys stand at the right, the explanation has the room between.
    """
    keys = f"  {command.keys} " if command.keys else " "
    name = f" {clip(command.name, max(0, cells - width(keys) - 1))}"
    name = pad(name, max(names + 1, width(name)))
    room = max(0, cells - width(name) - width(keys))
    explanation = f"  {command.explanation}" if room >= _FEWEST else ""
    return name, pad(explanation, room), clip(keys, cells)


class Palette(Dialog[Command]):
    """Asks for one of some commands, which is the result; ``None`` after Escape."""

    DEFAULT_CSS = (
        dialog_css("Palette")
        + f"""
    Palette > .dialog {{ width: {_WIDE}; max-width: 90%; height: 80%; padding: 0; }}
    Palette SearchRow, Palette SearchRow:focus {{
        margin: 0 0 1 0;
        padding: 0 1;
        background: $surface;
        background-tint: $foreground 8%;
    }}
    """
        + """
    Palette.-narrow > .dialog { max-width: 100%; height: 100%; }
    Palette.-narrow SearchRow { margin: 0; }
    """
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-roomy")]  # noqa: RUF012 - the base class declares it so

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__()
        self._commands = tuple(commands)
        self._row = SearchRow(placeholder="what to do, in a word or two", compact=True, select_on_focus=False)
        self._list = CommandList(self._commands)
        self._dialog = Vertical(classes="dialog")
        self._searched = ""

    def compose(self) -> ComposeResult:
        self._dialog.border_title = "Commands"
        with self._dialog:
            yield self._row
            yield self._list

    def on_mount(self) -> None:
        self._row.focus()
        self._show_place()

    def takes_key(self, event: events.Key) -> bool:
        """Do or leave, or move in the list; all else is typed."""
        if event.key == "escape":
            self.dismiss(None)
        elif event.key == "enter":
            self._choose()
        elif event.key in ("down", "tab"):
            self._list.move(1)
        elif event.key in ("up", "shift+tab"):
            self._list.move(-1)
        elif event.key in ("pagedown", "pageup"):
            self._list.page(1 if event.key == "pagedown" else -1)
        else:
            return False
        return True

    @on(Input.Changed)
    def _search(self) -> None:
        """Show what the text finds; Enter in the same burst may have asked for that already."""
        if self._row.value != self._searched:
            self._searched = self._row.value
            self._list.show(found_by(self._searched, self._commands))

    @on(CommandList.Clicked)
    def _choose(self) -> None:
        self._search()
        if self._list.current is not None:
            self.dismiss(self._list.current)

    @on(CommandList.Pointed)
    def _show_place(self) -> None:
        self._dialog.border_subtitle = f"{self._list.place} · ⏎ does it · Esc closes"


def offer_commands(app: App[Any], commands: Iterable[Command]) -> None:
    """Open the palette, and do the command that is chosen once it has closed."""

    def chosen(command: Command | None) -> None:
        if command is not None:
            command.do()

    app.push_screen(Palette(tuple(commands)), chosen)
