"""The strip that stands for the panes that a small terminal has no room for: `` 1P 12k  2R 4  3C 98k  4D 17! ``."""

from __future__ import annotations

from textual import events
from textual.message import Message

from core.model import Counts
from queuectl_tui.format import compact
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.widgets.bar import Bar, Part


class StripBar(Bar):
    """Shows how many jobs each pane holds; a click goes there."""

    class Clicked(Message):
        """A pane was clicked."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Counts, bool, Pane] | None = None

    def show(self, snapshot: Snapshot, current: Pane) -> None:
        """Say how many there are."""
        shown = (snapshot.counts, snapshot.is_paused, current)
        if shown == self._shown:
            return  # most terminals have room for the panes: this must not cost them anything
        self._shown = shown
        parts = [Part(" ")]
        for pane in Pane:
            number = sum(snapshot.counts.of(state) for state in pane.states)
            style = "key" if pane is current else "muted"
            alarm = "!" if pane is Pane.DLQ and number else ""
            parts.append(Part(f"{pane.value}{pane.title[0]} ", style, action=pane.name))
            parts.append(Part(f"{compact(number)}{alarm}  ", "bad" if alarm else "", action=pane.name))
        right = [Part(" PAUSED ", "alarm", 1)] if snapshot.is_paused else []
        self.show_parts(parts, right)

    def on_click(self, event: events.Click) -> None:
        """Go to the pane under the pointer."""
        if name := self.action_at(event.x):
            self.post_message(self.Clicked(Pane[name]))
