"""The panes: four lists, detail and output or one of ``SIDE_LISTS``; which is shown, and which has the focus."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from core.model import Job, State, View
from core.rules.output_pattern import is_regex
from queuectl_tui.key_target import KeyTarget
from queuectl_tui.layout import SIDE_LISTS, Mode, arranged, has_headings, mode_of
from queuectl_tui.snapshot import Pane, Snapshot
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.dead_box import DeadBox
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.detail_box import DetailBox
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.output_box import OutputBox
from queuectl_tui.widgets.pane_box import PaneBox
from queuectl_tui.widgets.plan_box import PlanBox
from queuectl_tui.widgets.reading_box import ReadingBox
from queuectl_tui.widgets.shown_job import ShownJob
from queuectl_tui.widgets.side_lists import QueuesBox, SideLists
from queuectl_tui.widgets.title import Title

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway

#: The digits of the panes that are no lists.
OUTPUT_DIGIT, DETAIL_DIGIT = 5, 6
JOB_DIGITS = {"output": OUTPUT_DIGIT, "detail": DETAIL_DIGIT}


class Panes(Container):
    """Holds the panes, and moves the focus and the shown job between them.

    ``box`` is the list that has the focus, or had it before output or detail got it. ``context`` names what has the
    focus, or had it before a question or a row of text got it: ``lists``, ``output``, ``detail`` or one of
    ``SIDE_LISTS``. ``side_lists`` knows which of those stands in the place of detail and output, if any.
    """

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(id="body")
        self.dead_box = DeadBox(gateway, is_ascii=is_ascii)
        self.boxes: dict[Pane, PaneBox] = {
            pane: self.dead_box if pane is Pane.DLQ else PaneBox(pane, gateway, is_ascii=is_ascii) for pane in Pane
        }
        self.box: PaneBox = self.boxes[Pane.PENDING]
        self.detail_box = DetailBox(is_ascii=is_ascii)
        self.output_box = OutputBox(is_read_only=gateway.is_read_only, is_ascii=is_ascii)
        self.side_lists = SideLists(gateway, is_ascii=is_ascii)
        self.shown = ShownJob(gateway)
        self.context = "lists"
        self.is_zoomed = False
        self._lists = Container(id="panes")
        self._side = Container(id="side")
        for view in self._views():
            view.hide_bar()

    def compose(self) -> ComposeResult:
        with self._lists:
            yield from self.boxes.values()
        with self._side:
            yield self.detail_box
            yield self.output_box

    def _views(self) -> list[MeasuredView]:
        tables = (box.table for box in self.boxes.values())
        return [*tables, self.output_box.view, self.detail_box.detail]

    def add_hidden_parts(self) -> None:
        """Make the rows of text and the scrollbars, which the first picture does without."""
        for box in self.boxes.values():
            box.add_row()
        self.output_box.add_row()
        self.side_lists.add_to(self._side)
        for view in self._views():
            view.show_bar()

    @property
    def reading_box(self) -> ReadingBox:
        """What the keys for reading go to: all running outputs while they have the focus, else the output."""
        return self.side_lists.follow if self.context == self.side_lists.follow.NAME else self.output_box

    # --- what they show

    def show(self, snapshot: Snapshot, now: datetime, *, is_changed: bool) -> None:
        """Show the rows of a snapshot; ``is_changed`` is false when all but rows and detail is what it was before."""
        for box in self.boxes.values():
            if is_changed or not box.is_showing(snapshot):
                box.show(snapshot, now)
        sought = sought_by(self.box.view)
        self.output_box.look_for(sought)
        self.shown.look_for(sought)
        for side_box in self.side_lists.boxes:
            side_box.receive(snapshot, now)

    def show_detail(self, snapshot: Snapshot, now: datetime) -> None:
        """Show the detail and the output in a snapshot."""
        request, detail = self.shown.request, snapshot.detail
        self.shown.receive(detail)
        self.output_box.show(detail, now)
        self.detail_box.show(detail, now, None if request is None else request.number, snapshot.progress)

    def tick(self, now: datetime) -> None:
        """Repaint the ages and countdowns that have changed."""
        for box in self.boxes.values():
            box.tick(now)
        self.output_box.tick(now)
        self.detail_box.detail.tick(now.astimezone())
        for side_box in self.side_lists.boxes:
            side_box.tick(now)

    def follow_cursor(self) -> None:
        """Show the job under the cursor, unless another is pinned."""
        self.shown.follow(self.box.cursor_job, is_list_empty=self.box.is_empty)

    # --- which has the focus

    def go_to_pane(self, pane: Pane) -> None:
        """Put the focus into a list."""
        self.box = self.boxes[pane]
        self.follow_cursor()
        self._go(self.box.focus_target, "lists")

    def go_to_list(self) -> None:
        """Put the focus back into the list that had it last."""
        self.go_to_pane(self.box.pane)

    def go_to_output(self) -> None:
        """Put the focus into the output of the job under the cursor."""
        self._leave_for_job()
        self._go(self.output_box.view, "output")

    def go_to_detail(self) -> None:
        """Put the focus into the detail of the job under the cursor."""
        self._leave_for_job()
        self._go(self.detail_box.detail, "detail")

    def go_on_from_detail(self) -> None:
        """Show the job that is pointed at in a tree; elsewhere, and on the shown one, go to the output."""
        job, shown = self.detail_box.detail.chosen_job, self.shown.job
        if job is None or (shown is not None and job.id == shown.id):
            self.go_to_output()
        else:
            self.shown.show(job.id)

    def _leave_for_job(self) -> None:
        if self.context in ("lists", *SIDE_LISTS):
            self.follow_cursor()
        self.side_lists.show("")

    def go_to_side_list(self, name: str) -> None:
        """Put the focus into what ``SIDE_LISTS`` names; from there, or with "", back into the list."""
        self.side_lists.show("" if self.context == name else name)
        if not self.side_lists.name:
            self.go_to_list()
        elif self.side_lists.is_awaited:  # so early after the start that it has to be made first
            self.side_lists.add_to(self._side)
        else:
            self._focus_side_list()

    def _focus_side_list(self) -> None:
        self._go(self.side_lists.focus_target, self.side_lists.name)

    @on(QueuesBox.FilterWanted)
    def _filter_by_queue(self, message: QueuesBox.FilterWanted) -> None:
        """Show only the jobs of a queue in all lists and go there; or all jobs, when the lists do so already."""
        boxes = self.boxes.values()
        self.dead_box.show_list()
        if all(box.filter_text == message.text for box in boxes):
            for box in boxes:
                box.clear_filter()
            toast(self, "The panes show the jobs of all queues.")
        else:
            for box in boxes:
                box.set_filter(message.text)
            self.go_to_list()

    def _go(self, widget: Widget, context: str) -> None:
        self.context = context
        self.lay_out()  # what is not shown cannot be focused
        self.screen.set_focus(widget, scroll_visible=False)

    def go_round(self, step: int) -> None:
        """Put the focus into the pane so many digits further, the first after the last."""
        side = self.side_lists.digits or JOB_DIGITS
        digits = [*(pane.value for pane in Pane), *side.values()]
        here = side.get(self.context, self.box.pane.value)
        self._go_to_digit(digits[(digits.index(here) + step) % len(digits)])

    def _go_to_digit(self, digit: int | str) -> None:
        if digit == OUTPUT_DIGIT:
            self.go_to_output()
        elif digit == DETAIL_DIGIT:
            self.go_to_detail()
        elif digit in self.side_lists.digits.values():
            self._focus_side_list()
        else:
            self.go_to_pane(Pane(digit))

    def show_groups(self) -> None:
        """Show the groups of dead jobs in place of their list; from an open group, go back to them."""
        if self.box is not self.dead_box:
            toast(self, "t: only dead jobs are grouped; 4 goes to them", "warning")
        elif not self.leave_group():
            self.dead_box.show_groups()
            self.go_to_list()

    def leave_groups(self) -> None:
        """Show the list of dead jobs in place of their groups."""
        self.dead_box.show_list()
        self.go_to_list()

    def open_group(self) -> None:
        """Show the jobs of the group under the cursor."""
        group = self.dead_box.groups.cursor_group
        if group is None:
            toast(self, "There is no group under the cursor.", "warning")
        elif group.fingerprint is None:
            toast(self, "What these jobs died of was not read yet.", "warning")
        else:
            self.dead_box.open_group()
            self.go_to_list()

    def leave_group(self) -> bool:
        """Go back to the groups from the one that is open; return whether one was."""
        has_left = self.box is self.dead_box and self.dead_box.leave_group()
        if has_left:
            self.go_to_list()
        return has_left

    def step_attempt(self, step: int) -> None:
        """Show the output of an attempt so many later, or earlier when negative."""
        refusal = self.shown.step_attempt(step)
        if refusal is not None:
            toast(self, refusal, "warning")

    def compare_attempts(self) -> None:
        """Compare the output shown with that of the attempt before, or show it alone again."""
        refusal = self.shown.toggle_comparison()
        if refusal is not None:
            toast(self, refusal, "warning")

    # --- how they are laid out

    def lay_out(self) -> None:
        """Show and size the panes for the size of the screen and the focus; what stays the same costs nothing."""
        mode = mode_of(*self.screen.size)
        current, side_list = self.box.pane, self.side_lists.name
        wanted = arranged(mode, current, self.context, side_list=side_list, is_zoomed=self.is_zoomed)
        for pane, box in self.boxes.items():
            box.table.show_heading = has_headings(mode, self.screen.size.height)
            box.display = pane in wanted.panes
            _set_rule(box, "height", "1fr" if pane is wanted.growing else wanted.small_height)
        self._lists.display = bool(wanted.panes)
        _set_rule(self._lists, "height", wanted.panes_height)
        self._side.display = wanted.is_side_shown
        _set_rule(self._side, "height", "1fr" if self.is_zoomed else None)
        for container in (self._lists, self._side):
            _set_rule(container, "layout", "vertical" if self.is_zoomed else None)
        self.detail_box.display = wanted.is_detail_shown
        self.output_box.display = wanted.is_output_shown
        for side_box in self.side_lists.boxes:
            side_box.display = wanted.side_list == side_box.NAME
        self.side_lists.plan.share_room(has_room_for_both=mode in (Mode.GRID, Mode.WIDE))
        for part in (self.detail_box, self.output_box):
            _set_rule(part, "height", "1fr" if self.is_zoomed else None)

    def highlight(self, context: str) -> None:
        """Highlight the title of the pane that the keys of a context go to, and mark the list to come back to."""
        for box in self.boxes.values():
            is_current = box is self.box
            box.title.highlight(is_here=is_current and context == "lists", is_current=is_current)
        self.output_box.title.highlight(is_here=context == "output", is_current=False)
        self.detail_box.title.highlight(is_here=context == "detail", is_current=False)
        for side_box in self.side_lists.boxes:
            side_box.title.highlight(is_here=context == side_box.NAME, is_current=False)

    # --- messages of the widgets

    def on_group_table_opened(self) -> None:
        """Show the jobs of a group that was double-clicked."""
        self.open_group()

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        """Show the detail of a job that was double-clicked."""
        self.shown.show(message.job.id)
        self.go_to_detail()

    def on_detail_attempt_chosen(self, message: Detail.AttemptChosen) -> None:
        """Show the output of the attempt that was chosen in the detail."""
        if self.shown.detail is not None:
            self.shown.show(self.shown.detail.job.id, message.number)

    @on(Detail.TabChosen)
    def _read_tree(self, message: Detail.TabChosen) -> None:
        """Have the tree read while its tab is shown."""
        self.shown.show_tree(message.tab == "Tree")

    @on(PlanBox.HalfChosen)
    def _go_to_other_half(self) -> None:
        """Go to the other list of the plan."""
        if self.side_lists.name == self.side_lists.plan.NAME:
            self._focus_side_list()

    @on(PlanBox.JobWanted)
    def _go_to_job(self, message: PlanBox.JobWanted) -> None:
        """Show the detail of a job that a schedule added, or that a resource is about."""
        self.side_lists.show("")
        self.shown.pin(message.job_id)
        self._go(self.detail_box.detail, "detail")

    @on(Title.Clicked)
    def _go_to_clicked(self, message: Title.Clicked) -> None:
        """Go to the pane whose title was clicked."""
        self._go_to_digit(message.title.digit)


def open_row(panes: Panes) -> FilterBar | None:
    """Return the row for a filter or a search that receives what is typed, if one is open."""
    reading = (panes.output_box, panes.side_lists.follow)
    rows = (*(box.filter_bar for box in panes.boxes.values()), *(box.search_bar for box in reading))
    return next((row for row in rows if row.is_ready and row.is_open), None)


def key_target_of(panes: Panes, context: str, job: Job | None, snapshot: Snapshot) -> KeyTarget:
    """Return what keys act on in a context, where ``job`` is the one job that they act on."""
    box, detail, queues = panes.box, panes.shown.detail, panes.side_lists.queues
    attempts = detail.attempts if detail is not None and job is not None and detail.job.id == job.id else ()
    target = KeyTarget(
        state=None if job is None else job.state,
        is_delayed=job is not None and job.run_at is not None and not job.blocks,
        is_held=job is not None and job.is_held,
        marked=box.pane.states if box.table.marks.count else (),
        has_list=not box.is_empty or bool(box.filter_text),
        has_dead=box is panes.dead_box and snapshot.counts.of(State.DEAD) > 0,
        has_started=job is not None and job.started_at is not None,
        has_others=len(attempts) > 1,
        has_earlier=bool(attempts) and detail is not None and detail.number != attempts[0].number,
        has_output=(context == panes.side_lists.follow.NAME and snapshot.counts.of(State.RUNNING) > 0)
        or panes.reading_box.view.line_count > 0,
        is_paused=snapshot.is_paused,
        has_dependents=job is not None and job.id in snapshot.panes[Pane.DLQ].notes,
        has_past=context == "typing" and (row := open_row(panes)) is not None and bool(row.past),
        is_in_tree=context == "detail"
        and job is not None
        and panes.shown.job is not None
        and job.id != panes.shown.job.id,
    )
    if context == "groups":
        group = panes.dead_box.groups.cursor_group
        return target._replace(has_row=group is not None and group.fingerprint is not None)
    if context == "queues" and queues.current is not None:
        queue = queues.current
        return target._replace(has_row=True, has_limit=queue.limit is not None, is_paused=queue.is_paused)
    if context == "plan":
        return panes.side_lists.plan.aim(target)
    if context == "workers" and (worker := panes.side_lists.workers.current) is not None:
        return target._replace(has_row=worker.is_alive)
    return target


def sought_by(view: View) -> str:
    """Return what a filter looks for in outputs: a text, in which case does not matter, or ``/regex/``; "" for none."""
    terms = (term for term in view.terms if term.field == "output" and not term.is_negated)
    text = next((str(term.value) for term in terms), "")
    return text if is_regex(text) else text.lower()


def _set_rule(widget: Widget, name: str, value: int | str | None) -> None:
    """Set a style rule on a widget, or leave it to the style sheet; Textual lays out even when that changes nothing."""
    styles = widget.styles.inline
    if value is None:
        if styles.has_rule(name):
            setattr(widget.styles, name, None)
    else:
        setattr(widget.styles, name, value)
