"""All keys, by where they work, those of the focused pane first, and the filter language; searched by typing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from core.rules import filters
from queuectl_tui.dialogs.dialog import Dialog, dialog_css, offer_key
from queuectl_tui.keymap import ALIVE_TOGETHER, CONTEXTS, GENERAL, SHARED, Action, key_name

#: The width of the keys, so that what they do has the room of a narrow terminal, and that of the terms of filters.
_KEY_CELLS, _TERM_CELLS = 12, 24


class _Search(Input):
    """The text that is looked for; while it is empty, the keys that close the help are keys."""

    def on_key(self, event: events.Key) -> None:
        """Let the dialog have the keys that are no text."""
        offer_key(self, event)


class HelpScreen(Dialog[None]):
    """Lists the actions whose keys, name or sentence have what was typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "close", "Close", show=False),
        Binding("down", "scroll_by(1)", "Down", show=False),
        Binding("up", "scroll_by(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
    ]
    DEFAULT_CSS = (
        dialog_css("HelpScreen")
        + """
    HelpScreen > .dialog { width: 94; height: 90%; layout: vertical; }
    HelpScreen _Search { height: 1; margin: 0 0 1 0; padding: 0 1; background: $background; }
    HelpScreen #keys {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
    }
    HelpScreen #keys Static { height: auto; padding: 0 1 0 0; }
    """
    )

    def __init__(self, actions: Sequence[Action], context: str) -> None:
        super().__init__()
        order = contexts_from(context)
        self._actions = sorted(actions, key=lambda action: order.index(action.context))
        self._search = _Search(placeholder="type to search", compact=True)
        self._list = Static("", markup=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "↑ ↓ scroll · Esc closes"
            yield self._search
            with VerticalScroll(id="keys", can_focus=False):
                yield self._list

    def takes_key(self, event: events.Key) -> bool:
        """Close on q or ? when nothing is typed, on Esc and F1 as soon as nothing is."""
        key = event.key
        is_end = key in ("escape", "f1") or (key in ("q", "question_mark") and not self._search.value)
        if is_end:
            self.action_close()
        return is_end

    def on_mount(self) -> None:
        self._search.focus()

    def on_resize(self) -> None:
        self._fill()

    def on_input_changed(self) -> None:
        """Show what is left."""
        self._fill()
        self.query_one("#keys").scroll_home(animate=False)

    def _fill(self) -> None:
        words = self._search.value.lower().split()
        found = [action for action in self._actions if _matches(action, words)]
        terms = [(term, meaning) for term, meaning in filter_terms() if _has(f"filter {term} {meaning}", words)]
        nothing = Text(f"No key for {self._search.value!r}.")
        self._list.update(self._sections(found, terms) if found or terms else nothing)

    def _sections(self, actions: Sequence[Action], terms: Sequence[tuple[str, str]]) -> Group:
        """Return the list: keys and what they do, under the name of where they work, then the terms of filters."""
        parts: list[RenderableType] = []
        for context, group in groupby(actions, key=lambda action: action.context):
            rows = [("  ".join(key_name(key) for key in action.keys), action.help) for action in group]
            parts += [Text(CONTEXTS[context], style="bold"), self._table(rows, _KEY_CELLS), ""]
        if terms:
            title = Text("In a filter (terms stand side by side; all must hold)", style="bold")
            parts += [title, self._table(terms, _TERM_CELLS), ""]
        return Group(*parts[:-1])

    def _table(self, rows: Sequence[tuple[str, str]], cells: int) -> Table:
        """Return rows whose left column has so many cells; what is longer goes on in the next line."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(style=f"bold {self.app.theme_variables['primary']}", width=cells)
        table.add_column(ratio=1)
        for left, right in rows:
            table.add_row(Text(left), Text(right))
        return table

    def action_close(self) -> None:
        """Forget the search, or close when there is none."""
        if self._search.value:
            self._search.value = ""
        else:
            self.dismiss(None)

    def action_scroll_by(self, lines: int) -> None:
        """Scroll the list."""
        self.query_one("#keys").scroll_relative(y=lines, animate=False)

    def action_page(self, direction: int) -> None:
        """Scroll the list by a page."""
        keys = self.query_one("#keys")
        keys.scroll_relative(y=direction * max(1, keys.size.height - 1), animate=False)


def contexts_from(context: str) -> list[str]:
    """Return all contexts in the order of the help: the one that has the keys, those alive with it, the others.

    Before the keys of a list come those of its jobs, as in the footer.
    """
    first = "jobs" if context == "lists" else context
    together = ALIVE_TOGETHER.get(context, ())
    alive = {name for name in together if name not in GENERAL}
    return sorted(CONTEXTS, key=lambda name: (name != first, name not in alive, name in alive - {*SHARED}))


def filter_terms() -> list[tuple[str, str]]:
    """Return each line of the filter language: what is written, and what it means."""
    found = re.findall(r"^ {4}(\S.{23}) (\S.*)$", filters.__doc__ or "", re.MULTILINE)
    return [(re.sub(r" +", " ", term).strip(), meaning.replace("``", "")) for term, meaning in found]


def _matches(action: Action, words: Sequence[str]) -> bool:
    names = {key.lower() for key in action.keys} | {key_name(key).lower() for key in action.keys}
    text = f"{action.help} {action.id} {CONTEXTS[action.context]}"
    return all(word in names or _has(text, [word]) for word in words)


def _has(text: str, words: Sequence[str]) -> bool:
    return all(word in text.lower() for word in words)
