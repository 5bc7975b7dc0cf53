"""The one screen that matters: it brings the board to life, joining keys and the gateway's facts to the widgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from textual import events
from textual.reactive import Reactive
from textual.widget import Widget

from core.model import State
from core.text import clean_line
from queuectl_tui.dead_job_alert import DeathWatch
from queuectl_tui.gateway.gateway import Gateway, Wanted
from queuectl_tui.keymap import ALIVE_TOGETHER, Action, key_name
from queuectl_tui.screens.general_keys import GeneralKeys
from queuectl_tui.screens.job_keys import JobKeys
from queuectl_tui.screens.list_keys import ListKeys
from queuectl_tui.screens.output_keys import DetailKeys, OutputKeys
from queuectl_tui.screens.roster import Handlers, Roster
from queuectl_tui.screens.telling import Telling
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.footer import Footer
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.pane_box import PaneBox
from queuectl_tui.widgets.strip_bar import StripBar
from queuectl_tui.widgets.title import Title

if TYPE_CHECKING:
    from queuectl_tui.dialogs.command_palette import Command

#: How often times on the screen move on, and how often a running output is looked at, in seconds.
TICK_S = 1.0
#: When the hidden rows of text are made, in seconds after the start.
ROWS_AFTER_S = 0.15
TAIL_S = 0.1


class Dashboard(Telling, inherit_bindings=False):
    """Shows one snapshot after the other, and turns keys into what the handlers of their actions do."""

    #: As in ``Screen``, but a change of focus does not repaint the whole screen.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(
        self, gateway: Gateway, actions: Sequence[Action], *, is_ascii: bool = False, has_bell: bool = False
    ) -> None:
        super().__init__(gateway, actions, is_ascii=is_ascii)
        self.roster = Roster(self.actions)
        self.handlers: Handlers = {}
        for view in self._views():
            view.hide_bar()
        for keys in (GeneralKeys(self), ListKeys(self), JobKeys(self), OutputKeys(self), DetailKeys(self)):
            self.handlers.update(keys.handlers())
        self._has_bell = has_bell
        self._deaths = DeathWatch()
        self._has_loaded = self._has_resumed = False
        self._told_errors: set[str] = set()

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Spare the first picture another styling of all widgets: they have just been made."""
        event.refresh_styles = event.refresh_styles and self._has_resumed
        self._has_resumed = True

    def on_mount(self) -> None:
        self._light_up()
        self.lay_out()
        self.set_focus(self.table, scroll_visible=False)
        self.set_interval(TICK_S, self._tick)
        self._tail_timer = self.set_interval(TAIL_S, self._tail, pause=True)
        self.set_timer(ROWS_AFTER_S, self._add_rows)
        first = self.gateway.take()
        if first.panes[Pane.PENDING].is_counted:
            old, self.snapshot = self.snapshot, first
            self._show(first, old)
        self.gateway.connect(self.post_message)

    def _add_rows(self) -> None:
        """Make what is hidden at first, and the scrollbars, which the first picture did without."""
        with self.app.batch_update():
            for box in self.boxes.values():
                box.add_row()
            self.output_box.add_row()
            self.add_confirm_bar()
            for view in self._views():
                view.show_bar()

    def _views(self) -> list[MeasuredView]:
        return [*(box.table for box in self.boxes.values()), self.output_box.view, self.detail]

    # --- keys

    def takes_key(self, event: events.Key) -> bool:
        """Do what a key means where the person is; tell whether it means anything."""
        action = self.roster.find(self.place, event.key, event.character)
        if action is None:
            return False
        is_elsewhere = "pane" in action.id
        if self._is_staying and (is_elsewhere or (action.context != "everywhere" and not self.is_staying_alone)):
            self._is_staying = False
            if self.place == "lists":
                self._follow_cursor()  # what is acted on is what is shown
        self.run_handler(action.id)
        return True

    def run_handler(self, action_id: str) -> None:
        """Do what an action's key does."""
        self.handlers[action_id]()

    def commands(self) -> Iterator[Command]:
        """Yield what the palette offers: the actions that work here, then queues, workers and themes."""
        from queuectl_tui.dialogs.command_palette import Command

        contexts = ALIVE_TOGETHER.get(self.place, ALIVE_TOGETHER["lists"])
        for action in self.actions:
            if action.context in contexts and action.id in self.handlers and action.id != "palette":
                keys = " ".join(key_name(key) for key in action.keys)
                yield Command(action.help.rstrip("."), keys, partial(self.run_handler, action.id))
        for lane in self.snapshot.lanes:
            verb = "Resume" if lane.is_paused else "Pause"
            pause = partial(self.gateway.pause, lane.name, not lane.is_paused)
            yield Command(f"{verb} queue {clean_line(lane.name)}", "only this queue", pause)
        for worker in self.snapshot.workers:
            if worker.is_alive:
                name = f"Stop worker {worker.id} ({clean_line(worker.host)}, pid {worker.pid})"
                yield Command(name, "it finishes what it runs", partial(self.gateway.stop_worker, worker.id))
        for theme in self.app.available_themes:
            yield Command(f"Theme {theme}", "is remembered", partial(self.choose_theme, theme))

    def on_footer_clicked(self, message: Footer.Clicked) -> None:
        """Do what the clicked key does."""
        self.run_handler(message.action_id)

    # --- facts from the gateway

    def on_snapshot_taken(self) -> None:
        """Show the newest picture."""
        old, self.snapshot = self.snapshot, self.gateway.take()
        self._show(self.snapshot, old)

    def _show(self, snapshot: Snapshot, old: Snapshot) -> None:
        now = self.now()
        has_same_frame = self._has_loaded and snapshot.frame() == old.frame()
        for box in self.boxes.values():
            if not (has_same_frame and box.is_showing(snapshot)):
                box.show(snapshot, now)
        self._announce_deaths(snapshot, now)
        if not has_same_frame:
            self._show_time(now)
        if snapshot.detail is not old.detail or snapshot.detail is None:
            self._show_focus(now)
        self._tell_error(snapshot.error)
        if self.detail_request is None or (self.place == "lists" and self.is_list_empty):
            self._follow_cursor()
        self._has_loaded = True

    def _tell_error(self, error: str | None) -> None:
        """Tell each error once, however often others come between, until all is well again."""
        if error is None:
            self._told_errors.clear()
        elif error not in self._told_errors:
            self._told_errors.add(error)
            self.toast(error, "error")

    def _show_focus(self, now: datetime) -> None:
        detail = self.snapshot.detail
        if detail is not None and detail.job.state is State.RUNNING:
            self._tail_timer.resume()
        else:
            self._tail_timer.pause()  # ten wake-ups a second that find nothing are half of what an idle dashboard costs
        if detail is None and self.detail_request is not None and not self._has_loaded:
            return
        self.output_box.show(detail, now)
        if detail is None:
            self.detail_title.say("")
            self.detail.show(None, (), (), None, now)
            return
        self.detail_title.say(str(detail.job.id), more=clean_line(detail.job.name or ""))
        self.detail.show(
            detail.job,
            detail.attempts,
            detail.history,
            detail.waiting,
            now.astimezone(),
            environment=detail.environment,
        )
        self.detail.choose_attempt(self.detail_request.number if self.detail_request is not None else None)

    def _show_time(self, now: datetime) -> None:
        """Write what moves on with time alone."""
        troubles = self.troubles(now)
        self.header.show(self.snapshot, now, troubles)
        self.strip_bar.show(self.snapshot, self.current, troubles)
        self.trouble_bar.show(troubles)
        self.throughput.show(self.snapshot, now)

    def _tick(self) -> None:
        now = self.now()
        for box in self.boxes.values():
            box.table.tick(now)
        self._show_time(now)
        self.output_box.show(self.snapshot.detail, now)
        self.detail.tick(now.astimezone())
        self.gateway.host.check()

    def _tail(self) -> None:
        detail = self.snapshot.detail
        if detail is not None and detail.job.state is State.RUNNING:
            self.output_box.follow_tail(detail)

    def _announce_deaths(self, snapshot: Snapshot, now: datetime) -> None:
        if not snapshot.panes[Pane.DLQ].is_counted:
            return  # nothing is known yet
        new = self._deaths.feed(snapshot.minutes)
        if new and (self.current is not Pane.DLQ or self.place != "lists"):
            self._tell_news(self.boxes[Pane.DLQ].news + new)
        rows = snapshot.panes[Pane.DLQ].rows
        said = self._deaths.toast(now, rows[0].job.command if rows else "")
        if said is None:
            return
        if self.is_active:  # a dialog is not covered: the number in the DLQ's title stays until it is looked at
            self.toast(said, "warning")
        if self._has_bell:
            self.app.bell()

    def _tell_news(self, news: int) -> None:
        """Say how many jobs died since the person was last in the DLQ."""
        box = self.boxes[Pane.DLQ]
        box.news = news
        box.say(self.snapshot)
        self.post_message(self.DeathsUnseen(news))

    # --- facts from the widgets

    def on_job_table_cursor_moved(self, message: JobTable.CursorMoved) -> None:
        """Show the job under the cursor, unless the person is reading another one's output."""
        table = self.boxes[message.pane].table
        self.gateway.hold(message.pane, None if table.is_live else table.cursor_key)
        if message.pane is self.current and self.place in ("lists", "typing"):
            self._follow_cursor()

    def on_job_table_window_wanted(self, message: JobTable.WindowWanted) -> None:
        """Ask for the rows that a table needs."""
        table = self.boxes[message.pane].table
        key, line = table.cursor_key, table.cursor_line
        is_inside = message.start <= line < message.start + message.length
        anchor = key if key is not None and is_inside and not table.is_live else None
        self.gateway.want(message.pane, Wanted(message.start, message.length, anchor))

    def on_job_table_range_wanted(self, message: JobTable.RangeWanted) -> None:
        """Ask for ids that a range covers."""
        self.gateway.read_range(message.pane, message.start, message.length)

    def on_job_table_marked(self, message: JobTable.Marked) -> None:
        """Show how many jobs are marked."""
        if message.pane is self.current:
            self.footer.show_marked(message.count)
        self.boxes[message.pane].say(self.snapshot)

    def on_job_table_heading_clicked(self, message: JobTable.HeadingClicked) -> None:
        """Order by a column."""
        self.boxes[message.pane].sort_by_heading(message.column)

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        """Show the detail of a job that was double-clicked."""
        self.show_job(message.job.id)
        self.go_to(self.detail)

    def on_detail_attempt_chosen(self, message: Detail.AttemptChosen) -> None:
        """Show the output of the attempt that was chosen in the detail."""
        if self.shown is not None:
            self.show_job(self.shown.job.id, message.number)

    def on_pane_box_view_changed(self, message: PaneBox.ViewChanged) -> None:
        """Read another selection or order."""
        self.gateway.show_view(message.pane, message.view)
        self.boxes[message.pane].say(self.snapshot)

    def on_title_clicked(self, message: Title.Clicked) -> None:
        """Go to the pane whose title was clicked."""
        digit = message.title.digit
        if digit <= len(Pane):
            self.go_to_pane(Pane(digit))
        else:
            self.go_to(self.output_box.view if digit == 5 else self.detail)

    def on_strip_bar_clicked(self, message: StripBar.Clicked) -> None:
        """Go to the pane that was clicked."""
        self.go_to_pane(message.pane)

    def on_output_view_follow_changed(self, _: OutputView.FollowChanged) -> None:
        """Say in the title whether the end is followed."""
        self.output_box.say(self.shown)

    def on_output_view_search_ended(self, message: OutputView.SearchEnded) -> None:
        """Tell that there is no match, or that the search went round."""
        if message.line is None:
            self.toast(f"No match for {message.text}", "warning")
        self.output_box.say(self.shown)

    # --- where the person is

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Light up the pane that has the focus and show its keys."""
        if isinstance(event.widget, JobTable):
            self.current = event.widget.pane
            self.footer.show_marked(self.table.mark_count)
            self.strip_bar.show(self.snapshot, self.current, self.troubles(self.now()))
            self._follow_cursor()
        place = self.place
        if place != "typing":
            self.footer.show_place(place)
            self._light_up()
            if place != "confirm":
                self.lay_out()
        if self.current is Pane.DLQ and place == "lists" and self.box.news:
            self._tell_news(0)

    def _light_up(self) -> None:
        place = self.place
        for pane, box in self.boxes.items():
            is_current = pane is self.current
            box.title.light_up(is_here=is_current and place == "lists", is_current=is_current)
        self.output_box.title.light_up(is_here=place == "output", is_current=False)
        self.detail_title.light_up(is_here=place == "detail", is_current=False)

    def on_resize(self) -> None:
        """Lay out for the new size."""
        self.lay_out()
