"""Turn jobs into what a line of a table looks like, and looks into strips; remember both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from core.model import Job
from core.text import clean_line
from queuectl_tui.cells import clip, flat, width
from queuectl_tui.snapshot import Pane, RunProgress
from queuectl_tui.widgets.columns import RANKED, Circumstances, Column, Needs, columns_for
from queuectl_tui.widgets.glyphs import ASCII, UNICODE, Parts, glyph
from queuectl_tui.widgets.job_line import head, heading, spare_cells, tail

_MAX_STRIPS = 500


class Look(NamedTuple):
    """Everything that decides what a line of the screen shows; ``kind`` is row, missing, heading, empty or blank.

    ``cursor`` is ``"focus"`` where the keys go, ``"cursor"`` where they would go, else ``""``.
    """

    kind: str
    cursor: str = ""
    is_marked: bool = False
    head: Parts = ()
    tail: Parts = ()


BLANK = Look("blank")


class RowStyles:
    """The styles of a widget's lines, from its component classes; asking Textual each time costs more than painting."""

    def __init__(self, widget: Widget, prefix: str) -> None:
        self._widget = widget
        self._prefix = prefix
        self._known: dict[tuple[str, str], Style] = {}

    def forget(self) -> None:
        """Forget all styles: the style sheet, the theme or the focus has changed."""
        self._known.clear()

    def __call__(self, part: str, row: str) -> Style:
        """Return the style of a part of a line in a kind of row: ``""``, ``"cursor"``, ``"focus"`` or ``"marked"``."""
        style = self._known.get((part, row))
        if style is None:
            background, color = self._widget.background_colors[1], self._widget.styles.color
            text_style = Style()
            for name in filter(None, (row, part)):
                styles = self._widget.get_component_styles(self._prefix + name)
                if styles.has_rule("background"):
                    background += styles.background
                if styles.has_rule("color"):
                    color = styles.color
                text_style += styles.text_style
            style = Style.from_color((background + color).rich_color, background.rich_color) + text_style
            self._known[part, row] = style
        return style


