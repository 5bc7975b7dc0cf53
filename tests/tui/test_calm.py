"""The dashboard stays calm: no layouts and few bytes at a refresh, no widgets left behind, no size that breaks it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from core.model import Row, State
from queuectl_tui.gateway.gateway import Wanted
from queuectl_tui.layout import Mode, mode_of
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.header import Header
from queuectl_tui.widgets.job_table import JobTable
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.output_box import OutputBox
from queuectl_tui.widgets.pane_box import PaneBox
from queuectl_tui.widgets.strip_bar import StripBar
from queuectl_tui.widgets.throughput import Throughput
from tests.tui.harness import Stage, counted_layouts, staged
from tests.tui.scene import MAKERS, NOW, busy_snapshot, rows

pytestmark = pytest.mark.long

#: Sizes on both sides of every breakpoint, in an order that crosses them.
SWEEP = (
    *((40, 10), (79, 19), (80, 20), (109, 27), (110, 28), (159, 47), (160, 48), (300, 100)),
    *((40, 100), (300, 10), (80, 48), (160, 20), (110, 100), (79, 40), (120, 19), (200, 30)),
)


async def change_one_row(stage: Stage, number: int) -> None:
    """Show a picture in which one waiting job has another command."""
    scene = stage.gateway.scene
    data = scene.panes[Pane.PENDING]
    changed = Row(data.rows[3].key, data.rows[3].job._replace(command=f"echo {number}"))
    shown = data._replace(rows=(*data.rows[:3], changed, *data.rows[4:]))
    stage.gateway.show(scene._replace(panes={**scene.panes, Pane.PENDING: shown}))
    await stage.pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_refresh_lays_out_nothing(size: tuple[int, int]) -> None:
    """Rows change, times move on, keys move the cursor: the places of widgets stay."""
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.be_whole()
        with counted_layouts(stage.dashboard.bars.header) as layouts:
            for number in range(5):
                await change_one_row(stage, number)
            await stage.press("j", "j", "pagedown", "k", "space", "G", "g")
            stage.dashboard._tick()
            await stage.pilot.pause()
        assert layouts == []


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_going_to_another_pane_lays_out_nothing(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.be_whole()
        with counted_layouts(stage.dashboard.bars.header) as layouts:
            await stage.press("2", "3", "4", "1", "5", "6", "tab")
        assert layouts == []


@contextmanager
def noted_refreshes() -> Iterator[list[tuple[str, tuple[Region, ...]]]]:
    """Note which regions of which widgets are asked to be painted while this is entered."""
    seen: list[tuple[str, tuple[Region, ...]]] = []
    original = Widget.refresh

    def refresh(self: Widget, *regions: Region, repaint: bool = True, layout: bool = False) -> Widget:
        if repaint or layout:
            seen.append((self.id or type(self).__name__, regions))
        return original(self, *regions, repaint=repaint, layout=layout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Widget, "refresh", refresh)
        yield seen


async def test_a_picture_that_looks_the_same_repaints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the pane with a changed row is touched, and of it one line."""
    monkeypatch.setattr("queuectl_tui.dashboard.TICK_S", 3600.0)  # what moves on with time is another matter
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        with noted_refreshes() as refreshed:
            stage.gateway.show(stage.gateway.scene._replace())
            await stage.pilot.pause()
            assert refreshed == []
            await change_one_row(stage, 1)
            assert [(name, len(regions)) for name, regions in refreshed] == [("table-pending", 1)]


