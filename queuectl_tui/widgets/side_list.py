"""A list that stands in the place of detail and output while it is asked for: a title over rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical

from queuectl_tui.snapshot import Snapshot
from queuectl_tui.widgets.row_list import Column, RowList, RowOfCells
from queuectl_tui.widgets.title import Title

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway


class SideList(Vertical):
    """A title over a list of rows that are made of the newest snapshot while the list is shown."""

    DIGIT: ClassVar[int]
    NAME: ClassVar[str]

    def __init__(self, gateway: Gateway, columns: Sequence[Column], empty_text: str, *, is_ascii: bool) -> None:
        super().__init__(id=f"{self.NAME}-box", classes="box side-list")
        self.gateway = gateway
        self.title = Title(self.DIGIT, self.NAME.capitalize(), is_ascii=is_ascii)
        self.rows = RowList(columns, empty_text, is_ascii=is_ascii, id=self.NAME)
        self.snapshot: Snapshot | None = None
        self.is_shown = False
        self.display = False

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.rows

    def receive(self, snapshot: Snapshot, now: datetime) -> None:
        """Keep a snapshot, and show it when the list is shown."""
        self.snapshot = snapshot
        self.write(now)

    def set_shown(self, is_shown: bool) -> None:
        """Begin or end to show rows."""
        self.is_shown = is_shown
        self.write(self.gateway.now())

    def write(self, now: datetime) -> None:
        """Make the rows and the title anew, if they are shown."""
        if self.is_shown and self.snapshot is not None:
            self.rows.show(self.rows_of(self.snapshot, now))
            self.write_title(self.snapshot)

    def tick(self, now: datetime) -> None:
        """Move the times on."""
        self.write(now)

    def rows_of(self, snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
        """Return the rows for a snapshot."""
        raise NotImplementedError

    def write_title(self, snapshot: Snapshot) -> None:
        """Write what stands in the title."""
        raise NotImplementedError
