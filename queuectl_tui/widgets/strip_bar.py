"""The strip that stands for the panes that a small terminal has no room for: `` 1P 12k  2R 4  3C 98k  4D 17! ``."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from core.model import Counts
from core.wording import compact
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.troubles import Trouble
from queuectl_tui.widgets.bar import Bar, BarPart
from queuectl_tui.widgets.header import worker_parts


class StripBar(Bar):
    """Shows how many jobs each pane holds; a click goes there."""

    class Clicked(Message):
        """A pane was clicked."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, *, is_read_only: bool = False, is_ascii: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.is_ascii = is_ascii
        self._is_read_only = is_read_only
        self._shown: tuple[Counts, list[BarPart], Pane] | None = None

    def show(self, snapshot: Snapshot, current: Pane, troubles: Sequence[Trouble] = ()) -> None:
        """Say how many there are, and the label of the worst trouble: there is no header beside it."""
        alarms = self._alarms(snapshot, troubles)
        shown = (snapshot.counts, alarms, current)
        if shown == self._shown:
            return  # most terminals have room for the panes: this must not cost them anything
        self._shown = shown
        parts = [BarPart(" ")]
        for pane in Pane:
            number = sum(snapshot.counts.of(state) for state in pane.states)
            style = "key" if pane is current else "muted"
            alarm = "!" if pane is Pane.DLQ and number else ""
            parts.append(BarPart(f"{pane.value}{pane.title[0]} ", style, action=pane.name))
            parts.append(BarPart(f"{compact(number)}{alarm}  ", "bad" if alarm else "", action=pane.name))
        self.show_parts(parts, alarms)

    def _alarms(self, snapshot: Snapshot, troubles: Sequence[Trouble]) -> list[BarPart]:
        alarms = [BarPart(f" {trouble.label} ", "alarm", 1) for trouble in troubles[:1]]
        if snapshot.is_paused and not alarms:
            alarms.append(BarPart(" PAUSED ", "alarm", 1))
        if self._is_read_only:
            alarms.append(BarPart(" read-only ", "warning", 2))
        if not any(worker.is_alive for worker in snapshot.workers) and not any(
            each.is_no_worker for each in troubles[:1]
        ):
            alarms += [part._replace(rank=3) for part in (*worker_parts((), self.is_ascii), BarPart(" "))]
        return alarms

    def on_click(self, event: events.Click) -> None:
        """Go to the pane under the pointer."""
        if name := self.action_at(event.x):
            self.post_message(self.Clicked(Pane[name]))
