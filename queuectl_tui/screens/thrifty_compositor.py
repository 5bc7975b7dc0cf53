"""Paints only what a change touches and what is seen.

For each update Textual 8.2.8 asks every widget on the screen for all its lines, and throws away those outside of what
changed and those behind another widget: 2 ms for one row, and twice the lines that there are for the whole screen. Here
only widgets with a change are asked, and only for the lines from their first change to their last; and none that others
hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual._compositor import ChopsUpdate, Compositor, ReflowResult
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget


class Cover:
    """The cells that widgets nearer to the front have taken: by row, spans that do not touch, in no order."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[int, int]]] = {}

    def hides(self, cells: Iterable[tuple[int, int, int]]) -> bool:
        """Tell whether nothing of some cells is left to be seen: line, first cell, the one after the last."""
        rows = self._rows
        return all(any(low <= x1 and x2 <= high for low, high in rows.get(y, ())) for y, x1, x2 in cells)

    def add(self, region: Region) -> None:
        """Take the cells of a region."""
        for y in region.line_range:
            low, high = region.column_span
            apart = []
            for span in self._rows.get(y, ()):
                if span[1] < low or high < span[0]:
                    apart.append(span)
                else:
                    low, high = min(low, span[0]), max(high, span[1])
            self._rows[y] = [*apart, (low, high)]


class ThriftyCompositor(Compositor):
    """Textual's, but for which lines it asks for."""

    #: From which cell to which each line of the screen changed; ``None`` outside of a partial update.
    _changed: dict[int, tuple[int, int]] | None = None

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        # Textual 8.2.8 compares with its last whole layout: what a scroll has moved since, as a toast, stays painted
        before = self.visible_widgets
        result = super().reflow(parent, size)
        if size.region not in self._dirty_regions:
            for _, (region, clip) in before.items() ^ self.visible_widgets.items():
                self._dirty_regions.add(clip.intersection(region))
        return result

    def render_partial_update(self) -> ChopsUpdate | None:
        # Textual hands on one region around all changes: from the first line to the last there may be a screen without
        self._changed = _cells_by_line(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not crop:
            yield from super()._get_renders(crop)
            return
        cover = Cover()
        top, bottom = crop.y, crop.bottom
        changed = _cells_by_line((crop,)) if self._changed is None else self._changed
        for widget, (region, clip) in self.visible_widgets.items():
            if region.y >= bottom or region.bottom <= top:
                continue  # most of them, most of the time; the rest of this costs five times as much
            # all of the width: what lies side by side in a line is cut where widgets meet, not where the change ends
            visible = region.intersection(clip.intersection(Region(clip.x, crop.y, clip.width, crop.height)))
            cells = _changed_cells(changed, visible)
            # the front comes first: what is hidden by now stays so
            if cells and not cover.hides(cells):
                first, last = cells[0][0], cells[-1][0]
                band = Region(visible.x, first, visible.width, last + 1 - first)
                yield region, band, widget.render_lines(band.translate((-region.x, -region.y)))
                if visible.contains_region(crop):
                    return
                cover.add(visible)


def _cells_by_line(regions: Iterable[Region]) -> dict[int, tuple[int, int]]:
    """Return the first cell and the one after the last that regions touch, by line."""
    cells: dict[int, tuple[int, int]] = {}
    for region in regions:
        x1, x2 = region.column_span
        for y in region.line_range:
            low, high = cells.get(y, (x1, x2))
            cells[y] = min(low, x1), max(high, x2)
    return cells


def _changed_cells(changed: Mapping[int, tuple[int, int]], region: Region) -> list[tuple[int, int, int]]:
    """Return which cells of a region may have changed: line, first cell, the one after the last; from the top."""
    left, right = region.column_span
    lines = sorted(changed) if len(changed) < region.height else region.line_range
    cells = []
    for y in lines:
        if region.y <= y < region.bottom and y in changed:
            x1, x2 = max(left, changed[y][0]), min(right, changed[y][1])
            if x1 < x2:
                cells.append((y, x1, x2))
    return cells
