"""Paints only what a change touches and what is seen.

For each update Textual 8.2.8 asks every widget on the screen for all its lines, and throws away those outside of what
changed and those behind another widget: 2 ms for one row, and twice the lines that there are for the whole screen. Here
only widgets under the change are asked, and only for the lines of it; and none that others hide.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip


class Cover:
    """The cells that widgets nearer to the front have taken: by row, spans that do not touch, in no order."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[int, int]]] = {}

    def hides(self, region: Region) -> bool:
        """Tell whether nothing of a region is left to be seen."""
        x1, x2 = region.column_span
        rows = self._rows
        return all(any(low <= x1 and x2 <= high for low, high in rows.get(y, ())) for y in region.line_range)

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

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not crop:
            yield from super()._get_renders(crop)
            return
        cover = Cover()
        for widget, (region, clip) in self.visible_widgets.items():
            # all of the width: what lies side by side in a line is cut where widgets meet, not where the change ends
            band = clip.intersection(Region(clip.x, crop.y, clip.width, crop.height))
            visible = region.intersection(band)
            # the front comes first: what is hidden by now stays so
            if visible and crop.overlaps(visible) and not cover.hides(visible):
                yield region, band, widget.render_lines(visible.translate((-region.x, -region.y)))
                if visible.contains_region(crop):
                    return
                cover.add(visible)
