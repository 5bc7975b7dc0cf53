"""The parts of the dashboard, and what keys and facts may ask of them: where the person is, what is shown, where to go.

The board knows nobody who asks: the dashboard is a board, and what its keys do is written for any board.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.widget import Widget

from core.model import Job, NewJob
from queuectl_tui.gateway.gateway import DetailRequest, Gateway
from queuectl_tui.held_keys import HeldKeys
from queuectl_tui.keymap import Action
from queuectl_tui.layout import HEIGHTS, WIDTHS, Mode, arranged, classes_for, mode_of
from queuectl_tui.removed_widgets import PastRemovedWidgets
from queuectl_tui.snapshot import JobDetail, Pane, Snapshot, empty_snapshot
from queuectl_tui.toasts import toast
from queuectl_tui.troubles import Trouble, troubles_of
from queuectl_tui.widgets.confirm_bar import MAX_BY_KEY, ConfirmBar
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.footer import Footer
from queuectl_tui.widgets.header import Header
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.output_box import OutputBox
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.pane_box import PaneBox
from queuectl_tui.widgets.strip_bar import StripBar
from queuectl_tui.widgets.throughput import Throughput
from queuectl_tui.widgets.title import Title
from queuectl_tui.widgets.trouble_bar import TroubleBar

if TYPE_CHECKING:
    from queuectl_tui.dialogs.enqueue import EnqueueScreen


class Board(PastRemovedWidgets[None], inherit_bindings=False):
    """Holds four panes, output, detail and chart, and goes about among them."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(self, gateway: Gateway, actions: Sequence[Action], *, is_ascii: bool = False) -> None:
        super().__init__(id="dashboard")
        self.gateway = gateway
        self.snapshot: Snapshot = empty_snapshot(self.now())
        self.actions = tuple(actions)
        self.header = Header(gateway.display_name, is_read_only=gateway.is_read_only, is_ascii=is_ascii, id="header")
        self.strip_bar = StripBar(is_read_only=gateway.is_read_only, is_ascii=is_ascii, id="strip")
        self.throughput = Throughput(is_ascii=is_ascii, id="throughput")
        self.boxes = {pane: PaneBox(pane, is_ascii=is_ascii) for pane in Pane}
        self.output_box = OutputBox(is_ascii=is_ascii)
        self.detail = Detail(is_ascii=is_ascii, id="detail")
        self.detail_title = Title(6, "Detail", is_ascii=is_ascii)
        self.panes = Container(id="panes")
        self.side = Container(id="side")
        self.detail_box = Container(id="detail-box", classes="box side-box")
        self.confirm_bar = ConfirmBar(id="confirm")
        self.trouble_bar = TroubleBar(id="trouble")
        self.footer = Footer(self.actions, is_ascii=is_ascii, id="footer")
        self.current = Pane.PENDING
        self.detail_request: DetailRequest | None = None
        self._is_staying = False
        self._wanted_job: Job | None = None
        self.last_directory: str | None = None
        #: What the key that quits does, at once: what is typed behind it is meant for the question that it asks.
        self.ask_to_quit: Callable[[], None] = lambda: None
        self.is_zoomed = False
        self.held_keys = HeldKeys()
        #: What is done, by the ticket of an order, when that is refused.
        self.on_refusal: dict[int, Callable[[], None]] = {}
        # the form that waits for its order to be carried out, and the order's ticket
        self._awaited: tuple[int, EnqueueScreen] | None = None

    class ThemeWanted(Message, namespace="dashboard"):
        """The person wants the next theme."""

    class ThemeChosen(Message, namespace="dashboard"):
        """The person chose a theme by name."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class DeathsUnseen(Message, namespace="dashboard"):
        """So many jobs died since the DLQ was last looked at; 0 when it is looked at."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

    class DirectoryUsed(Message, namespace="dashboard"):
        """A job was enqueued in this directory; the next one may want it too."""

        def __init__(self, directory: str) -> None:
            super().__init__()
            self.directory = directory

    def compose(self) -> ComposeResult:
        # Textual would set these after the first layout, and style and lay out all of it again
        self.add_class(*classes_for(*self.app.size), update=False)
        yield self.header
        yield self.strip_bar
        yield self.throughput
        with Container(id="body"):
            with self.panes:
                yield from self.boxes.values()
            with self.side:
                with self.detail_box:
                    yield self.detail_title
                    yield self.detail
                yield self.output_box
        yield self.trouble_bar
        yield self.footer

    def add_confirm_bar(self) -> None:
        """Add the hidden row for questions, unless it is there: the first picture can do without."""
        if self.is_attached and not self.confirm_bar.is_attached:
            self.mount(self.confirm_bar, before=self.footer)

    def lay_out(self) -> None:
        """Show and size the parts of the dashboard; what stays the same costs nothing."""
        mode = mode_of(*self.size)
        is_zoomed = self.is_zoomed
        wanted = arranged(mode, self.current, self.place, is_zoomed=is_zoomed)
        for pane, box in self.boxes.items():
            box.display = pane in wanted.panes
            _set_rule(box, "height", "1fr" if pane is wanted.growing else wanted.small_height)
        self.panes.display = bool(wanted.panes)
        _set_rule(self.panes, "height", wanted.panes_height)
        self.side.display = wanted.is_side_shown
        _set_rule(self.side, "height", "1fr" if is_zoomed else None)
        for container in (self.panes, self.side):
            _set_rule(container, "layout", "vertical" if is_zoomed else None)
        self.detail_box.display = wanted.is_detail_shown
        self.output_box.display = wanted.is_output_shown
        for part in (self.detail_box, self.output_box):
            _set_rule(part, "height", "1fr" if is_zoomed else None)
        self.throughput.display = mode in (Mode.GRID, Mode.WIDE) and not is_zoomed

    # --- where the person is, and what is shown

    def now(self) -> datetime:
        """Return what time it is, aware, in UTC."""
        return self.gateway.now()

    @property
    def box(self) -> PaneBox:
        """The pane where the person is, or was before going to output or detail."""
        return self.boxes[self.current]

    @property
    def table(self) -> JobTable:
        """The table of the current pane."""
        return self.box.table

    @property
    def shown(self) -> JobDetail | None:
        """The job whose detail and output are shown; ``None`` while the one that is wanted is still being read."""
        detail, request = self.snapshot.detail, self.detail_request
        return detail if detail is not None and request is not None and detail.job.id == request.job_id else None

    @property
    def place(self) -> str:
        """Where the keys go: ``lists``, ``output``, ``detail``, ``confirm``, or ``typing`` in a row of text."""
        focused = self.focused
        if self.output_box.is_opening or any(box.is_opening for box in self.boxes.values()):
            return "typing"  # what is typed is text, also while the row for it is still being made
        if focused is None or isinstance(focused, JobTable):
            return "lists"
        for node in focused.ancestors_with_self:
            if node is self.confirm_bar:
                return "confirm"
            if isinstance(node, FilterBar):
                return "typing"
            if isinstance(node, OutputView):
                return "output"
            if node is self.detail:
                return "detail"
        return "lists"

    def troubles(self, now: datetime) -> list[Trouble]:
        """Return what is wrong in the newest picture and with the worker of this process, the worst first."""
        has_data = self.snapshot.panes[Pane.PENDING].is_counted
        if not has_data and self.snapshot.error is None:
            return []
        return troubles_of(self.snapshot, self.gateway.host.trouble, now, self.gateway.shorten)

    def target_job(self) -> Job | None:
        """Return the one job that keys act on when none is marked: the one that detail and output show."""
        if self.place in ("output", "detail") or self.is_staying_alone:
            return self.shown.job if self.shown is not None else self._wanted_job
        return self.table.cursor_job

    # --- asking and telling

    def choose_theme(self, name: str) -> None:
        """Ask for a theme by name."""
        self.post_message(self.ThemeChosen(name))

    def toast(self, text: str, severity: SeverityLevel = "information") -> None:
        """Say something in a corner for a few seconds."""
        toast(self, text, severity)

    def copy_job(self) -> None:
        """Ask what to copy of the job that keys act on."""
        from queuectl_tui.dialogs.copy_job import offer_copy

        job, shown = self.target_job(), self.shown
        if job is None:
            self.toast("y: there is no job under the cursor", "warning")
        else:
            offer_copy(self.app, job, shown.output if shown is not None and shown.job.id == job.id else None)

    def ask(self, question: str, sample: str, number: int, on_yes: Callable[[], None]) -> None:
        """Ask, in the row over the footer, before something is done."""
        self.add_confirm_bar()
        self.footer.asks_for_count = number > MAX_BY_KEY
        self.confirm_bar.ask(question, sample, number, on_yes)

    def open_form(self, edited: Job | None, give: Callable[[NewJob], int]) -> None:
        """Let the person fill in a new job, or change one; ``give`` orders it and returns the ticket of the order.

        The form stays open until the order is carried out: one that is refused goes back to the person.
        """
        from queuectl_tui.dialogs.enqueue import EnqueueScreen

        def submit(job: NewJob) -> None:
            self._awaited = give(job), form

        def done(job: NewJob | None) -> None:
            if job is not None and edited is None and job.cwd:
                self.post_message(self.DirectoryUsed(job.cwd))

        directory = self.last_directory if self.last_directory and os.path.isdir(self.last_directory) else os.getcwd()
        queues = [lane.name for lane in self.snapshot.lanes] or ["default"]
        form = EnqueueScreen(NewJob("", cwd=directory), queues, submit, self.held_keys, edit=edited, now=self.now)
        self.app.push_screen(form, done)

    def answer_form(self, ticket: int, reason: str | None, field_id: str | None = None) -> bool:
        """Give the form that waits for an order its end, a ``reason`` if it was refused; return whether it took it."""
        if self._awaited is None or self._awaited[0] != ticket:
            return False
        form, self._awaited = self._awaited[1], None
        if form not in self.app.screen_stack:
            return False
        form.answer(reason, field_id)
        return True

    # --- going about

    def go_to_pane(self, pane: Pane) -> None:
        """Put the focus into a pane."""
        self.current = pane
        self._follow_cursor()
        self.lay_out()  # what is not shown cannot be focused
        self.set_focus(self.table, scroll_visible=False)

    def go_to(self, widget: Widget) -> None:
        """Put the focus into output or detail."""
        if self.place == "lists":
            self._follow_cursor()
        box = self.detail_box if widget is self.detail else self.output_box
        box.display = self.side.display = True  # what is not shown cannot be focused
        self.set_focus(widget, scroll_visible=False)

    def zoom(self, is_zoomed: bool) -> None:
        """Give the focused pane the whole screen, or show all again."""
        self.is_zoomed = is_zoomed
        self.lay_out()

    def _follow_cursor(self) -> None:
        """Show the job under the cursor, none in an empty list, unless the person stays with another."""
        job = self.table.cursor_job
        if self._is_staying:
            return
        if job is not None:
            self._wanted_job = job
            self.show_job(job.id)
        elif self.detail_request is not None and self.is_list_empty:
            self._wanted_job = self.detail_request = None
            self.gateway.show_detail(None)

    @property
    def is_list_empty(self) -> bool:
        """Whether the current list is known to have no job."""
        data = self.snapshot.panes[self.current]
        return data.is_counted and data.total == 0 and self.table.cursor_job is None

    @property
    def is_staying_alone(self) -> bool:
        """Whether another job than one of the current list is shown because that list has none."""
        return self._is_staying and self.is_list_empty

    def stay_with(self, job_id: int) -> None:
        """Show a job, and do not follow the cursor until the person moves it."""
        self.show_job(job_id)
        self._is_staying = True

    def show_job(self, job_id: int, number: int | None = None) -> None:
        """Show the detail and output of a job."""
        if self._wanted_job is not None and self._wanted_job.id != job_id:
            self._wanted_job = None
        request = DetailRequest(job_id, number)
        if request != self.detail_request:
            self.detail_request = request
            self.gateway.show_detail(request)


def _set_rule(widget: Widget, name: str, value: int | str | None) -> None:
    """Set a style rule on a widget, or leave it to the style sheet; Textual lays out even when that changes nothing."""
    styles = widget.styles.inline
    if value is None:
        if styles.has_rule(name):
            setattr(widget.styles, name, None)
    else:
        setattr(widget.styles, name, value)
