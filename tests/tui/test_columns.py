"""The columns of a list are chosen and ordered with ``|``, seen at once, and remembered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core.model import Sort
from queuectl_tui.dialogs.column_choice import ColumnList, ColumnsScreen
from queuectl_tui.keymap import ACTIONS
from queuectl_tui.preferences import Preferences, load
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.theme_styles import styles_of
from tests.tui.fake_gateway import FakeGateway
from tests.tui.harness import ListeningApp, Stage, screen_text, staged
from tests.tui.scene import busy_snapshot
from tests.tui.table_app import lines

pytestmark = pytest.mark.long

FIRST = ["last words", "age", "ended with", "queue", "attempts"]


def shown(stage: Stage) -> list[str]:
    return [column.name for column in stage.dashboard.table.columns]


async def test_a_change_is_seen_at_once_and_remembered_for_its_pane(tmp_path: Path) -> None:
    path = str(tmp_path / "dashboard.json")
    async with staged(busy_snapshot(), preferences_path=path) as stage:
        await stage.press("4")
        assert "ConnectionError" in lines(stage.dashboard.table)[0]
        await stage.press("|", "space")
        assert "ConnectionError" not in lines(stage.dashboard.table)[0]
        assert lines(stage.dashboard.table)[0].split()[-4:] == ["5m", "ago", "exit", "1"]
        await stage.press("j", "J")
        assert lines(stage.dashboard.table)[0].split()[-4:] == ["exit", "1", "5m", "ago"]
        await stage.press("escape")
        assert stage.app.screen is stage.dashboard
        assert load(path).columns == {"dlq": "ended with, age, queue, attempts"}
        await stage.press("3", "|", "space", "escape")
    assert json.loads(Path(path).read_text())["columns"] == {
        "dlq": "ended with, age, queue, attempts",
        "completed": "age, queue, attempts, exit, cpu, memory",
    }


async def test_what_was_remembered_is_shown_at_the_next_start() -> None:
    gateway = FakeGateway(busy_snapshot())
    app = ListeningApp(gateway, ACTIONS, Preferences(columns={"dlq": "took, from the future, age"}))
    async with app.run_test(size=(120, 40)) as pilot:
        stage = Stage(app, gateway, pilot)
        await stage.press("4")
        assert shown(stage) == ["took", "age"]
        assert lines(stage.dashboard.table)[0].rstrip().endswith(" 2.4s  5m ago")


async def test_0_brings_back_the_first_columns_and_forgets_the_choice(tmp_path: Path) -> None:
    path = str(tmp_path / "dashboard.json")
    async with staged(busy_snapshot(), preferences_path=path) as stage:
        await stage.press("4", "|", "J", "space")
        assert shown(stage) == FIRST[1:]
        await stage.press("0")
        assert shown(stage) == FIRST
    assert load(path).columns == {}


async def test_the_dialog_says_why_a_column_is_not_drawn() -> None:
    async with staged(busy_snapshot(), size=(80, 24)) as stage:
        await stage.press("4", "|")
        text = screen_text(stage.app)
        assert "queue        no room in rows of this width" in text
        assert "attempts     says the same in every row" in text


async def test_what_is_shown_stands_out_from_what_is_hidden() -> None:
    """The names of shown columns in the colour of text; hidden ones, and what explains them, muted."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "|", "j")
        dialog = stage.app.screen.query_one(ColumnList)
        styles = styles_of(dialog.app)
        shown, hidden = (list(dialog.render_line(line)) for line in (0, dialog.size.height - 1))
        assert [segment.style.color for segment in shown[:2] if segment.style] == [styles["told"].color] * 2
        assert {segment.style.color for segment in (shown[2], *hidden[1:3]) if segment.style} == {styles["muted"].color}


async def test_a_dead_job_says_its_last_words_and_its_age_before_other_columns() -> None:
    async with staged(busy_snapshot(), size=(80, 24)) as stage:
        await stage.press("4")
        row = lines(stage.dashboard.table)[0].rstrip()
        assert re.fullmatch(r"▶ 9981 ✗ python etl.* ConnectionError: .*… +5m ago", row)


async def test_the_order_of_the_rows_stays() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "s", "s")
        sort = stage.dashboard.panes.box.view.sort
        await stage.press("|", "space", "J", "escape")
        assert stage.dashboard.panes.box.view.sort is sort


async def test_the_dialog_stands_beside_its_list_and_on_the_screen() -> None:
    for size in ((60, 18), (80, 24), (160, 50)):
        async with staged(busy_snapshot(), size=size) as stage:
            for pane in Pane:
                await stage.press(str(pane.value), "|")
                assert isinstance(stage.app.screen, ColumnsScreen)
                dialog = stage.app.screen.query_one(".dialog").region
                assert stage.app.screen.region.contains_region(dialog)
                if size == (160, 50):
                    assert not dialog.overlaps(stage.dashboard.panes.box.region)
                await stage.press("escape")


async def test_keys_in_one_burst_open_change_and_close() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "|", "space", "|", "j")
        assert stage.app.screen is stage.dashboard
        assert shown(stage) == FIRST[1:]


async def test_tall_screens_have_headings_and_a_click_on_one_sorts() -> None:
    async with staged(busy_snapshot(), size=(160, 50)) as stage:
        table = stage.dashboard.panes.boxes[Pane.COMPLETED].table
        head = lines(table)[0]
        assert head.split() == ["id", "command", "took", "age"]
        await stage.pilot.click(table, offset=(head.index("took") + 1, 0))
        await stage.pilot.pause()
        assert stage.dashboard.panes.boxes[Pane.COMPLETED].view.sort is Sort.DURATION
    async with staged(busy_snapshot(), size=(120, 40)) as stage:
        assert lines(stage.dashboard.table)[0].split()[:2] == ["▶", "10412"]


@pytest.mark.parametrize("size", [(160, 20), (160, 24), (160, 50), (250, 80)])
async def test_from_160_columns_on_detail_and_output_have_the_right_third_at_full_height(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        panes = stage.dashboard.panes
        lists = [panes.boxes[pane].region for pane in Pane]
        aside = (panes.detail_box.region, panes.output_box.region)
        assert {region.y for region in lists[:2]} == {aside[0].y}
        assert {region.bottom for region in lists[2:]} == {aside[1].bottom}
        assert size[0] / 3 < min(region.width for region in aside) < size[0] * 0.42
        assert min(region.height for region in lists) >= 8
