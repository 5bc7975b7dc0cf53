"""The queues and the workers in the place of detail and output: what they show, and what their keys do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.message import Message

from core.model import QueueInfo, State, Term
from core.queue import Queue
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.gateway.output_finder import OutputFinder
from queuectl_tui.gateway.snapshot_reader import SnapshotReader
from queuectl_tui.messages import ActDone
from queuectl_tui.snapshot import Pane, empty_snapshot
from queuectl_tui.widgets.row_list import Cell, Column, RowOfCells, fitted_columns
from tests.tui.harness import screen_text, staged
from tests.tui.moments import queues_snapshot
from tests.tui.scene import idle_snapshot

pytestmark = pytest.mark.long


async def test_7_and_8_show_queues_and_workers_in_the_place_of_detail_and_output() -> None:
    async with staged(queues_snapshot()) as stage:
        panes = stage.dashboard.panes
        await stage.press("7")
        assert stage.dashboard.context == "queues"
        assert "7 Queues 4 · 1 paused" in screen_text(stage.app)
        assert not panes.detail_box.display
        assert not panes.output_box.display
        await stage.press("8")
        assert stage.dashboard.context == "workers"
        shown = screen_text(stage.app)
        assert "8 Workers 3" in shown
        assert "7 Queues" not in shown


@pytest.mark.parametrize("key", ["7", "escape", "q"])
async def test_the_same_key_escape_and_q_go_back_to_the_list(key: str) -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("3", "7", key)
        assert (stage.dashboard.context, stage.dashboard.panes.box.pane) == ("lists", Pane.COMPLETED)
        assert stage.dashboard.panes.output_box.display


@pytest.mark.parametrize(("key", "context"), [("5", "output"), ("6", "detail")])
async def test_output_and_detail_come_back_in_their_place(key: str, context: str) -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("8", key)
        assert stage.dashboard.context == context
        assert not stage.dashboard.panes.side_lists.workers.display


async def test_tab_goes_round_by_the_queues_while_they_are_shown() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("7", "tab")
        assert (stage.dashboard.context, stage.dashboard.panes.box.pane) == ("lists", Pane.PENDING)
        await stage.press("shift+tab")
        assert stage.dashboard.context == "queues"


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 50)])
async def test_the_queues_are_seen_at_every_size(size: tuple[int, int]) -> None:
    async with staged(queues_snapshot(), size=size) as stage:
        await stage.press("7")
        shown = screen_text(stage.app)
        assert "nightly" in shown
        assert "1,204" in shown


async def test_the_keys_of_a_queue_act_on_the_one_under_the_cursor() -> None:
    """And not on everything, which is what p does elsewhere."""
    async with staged(queues_snapshot()) as stage:
        await stage.press("7", "G", "p", "(", ")", ")", "u")
        assert stage.asked("pause") == [("nightly", False)]
        assert stage.asked("change_limit") == [("nightly", -1), ("nightly", 1), ("nightly", 1), ("nightly", None)]
        assert stage.asked("resize") == []
        await stage.press("escape", "p")
        assert stage.asked("pause")[1:] == [(None, True)]


async def test_raising_the_limit_of_a_queue_without_one_says_how_to_set_one() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("7", "j", ")")
        assert stage.asked("change_limit") == []
        assert "): queue default has no limit; ( sets one" in stage.toasts()


async def test_enter_filters_all_panes_by_the_queue_and_once_more_lifts_that() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("7", "G", "enter")
        assert stage.dashboard.context == "lists"
        assert {box.view.terms for box in stage.dashboard.panes.boxes.values()} == {(Term("queue", "nightly"),)}
        await stage.press("7", "enter")
        assert {box.view.terms for box in stage.dashboard.panes.boxes.values()} == {()}


async def test_the_cursor_stays_with_its_queue_when_others_come() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("7", "G")
        scene = stage.gateway.scene
        new = QueueInfo("aaa", False, None, {State.PENDING: 1}, 0)
        stage.gateway.show(scene._replace(queues=(new, *scene.queues, QueueInfo("zzz", True, None, {}, 0))))
        await stage.press()
        current = stage.dashboard.panes.side_lists.queues.current
        assert current is not None
        assert current.name == "nightly"


async def test_a_queue_says_what_becomes_of_its_jobs_on_a_lost_host() -> None:
    async with staged(queues_snapshot(), size=(120, 40)) as stage:
        await stage.press("7")
        row = next(line for line in screen_text(stage.app).splitlines() if "nightly" in line and "paused" in line)
    assert "hold" in row.split()
    assert "rerun" not in row.split()


async def test_a_worker_is_asked_to_stop_after_a_question() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("8", "s")
        assert "Stop worker" in stage.dashboard.confirm_bar.text
        await stage.press("n")
        assert stage.asked("stop_worker") == []
        await stage.press("s", "y")
        await stage.press("j", "S", "y")
        first = stage.gateway.scene.workers[0].id
        assert stage.asked("stop_worker") == [(first, False), (7, True)]
        await stage.press("j", "s")
        assert "s: worker 9 is not alive; the next worker takes over its jobs" in stage.toasts()


async def test_a_read_only_dashboard_changes_neither_queues_nor_workers() -> None:
    async with staged(queues_snapshot(), is_read_only=True) as stage:
        await stage.press("7", "p", "(", ")", "u", "8", "s", "S")
        assert stage.dashboard.context == "workers"
        assert [verb for verb, *_ in stage.gateway.asked if verb in ("pause", "change_limit")] == []
        assert "p: this dashboard only looks (--read-only)" in stage.toasts()
        assert "S: this dashboard only looks (--read-only)" in stage.toasts()


async def test_lists_without_rows_say_what_to_do() -> None:
    async with staged(idle_snapshot()._replace(queues=(), workers=())) as stage:
        await stage.press("7", "p", "enter")
        assert "No queues yet; the first job makes one." in screen_text(stage.app)
        assert "p: there is no queue under the cursor" in stage.toasts()
        await stage.press("8", "s")
        assert "No worker is alive. Start one: queuectl worker" in screen_text(stage.app)


async def test_rates_are_read_only_while_the_queues_are_shown_and_then_anew_as_time_goes_on() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("7")
        before = stage.asked("queue_rates")  # the dashboard's own ticks may be among them
        assert set(before) == {(True,)}
        stage.dashboard.panes.tick(stage.gateway.now())
        assert stage.asked("queue_rates") == [*before, (True,)]
        await stage.press("8")
        stage.dashboard.panes.tick(stage.gateway.now())
        asked = stage.asked("queue_rates")
        assert asked[-1] == (False,)
        assert asked.count((False,)) == 1


def test_a_snapshot_has_the_rates_while_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        reader = SnapshotReader(queue, OutputFinder(queue, lambda: None))
        asked: list[str] = []
        rates = {"media": 2.5}

        def queue_rates() -> dict[str, float]:
            asked.append("rates")
            return rates

        monkeypatch.setattr(queue, "queue_rates", queue_rates)
        first = reader.read_all(empty_snapshot(queue.now()), None)
        assert (first.queue_rates, asked) == ({}, [])
        reader.show_queue_rates(True)
        second = reader.read_parts(first)
        assert (second.queue_rates, asked) == (rates, ["rates"])
        assert not reader.is_stale
        assert reader.read_parts(second).queue_rates == rates
        assert len(asked) == 1
        assert reader.read_all(second, None).queue_rates == rates
        reader.show_queue_rates(False)
        assert reader.read_parts(second).queue_rates == {}


def test_presses_of_the_limit_keys_add_up(tmp_path: Path) -> None:
    """Each reads the limit that the one before has set, not the one on the screen."""
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue("true", queue="media")
        gateway = Gateway(queue, slots=0)
        reported: list[str] = []

        def post(message: Message) -> bool:
            if isinstance(message, ActDone):
                reported.append(message.text)
            return True

        gateway.change_limit("media", -1)
        gateway.change_limit("media", 1)
        gateway.change_limit("media", 1)
        gateway.connect(post)
        until = time.monotonic() + 30
        while len(reported) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        gateway.close()
        assert [each.limit for each in queue.queues()] == [3]
        expected = ["at most 1 job", "at most 2 jobs", "at most 3 jobs"]
        assert reported == [f"Queue media: {words} at once." for words in expected]


def test_columns_go_by_rank_and_the_first_is_cut_last() -> None:
    columns = (Column("name"), Column("state", 2), Column("n", 1, is_right=True))
    rows = [RowOfCells("a", (Cell("a" * 20), Cell("open"), Cell("1,204")))]
    assert [number for number, _ in fitted_columns(columns, rows, 40)] == [0, 1, 2]
    assert [number for number, _ in fitted_columns(columns, rows, 30)] == [0, 2]
    assert fitted_columns(columns, rows, 15) == [(0, 15)]
