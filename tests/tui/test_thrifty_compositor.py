"""Painting only what a change touches shows what painting everything would show."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

from queuectl_tui.screens.thrifty_compositor import ThriftyCompositor
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
