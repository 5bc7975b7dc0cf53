"""A row of text drawn by one widget: parts from the left and from the right, and what goes when it is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from queuectl_tui.cells import clip, width
from queuectl_tui.widgets.theme_styles import styles_of


class BarPart(NamedTuple):
    """A piece of text in a style of the palette ("" is the row's own); the highest ``rank`` is left out first.

    ``action`` is what a click on it does: the id of an action.
    """

    text: str
    style: str = ""
    rank: int = 0
    action: str = ""


def fitted(left: Sequence[BarPart], right: Sequence[BarPart], cells: int) -> tuple[list[BarPart], list[BarPart]]:
    """Return the parts that fit into so many cells: those of the highest rank go first, together; rank 0 stays.

    One that is too long for the row by itself, at the right, is cut.
    """
    kept_left, kept_right = list(left), list(right)
    while sum(width(part.text) for part in kept_left + kept_right) > cells:
        highest = max((part.rank for part in kept_left + kept_right), default=0)
        if highest == 0:
            break
        kept_left = [part for part in kept_left if part.rank != highest]
        kept_right = [part for part in kept_right if part.rank != highest]
    return kept_left, [part._replace(text=clip(part.text, cells)) for part in kept_right]


#: What stands for signs that plain terminals do not have.
_PLAIN = str.maketrans(
    {"·": "-", "│": "|", "⏎": "Enter", "↑": "Up", "↓": "Down", "←": "Left", "→": "Right", "…": "..."}
)


def _in_ascii(parts: tuple[BarPart, ...]) -> tuple[BarPart, ...]:
    return tuple(part._replace(text=part.text.translate(_PLAIN)) for part in parts)


class Bar(Widget):
    """One row that repaints itself only when what it says has changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        #: What stands between the left and the right.
        self.fill_character, self.fill_style = " ", "fill"
        self.is_ascii = False
        self._left: tuple[BarPart, ...] = ()
        self._right: tuple[BarPart, ...] = ()

    def show_parts(self, left: Iterable[BarPart], right: Iterable[BarPart] = ()) -> None:
        """Say something else; nothing is repainted when it is what stands there already."""
        new = tuple(left), tuple(right)
        if self.is_ascii:
            new = _in_ascii(new[0]), _in_ascii(new[1])
        if new != (self._left, self._right):
            self._left, self._right = new
            self.refresh()

    @property
    def text(self) -> str:
        """Return what is said, left and right, without what stands between."""
        return "".join(part.text for part in self._left + self._right)

    def render_line(self, y: int) -> Strip:
        cells = self.size.width
        base, styles = self.rich_style, styles_of(self.app)
        left, right = fitted(self._left, self._right, cells)
        right_cells = sum(width(part.text) for part in right)
        segments: list[Segment] = []
        used = 0
        for part in left:
            text = clip(part.text, max(0, cells - right_cells - used))
            used += width(text)
            segments.append(Segment(text, base + styles[part.style] if part.style else base))
        gap = max(0, cells - used - right_cells)
        segments.append(Segment(self.fill_character * gap, base + styles[self.fill_style]))
        segments.extend(Segment(part.text, base + styles[part.style] if part.style else base) for part in right)
        return Strip(segments).adjust_cell_length(cells, base)

    def action_at(self, x: int) -> str:
        """Return the id of the action whose part is at a cell, ``""`` elsewhere."""
        left, right = fitted(self._left, self._right, self.size.width)
        end = 0
        for part in left:
            end += width(part.text)
            if x < end:
                return part.action
        end = self.size.width
        for part in reversed(right):
            end -= width(part.text)
            if x >= end:
                return part.action
        return ""