async def test_a_changed_row_is_the_only_thing_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists without news, header, chart and strip are not asked again."""
    monkeypatch.setattr("queuectl_tui.dashboard.TICK_S", 3600.0)  # what moves on with time is another matter
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        asked: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            for owner in (PaneBox, Header, StripBar, Throughput):

                def show(self: Widget, *what: object, original: Callable[..., None] = owner.show) -> None:
                    asked.append(str(self.id))
                    original(self, *what)

                patch.setattr(owner, "show", show)
            await change_one_row(stage, 1)
        assert asked == ["pane-pending"]


async def test_a_changed_row_is_one_line_that_is_painted() -> None:
    """Textual asks each widget in the line for it; nothing above or below it is rendered."""
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        painted: list[tuple[str, int]] = []
        original = JobTable.render_line

        def render_line(self: JobTable, y: int) -> Strip:
            painted.append((str(self.id), y))
            return original(self, y)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(JobTable, "render_line", render_line)
            await change_one_row(stage, 1)
        assert painted == [("table-pending", 3)]


async def test_the_first_picture_that_is_painted_has_jobs_in_it() -> None:
    """A picture of empty lists is as dear as one of jobs, and it comes first."""
    painted: list[str] = []
    original = JobTable.render_lines

    def render_lines(self: JobTable, crop: Region) -> list[Strip]:
        strips = original(self, crop)
        painted.extend(strip.text for strip in strips if self.pane is Pane.PENDING)
        return strips

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobTable, "render_lines", render_lines)
        async with staged(busy_snapshot()) as stage:
            assert stage.dashboard.snapshot.panes[Pane.PENDING].rows[1].job.command[:10] in painted[1]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_resize_is_painted_once_at_its_size(size: tuple[int, int]) -> None:
    """What is painted first at a new size fits it: no line of the old width comes in between."""
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        widths: list[tuple[str, int, int]] = []
        original = MeasuredView.render_lines

        def render_lines(self: MeasuredView, crop: Region) -> list[Strip]:
            strips = original(self, crop)
            widths.extend((str(self.id), strip.cell_length, crop.width) for strip in strips)
            return strips

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MeasuredView, "render_lines", render_lines)
            await stage.pilot.resize_terminal(*size)
            await stage.pilot.pause()
        assert {name for name, _, _ in widths} >= {"table-pending", "output"}
        assert all(cells == wanted for _, cells, wanted in widths)


async def test_only_the_output_of_a_running_job_is_looked_at_ten_times_a_second() -> None:
    looked = 0
    original = OutputBox._follow_tail

    def follow_tail(self: OutputBox) -> None:
        nonlocal looked
        looked += 1
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OutputBox, "_follow_tail", follow_tail)
        async with staged(busy_snapshot()) as stage:
            for pane, is_looked_at in (("1", False), ("2", True), ("3", False)):
                await stage.press(pane)
                looked = 0
                for _ in range(3000 if is_looked_at else 30):
                    await stage.pilot.pause(0.01)
                    if looked >= 2:
                        break
                assert (looked >= 2) is is_looked_at, pane


async def test_five_hundred_focus_changes_leave_no_widget_behind() -> None:
    async with staged(busy_snapshot(), size=(80, 24)) as stage:

        async def round_trip(times: int) -> int:
            for _ in range(times):
                await stage.press("2", "3", "4", "5", "6", "1", "/", "escape", "d", "escape")
            gc.collect()
            return sum(isinstance(thing, Widget) for thing in gc.get_objects())

        before = await round_trip(5)
        assert await round_trip(45) <= before


async def test_no_size_breaks_it() -> None:
    """From a phone's terminal to a wall: every size shows something, and the focused list is always there."""
    async with staged(busy_snapshot()) as stage:
        for columns, lines in SWEEP:
            await stage.pilot.resize_terminal(columns, lines)
            panes = 1 if mode_of(columns, lines) is Mode.STRIP else 4

            def is_laid_out(columns: int = columns, panes: int = panes) -> bool:
                shown = [pane for pane, box in stage.dashboard.panes.boxes.items() if box.display]
                return stage.dashboard.footer.size == (columns, 1) and len(shown) == panes

            for _ in range(3000):
                await stage.pilot.pause()
                if is_laid_out():
                    break
                await stage.pilot.pause(0.01)
            assert is_laid_out(), (columns, lines)
            assert stage.dashboard.table.size.height >= 1, (columns, lines)


async def test_a_tiny_terminal_shows_one_place_at_a_time_and_counts_the_rest() -> None:
    async with staged(busy_snapshot(), size=(60, 16)) as stage:
        assert stage.dashboard.bars.strip.text.split() == ["1P", "12k", "2R", "4", "3C", "98k", "4D", "17!"]
        await stage.press("4", "l")
        assert stage.dashboard.panes.output_box.view.size.height > 8
        await stage.press("escape")
        assert stage.dashboard.table.size.height > 8


async def test_the_tick_moves_countdowns_on() -> None:
    """A retry that is 14 s away is 9 s away five seconds later, without a new picture."""
    async with staged(busy_snapshot()) as stage:
        table = stage.dashboard.table

        def line() -> str:
            return table.render_line(1).text

        assert "retry 14s" in line()
        table.tick(NOW + timedelta(seconds=5))
        assert "retry 9s" in line()


async def test_scrolling_asks_for_rows_that_keep_the_cursors_place() -> None:
    """The window that is asked for names the row to hold on to, so that rows above may come and go."""
    async with staged(busy_snapshot()) as stage:
        wanted: list[object] = []
        while not wanted:  # until the rows that are loaded do not reach a screen further
            await stage.press("pagedown")
            wanted = [asked[2] for asked in stage.gateway.asked if asked[0] == "want" and asked[1] is Pane.PENDING]
        last = wanted[-1]
        assert isinstance(last, Wanted)
        assert last.anchor is not None
        assert last.start > 0


def test_the_scene_is_the_same_in_every_run() -> None:
    """Pictures and tests rest on it."""
    assert busy_snapshot().panes == busy_snapshot().panes
    assert rows(Pane.DLQ, 0, 2, 17)[0].job == MAKERS[Pane.DLQ](0)
    assert all(row.job.state is State.DEAD for row in rows(Pane.DLQ, 0, 17, 17))


async def test_an_error_in_showing_a_picture_ends_the_dashboard() -> None:
    """Pictures do not come by Textual's queues, where an error would be noticed by itself."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def show_one() -> None:
        async with staged(busy_snapshot()) as stage:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(stage.dashboard, "_show", fail)
                stage.gateway.show(busy_snapshot())
                await stage.pilot.pause(0.2)

    with pytest.raises(ZeroDivisionError):
        await show_one()
