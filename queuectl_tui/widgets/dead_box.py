"""The pane of the dead jobs: its list, or in its place their groups by what they died of."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from textual.widget import Widget

from core.model import DeadGroup, Job
from core.rules.units import fingerprint_text
from core.text import clean_line
from core.wording import count
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.group_line import words_of
from queuectl_tui.widgets.group_table import GroupTable
from queuectl_tui.widgets.pane_box import PaneBox

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway


class DeadBox(PaneBox):
    """Shows the dead jobs as a list, as groups, or those of one group that was opened.

    ``is_grouped`` while the groups stand in place of the list. Their rows are read only then.
    """

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(Pane.DLQ, gateway, is_ascii=is_ascii)
        self.groups = GroupTable(is_ascii=is_ascii, id="groups")
        self.is_grouped = False
        #: The group that is open, and the filter of the list before it was.
        self._opened: tuple[DeadGroup, str] | None = None
        self._is_reading = False

    # --- what it shows

    @property
    def focus_target(self) -> Widget:
        """The widget that the keys of this pane go to."""
        return self.groups if self.is_grouped else self.table

    @property
    def cursor_job(self) -> Job | None:
        """The job under the cursor; of a group its newest."""
        if not self.is_grouped:
            return super().cursor_job
        group = self.groups.cursor_group
        return None if group is None else group.sample

    @property
    def is_awaited(self) -> bool:
        """Whether the groups are to be shown and were not read yet."""
        return self.is_grouped and self.groups.data is None

    def is_showing(self, snapshot: Snapshot) -> bool:
        """Return whether what a snapshot has for this pane is shown already."""
        is_old = not self.is_grouped or snapshot.groups is self.groups.data
        return is_old and super().is_showing(snapshot)

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Show the newest rows, counts and groups."""
        super().show(snapshot, now)
        if self.is_grouped and snapshot.groups is not None:
            self.groups.show(snapshot.groups, now)
            self._read_outputs(snapshot.groups)
            self.write_title()

    def tick(self, now: datetime) -> None:
        """Repaint the ages that have changed."""
        super().tick(now)
        if self.is_grouped:
            self.groups.tick(now)

    def write_title(self) -> None:
        """Write how many groups there are into the title, or what that of a list says."""
        if not self.is_grouped:
            super().write_title()
            return
        total = sum(self._snapshot.counts.of(state) for state in self.pane.states)
        found = self.groups.data
        self.title.set_text(
            count(total),
            more="" if found is None else f"in {count(len(found), 'group')}",
            right="largest first" if self._is_ascii else "largest first ↓",
            right_style="accent",
        )

    @property
    def _filter_words(self) -> str:
        """What the title says of the filter: for an open group what its jobs died of, and what filters them besides."""
        if self._opened is None:
            return super()._filter_words
        group, _ = self._opened
        whole = _term_of(group)
        if not self.filter_text.startswith(whole):
            return super()._filter_words
        more = clean_line(self.filter_text.removeprefix(whole).strip())
        return f"{words_of(group)} · /{more}" if more else words_of(group)

    def _empty_text(self, snapshot: Snapshot) -> str:
        if self._opened is not None:
            return "No dead job of this group is left. Esc goes back to the groups."
        return super()._empty_text(snapshot)

    def _read_outputs(self, groups: tuple[DeadGroup, ...]) -> None:
        """Have the outputs read of the jobs whose last words are not known, once each time groups are shown."""
        unread = next((group.number for group in groups if group.fingerprint is None), 0)
        if unread and not self._is_reading and not self._gateway.is_read_only:
            self._is_reading = True
            self._gateway.read_last_words(unread)

    # --- list, groups, one group

    def show_groups(self) -> None:
        """Show the groups in place of the list."""
        self._leave_opened()
        if not self.groups.is_attached:
            self.mount(self.groups, after=self.table)
        self.groups.reset()
        self._is_reading = False
        self._turn(is_grouped=True)

    def show_list(self) -> None:
        """Show the list in place of the groups."""
        self._turn(is_grouped=False)

    def open_group(self) -> None:
        """Show the jobs of the group under the cursor in place of the groups."""
        group = self.groups.cursor_group
        if group is not None and group.fingerprint is not None:
            self._opened = group, self.filter_text
            self.set_filter(_term_of(group))
            self._turn(is_grouped=False)

    def leave_group(self) -> bool:
        """Go back to the groups from the one that is open; return whether one was."""
        if self._opened is None:
            return False
        self._leave_opened()
        self._turn(is_grouped=True)
        return True

    def _leave_opened(self) -> None:
        if self._opened is not None:
            self.table.marks.clear()
            _, filter_before = self._opened
            self._opened = None
            self.filter_bar.close()
            self.set_filter(filter_before)

    def _turn(self, *, is_grouped: bool) -> None:
        self.is_grouped = is_grouped
        self.table.display = not is_grouped
        self.groups.display = is_grouped
        self._gateway.reader.show_groups(is_grouped)
        self.write_title()

    def clear_filter(self) -> bool:
        """Show all jobs again, those of an open group where one is; return whether there was a filter."""
        if self._opened is None:
            return super().clear_filter()
        self.filter_bar.close()
        group, _ = self._opened
        whole = _term_of(group)
        had_more = self.filter_text != whole
        self.set_filter(whole)
        return had_more

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        """Drop what the filter says beside the group."""
        message.stop()
        self.clear_filter()


def _term_of(group: DeadGroup) -> str:
    """Return the filter that leaves only the jobs of a group; 0 stands for one that was not read."""
    return f"group:{fingerprint_text(group.fingerprint or 0)}"
