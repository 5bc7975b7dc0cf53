"""What may stand in the place of detail and output: queues and workers with their keys, the plan, running outputs."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from textual.containers import Container
from textual.message import Message
from textual.widget import Widget

from core.model import Presence, QueueInfo, State, WorkerInfo
from core.text import clean_line
from core.wording import ago, count, rate
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.toasts import refuse_in_read_only, toast
from queuectl_tui.widgets.confirm_bar import Ask
from queuectl_tui.widgets.follow_box import FollowBox
from queuectl_tui.widgets.plan_box import PlanBox
from queuectl_tui.widgets.row_list import Cell, Column, RowList, RowOfCells
from queuectl_tui.widgets.side_list import SideList

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway

_COUNTED = (State.DEAD, State.COMPLETED, State.CANCELLED)
QUEUE_COLUMNS = (
    Column("queue"),
    Column("state", 2),
    Column("pending", 0, is_right=True),
    Column("running", 1, is_right=True),
    Column("limit", 3, is_right=True),
    Column("rate", 4, is_right=True),
    Column("delayed", 6, is_right=True),
    *(Column(state.value, rank, is_right=True) for state, rank in zip(_COUNTED, (5, 7, 8), strict=True)),
    Column("lost host", 9),
)
WORKER_COLUMNS = (
    Column("worker", is_right=True),
    Column("state", 1),
    Column("pid", 5, is_right=True),
    Column("host", 4),
    Column("running", 0, is_right=True),
    Column("slots", 2, is_right=True),
    Column("started", 3, is_right=True),
    Column("queues", 6),
    Column("", 7),
)


class QueuesBox(SideList):
    """The named queues, with how fast their jobs end; that is read only while they are shown."""

    DIGIT = 7
    NAME = "queues"

    class FilterWanted(Message):
        """All panes are to be filtered by ``text``, which names a queue."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(gateway, QUEUE_COLUMNS, "No queues yet; the first job makes one.", is_ascii=is_ascii)

    def set_shown(self, is_shown: bool) -> None:
        """Begin or end to show the queues and to have their rates read."""
        if is_shown is not self.is_shown:
            self.gateway.reader.show_queue_rates(is_shown)
        super().set_shown(is_shown)

    def tick(self, now: datetime) -> None:
        """Have the rates read again: they fall with time alone."""
        if self.is_shown and self.snapshot is not None and self.snapshot.queue_rates:
            self.gateway.reader.show_queue_rates(True)

    def rows_of(self, snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
        """Return a row for each queue, by name."""
        return queue_rows(snapshot)

    def write_title(self, snapshot: Snapshot) -> None:
        """Write how many queues there are, and that all of them are paused."""
        queues = snapshot.queues
        paused = sum(queue.is_paused for queue in queues)
        more = f"· {count(paused)} paused" if paused else ""
        right = "everything is paused" if snapshot.is_paused else ""
        self.title.set_text(count(len(queues)), more=more, right=right, right_style="warning")

    @property
    def current(self) -> QueueInfo | None:
        """Return the queue under the cursor."""
        queues = self.snapshot.queues if self.snapshot is not None else ()
        return next((queue for queue in queues if queue.name == self.rows.cursor_key), None)

    def _target(self, key: str) -> QueueInfo | None:
        """Return the queue that a key changes; report why there is none."""
        if refuse_in_read_only(self, self.gateway.is_read_only, key):
            return None
        if self.current is None:
            toast(self, f"{key}: there is no queue under the cursor", "warning")
        return self.current

    def toggle_pause(self) -> None:
        """Pause the queue under the cursor, or resume it."""
        queue = self._target("p")
        if queue is not None:
            self.gateway.pause(queue.name, not queue.is_paused)

    def change_limit(self, change: int, key: str) -> None:
        """Let one job more, or less, of the queue under the cursor run at once."""
        queue = self._target(key)
        if queue is None:
            return
        if queue.limit is None and change > 0:
            toast(self, f"{key}: queue {queue.name} has no limit; ( sets one", "warning")
        else:
            self.gateway.change_limit(queue.name, change)

    def lift_limit(self) -> None:
        """Let any number of jobs of the queue under the cursor run at once."""
        queue = self._target("u")
        if queue is not None:
            self.gateway.change_limit(queue.name, None)

    def filter_panes(self) -> None:
        """Ask for all panes to be filtered by the queue under the cursor."""
        if self.current is None:
            toast(self, "There is no queue under the cursor.", "warning")
        else:
            self.post_message(self.FilterWanted(f"queue:{self.current.name}"))


class WorkersBox(SideList):
    """The registered workers."""

    DIGIT = 8
    NAME = "workers"

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        super().__init__(gateway, WORKER_COLUMNS, "No worker is alive. Start one: queuectl worker", is_ascii=is_ascii)

    def rows_of(self, snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
        """Return a row for each worker, the oldest first."""
        return worker_rows(snapshot, now)

    def write_title(self, snapshot: Snapshot) -> None:
        """Write how many workers there are, and of those that live how many slots are used."""
        alive = [worker for worker in snapshot.workers if worker.is_alive]
        slots, running = sum(worker.slots for worker in alive), sum(worker.running for worker in alive)
        used = f"· {running} of {count(slots, 'slot')} used" if alive else ""
        self.title.set_text(count(len(snapshot.workers)), more=used)

    @property
    def current(self) -> WorkerInfo | None:
        """Return the worker under the cursor."""
        workers = self.snapshot.workers if self.snapshot is not None else ()
        return next((worker for worker in workers if str(worker.id) == self.rows.cursor_key), None)

    def stop(self, ask: Ask, *, now: bool) -> None:
        """Ask whether the worker under the cursor is to stop once its jobs have ended, or ``now``."""
        key = "S" if now else "s"
        if refuse_in_read_only(self, self.gateway.is_read_only, key):
            return
        worker = self.current
        if worker is None:
            toast(self, f"{key}: there is no worker under the cursor", "warning")
        elif not worker.is_alive:
            toast(self, f"{key}: worker {worker.id} is not alive; the next worker takes over its jobs", "warning")
        else:
            running = count(worker.running, "running job")
            fate = f"ends {running}, to run again later" if now else f"finishes {running} first"
            sample = f"{worker.host}, pid {worker.pid}" + (f": {fate}" if worker.running else "")
            question = f"Stop worker {worker.id} now?" if now else f"Stop worker {worker.id}?"
            ask(question, sample, 1, partial(self.gateway.stop_worker, worker.id, now=now))


class SideLists:
    """The queues, the workers, the plan and all running outputs.

    ``name`` says which is shown, "" for detail and output.
    """

    def __init__(self, gateway: Gateway, *, is_ascii: bool = False) -> None:
        self.queues = QueuesBox(gateway, is_ascii=is_ascii)
        self.workers = WorkersBox(gateway, is_ascii=is_ascii)
        self.plan = PlanBox(gateway, is_ascii=is_ascii)
        self.follow = FollowBox(gateway, is_ascii=is_ascii)
        self.boxes: tuple[SideList | PlanBox | FollowBox, ...] = (self.queues, self.workers, self.plan, self.follow)
        self.name = ""

    def show(self, name: str) -> None:
        """Show one of them, or with "" none."""
        self.name = name
        for box in self.boxes:
            box.set_shown(name == box.NAME)

    def add_to(self, container: Container) -> None:
        """Add all, hidden, to the container of detail and output, unless they are there."""
        if container.is_attached and not self.queues.is_attached:
            container.mount(*self.boxes)

    @property
    def rows(self) -> RowList:
        """The rows of the one that is shown, else those of the queues."""
        if self.name == self.plan.NAME:
            return self.plan.rows
        return (self.workers if self.name == self.workers.NAME else self.queues).rows

    @property
    def focus_target(self) -> Widget:
        """What has the focus in the one that is shown."""
        return self.follow.view if self.name == self.follow.NAME else self.rows

    @property
    def is_awaited(self) -> bool:
        """Whether one is to be shown that is still being made."""
        return bool(self.name) and not self.focus_target.is_attached

    @property
    def digits(self) -> dict[str, int | str]:
        """The key of the one that is shown, by its name."""
        return {box.NAME: box.DIGIT for box in self.boxes if self.name == box.NAME}


def queue_rows(snapshot: Snapshot) -> list[RowOfCells]:
    """Return a row for each queue with a cell for each of ``QUEUE_COLUMNS``; zeros are muted."""
    rows = []
    for queue in snapshot.queues:
        running = queue.counts.get(State.RUNNING, 0)
        limit = Cell("-", "muted") if queue.limit is None else Cell(count(queue.limit))
        per_s = snapshot.queue_rates.get(queue.name, 0.0)
        counted = [_number(queue.counts.get(state, 0)) for state in _COUNTED]
        cells = (
            Cell(clean_line(queue.name), "strong"),
            queue_state(queue),
            _number(queue.counts.get(State.PENDING, 0)),
            _number(running, "accent"),
            limit,
            Cell(rate(per_s), "" if per_s else "muted"),
            _number(queue.delayed),
            *counted,
            Cell("hold", "warning") if queue.on_lost_host == "hold" else Cell("rerun", "muted"),
        )
        rows.append(RowOfCells(queue.name, cells))
    return rows


def queue_state(queue: QueueInfo) -> Cell:
    """Return whether a queue is paused, full, which means that its limit is reached, or open."""
    if queue.is_paused:
        return Cell("paused", "warning")
    if queue.limit is not None and queue.counts.get(State.RUNNING, 0) >= queue.limit:
        return Cell("full", "warning")
    return Cell("open", "good")


def worker_rows(snapshot: Snapshot, now: datetime) -> list[RowOfCells]:
    """Return a row for each worker with a cell for each of ``WORKER_COLUMNS``."""
    return [
        RowOfCells(
            str(worker.id),
            (
                Cell(str(worker.id), "strong"),
                worker_state(worker),
                Cell(str(worker.pid)),
                Cell(clean_line(worker.host)),
                _number(worker.running, "accent"),
                _number(worker.slots),
                Cell(ago(worker.started_at, now), "muted"),
                Cell(clean_line(" ".join(worker.queues)) or "all", "" if worker.queues else "muted"),
                Cell("this dashboard" if worker.id == snapshot.own_worker_id else "", "muted"),
            ),
        )
        for worker in snapshot.workers
    ]


def worker_state(worker: WorkerInfo) -> Cell:
    """Return whether a worker is alive, stopping, dead, or not known to be either."""
    if not worker.is_alive:
        return Cell("dead", "bad") if worker.presence is Presence.DEAD else Cell("unknown", "warning")
    if worker.stop_requested is None:
        return Cell("alive", "good")
    return Cell("stopping", "warning")


def _number(number: int, style: str = "") -> Cell:
    return Cell(count(number), style if number else "muted")
