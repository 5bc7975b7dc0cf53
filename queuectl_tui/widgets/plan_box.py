"""The plan: schedules and resources, side by side or one over the other; with room for one, that which has the keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from core.model import ResourceInfo, State
from core.text import clean_line
from core.wording import count, until
from queuectl_tui.cells import clip, flat
from queuectl_tui.key_target import KeyTarget
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.toasts import refuse_in_read_only, toast
from queuectl_tui.widgets.glyphs import ASCII, UNICODE, Glyphs, bar
from queuectl_tui.widgets.row_list import Cell, Column, RowList, RowOfCells
from queuectl_tui.widgets.side_list import SideList
from queuectl_tui.widgets.title import Title

if TYPE_CHECKING:
    from core.rules.schedules import ScheduleInfo
    from queuectl_tui.gateway.gateway import Gateway

SCHEDULE_COLUMNS = (
    Column("schedule"),
    Column("next", 0, is_right=True),
    Column("last", 1),
    Column("note", 2),
    Column("when", 3),
    Column("due", 4),
    Column("command", 5),
    Column("zone", 6),
)
RESOURCE_COLUMNS = (
    Column("resource"),
    Column("in use", 0, is_right=True),
    Column("", 3),
    Column("waiting", 1),
    Column("held by", 2),
    Column("capacity", 4),
)
_BAR_CELLS = 8
#: A text of a column that is not the first is cut to so many cells.
_TEXT_CELLS = 40
#: How many jobs that have some of a resource are named.
_NAMED = 4
#: In how many seconds the time of day alone says when something is due, and with the day of the week.
_DAY_S, _WEEK_S = 86_400, 6 * 86_400


class Schedules(SideList):
    """The schedules, by name."""

    DIGIT = 9
    NAME = "schedules"

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        empty = 'No schedules. Add one: queuectl schedule add nightly "0 2 * * *" -- ./backup'
        super().__init__(gateway, SCHEDULE_COLUMNS, empty, is_ascii=is_ascii)
        self._signs = ASCII if is_ascii else UNICODE
        self.other = ""

    @property
    def infos(self) -> Sequence[ScheduleInfo]:
        """The schedules in the newest snapshot."""
        return self.snapshot.plan.schedules if self.snapshot is not None and self.snapshot.plan is not None else ()

    @property
    def current(self) -> ScheduleInfo | None:
        """The schedule under the cursor."""
        return next((schedule for schedule in self.infos if schedule.name == self.rows.cursor_key), None)

    def rows_of(self, snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
        """Return a row for each schedule."""
        return [schedule_row(schedule, now.astimezone(), self._signs) for schedule in self.infos]

    def write_title(self, snapshot: Snapshot) -> None:
        """Write how many schedules there are, and that no worker is alive to keep them."""
        paused = sum(schedule.is_paused for schedule in self.infos)
        more = f"· {count(paused)} paused" if paused else ""
        is_kept = any(worker.is_alive for worker in snapshot.workers) or len(self.infos) == paused
        right, style = (self.other, "muted") if is_kept else ("no worker alive", "warning")
        if not is_kept and self.other:
            right += f" · {self.other}"
        self.title.set_text(count(len(self.infos)), more=more, right=right, right_style=style)


class Resources(SideList):
    """The resources, by name."""

    DIGIT = 9
    NAME = "resources"

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        empty = "No resources in use. Set one: queuectl resource set gpu 4"
        super().__init__(gateway, RESOURCE_COLUMNS, empty, is_ascii=is_ascii)
        self._signs = ASCII if is_ascii else UNICODE
        self.other = ""

    @property
    def infos(self) -> Sequence[ResourceInfo]:
        """The resources in the newest snapshot."""
        return self.snapshot.plan.resources if self.snapshot is not None and self.snapshot.plan is not None else ()

    @property
    def current(self) -> ResourceInfo | None:
        """The resource under the cursor."""
        return next((resource for resource in self.infos if resource.name == self.rows.cursor_key), None)

    def rows_of(self, snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
        """Return a row for each resource."""
        return [resource_row(resource, self._signs) for resource in self.infos]

    def write_title(self, snapshot: Snapshot) -> None:
        """Write how many resources there are, and how many jobs wait for one."""
        waiting = sum(resource.waiting for resource in self.infos)
        more = f"· {count(waiting)} {'waits' if waiting == 1 else 'wait'}" if waiting else ""
        self.title.set_text(count(len(self.infos)), more=more, right=self.other)


class PlanBox(Container):
    """Joins both lists. The keys go to the ``half`` that has the focus; those of the other say so."""

    DIGIT: ClassVar[int] = 9
    NAME: ClassVar[str] = "plan"

    class JobWanted(Message):
        """The detail of a job is to be shown."""

        def __init__(self, job_id: int) -> None:
            super().__init__()
            self.job_id = job_id

    class HalfChosen(Message):
        """The focus is to go to the other list."""

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(id="plan-box", classes="box side-list")
        self._gateway = gateway
        self.schedules = Schedules(gateway, is_ascii=is_ascii)
        self.resources = Resources(gateway, is_ascii=is_ascii)
        self.half: Schedules | Resources = self.schedules
        self._has_room_for_both = True
        self._arrows = ("<-", "->") if is_ascii else ("←", "→")
        self.display = False

    def compose(self) -> ComposeResult:
        yield self.schedules
        yield self.resources

    # --- what is shown

    @property
    def rows(self) -> RowList:
        """The rows that have the focus, or had it last."""
        return self.half.rows

    @property
    def title(self) -> Title:
        """The title over those rows."""
        return self.half.title

    def receive(self, snapshot: Snapshot, now: datetime) -> None:
        """Keep a snapshot, and show it when the plan is shown."""
        for half in (self.schedules, self.resources):
            half.receive(snapshot, now)

    def set_shown(self, is_shown: bool) -> None:
        """Begin or end to show the plan and to have it read."""
        if is_shown is not self.half.is_shown:
            self._gateway.reader.show_plan(is_shown)
        for half in (self.schedules, self.resources):
            half.set_shown(is_shown)

    def tick(self, now: datetime) -> None:
        """Move the times on."""
        self.schedules.tick(now)

    def share_room(self, *, has_room_for_both: bool) -> None:
        """Show both lists, or the one of them that the keys go to."""
        self._has_room_for_both = has_room_for_both
        for half in (self.schedules, self.resources):
            half.display = has_room_for_both or half is self.half
        left, right = self._arrows
        self.schedules.other = "" if has_room_for_both else f"Resources {right}"
        self.resources.other = "" if has_room_for_both else f"{left} Schedules"
        for half in (self.schedules, self.resources):
            if half.snapshot is not None:
                half.write_title(half.snapshot)

    def on_title_clicked(self, message: Title.Clicked) -> None:
        """Go to the list whose title was clicked."""
        self._choose(self.resources if message.title is self.resources.title else self.schedules)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Note which list has the focus."""
        self._choose(self.resources if event.widget is self.resources.rows else self.schedules)

    def _choose(self, half: Schedules | Resources) -> None:
        if half is not self.half:
            self.half.title.highlight(is_here=False, is_current=False)
            self.half = half

    def aim(self, target: KeyTarget) -> KeyTarget:
        """Return a target with what is under the cursor here."""
        if self.half is self.resources:
            resource = self.resources.current
            is_set = resource is not None and resource.is_set
            return target._replace(has_resource=resource is not None, has_limit=is_set)
        schedule = self.schedules.current
        is_paused = schedule is not None and schedule.is_paused
        return target._replace(has_schedule=schedule is not None, is_paused=is_paused)

    # --- keys

    def go(self, step: int) -> None:
        """Go to the list at the left, or at the right when ``step`` is positive."""
        half = self.resources if step > 0 else self.schedules
        if half is not self.half:
            self._choose(half)
            self.share_room(has_room_for_both=self._has_room_for_both)
            self.post_message(self.HalfChosen())

    def run_now(self) -> None:
        """Run the schedule under the cursor now, besides its plan."""
        schedule = self._schedule("n")
        if schedule is not None:
            self._gateway.plan.run(schedule.name)

    def toggle_pause(self) -> None:
        """Pause the schedule under the cursor, or resume it."""
        schedule = self._schedule("p")
        if schedule is not None:
            self._gateway.plan.pause(schedule.name, not schedule.is_paused)

    def to_edit(self) -> ScheduleInfo | None:
        """Return the schedule under the cursor for the form; report why there is none."""
        return self._schedule("E")

    def edit(self, name: str, changes: dict[str, Any]) -> None:
        """Change a schedule; the names are those of ``Queue.edit_schedule``."""
        self._gateway.plan.edit(name, changes)

    def change_capacity(self, change: int, key: str) -> None:
        """Have more, or less, of the resource under the cursor."""
        resource = self._resource(key)
        if resource is not None:
            self._gateway.plan.change_capacity(resource.name, change)

    def unset(self) -> None:
        """Forget how much there is of the resource under the cursor."""
        resource = self._resource("u")
        if resource is None:
            return
        if resource.is_set:
            self._gateway.plan.change_capacity(resource.name, None)
        else:
            toast(self, f"u: {resource.name} is not set; there is one of it", "warning")

    def go_to_job(self) -> None:
        """Ask for the last job of a schedule; for the first that waits for a resource, else one that has some."""
        if self.half is self.schedules:
            job_id = None if self.schedules.current is None else self.schedules.current.last_job_id
            missing = (
                "There is no schedule under the cursor." if self.schedules.current is None else "It has not run yet."
            )
        else:
            resource = self.resources.current
            job_id = None if resource is None else resource.next_job or next(iter(resource.holders), None)
            missing = "No job waits for it or has it." if resource is not None else "There is no resource here."
        if job_id is None:
            toast(self, missing, "warning")
        else:
            self.post_message(self.JobWanted(job_id))

    def _schedule(self, key: str) -> ScheduleInfo | None:
        """Return the schedule that a key changes; report why there is none."""
        if refuse_in_read_only(self, self._gateway.is_read_only, key):
            return None
        if self.half is not self.schedules:
            toast(self, f"{key}: that is for schedules; {self._arrows[0]} goes to them", "warning")
            return None
        if self.schedules.current is None:
            toast(self, f"{key}: there is no schedule under the cursor", "warning")
        return self.schedules.current

    def _resource(self, key: str) -> ResourceInfo | None:
        """Return the resource that a key changes; report why there is none."""
        if refuse_in_read_only(self, self._gateway.is_read_only, key):
            return None
        if self.half is not self.resources:
            toast(self, f"{key}: that is for resources; {self._arrows[1]} goes to them", "warning")
            return None
        if self.resources.current is None:
            toast(self, f"{key}: there is no resource under the cursor", "warning")
        return self.resources.current