class LinePainter:
    """The lines of one table at its present width, with its present columns and signs.

    ``held`` are the queues whose waiting jobs are held; ``None`` when all of them are. ``progress``, ``notes`` and
    ``canaries`` have their values by job id.
    """

    def __init__(self, pane: Pane, *, is_ascii: bool = False) -> None:
        self.ranked: tuple[Column, ...] = RANKED[pane]
        self.held: frozenset[str] | None = frozenset()
        self.progress: Mapping[int, RunProgress] = {}
        self.notes: Mapping[int, str] = {}
        self.canaries: Mapping[int, int] = {}
        self._needs = Needs(self.ranked)
        self._glyphs = ASCII if is_ascii else UNICODE
        self._seen: dict[int, tuple[Job, str, RunProgress | None, str, int]] = {}
        self._heads: dict[int, tuple[tuple[object, ...], Parts]] = {}
        self._strips: dict[Look, Strip] = {}
        self.columns = columns_for(self.ranked, 0, self._needs)
        self.cursor = "cursor"
        self._rows: dict[int, tuple[Job, tuple[bool, bool], Look]] = {}

    def use_focus(self, has_focus: bool) -> None:
        """Paint the cursor's line from now on as one that has the focus, or has not."""
        self.cursor = "focus" if has_focus else "cursor"
        self._rows.clear()

    def fit(self, cells: int) -> None:
        """Take the width of the lines."""
        self.columns = columns_for(self.ranked, cells, self._needs)
        self._rows.clear()
        self._heads.clear()
        self._strips.clear()

    def use_columns(self, ranked: Sequence[Column]) -> None:
        """Draw other columns, or the same ones for other rows: what those seen so far needed is forgotten."""
        self.ranked = tuple(ranked)
        self._needs = Needs(self.ranked)
        self._seen.clear()
        self.fit(self.columns.cells)

    def make_room(self, jobs: Sequence[Job], now: datetime) -> None:
        """Draw and widen the columns that one of these jobs needs, and forget jobs that are gone."""
        has_grown = False
        for job in jobs:
            at, known = self._circumstances(job, now), self._seen.get(job.id)
            if known is None or known[0] is not job or known[1:] != (at.hold, at.progress, at.note, at.canary):
                self._seen[job.id] = (job, at.hold, at.progress, at.note, at.canary)
                has_grown |= self._needs.see(job, at)
        if has_grown:
            self.fit(self.columns.cells)
        if len(self._seen) > 2 * len(jobs) + 50:
            present = {job.id for job in jobs}
            self._seen = {job_id: seen for job_id, seen in self._seen.items() if job_id in present}
            self._heads = {job_id: cached for job_id, cached in self._heads.items() if job_id in present}

    def is_drawn(self, column: Column) -> bool:
        """Return whether a column says more than the same in every row, so that it is drawn where it fits."""
        return self._needs.is_drawn(column)

    def forget_styles(self) -> None:
        """Forget all that has colours in it."""
        self._strips.clear()

    def move_on(self) -> None:
        """Have the times be written anew: they move with the ticks, all at once."""
        self._rows.clear()

    def row(self, job: Job, now: datetime, *, is_cursor: bool, is_marked: bool) -> Look:
        """Return what the line of a job looks like; the same object looks the same until ``move_on``."""
        depends_on = (is_cursor, is_marked)
        known = self._rows.get(job.id)
        if known is not None and known[0] is job and known[1] == depends_on:
            return known[2]
        look = self._look(job, now, *depends_on)
        self._rows[job.id] = (job, depends_on, look)
        return look

    def _look(self, job: Job, now: datetime, is_cursor: bool, is_marked: bool) -> Look:
        sign = glyph(job, now, self._glyphs)
        behind = tail(job, self.columns, self._circumstances(job, now))
        spare = spare_cells(self.columns, behind)
        depends_on = (sign, job.name, job.command, spare)
        cached = self._heads.get(job.id)
        if cached is None or cached[0] != depends_on:
            line = head(job, self.columns, self._glyphs, sign, spare=spare)
            cached = self._heads[job.id] = (depends_on, line)
        return Look("row", self.cursor if is_cursor else "", is_marked, cached[1], behind)

    def _circumstances(self, job: Job, now: datetime) -> Circumstances:
        hold, progress, note = self._hold(job), self.progress.get(job.id), self.notes.get(job.id, "")
        return Circumstances(now, self._glyphs, hold, progress, note, self.canaries.get(job.id, 0))

    def _hold(self, job: Job) -> str:
        """Return in a word or two what holds a waiting job: everything, or its queue."""
        if self.held is None:
            return "held"
        return f"held: {flat(clean_line(job.queue))}" if job.queue in self.held else ""

    def heading(self) -> Look:
        """Return what the line of column headings looks like."""
        return Look("heading", head=((heading(self.columns), ""),))

    def strip(self, look: Look, style_of: RowStyles) -> Strip:
        """Return the strip of a look, exactly as wide as the lines are."""
        strip = self._strips.get(look)
        if strip is None:
            if len(self._strips) >= _MAX_STRIPS:
                self._strips.clear()
            strip = self._strips[look] = self._painted(look, style_of)
        return strip

    def _painted(self, look: Look, style_of: RowStyles) -> Strip:
        row = look.cursor or ("marked" if look.is_marked else "")
        cells = self.columns.cells
        if look.kind == "row":
            pointer = (self._glyphs.cursor if look.cursor else " ", "pointer" if look.cursor == "focus" else "muted")
            mark = (self._glyphs.mark, "mark") if look.is_marked else (" ", "muted")
            parts = (pointer, mark, *look.head, *look.tail)
            segments = [
                Segment("".join(text for text, _ in same), style_of(part, row))
                for part, same in groupby(parts, key=itemgetter(1))  # each style costs 40 bytes on the wire
            ]
        elif look.kind == "missing":
            segments = [Segment(" " * (self.columns.id + 2) + "·", style_of("muted", row))]
        elif look.kind == "empty":
            text = clip(look.head[0][0], cells)
            segments = [Segment(" " * ((cells - width(text)) // 2) + text, style_of("empty", row))]
        else:
            segments = [Segment(text, style_of(look.kind, row)) for text, _ in look.head]
        return Strip(segments).adjust_cell_length(cells, style_of("", row))
