"""The one screen that matters: snapshots and messages of the gateway in, keys out to the widgets that act on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.widget import Widget

from core.model import Job
from core.text import clean_line
from queuectl_tui.application import Program
from queuectl_tui.dead_job_alert import DeadJobAlert
from queuectl_tui.dialog_actions import DialogActions
from queuectl_tui.first_sight import first_pane, newest_death
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.job_actions import JobActions
from queuectl_tui.keymap import Action, Keymap, key_name, palette_actions
from queuectl_tui.layout import HEIGHTS, WIDTHS, classes_for, has_chart, mode_of
from queuectl_tui.messages import (
    ActDone,
    ActProgressed,
    ActRefused,
    JobEnqueued,
    OutputsFollowed,
    RangeRead,
    SearchRefused,
    SnapshotTaken,
    UndoOffered,
    WorkerEnded,
    WorkerReported,
)
from queuectl_tui.removed_widgets import PastRemovedWidgets
from queuectl_tui.snapshot import Pane, Snapshot, empty_snapshot
from queuectl_tui.toasts import Toast, toast
from queuectl_tui.troubles import Trouble, troubles_of
from queuectl_tui.type_ahead import TypeAhead
from queuectl_tui.widgets.columns import chosen
from queuectl_tui.widgets.confirm_bar import MAX_BY_KEY, ConfirmBar
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.follow_box import FollowBox
from queuectl_tui.widgets.footer import Footer
from queuectl_tui.widgets.group_table import GroupTable
from queuectl_tui.widgets.header import Header
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.pane_box import PaneBox
from queuectl_tui.widgets.panes import Panes, key_target_of
from queuectl_tui.widgets.row_list import RowList
from queuectl_tui.widgets.strip_bar import StripBar
from queuectl_tui.widgets.throughput import Throughput
from queuectl_tui.widgets.trouble_bar import TroubleBar

if TYPE_CHECKING:
    from queuectl_tui.dialogs.command_palette import Command

#: How often ages and countdowns on the screen move on, in seconds.
TICK_S = 1.0
#: When the rows of text and the scrollbars are made, in seconds after the start.
HIDDEN_PARTS_S = 0.15
#: The contexts in which the keys go to a list.
_LISTS = ("lists", "groups")
#: Contexts whose actions act on what a list shows.
_OF_LISTS = ("lists", "jobs", "groups", "reading", "output", "detail")


class StatusBars(NamedTuple):
    """What stands around the panes, and moves on with time alone."""

    header: Header
    strip: StripBar
    throughput: Throughput
    trouble: TroubleBar

    def show(self, snapshot: Snapshot, current: Pane, troubles: Sequence[Trouble], now: datetime) -> None:
        """Show how the whole is, and the worst of the troubles first."""
        self.header.show(snapshot, now, troubles)
        self.strip.show(snapshot, current, troubles)
        self.trouble.show(troubles)
        self.throughput.show(snapshot)


class DashboardScreen(PastRemovedWidgets[None], inherit_bindings=False):
    """Shows one snapshot after the other, and does what the key table says for each key."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    #: As in ``Screen``, but a change of focus does not repaint the whole screen.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(
        self,
        gateway: Gateway,
        keymap: Keymap,
        program: Program,
        *,
        is_ascii: bool = False,
        has_bell: bool = False,
    ) -> None:
        super().__init__(id="dashboard")
        is_read_only = gateway.is_read_only
        self.gateway: Gateway = gateway
        self.keymap = keymap
        self.program: Program = program
        self.snapshot: Snapshot = empty_snapshot(gateway.now())
        self.bars = StatusBars(
            Header(gateway.display_name, is_read_only=is_read_only, is_ascii=is_ascii, id="header"),
            StripBar(is_read_only=is_read_only, is_ascii=is_ascii, id="strip"),
            Throughput(is_ascii=is_ascii, id="throughput"),
            TroubleBar(id="trouble"),
        )
        self.panes: Panes = Panes(gateway, is_ascii=is_ascii)
        for pane, box in self.panes.boxes.items():
            if (names := program.chosen_columns(pane)) is not None:
                box.table.use_columns(chosen(pane, names))
        self.confirm_bar: ConfirmBar = ConfirmBar(id="confirm")
        self.footer = Footer(keymap.actions, is_read_only=is_read_only, is_ascii=is_ascii, id="footer")
        self.type_ahead = TypeAhead()
        self.jobs: JobActions = JobActions(self, gateway, program, self.type_ahead, self.ask)
        self.dialogs: DialogActions = DialogActions(self, program, self.panes, self.target_job)
        self._reported_errors: set[str] = set()
        self._dead_job_alert = DeadJobAlert(has_bell=has_bell)
        self._has_loaded = self._has_resumed = False

    def compose(self) -> ComposeResult:
        # Textual would set these after the first layout, and style and lay out all of it again
        self.add_class(*classes_for(*self.app.size), update=False)
        yield self.bars.header
        yield self.bars.strip
        yield self.bars.throughput
        yield self.panes
        yield self.bars.trouble
        yield self.footer

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Spare the first picture another styling of all widgets: they have just been made."""
        event.refresh_styles = event.refresh_styles and self._has_resumed
        self._has_resumed = True

    def on_mount(self) -> None:
        if not self.panes.is_attached:
            return  # the program was asked to end before the screen was composed
        first = self.gateway.take()
        if is_read := first.panes[Pane.PENDING].is_counted:
            self.panes.box = self.panes.boxes[self._first_pane(first)]
        self.panes.highlight(self.panes.context)
        self._lay_out()
        self.set_focus(self.table, scroll_visible=False)
        self.set_interval(TICK_S, self._tick)
        self.set_timer(HIDDEN_PARTS_S, self._add_hidden_parts)
        if is_read:
            self._show(first)
        self.gateway.connect(self.post_message)

    def _first_pane(self, snapshot: Snapshot) -> Pane:
        return self.program.first_pane or first_pane(snapshot, self.program.dead_seen_until)

    def on_unmount(self) -> None:
        """Remember the dead jobs that were looked at until the end."""
        if self.panes.box.pane is Pane.DLQ and self.panes.context == "lists":
            self._remember_dead_seen()

    def _remember_dead_seen(self) -> None:
        died_at = newest_death(self.snapshot)
        if died_at is not None:
            self.program.remember_dead_seen(died_at)

    def _add_hidden_parts(self) -> None:
        """Make what the first picture does without."""
        with self.app.batch_update():
            self.panes.add_hidden_parts()
            self._add_confirm_bar()

    def _add_confirm_bar(self) -> None:
        if self.is_attached and not self.confirm_bar.is_attached:
            self.mount(self.confirm_bar, before=self.footer)

    # --- where the keys go, and what they act on

    @property
    def table(self) -> JobTable:
        """The table of the current list."""
        return self.panes.box.table

    @property
    def output(self) -> OutputView:
        """The lines of output that the keys for reading go to."""
        return self.panes.reading_box.view

    @property
    def detail(self) -> Detail:
        """The tabs of the detail."""
        return self.panes.detail_box.detail

    @property
    def context(self) -> str:
        """Where the keys go: a key of ``ALIVE_TOGETHER``, or ``typing`` in a row of text."""
        focused, panes = self.focused, self.panes
        if self._is_row_opening:
            return "typing"  # what is typed is text, also while the row for it is still being made
        if isinstance(focused, RowList) or (panes.side_lists.name and panes.side_lists.is_awaited):
            return panes.side_lists.name  # also while the list is still being made
        if focused is None or isinstance(focused, JobTable):
            return "lists"
        if focused is self.panes.dead_box.groups:
            return "groups"
        if focused is self.confirm_bar:
            return "confirm"
        if isinstance(focused, OutputView):
            return "output" if focused is panes.output_box.view else panes.side_lists.follow.NAME
        if focused is self.detail:
            return "detail"
        return "typing" if isinstance(focused.parent, FilterBar) else "lists"

    def target_job(self) -> Job | None:
        """Return the one job that keys act on when none is marked: in a tree the one pointed at, else the shown one."""
        panes = self.panes
        if self.context == "detail" and self.detail.chosen_job is not None:
            return self.detail.chosen_job
        if self.context in ("output", "detail") or (panes.shown.is_pinned and panes.box.is_empty):
            return panes.shown.job
        return panes.box.table.cursor.job

    def queue_names(self) -> list[str]:
        """Return the names of the queues, for the forms to suggest."""
        return [queue.name for queue in self.snapshot.queues] or ["default"]

    def holds_back(self, event: events.Key) -> bool:
        """Return whether a key has to wait for an answer that decides what it means; it is then handled later."""
        return self.type_ahead.is_holding and self.type_ahead.take(event)

    def act_on_key(self, event: events.Key) -> bool:
        """Do what a key means where the focus is; return whether it means anything."""
        action = self.keymap.find(self.context, event.key, event.character)
        if action is None:
            return False
        if self.panes.shown.is_pinned:
            self._unpin_for(action)
        action.handler(self)
        if self._is_row_opening or (self.panes.side_lists.name and self.panes.side_lists.is_awaited):
            self.type_ahead.hold()  # they are meant for what is still being made
        return True

    @property
    def _is_row_opening(self) -> bool:
        """Whether a row for text was asked for that is still being made, so early after the start."""
        panes = self.panes
        is_reading_row = panes.output_box.is_opening or panes.side_lists.follow.is_opening
        return is_reading_row or any(box.is_opening for box in panes.boxes.values())

    @on(FilterBar.Opened)
    def _give_keys_to_row(self) -> None:
        """Type the keys again that were typed while the row was being made."""
        if self.type_ahead.is_holding:
            self.type_ahead.give_back(self.app)

    def _unpin_for(self, action: Action) -> None:
        """Follow the cursor again before an action that goes elsewhere or acts on a list's job."""
        is_elsewhere = "pane" in action.id
        if is_elsewhere or (action.context in _OF_LISTS and not self.panes.box.is_empty):
            self.panes.shown.is_pinned = False
            if self.context in _LISTS:
                self.panes.follow_cursor()  # what is acted on is what is shown

    def show_palette(self) -> None:
        """Offer all commands that make sense now, to be found by their words."""
        from queuectl_tui.dialogs.command_palette import offer_commands

        offer_commands(self.app, self._commands())

    def _commands(self) -> Iterator[Command]:
        """Yield the actions that work here, those that the footer names first, then queues, workers and themes."""
        from queuectl_tui.dialogs.command_palette import Command

        context = "lists" if self.context == "typing" else self.context
        for action in palette_actions(self._actions(), context):
            keys = " ".join(key_name(key) for key in action.keys)
            yield Command(action.name, action.help, keys, partial(action.handler, self))
        for queue in () if self.gateway.is_read_only else self.snapshot.queues:
            verb = "Resume" if queue.is_paused else "Pause"
            pause = partial(self.gateway.pause, queue.name, not queue.is_paused)
            yield Command(f"{verb} queue {clean_line(queue.name)}", f"{verb} only this queue.", "", pause)
        for worker in () if self.gateway.is_read_only else self.snapshot.workers:
            if worker.is_alive:
                what = f"Once its running jobs have ended ({clean_line(worker.host)}, pid {worker.pid})."
                yield Command(f"Stop worker {worker.id}", what, "", partial(self.gateway.stop_worker, worker.id))
        for theme in self.app.available_themes:
            what = "Use these colours; the choice is remembered."
            yield Command(f"Theme {theme}", what, "", partial(self.program.choose_theme, theme))

    # --- actions that no single widget owns

    def ask(self, question: str, sample: str, number: int, on_yes: Callable[[], None]) -> None:
        """Ask about ``number`` jobs in the row over the footer, and call ``on_yes`` after a yes."""
        self._add_confirm_bar()
        self.footer.asks_for_count = number > MAX_BY_KEY
        self.confirm_bar.ask(question, sample, number, on_yes)

    def open_detail(self) -> None:
        """Go to the detail of the job under the cursor."""
        if self.target_job() is None:
            toast(self, "There is no job under the cursor.", "warning")
        else:
            self.panes.go_to_detail()

    def show_groups(self) -> None:
        """Show the groups of dead jobs; keys that are typed ahead are meant for them."""
        self.panes.show_groups()
        if self.panes.dead_box.is_awaited:
            self.type_ahead.hold()

    def go_back(self) -> None:
        """Leave the zoom, then what stands beside the lists, then the program."""
        if self.panes.is_zoomed:
            self.zoom(False)
        elif self.panes.side_lists.name:
            self.panes.go_to_side_list("")
        elif self.context in ("output", "detail"):
            self.panes.go_to_list()
        else:
            self.program.ask_to_quit()

    def explain_quitting(self) -> None:
        """Say how to quit; Ctrl-C does not."""
        toast(self, "Press q to quit. Jobs that run are never killed by Ctrl-C.")

    def pause(self) -> None:
        """Pause or resume all queues."""
        if not self.jobs.is_read_only("p"):
            self.gateway.pause(None, not self.snapshot.is_paused)

    def change_slots(self, change: int, key: str) -> None:
        """Run so many more jobs at once in this process, or fewer when negative, for a key."""
        host = self.gateway.host
        before = host.slots
        if before is None:
            toast(self, f"{key}: no worker runs in this dashboard (started with --no-worker)", "warning")
            return
        self.gateway.resize(change)
        after = host.slots
        if after == before:
            toast(self, f"{key}: {after} slots is as far as it goes", "warning")
        else:
            toast(self, f"{after} {'slot' if after == 1 else 'slots'} in this dashboard.")

    @on(PaneBox.FilterKept)
    def _remember_filter(self, message: PaneBox.FilterKept) -> None:
        self.program.filters.remember(message.text)

    def show_toast(self, toast: Toast | None) -> None:
        """Show a toast at the right of the footer, where it covers keys at the most."""
        self.footer.show_toast(toast)

    def show_help(self) -> None:
        """Show all keys."""
        from queuectl_tui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(self._actions(), self.context))

    def _actions(self) -> list[Action]:
        """Return the actions that this dashboard can do at all: one that only looks changes nothing."""
        return [action for action in self.keymap.actions if not (action.is_write and self.gateway.is_read_only)]

    def _show_keys(self) -> None:
        """Have the footer name the keys that can act now; what has not changed since costs nothing."""
        context = self.context
        self.footer.show_keys(context, key_target_of(self.panes, context, self.target_job(), self.snapshot))

    # --- showing snapshots

    @on(SnapshotTaken)
    def _show_newest(self) -> None:
        self._show(self.gateway.take())

    def _show(self, snapshot: Snapshot) -> None:
        old, self.snapshot, now = self.snapshot, snapshot, self.gateway.now()
        is_changed = not self._has_loaded or snapshot.frame() != old.frame()
        is_group_awaited = self.panes.dead_box.is_awaited
        self.panes.show(snapshot, now, is_changed=is_changed)
        if is_group_awaited and (snapshot.error or not self.panes.dead_box.is_awaited):
            self.type_ahead.give_back(self.app)
        self._report_deaths(snapshot, now)
        if is_changed:
            self._show_status(now)
        is_as_far = snapshot.progress is old.progress
        if snapshot.detail is not old.detail or snapshot.detail is None or not is_as_far:
            self._show_detail(now)
        self._report_error(snapshot.error)
        if self.panes.shown.request is None or (self.context in _LISTS and self.panes.box.is_empty):
            self.panes.follow_cursor()
        is_first = not self._has_loaded and snapshot.panes[Pane.PENDING].is_counted
        self._has_loaded = True
        if is_first and self.panes.box.pane is Pane.PENDING and self.context == "lists":
            self.panes.go_to_pane(self._first_pane(snapshot))
        self._show_keys()

    def _report_error(self, error: str | None) -> None:
        """Report each error once, however often others come between, until all is well again."""
        if error is None:
            self._reported_errors.clear()
        elif error not in self._reported_errors:
            self._reported_errors.add(error)
            toast(self, self.gateway.shorten(error), "error")

    def _show_detail(self, now: datetime) -> None:
        is_awaited = self.snapshot.detail is None and self.panes.shown.request is not None and not self._has_loaded
        if not is_awaited:
            self.panes.show_detail(self.snapshot, now)

    def _show_status(self, now: datetime) -> None:
        self.bars.show(self.snapshot, self.panes.box.pane, self._troubles(now), now)

    def _troubles(self, now: datetime) -> list[Trouble]:
        """Return what is wrong in the newest snapshot and with the worker of this process, the worst first."""
        has_data = self.snapshot.panes[Pane.PENDING].is_counted
        if not has_data and self.snapshot.error is None:
            return []
        return troubles_of(self.snapshot, self.gateway.host.trouble, now, self.gateway.shorten)

    def _tick(self) -> None:
        now = self.gateway.now()
        self.panes.tick(now)
        self._show_status(now)
        self._show_keys()
        self.gateway.host.check()

    def _report_deaths(self, snapshot: Snapshot, now: datetime) -> None:
        """Count new dead jobs in the title of their list, unless it has the focus, and now and then in a toast."""
        if not snapshot.panes[Pane.DLQ].is_counted:
            return  # nothing is known yet
        box = self.panes.boxes[Pane.DLQ]
        new = self._dead_job_alert.feed(snapshot.minutes)
        if new and (self.panes.box is not box or self.context not in _LISTS):
            self._set_unseen(box.unseen + new)
        rows = snapshot.panes[Pane.DLQ].rows
        text = self._dead_job_alert.toast(now, rows[0].job.command if rows else "")
        if text is None:
            return
        if self.is_active:  # a dialog is not covered: the number in the DLQ's title stays until it is looked at
            toast(self, text, "warning")
        if self._dead_job_alert.has_bell:
            self.app.bell()

    def _set_unseen(self, number: int) -> None:
        self.panes.boxes[Pane.DLQ].unseen = number
        self.program.show_unseen(number)

    # --- messages of the gateway

    @on(JobEnqueued)
    def _pin_enqueued(self, message: JobEnqueued) -> None:
        toast(self, f"Job {message.job_id} enqueued.")
        self.panes.shown.pin(message.job_id)

    @on(UndoOffered)
    def _offer_undo(self, message: UndoOffered) -> None:
        self.jobs.undo_offered(message.last)

    @on(ActDone)
    def _report_done(self, message: ActDone) -> None:
        self.footer.clear_progress()
        self.jobs.act_done(message)

    @on(ActRefused)
    def _report_refused(self, message: ActRefused) -> None:
        self.footer.clear_progress()
        self.jobs.act_refused(message)

    @on(ActProgressed)
    def _report_progress(self, message: ActProgressed) -> None:
        self.footer.show_progress(message.verb, message.done, message.total)

    @on(OutputsFollowed)
    def _take_followed(self) -> None:
        self.panes.side_lists.follow.take()

    @on(RangeRead)
    def _pass_on_range(self, message: RangeRead) -> None:
        self.panes.boxes[message.pane].table.marks.learn(message.start, message.ids)

    @on(SearchRefused)
    def _report_search(self, message: SearchRefused) -> None:
        toast(self, message.reason, "warning")

    @on(WorkerReported)
    def _report_event(self, message: WorkerReported) -> None:
        if not (message.is_of_storage and self.snapshot.error is not None):  # else that error says so already
            toast(self, message.text, message.severity)

    @on(WorkerEnded)
    def _report_end_of_worker(self, message: WorkerEnded) -> None:
        toast(self, f"The worker {message.error}.", "error")

    # --- messages of the widgets

    @on(JobTable.CursorMoved)
    def _follow_cursor(self, message: JobTable.CursorMoved) -> None:
        """Show the job under the cursor, unless the focus is in another one's output."""
        if message.pane is self.panes.box.pane and self.context in ("lists", "typing"):
            self.panes.follow_cursor()
            self._show_keys()

    @on(GroupTable.CursorMoved)
    def _follow_group(self) -> None:
        """Show the newest job of the group under the cursor."""
        if self.context == "groups":
            self.panes.follow_cursor()
            self._show_keys()

    @on(Detail.JobChosen)
    def _show_keys_of_tree(self) -> None:
        self._show_keys()

    @on(JobTable.Marked)
    def _show_marked(self, message: JobTable.Marked) -> None:
        if message.pane is self.panes.box.pane:
            self.footer.show_marked(message.count)
            self._show_keys()

    @on(FollowBox.Mounted)
    @on(RowList.Mounted)
    def _go_to_mounted(self) -> None:
        side_lists = self.panes.side_lists
        if side_lists.name not in ("", self.panes.context) and not side_lists.is_awaited:
            self.panes.go_to_side_list(side_lists.name)
            self.type_ahead.give_back(self.app)

    @on(RowList.CursorMoved)
    def _show_keys_of_row(self) -> None:
        self._show_keys()

    @on(StripBar.Clicked)
    def _go_to_clicked(self, message: StripBar.Clicked) -> None:
        self.panes.go_to_pane(message.pane)

    @on(Footer.Clicked)
    def _do_clicked(self, message: Footer.Clicked) -> None:
        message.action.handler(self)

    # --- focus and size

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Highlight the pane that has the focus, and show its keys."""
        panes = self.panes
        if isinstance(event.widget, (JobTable, GroupTable)):
            panes.box = panes.boxes[event.widget.pane]
            self.footer.show_marked(self.table.marks.count if isinstance(event.widget, JobTable) else 0)
            self.bars.strip.show(self.snapshot, panes.box.pane, self._troubles(self.gateway.now()))
            if self.context in _LISTS:  # with keys typed ahead the focus may be in the output by now
                panes.follow_cursor()
        context = self.context
        self._show_keys()
        if context != "typing":
            place = "lists" if context in _LISTS else context
            panes.highlight(place)
            if context != "confirm":
                panes.context = place
                self._lay_out()
        if panes.box.pane is Pane.DLQ and context in _LISTS:
            self._remember_dead_seen()
            if panes.box.unseen:
                self._set_unseen(0)

    def zoom(self, is_zoomed: bool) -> None:
        """Give the focused pane the whole screen, or show all again."""
        self.panes.is_zoomed = is_zoomed
        self._lay_out()

    def on_resize(self) -> None:
        """Lay out for the new size, unless the program was asked to end before the screen was composed."""
        if self.panes.is_attached:
            self._lay_out()

    def _lay_out(self) -> None:
        self.bars.throughput.use_room(has_chart(mode_of(*self.size), self.size.height) and not self.panes.is_zoomed)
        self.bars.header.leave_chart_to(self.bars.throughput)
        self.panes.lay_out()