def schedule_row(schedule: ScheduleInfo, now: datetime, signs: Glyphs) -> RowOfCells:
    """Return a row for a schedule with a cell for each of ``SCHEDULE_COLUMNS``; ``now`` is in the zone of the times."""
    at = schedule.next_at
    if at is None:
        when_next, due = Cell("paused", "warning"), ""
    else:
        when_next, due = Cell(until(at, now)), due_words(at, now)
    cells = (
        Cell(clean_line(schedule.name), "strong"),
        when_next,
        last_run(schedule, signs),
        Cell(_cut(schedule.note or "", signs), "warning"),
        Cell(clean_line(schedule.when), "muted"),
        Cell(due, "muted"),
        Cell(_cut(schedule.job.command, signs)),
        Cell(clean_line(schedule.zone), "muted"),
    )
    return RowOfCells(schedule.name, cells)


def due_words(at: datetime, now: datetime) -> str:
    """Return when something is due by the wall clock: ``02:00``, ``Sat 02:00``, ``3 Jan 02:00``."""
    local, seconds = at.astimezone(now.tzinfo), (at - now).total_seconds()
    clock = f"{local:%H:%M}"
    if seconds < _DAY_S:
        return clock
    return f"{local:%a} {clock}" if seconds < _WEEK_S else f"{local.day} {local:%b} {clock}"


