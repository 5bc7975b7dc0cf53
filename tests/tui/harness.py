"""Runs the dashboard on a scene, without a terminal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from unicodedata import name

from textual import events
from textual.app import App
from textual.keys import KEY_NAME_REPLACEMENTS
from textual.pilot import Pilot
from textual.widget import Widget

from queuectl_tui.app import QueuectlApp
from queuectl_tui.keymap import ACTIONS, Action
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.toasts import Toast, ToastGiven
from tests.tui.fake_gateway import FakeGateway

#: An element of a picture of the screen: its column in units of the picture, its line, its text.
_ELEMENT = re.compile(r'<text [^>]*\bx="([\d.]+)"[^>]*-line-(\d+)\)">([^<]*)</text>')
_UNITS_PER_CELL = 12.2


#: Where most tests begin.
PENDING_FIRST = Preferences(first_pane="pending")


class ListeningApp(QueuectlApp):
    """The dashboard's application, which keeps what it was asked to show as toasts."""

    CSS_PATH = str(Path(__file__).resolve().parents[2] / "queuectl_tui" / "app.tcss")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.notified: list[Toast] = []

    def on_toast_given(self, message: ToastGiven) -> None:
        """Keep a toast; the dashboard's own handler, which is called besides, shows it."""
        self.notified.append(message.toast)


def key_of(character: str) -> str:
    """Return Textual's name of the key that types a character."""
    if character.isalnum():
        return character
    key = name(character).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(key, key)


def screen_text(app: App[Any]) -> str:
    """Return what is seen on the screen, line by line."""
    lines: dict[int, str] = {}
    for x, line, text in _ELEMENT.findall(app.export_screenshot()):
        column = round(float(x) / _UNITS_PER_CELL)
        lines[int(line)] = lines.get(int(line), "").ljust(column) + unescape(text).replace("\xa0", " ")
    return "\n".join(lines.get(number, "") for number in range(app.size.height))


async def until(pilot: Pilot[Any], fact: Callable[[], object], what: str = "") -> None:
    """Wait until something is true of an app: a machine under load needs more than one pause for it."""
    for _ in range(6000):
        if fact():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"it did not become true: {what}")


def press(app: QueuectlApp, key: str) -> None:
    """Have a key (``"j"``, ``"/"``, ``"ctrl+s"``) arrive, and do not wait for what it does."""
    if len(key) == 1:
        app.post_message(events.Key(key_of(key), key))
    else:
        app.post_message(events.Key(key, {"space": " ", "enter": "\r", "tab": "\t"}.get(key)))


@contextmanager
def counted_layouts(widget: Widget) -> Iterator[list[str]]:
    """Note the layouts of a widget's screen while this is entered."""
    seen: list[str] = []
    laid_out = widget.screen.screen_layout_refresh_signal
    laid_out.subscribe(widget, lambda screen: seen.append(repr(screen)), immediate=True)
    yield seen
    laid_out.unsubscribe(widget)


class Stage:
    """A dashboard that runs, the gateway it talks to, and the hand that presses its keys."""

    def __init__(self, app: ListeningApp, gateway: FakeGateway, pilot: Pilot[int]) -> None:
        self.app = app
        self.gateway = gateway
        self.pilot = pilot
        self.dashboard = app.dashboard

    async def press(self, *keys: str) -> None:
        """Press keys (``"j"``, ``"/"``, ``"ctrl+s"``) one after the other and wait until all is done."""
        for key in keys:
            press(self.app, key)
        await self.pilot.pause()
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text, and wait until what follows a pause in typing has happened."""
        await self.press(*text)
        await self.pilot.pause(0.15)

    async def be_whole(self) -> None:
        """Wait until what the first picture does without is there."""
        for _ in range(2000):
            if self.dashboard.table.show_vertical_scrollbar:
                break
            await self.pilot.pause(0.01)
        else:
            raise AssertionError("the scrollbars did not come")
        await self.pilot.pause()
        await self.pilot.pause()

    def asked(self, verb: str) -> list[tuple[object, ...]]:
        """Return the arguments of everything of this kind that the gateway was asked."""
        return [asked[1:] for asked in self.gateway.asked if asked[0] == verb]

    def toasts(self) -> list[str]:
        """Return what was said so far and has not gone yet."""
        return [toast.text for toast in self.app.notified if toast.left_s > 0]


@asynccontextmanager
async def staged(
    snapshot: Snapshot,
    *,
    size: tuple[int, int] = (120, 40),
    is_read_only: bool = False,
    actions: tuple[Action, ...] = ACTIONS,
    preferences: Preferences = PENDING_FIRST,
    preferences_path: str | None = None,
    theme: str | None = None,
) -> AsyncIterator[Stage]:
    """Open the dashboard on a scene."""
    gateway = FakeGateway(snapshot, is_read_only=is_read_only)
    app = ListeningApp(gateway, actions, preferences, preferences_path=preferences_path, theme=theme)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        yield Stage(app, gateway, pilot)
