"""The tree tab shows what waits for what around a job; keys act on the job that is pointed at, Enter goes to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.model import State, Tree, View
from core.queue import Queue
from core.rules.tree import tree_lines
from queuectl_tui.cells import width
from queuectl_tui.gateway.detail_reader import DetailReader, DetailRequest
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.glyphs import ASCII, UNICODE
from queuectl_tui.widgets.tree_lines import lines_of_tree
from tests.tui.harness import Stage, screen_text, staged, until
from tests.tui.scene import NOW, busy_snapshot, dead, make_job, tree_of
from tests.tui.test_orders import burst, dashboard

pytestmark = pytest.mark.long

TO_TREE = ("4", "enter", "]", "]", "]")


def words(tree: Tree, cells: int, chosen: int | None = None, *, is_ascii: bool = False) -> list[str]:
    signs = ASCII if is_ascii else UNICODE
    lines = lines_of_tree(tree_lines(tree), 0, NOW, cells, signs, root=tree.root, chosen=chosen)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def test_each_job_has_its_place_its_sign_and_what_is_said_of_it() -> None:
    assert words(tree_of(dead(0)), 90, 9981) == [
        "  ✔ 9960 fetch                             31m ago",
        "  ├ ● 9962 docs                            running for 00:47 · 1 waits",
        "▶ └ ✗ 9981 python etl.py --day 2026-01-26  exit 1, 5m ago · 1 waits",
        "    └ ○ 9991 test                          stuck: 9981 is dead · 1 waits",
        "      └ ○ 9992 publish                     stuck: 9981 is dead · 1 waits · also after 9962",
        "        └ ○ 9993 rsync -a --delete build…  stuck: 9981 is dead",
    ]


def test_of_what_is_said_of_a_job_whole_parts_are_left_out() -> None:
    assert [line[30:] for line in words(tree_of(dead(0)), 58)] == [
        "31m ago",
        "running for 00:47 · 1 waits",
        "exit 1, 5m ago · 1 waits",
        "stuck: 9981 is dead …",
        "stuck: 9981 is dead …",
        "stuck: 9981 is dead",
    ]


def test_in_ascii_nothing_else_is_drawn() -> None:
    assert all(line.isascii() for line in words(tree_of(dead(0)), 90, 9981, is_ascii=True))


@pytest.mark.parametrize("cells", [20, 30, 38, 58, 78, 98, 198])
def test_a_line_is_never_wider_than_its_pane(cells: int) -> None:
    assert all(width(line) <= cells for line in words(tree_of(dead(0)), cells))


def test_a_job_without_any_says_so() -> None:
    job = make_job(7)
    assert words(Tree(7, {7: job}, ()), 80) == ["This job waits for no other, and none waits for it."]


async def test_the_tree_is_read_while_its_tab_is_shown_and_no_longer() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        assert "└ ✗ 9981" in screen_text(stage.app)
        await stage.press("]", "[", "[")
        asked = [request for (request,) in stage.asked("detail") if isinstance(request, DetailRequest)]
        assert [request.has_tree for request in asked if request.job_id == 9981] == [False, True, False, True, False]


async def test_keys_act_on_the_job_that_is_pointed_at() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        assert "r replay" in stage.dashboard.footer.text
        await stage.press("j", "c")
        assert stage.asked("cancel") == [([9991],)]
        assert "⏎ go to it" in stage.dashboard.footer.text
        await stage.press("k", "r")
        assert stage.asked("replay") == [([9981],)]


async def test_enter_goes_to_the_job_and_then_to_its_output() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        await stage.press("g", "j", "enter")
        assert stage.dashboard.context == "detail"
        assert _shown(stage) == (9962, State.RUNNING)
        assert stage.dashboard.detail.tab == "Tree"
        await stage.press("enter")
        assert stage.dashboard.context == "output"
        assert _shown(stage) == (9962, State.RUNNING)


async def test_escape_goes_back_to_the_list_and_to_the_job_of_its_cursor() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        await stage.press("g", "enter")
        await stage.press("escape")
        assert stage.dashboard.context == "lists"
        assert _shown(stage) == (9981, State.DEAD)


async def test_the_pointer_stays_on_its_job_when_another_one_is_shown_around_it() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        await stage.press("G")
        chosen = stage.dashboard.detail.chosen_job
        assert chosen is not None
        assert chosen.id == 9993
        stage.gateway.refresh()
        await stage.press()
        assert stage.dashboard.detail.chosen_job == chosen


async def test_a_click_points_at_a_line() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*TO_TREE)
        await stage.pilot.click("#detail", offset=(8, 1))
        chosen = stage.dashboard.detail.chosen_job
        assert chosen is not None
        assert chosen.id == 9960


def _shown(stage: Stage) -> tuple[int, State] | None:
    job = stage.dashboard.panes.shown.job
    return None if job is None else (job.id, job.state)


async def test_a_stuck_chain_of_a_real_queue_is_seen_mended_and_replayed_from_its_tree(tmp_path: Path) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        first, second, third = queue.enqueue_many(["exit 7", "echo two", "echo three"], chain=True)
        queue.cancel([first])
        async with dashboard(queue, (120, 40)) as pilot:
            await until(pilot, lambda: "echo two" in screen_text(pilot.app))
            burst(pilot, "enter")
            await until(pilot, lambda: "Overview" in screen_text(pilot.app))
            burst(pilot, "]", "]", "]")
            await until(pilot, lambda: f"stuck: {first} is cancelled" in screen_text(pilot.app))
            detail = pilot.app.screen.query_one(Detail)
            burst(pilot, "g")
            await until(pilot, lambda: detail.chosen_job is not None and detail.chosen_job.id == first)
            burst(pilot, "r")
            await until(pilot, lambda: queue.job(first).state is State.PENDING)
            await until(pilot, lambda: "stuck" not in screen_text(pilot.app))
            assert {second, third} == {job.id for job in queue.jobs(View((State.PENDING,))) if job.blocks}


def test_without_its_tab_no_tree_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Queue(tmp_path / "jobs.db") as queue:
        (_, last) = queue.enqueue_many(["true", "true"], chain=True)
        reader = DetailReader(queue)
        asked: list[object] = []
        tree = queue.tree

        def noted(job_id: int) -> Tree:
            asked.append(job_id)
            return tree(job_id)

        monkeypatch.setattr(queue, "tree", noted)
        reader.show(DetailRequest(last))
        detail = reader.read(None)
        assert detail is not None
        assert detail.tree is None
        assert asked == []
        reader.show(DetailRequest(last, has_tree=True))
        detail = reader.read(detail)
        assert detail is not None
        assert detail.tree is not None
        assert len(detail.tree.edges) == 1
        assert asked == [last]