def last_run(schedule: ScheduleInfo, signs: Glyphs) -> Cell:
    """Return the last job of a schedule behind the sign of its state."""
    if schedule.last_job_id is None or schedule.last_state is None:
        return Cell(signs.nothing, "muted")  # it has not run, or its job is gone
    sign, style = _SIGNS.get(schedule.last_state, ("nothing", "muted"))
    return Cell(f"{getattr(signs, sign)} {schedule.last_job_id}", style)


#: The sign and the style of the last job's state.
_SIGNS = {
    State.PENDING: ("pending", "warning"),
    State.RUNNING: ("running", "accent"),
    State.COMPLETED: ("completed", "good"),
    State.CANCELLED: ("cancelled", "muted"),
    State.DEAD: ("dead", "bad"),
}


def resource_row(resource: ResourceInfo, signs: Glyphs) -> RowOfCells:
    """Return a row for a resource with a cell for each of ``RESOURCE_COLUMNS``."""
    share = min(1.0, resource.in_use / resource.capacity) if resource.capacity else 0.0
    is_full = resource.in_use >= resource.capacity
    used = "closed" if resource.capacity == 0 else f"{resource.in_use:,} of {resource.capacity:,}"
    of = "per host" if resource.is_per_host else "" if resource.is_set else "not set"
    cells = (
        Cell(clean_line(resource.name), "strong"),
        Cell(used, "warning" if is_full else "" if resource.in_use else "muted"),
        Cell(bar(share, _BAR_CELLS, signs) if resource.capacity else "", _bar_style(resource)),
        Cell(waiting_words(resource), "warning"),
        Cell(_named(list(resource.holders)), "muted"),
        Cell(of, "muted"),
    )
    return RowOfCells(resource.name, cells)


def _bar_style(resource: ResourceInfo) -> str:
    if resource.in_use >= resource.capacity:
        return "warning"
    return "accent" if resource.in_use else "muted"


def waiting_words(resource: ResourceInfo) -> str:
    """Return which job waits for a resource first, and how many others do: ``9 and 3 more``."""
    if not resource.waiting or resource.next_job is None:
        return ""
    more = resource.waiting - 1
    return f"{resource.next_job} and {more:,} more" if more else str(resource.next_job)


def _named(ids: Sequence[int]) -> str:
    more = len(ids) - _NAMED
    return " ".join(map(str, ids[:_NAMED])) + (f" +{more:,}" if more > 0 else "")


def _cut(text: str, signs: Glyphs) -> str:
    return clip(flat(clean_line(text[: 10 * _TEXT_CELLS])), _TEXT_CELLS, signs.ellipsis)
