"""The outputs of all running jobs in one view, each line behind its job, in the place of detail and output."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from core.model import Attempt, State
from core.wording import count
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.reading_box import ReadingBox
from queuectl_tui.widgets.title import Title

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway

#: How much of the lines is kept: of more, the older half goes.
KEPT_BYTES = 1 << 20


class FollowedLines:
    """Lines in memory, as the output of an attempt that does not exist: no other of them has its ``number``."""

    path: str | None = None

    def __init__(self, now: datetime, number: int = 0, data: bytes = b"") -> None:
        # attempts are numbered from 1
        self.attempt = Attempt(-number, 0, 0, 0, now, None, None, None, None, None, None, None, None)
        self._data = bytearray(data)

    def add(self, lines: bytes) -> None:
        """Add lines at the end."""
        self._data += lines

    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def newest(self) -> bytes:
        """Return the lines that begin in the newer half."""
        return bytes(self._data[self._data.find(b"\n", len(self._data) // 2) + 1 :])


class FollowBox(ReadingBox):
    """Shows the lines that the gateway brings while it is shown.

    While its view does not follow the end, nothing is taken away, and when there is no room for more nothing is added.
    """

    DIGIT: ClassVar[str] = "F"
    NAME: ClassVar[str] = "follow"

    class Mounted(Message):
        """The view is there and can have the focus."""

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        title = Title(self.DIGIT, "All outputs", is_ascii=is_ascii)
        super().__init__(title, OutputView(id="followed"), id="follow-box", classes="box side-list")
        self.gateway = gateway
        self.is_shown = False
        self.display = False
        self._running_count = 0
        self._lines = FollowedLines(gateway.now())

    def on_mount(self) -> None:
        self.view.show_bar()
        self.add_row()
        self.post_message(self.Mounted())

    def set_shown(self, is_shown: bool) -> None:
        """Begin with the last lines of what runs now, or end to read."""
        if is_shown != self.is_shown:
            self.is_shown = is_shown
            self._begin(b"")
            self.gateway.follower.follow(is_shown)

    def _begin(self, data: bytes) -> None:
        self._lines = FollowedLines(self.gateway.now(), 1 - self._lines.attempt.id, data)
        self._show()

    def _show(self) -> None:
        placeholder = "No running job has written anything yet." if self._running_count else "No job runs."
        self.view.show(self._lines, placeholder=placeholder)
        self.write_title()

    def take(self) -> None:
        """Add the lines that wait in the gateway, if there is room for them."""
        if not self.is_shown:
            return
        if self._lines.size() >= KEPT_BYTES:
            if not self.view.is_following:
                return
            self._begin(self._lines.newest())
        self._lines.add(self.gateway.follower.take())
        self.view.refresh_tail()
        self.write_title()

    def on_output_view_follow_changed(self) -> None:
        """Add what had no room while the view stood still."""
        if self.view.is_following:
            self.take()

    def receive(self, snapshot: Snapshot, now: datetime) -> None:
        """Say how many jobs run."""
        running = snapshot.counts.of(State.RUNNING)
        if running != self._running_count:
            self._running_count = running
            if self.is_shown:
                self._show()

    def tick(self, now: datetime) -> None:
        """No line depends on the time."""

    def write_title(self) -> None:
        right, style = self.title_end(is_live=self.view.is_following)
        self.title.set_text(f"{count(self._running_count)} running", right=right, right_style=style)
