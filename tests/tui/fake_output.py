"""An attempt's output held in memory, and an app that shows nothing but the view of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from core.model import Attempt
from queuectl_tui.widgets.output_view import OutputView

_STARTED = datetime(2026, 1, 2, 10, 0, tzinfo=timezone.utc)


class FakeOutput:
    """Bytes that a test may lengthen; ``fails`` is raised by every reading."""

    def __init__(self, data: bytes, attempt_id: int = 1) -> None:
        self.data = data
        self.attempt = Attempt(
            attempt_id, 1, attempt_id, 1, _STARTED, None, None, None, None, None, None, None, None
        )  # fmt: skip
        self.path: str | None = None
        self.fails: Exception | None = None
        self.bytes_read = 0

    def size(self) -> int:
        if self.fails is not None:
            raise self.fails
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        if self.fails is not None:
            raise self.fails
        found = self.data[offset : offset + length]
        self.bytes_read += len(found)
        return found


class OutputApp(App[None]):
    """Shows an output and remembers what the view said."""

    CSS = "OutputView { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.view = OutputView()
        self.follows: list[bool] = []
        self.searches: list[tuple[int | None, bool]] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_output_view_follow_changed(self, message: OutputView.FollowChanged) -> None:
        self.follows.append(message.is_following)

    def on_output_view_search_ended(self, message: OutputView.SearchEnded) -> None:
        self.searches.append((message.line, message.has_wrapped))


@asynccontextmanager
async def showing(
    output: FakeOutput | None, *, footer: str = "", size: tuple[int, int] = (40, 10)
) -> AsyncIterator[tuple[OutputApp, OutputView, Pilot[None]]]:
    """Run the app with an output shown."""
    app = OutputApp()
    async with app.run_test(size=size) as pilot:
        app.view.show(output, footer=footer)
        app.view.focus()
        await pilot.pause()
        yield app, app.view, pilot


def numbered(count: int, first: int = 0) -> bytes:
    """Return lines that say their own number."""
    return b"".join(b"line %d\n" % number for number in range(first, first + count))


def screen_of(view: OutputView) -> list[str]:
    """Return what stands on the screen, without the spaces at the ends of lines."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]
