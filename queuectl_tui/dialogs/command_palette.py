"""The command palette: a list of the screen's commands, searched by typing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import Input
from textual.worker import Worker, WorkType

from queuectl_tui.dialogs.dialog import QUIT
from queuectl_tui.removed_widgets import PastRemovedWidgets


class Command(NamedTuple):
    """One command: its name, which is searched, a few words that explain it, and what it does."""

    name: str
    explanation: str
    do: Callable[[], object]


@runtime_checkable
class HasCommands(Protocol):
    """A screen over which the palette may be opened."""

    def commands(self) -> Iterator[Command]:
        """Yield the commands that make sense now, in the order of the list that nothing was typed into."""
        ...


class Palette(CommandPalette, PastRemovedWidgets[None]):
    """Textual's palette, made to bear keys and clicks that arrive faster than it is laid out, and while it closes."""

    BINDINGS: ClassVar[list[BindingType]] = [QUIT]
    DEFAULT_CSS = """
    Palette SearchIcon { display: none; }
    Palette FoundCommands {
        scrollbar-size-vertical: 1;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
    }
    """

    def compose(self) -> ComposeResult:
        """Compose the palette with a list of our own."""
        for widget in super().compose():
            yield FoundCommands() if isinstance(widget, CommandList) else widget

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, unless the palette has closed already (see ``Dialog``)."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def on_click(self, event: events.Click) -> None:
        """Pass over a click where the terminal, which has become smaller, has nothing any more: a ``NoWidget``."""
        if not self.region.contains(event.screen_x, event.screen_y):
            event.prevent_default()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for nothing once the palette is closing: its list may be gone, which is a ``NoMatches``."""
        if not self.is_active:
            event.prevent_default()

    def run_worker(
        self,
        work: WorkType[Any],
        name: str | None = "",
        group: str = "default",
        description: str = "",
        exit_on_error: bool = True,
        start: bool = True,
        exclusive: bool = False,
        thread: bool = False,
    ) -> Worker[Any]:
        """Run a search. One that begins after the program's end has is no fault if it fails: it may find no list.

        The palette is mounted and takes the last letters even then, while its own widgets are mounted no more.
        """
        is_needed = exit_on_error and self.app.return_code is None
        return super().run_worker(work, name, group, description, is_needed, start, exclusive, thread)


class FoundCommands(CommandList):
    """The commands that were found. Pages are turned only once there is room to show one.

    Textual 8.2.8 looks for the line of the highlighted command in a table that is empty until then: a ``KeyError``.
    """

    def action_page_up(self) -> None:
        """Go up by as many commands as are shown."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """Go down by as many commands as are shown."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]


class ScreenCommands(Provider):
    """Offers the commands of the screen behind the palette; one palette does one command."""

    _is_done = False

    def _commands(self) -> Iterator[Command]:
        return self.screen.commands() if isinstance(self.screen, HasCommands) else iter(())

    async def discover(self) -> Hits:
        for name, explanation, do in self._commands():
            yield DiscoveryHit(name, partial(self._do_once, do), help=explanation)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, explanation, do in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self._do_once, do), help=explanation)

    def _do_once(self, do: Callable[[], object]) -> None:
        """Do a command; the second Enter of a burst chooses it again from the palette that is closing."""
        if not self._is_done:
            self._is_done = True
            do()
