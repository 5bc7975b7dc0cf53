"""The chart: one row with what ended in each minute of the last hour, its axis, its maximum and its sums."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from core.model import Minute
from core.wording import compact, count
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.widgets.glyphs import Part
from queuectl_tui.widgets.theme_styles import styles_of

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:-=+*##"


def failure_style(share: float, calm: str) -> str:
    """Return the style of a share of failures, 0 to 1: "bad" from 0.25 on, "warning" from 0.05, below that ``calm``."""
    return "bad" if share >= 0.25 else "warning" if share >= 0.05 else calm


def bars(minutes: Sequence[Minute], blocks: str = _BLOCKS) -> list[Part]:
    """Return a character for each minute, as tall as what ended in it, in the style of its share of failures."""
    top = max((minute.succeeded + minute.failed for minute in minutes), default=0)
    cells = []
    for minute in minutes:
        ended = minute.succeeded + minute.failed
        height = max(1, round(ended / top * (len(blocks) - 1))) if ended else 0
        cells.append((blocks[height], failure_style(minute.failed / ended if ended else 0.0, "good")))
    return [("".join(text for text, _ in same), style) for style, same in groupby(cells, itemgetter(1))]


def chart(minutes: Sequence[Minute], cells: int, *, is_ascii: bool = False) -> list[Part]:
    """Return the row for a width: the bars between the ends of their axis, the highest of them, what they sum up to.

    Where it is too narrow for all of it, the oldest minutes are left out.
    """
    good, bad = sum(minute.succeeded for minute in minutes), sum(minute.failed for minute in minutes)
    top = max((minute.succeeded + minute.failed for minute in minutes), default=0)
    behind: list[Part] = [
        (" now   ", "muted"),
        (f"max {count(top)}/min   ", "told"),
        (f"{compact(good)} ok   ", "good"),
        (f"{compact(bad)} failed", "bad" if bad else "muted"),
    ]
    room = cells - len(" 60m ago ") - sum(len(text) for text, _ in behind) - 1
    shown = minutes[-room:] if room > 0 else ()
    return [(f" {len(shown)}m ago ", "muted"), *bars(shown, _ASCII_BLOCKS if is_ascii else _BLOCKS), *behind]


class Throughput(Widget):
    """Draws the chart; it is hidden while there is nothing to draw."""

    def __init__(self, *, is_ascii: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._minutes: tuple[Minute, ...] = ()
        self.has_room = False

    def show(self, snapshot: Snapshot) -> None:
        """Draw the newest numbers; nothing is repainted when they are the same."""
        if snapshot.minutes != self._minutes:
            self._minutes = snapshot.minutes
            self._hide_or_show()
            self.refresh()

    def use_room(self, has_room: bool) -> None:
        """Take a row of the screen from now on if there is anything to draw, or leave it to others."""
        self.has_room = has_room
        self._hide_or_show()

    def _hide_or_show(self) -> None:
        self.display = self.has_room and any(minute.succeeded or minute.failed for minute in self._minutes)

    def render_line(self, y: int) -> Strip:
        base, styles = self.rich_style, styles_of(self.app)
        parts = chart(self._minutes, self.size.width, is_ascii=self._is_ascii)
        segments = [Segment(text, base + styles[style]) for text, style in parts]
        return Strip(segments).adjust_cell_length(self.size.width, base)
