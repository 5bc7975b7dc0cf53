"""Painting only what a change touches shows what painting everything would show."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from queuectl_tui.screens.thrifty_compositor import Cover, ThriftyCompositor
from tests.tui.harness import staged
from tests.tui.scene import busy_snapshot

SIZE = (120, 40)


def painted(compositor: Compositor, regions: set[Region]) -> list[tuple[int, int, Strip]]:
    """Return the pieces of lines that an update of these regions writes."""
    compositor._dirty_regions = set(regions)
    update = compositor.render_partial_update()
    assert isinstance(update, ChopsUpdate)
    pieces = []
    for y, left, right in update.spans:
        for (x, strip), end in zip(update.chops[y].items(), update.chop_ends[y], strict=True):
            if x < right and end > left:
                assert strip is not None
                pieces.append((y, x, strip))
    return pieces


@pytest.mark.parametrize("keys", [(), ("/", "e"), ("2", "plus")])
async def test_the_same_is_painted_as_by_textual(keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions of every size and place, alone and two at a time, with and without an open filter or a zoomed pane."""
    single = [Region(x, y, width, 1 + y % 3) for y in range(0, 38, 3) for x, width in ((0, 120), (3, 20), (50, 30))]
    wanted = [{region} for region in single] + [set(pair) for pair in pairwise(single)]
    async with staged(busy_snapshot(), size=SIZE) as stage:
        await stage.press(*keys)
        compositor = stage.board._compositor
        assert isinstance(compositor, ThriftyCompositor)
        ours = [painted(compositor, regions) for regions in wanted]
        with monkeypatch.context() as patch:
            patch.setattr(ThriftyCompositor, "_get_renders", Compositor._get_renders)
            theirs = [painted(compositor, regions) for regions in wanted]
    assert ours == theirs


async def test_what_only_a_scroll_had_placed_is_painted_over_when_it_goes() -> None:
    """A toast that was moved by the toasts after it left its picture behind when its time was up."""
    async with staged(busy_snapshot(), size=SIZE) as stage:
        compositor, board = stage.board._compositor, stage.board
        board.footer.styles.offset = (0, -5)
        board._clear_arrangement_cache()
        compositor.reflow_visible(board, board.size)
        moved = compositor.visible_widgets[board.footer][0]
        assert moved.y == SIZE[1] - 6
        compositor._dirty_regions = set()
        board.footer.styles.offset = (0, 0)
        board._clear_arrangement_cache()
        compositor.reflow(board, board.size)
        assert moved in compositor._dirty_regions


def test_what_lies_behind_others_is_not_asked_for() -> None:
    """Two halves hide a whole, row by row; a gap between them shows what is behind."""

    def hides(region: Region) -> bool:
        return cover.hides((y, region.x, region.right) for y in region.line_range)

    cover = Cover()
    cover.add(Region(0, 0, 10, 3))
    assert hides(Region(2, 1, 5, 2))
    assert not hides(Region(2, 1, 9, 2))
    cover.add(Region(11, 0, 9, 2))
    assert not hides(Region(0, 0, 20, 2))
    cover.add(Region(10, 0, 1, 2))
    assert hides(Region(0, 0, 20, 2))
    assert not hides(Region(0, 0, 20, 3))


async def test_containers_that_are_full_are_never_painted() -> None:
    """The panes hide the boxes around them: half of all lines of a screen."""
    async with staged(busy_snapshot(), size=(200, 60)) as stage:
        board = stage.board
        asked: list[Widget] = []
        original = Widget.render_lines

        def render_lines(self: Widget, crop: Region) -> list[Strip]:
            asked.append(self)
            return original(self, crop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Widget, "render_lines", render_lines)
            board._compositor.render_update(full=True)
        assert board.table in asked
        assert not {board.box, board.output_box, board.detail_box} & set(asked)


async def test_only_widgets_with_a_change_are_asked() -> None:
    """Neither those beside a change, nor those between two, nor those behind."""
    async with staged(busy_snapshot(), size=SIZE) as stage:
        board = stage.board
        asked: list[tuple[str | None, int]] = []
        original = Widget.render_lines

        def render_lines(self: Widget, crop: Region) -> list[Strip]:
            asked.append((self.id, crop.height))
            return original(self, crop)

        compositor = board._compositor
        compositor._dirty_regions = {board.header.region, Region(0, 8, 5, 1)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Widget, "render_lines", render_lines)
            compositor.render_partial_update()
        assert sorted(asked) == [("header", 1), ("table-pending", 1)]
