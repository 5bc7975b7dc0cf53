"""A chart of what ended: the last hour by the minute, the last minutes by the second; failures hang below, in red."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from core.wording import compact
from queuectl_tui.snapshot import PULSES_KEPT_S, Snapshot
from queuectl_tui.widgets.theme_styles import styles_of

_UP = " ▁▂▃▄▅▆▇█"
_ASCII_UP = " .:-=+*##"
_LABEL_CELLS = 12
_GAP = 2


def column(value: float, top: float, rows: int, blocks: str = _UP) -> str:
    """Return a bar of ``rows`` characters from the lowest up; anything above 0 is seen."""
    steps = len(blocks) - 1
    filled = 0 if value <= 0 or top <= 0 else max(1, round(value / top * rows * steps))
    return "".join(blocks[min(steps, max(0, filled - row * steps))] for row in range(rows))


def seconds_of(snapshot: Snapshot, now: datetime, cells: int) -> list[tuple[int, int]]:
    """Return (succeeded, failed) of the last whole seconds, oldest first."""
    last = int(now.timestamp()) - 1
    by_second = {pulse.second: (pulse.succeeded, pulse.failed) for pulse in snapshot.pulses}
    return [by_second.get(second, (0, 0)) for second in range(last - cells + 1, last + 1)]


class Throughput(Widget):
    """Three rows: what succeeded stands on the base line in two, what failed is the third."""

    def __init__(self, *, is_ascii: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._minutes: list[tuple[int, int]] = []
        self._seconds: list[tuple[int, int]] = []

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Draw the newest numbers; nothing is repainted when they look the same."""
        before = self._minutes, self._shown_seconds()
        self._minutes = [(minute.succeeded, minute.failed) for minute in snapshot.minutes]
        self._seconds = seconds_of(snapshot, now, PULSES_KEPT_S)
        if (self._minutes, self._shown_seconds()) != before:
            self.refresh()

    def _room(self) -> int:
        return max(0, self.size.width - 2 * _LABEL_CELLS - _GAP - 1)

    def _shown_seconds(self) -> list[tuple[int, int]]:
        """Return what there is room for behind the minutes: the width may change, or be known, after the numbers."""
        cells = max(0, self._room() - len(self._minutes))
        return self._seconds[-cells:] if cells else []

    def render_line(self, y: int) -> Strip:
        cells = self.size.width
        minutes = self._minutes[-max(0, self._room()) :]
        seconds = self._shown_seconds()
        base = self.rich_style
        segments = [Segment(" ", base)]
        segments += self._label(y, "last hour", minutes)
        segments += self._bars(y, minutes)
        if seconds:
            segments.append(Segment(" " * _GAP, base))
            segments += self._label(y, "by second", seconds)
            segments += self._bars(y, seconds)
        return Strip(segments).adjust_cell_length(cells, base)

    def _label(self, y: int, name: str, values: Sequence[tuple[int, int]]) -> list[Segment]:
        good, bad = sum(value[0] for value in values), sum(value[1] for value in values)
        words = (
            (name, "muted"),
            (f"{compact(good)} ok", "good"),
            (f"{compact(bad)} failed", "bad" if bad else "muted"),
        )
        text, style = words[y]
        return [Segment(text.ljust(_LABEL_CELLS), self._style(style))]

    def _bars(self, y: int, values: Sequence[tuple[int, int]]) -> list[Segment]:
        if y == 2:
            return self._hanging([bad for _, bad in values])
        top = max((good for good, _ in values), default=0)
        blocks = _ASCII_UP if self._is_ascii else _UP
        return [Segment("".join(column(good, top, 2, blocks)[1 - y] for good, _ in values), self._style("good"))]

    def _hanging(self, values: Sequence[int]) -> list[Segment]:
        """Return bars that hang from the base line: a block from below in the colour of the background."""
        top = max(values, default=0)
        bad = self._style("bad")
        if self._is_ascii:
            return [Segment("".join("x" if value else " " for value in values), bad)]
        turned = bad + Style(reverse=True)
        filled = (0 if not value else max(1, round(value / top * 8)) for value in values)
        cells = ((_UP[8 - eighths] if eighths else " ", turned if eighths else bad) for eighths in filled)
        return [Segment("".join(text for text, _ in same), style) for style, same in groupby(cells, itemgetter(1))]

    def _style(self, name: str) -> Style:
        return self.rich_style + styles_of(self.app)[name]
