"""A gateway without threads, files or clock: it answers from a scene and writes down what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from textual.message import Message

from core.model import Act, Job, Key, LastAct, NewJob, View
from queuectl_tui.gateway.gateway import DetailRequest, Gateway, Selected, Wanted
from queuectl_tui.gateway.host import Leaving
from queuectl_tui.gateway.output_follower import OutputFollower
from queuectl_tui.gateway.plan_orders import PlanOrders
from queuectl_tui.messages import ActDone, ActRefused, OutputsFollowed, RangeRead, SnapshotTaken, UndoOffered
from queuectl_tui.snapshot import Pane, PaneData, Plan, Snapshot
from tests.tui.scene import MAKERS, NOW, compared, dead_groups, detail_of, followed_lines, found_by, rows, tree_of


class FakeHost:
    """A worker that runs nothing."""

    def __init__(self, slots: int | None = 4) -> None:
        self.slots = slots
        self.running_count = 0
        self.worker_id = 1
        self.trouble: str | None = None
        self.stopped: list[Leaving] = []

    def stop(self, leaving: Leaving) -> None:
        self.stopped.append(leaving)

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        return True

    def check(self) -> None:
        return


class FakeFollower(OutputFollower):
    """Brings lines of a scene, and more when a test adds them; ``wanted`` holds what it was asked, in order."""

    def __init__(self, on_lines: Callable[[], object]) -> None:
        self.wanted: list[bool] = []
        self.waiting = b""
        self.scene = followed_lines()
        self._on_lines = on_lines

    def follow(self, is_wanted: bool) -> None:
        self.wanted.append(is_wanted)
        self.waiting = b""
        if is_wanted:
            self.add(self.scene)

    def add(self, lines: bytes) -> None:
        """Let lines wait, and say so."""
        self.waiting += lines
        self._on_lines()

    def take(self) -> bytes:
        taken, self.waiting = self.waiting, b""
        return taken


class FakePlanOrders(PlanOrders):
    """Writes down what is ordered about schedules and resources."""

    def __init__(self, asked: list[tuple[Any, ...]]) -> None:
        self._asked = asked

    def run(self, name: str) -> None:
        self._asked.append(("run_schedule", name))

    def pause(self, name: str, is_paused: bool) -> None:
        self._asked.append(("pause_schedule", name, is_paused))

    def edit(self, name: str, changes: dict[str, Any]) -> None:
        self._asked.append(("edit_schedule", name, changes))

    def change_capacity(self, name: str, change: int | None) -> None:
        self._asked.append(("change_capacity", name, change))


class FakeGateway(Gateway):
    """Shows one scene; ``asked`` holds (method, arguments) in order."""

    def __init__(self, snapshot: Snapshot, *, is_read_only: bool = False, name: str = "jobs.db") -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusals: list[str | None] = []
        self.scene = snapshot
        self._totals = {pane: data.total for pane, data in snapshot.panes.items()}
        self._is_read_only = is_read_only
        self._shown_name = name
        self._fake_host = FakeHost()
        self._tell: Callable[[Message], bool] = lambda _: False
        self.follower: FakeFollower = FakeFollower(lambda: self._tell(OutputsFollowed()))
        self.plan: FakePlanOrders = FakePlanOrders(self.asked)
        self.planned = Plan()
        self.last_act: LastAct | None = LastAct(Act(7, "purge", 17), NOW, "python etl.py", None)
        self.detail_maker: Callable[[Job], Any] = detail_of
        self.tree_maker: Callable[[Job], Any] = tree_of

    display_name = property(lambda self: self._shown_name)
    database_path = property(lambda self: f"/home/ada/{self._shown_name}")
    is_read_only = property(lambda self: self._is_read_only)
    host = property(lambda self: self._fake_host)
    reader = property(lambda self: self)  # what is asked of the reader is answered here

    def shorten(self, text: str) -> str:
        return text.replace("/home/ada/jobs.db", self._shown_name)

    def now(self) -> datetime:
        return NOW

    def connect(self, post: Callable[[Message], bool]) -> None:
        self._tell = post
        self.refresh()

    def close(self) -> None:
        return

    def tell(self, message: Message) -> None:
        """Post a fact to the dashboard."""
        self._tell(message)

    def show(self, snapshot: Snapshot) -> None:
        """Let the dashboard see another picture."""
        self.scene = snapshot
        self.refresh()

    def take(self) -> Snapshot:
        return self.scene

    def refresh(self) -> None:
        self._tell(SnapshotTaken())

    def _set_pane(self, pane: Pane, data: PaneData) -> None:
        self.show(self.scene._replace(panes={**self.scene.panes, pane: data}))

    def show_view(self, pane: Pane, view: View) -> None:
        self.asked.append(("view", pane, view))
        total = self._totals[pane]
        found = rows(pane, 0, 120, total)
        for term in view.terms:
            if term.field == "text":
                found = tuple(row for row in found if (str(term.value) in row.job.command) is not term.is_negated)
        self._set_pane(pane, PaneData(len(found) if view.terms else total, 0, found, view))

    def want(self, pane: Pane, wanted: Wanted) -> None:
        self.asked.append(("want", pane, wanted))
        data = self.scene.panes[pane]
        if not data.view.terms:
            found = rows(pane, wanted.start, wanted.length, data.total)
            self._set_pane(pane, data._replace(start=wanted.start, rows=found))

    def hold(self, pane: Pane, key: Key | None) -> None:
        return

    def show_detail(self, request: DetailRequest | None) -> None:
        self.asked.append(("detail", request))
        if request is None:
            self.show(self.scene._replace(detail=None))
            return
        job = self._job(request.job_id)
        if job is not None:
            detail = self.detail_maker(job)
            tree = self.tree_maker(job) if request.has_tree else None
            found = found_by(detail.output, request.sought)
            detail = detail._replace(number=request.number or detail.number, tree=tree, found=found)
            self.show(self.scene._replace(detail=compared(detail) if request.is_compared else detail))

    def _job(self, job_id: int) -> Job | None:
        """Return a job of the lists, else one of the tree that is shown."""
        listed = (row.job for data in self.scene.panes.values() for row in data.rows if row.job.id == job_id)
        tree = self.scene.detail.tree if self.scene.detail is not None else None
        return next(listed, None if tree is None else tree.jobs.get(job_id))

    def show_groups(self, is_shown: bool) -> None:
        self.asked.append(("groups", is_shown))
        self.show(self.scene._replace(groups=dead_groups() if is_shown else None))

    def show_plan(self, is_shown: bool) -> None:
        self.asked.append(("plan", is_shown))
        self.show(self.scene._replace(plan=self.planned if is_shown else None))

    def read_last_words(self, total: int) -> None:
        self.asked.append(("read_last_words", total))

    def read_range(self, pane: Pane, start: int, length: int) -> None:
        self._tell(RangeRead(pane, start, [MAKERS[pane](index).id for index in range(start, start + length)]))

    def enqueue(self, job: NewJob) -> int:
        self.asked.append(("enqueue", job))
        return self._answer("enqueue")

    def _answer(self, verb: str) -> int:
        ticket = len(self.asked)
        refusal = self.refusals.pop(0) if self.refusals else None
        self._tell(ActDone(verb, "", ticket) if refusal is None else ActRefused(verb, refusal, ticket))
        return ticket

    def retry(
        self, jobs: Selected, *, is_replay: bool = False, with_dependents: bool = False, is_canary: bool = False
    ) -> int:
        verb = "replay" if is_replay else "retry with dependents" if with_dependents else "retry"
        verb = "canary" if is_canary else verb
        self.asked.append((verb, jobs))
        return self._answer(verb)

    def cancel(self, jobs: Selected, *, kill: bool = False) -> int:
        self.asked.append(("kill" if kill else "cancel", jobs))
        return self._answer("cancel")

    def set_held(self, jobs: Selected, is_held: bool) -> int:
        verb = "hold" if is_held else "release"
        self.asked.append((verb, jobs))
        return self._answer(verb)

    def purge(self, jobs: Selected) -> int:
        self.asked.append(("purge", jobs))
        return self._answer("purge")

    def edit(self, job_id: int, fields: dict[str, Any], *, then_retry: bool) -> int:
        self.asked.append(("edit", job_id, fields, then_retry))
        return self._answer("edit")

    def offer_undo(self) -> None:
        self._tell(UndoOffered(self.last_act))

    def undo(self, act_id: int) -> None:
        self.asked.append(("undo", act_id))

    def pause(self, queue: str | None, is_paused: bool) -> None:
        self.asked.append(("pause", queue, is_paused))

    def show_queue_rates(self, is_shown: bool) -> None:
        self.asked.append(("queue_rates", is_shown))

    def change_limit(self, name: str, change: int | None) -> None:
        self.asked.append(("change_limit", name, change))

    def stop_worker(self, worker_id: int, *, now: bool = False) -> None:
        self.asked.append(("stop_worker", worker_id, now))

    def resize(self, change: int) -> None:
        self.asked.append(("resize", change))
        if self._fake_host.slots is not None:
            self._fake_host.slots = max(0, self._fake_host.slots + change)
