"""The chart of the last hour: what its one row says, and when there is none."""

from __future__ import annotations

import pytest

from core.model import Minute
from queuectl_tui.widgets.throughput import bars, chart
from tests.tui.harness import counted_layouts, screen_text, staged
from tests.tui.scene import NOW, busy_snapshot, idle_snapshot

pytestmark = pytest.mark.long


def minute(succeeded: int, failed: int = 0) -> Minute:
    return Minute(NOW, 0, succeeded, failed, 0, 0.0, 0.0)


def test_the_highest_minute_fills_the_row_and_the_least_is_seen() -> None:
    assert bars([minute(0), minute(1), minute(1000), minute(500)]) == [(" ▁█▄", "good")]


def test_a_minute_in_which_much_failed_stands_out() -> None:
    """By the share: a busy queue on which one job of a hundred fails is not red all over."""
    assert bars([minute(8), minute(6, 2), minute(0, 8)]) == [("█", "good"), ("██", "bad")]
    assert bars([minute(99, 1), minute(90, 10)]) == [("█", "good"), ("█", "warning")]


def test_it_names_the_ends_of_its_axis_its_maximum_and_its_sums() -> None:
    text = "".join(part for part, _ in chart([minute(1500, 2), minute(12)], 120))
    assert text == " 2m ago █▁ now   max 1,502/min   1.5k ok   2 failed"


@pytest.mark.parametrize("cells", [60, 80, 110, 250])
def test_it_fits_its_row_and_leaves_out_the_oldest_minutes(cells: int) -> None:
    text = "".join(part for part, _ in chart([minute(100_000, 3)] * 59 + [minute(7)], cells))
    assert len(text) <= cells
    assert text.endswith("▁ now   max 100,003/min   5.9M ok   177 failed")


async def test_it_is_one_row_and_is_gone_when_there_is_nothing_to_draw() -> None:
    async with staged(busy_snapshot()) as stage:
        widget = stage.dashboard.bars.throughput
        assert (widget.display, widget.size.height) == (True, 1)
        assert "60m ago" in screen_text(stage.app)
        stage.gateway.show(busy_snapshot()._replace(minutes=(minute(0),)))
        await stage.press()
        assert "m ago ▁" not in screen_text(stage.app)
        assert "max" not in screen_text(stage.app)
        stage.gateway.show(busy_snapshot())
        await stage.press()
        assert "60m ago" in screen_text(stage.app)
        await stage.press("+")
        assert "60m ago" not in screen_text(stage.app)


async def test_there_is_one_chart_in_its_own_row_or_in_the_header() -> None:
    """A screen that has no room for the row, and one pane that has the whole screen, show the small one."""
    async with staged(busy_snapshot()) as stage:
        header = stage.dashboard.bars.header
        assert "█" not in header.text
        await stage.press("+")
        assert "█" in header.text
        await stage.press("_")
        assert "█" not in header.text
        await stage.pilot.resize_terminal(80, 24)
        await stage.press()
        assert "█" in header.text


@pytest.mark.parametrize("size", [(60, 18), (80, 24)])
async def test_a_small_screen_has_none(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        assert "m ago ▁" not in screen_text(stage.app)
        assert not stage.dashboard.bars.throughput.display


async def test_another_number_costs_no_layout() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        with counted_layouts(stage.dashboard.bars.throughput) as layouts:
            stage.gateway.show(busy_snapshot()._replace(minutes=(minute(5), minute(9))))
            await stage.press()
        assert "max 9/min" in screen_text(stage.app)
        assert layouts == []


async def test_an_idle_queue_has_none() -> None:
    async with staged(idle_snapshot()) as stage:
        assert not stage.dashboard.bars.throughput.display
