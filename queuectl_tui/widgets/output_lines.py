"""The lines that the output view shows, each as rows of the screen, read and rendered when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.selection import Selection
from textual.strip import Strip

from core.errors import QueueError
from core.text import clean_line
from queuectl_tui.line_index import LineIndex
from queuectl_tui.line_search import pattern_of
from queuectl_tui.line_text import fold_points, plain_text, shown_text
from queuectl_tui.snapshot import Readable

_CACHED_LINES = 512


class GuardedSource:
    """A source that never raises: what cannot be read is empty, and ``error`` says why."""

    def __init__(self, output: Readable | None) -> None:
        self.output = output
        self.error: str | None = None
        self._byte_count = 0

    def size(self) -> int:
        try:
            self._byte_count = self.output.size() if self.output is not None else 0
        except (OSError, QueueError) as error:
            self.error = str(error)
        return self._byte_count

    def read(self, offset: int, length: int) -> bytes:
        try:
            return self.output.read(offset, length) if self.output is not None else b""
        except (OSError, QueueError) as error:
            self.error = str(error)
            return b""


class ScreenRow(NamedTuple):
    """One row of the screen: a piece of a line, and the index in the line at which it begins."""

    strip: Strip
    start: int


class OutputStyles(NamedTuple):
    """How things look; other styles need ``OutputLines.clear``."""

    base: Style
    placeholder: Style
    footer: Style
    mark: Style
    match: Style
    current_match: Style
    selection: Style


class OutputLines:
    """Lines numbered from 0: those of the output (or one that says why there are none), then the footer if any.

    ``fold_width`` is 0 while lines are not folded. Whoever changes an attribute calls ``clear``.
    """

    def __init__(self) -> None:
        self.index = LineIndex(GuardedSource(None))
        self.is_reading = False
        self.placeholder = ""
        self.footer = ""
        self.fold_width = 0
        self.query_text = ""
        self.match_line: int | None = None
        self.selection: Selection | None = None
        self._source = GuardedSource(None)
        self._rows: OrderedDict[int, list[ScreenRow]] = OrderedDict()

    def open(self, output: Readable | None, *, is_same: bool) -> None:
        """Read from an output; ``is_same`` says that it holds what the one before held, so that the index stays."""
        self._source = GuardedSource(output)
        if is_same:
            self.index.source = self._source
            return
        self.index = LineIndex(self._source)
        self.match_line = None
        self.clear()

    @property
    def count(self) -> int:
        """Return the number of lines of output."""
        return self.index.line_count

    @property
    def total(self) -> int:
        """Return the number of all lines to show, at least 1."""
        return 1 if self.is_reading else max(1, self.count) + bool(self.footer)

    def extend(self, budget_bytes: int) -> bool:
        """Index up to ``budget_bytes`` more; return whether the end is reached."""
        first_changed, old_size = max(0, self.count - 1), self.index.size
        is_complete = self.index.extend(budget_bytes)
        # the last line may have gone on, and the footer after it has moved; a shrunken output starts anew
        for line in [line for line in self._rows if line >= first_changed or self.index.size < old_size]:
            del self._rows[line]
        return is_complete

    def clear(self) -> None:
        """Forget what was rendered."""
        self._rows.clear()

    def plain(self, line: int) -> str:
        """Return a line of output as a user reads it."""
        return plain_text(self.index.line(line))

    def match_column(self, line: int) -> int:
        """Return the cell at which the text that is searched for first stands in a line; 0 when it does not."""
        plain = self.plain(line)
        match = pattern_of(self.query_text).search(plain)
        return cell_len(plain[: match.start()]) if match is not None else 0

    def rows(self, line: int, styles: OutputStyles, console: Console) -> list[ScreenRow]:
        """Return the rows that a line fills; one while lines are not folded."""
        rows = self._rows.get(line)
        if rows is None:
            text, style = self._text(line, styles)
            points = fold_points(text.plain, self.fold_width) if self.fold_width else []
            pieces = text.divide(points) if points else [text]
            rows = [
                ScreenRow(Strip(Segment.apply_style(piece.render(console, end=""), style)), start)
                for piece, start in zip(pieces, [0, *points], strict=True)
            ]
            self._rows[line] = rows
            while len(self._rows) > _CACHED_LINES:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(line)
        return rows

    def _text(self, line: int, styles: OutputStyles) -> tuple[Text, Style]:
        """Return a line and the style that lies under it."""
        if self.is_reading:
            share = self.index.size / max(1, self._source.size())
            return Text(f"Reading {share:.0%}"), styles.placeholder
        if line >= max(1, self.count):
            return Text(self.footer), styles.footer
        if self.count == 0:
            error = self._source.error
            said = f"The output cannot be read: {clean_line(error)}" if error else self.placeholder
            return Text(said), styles.placeholder
        text = shown_text(self.index.line(line), styles.mark)
        if self.query_text:
            style = styles.current_match if line == self.match_line else styles.match
            for match in pattern_of(self.query_text).finditer(text.plain):
                text.stylize(style, match.start(), match.end())
        if self.selection is not None and (span := self.selection.get_span(line)) is not None:
            text.stylize(styles.selection, span[0], len(text) if span[1] == -1 else span[1])
        return text, styles.base

    def selected(self, selection: Selection, limit: int) -> str:
        """Return the text of a selection, of at most ``limit`` lines."""
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self.count - 1
        parts: list[str] = []
        for line in range(first, min(last + 1, self.count, first + limit)):
            plain = self.plain(line)
            start, end = selection.get_span(line) or (0, -1)
            parts.append(plain[start:] if end == -1 else plain[start:end])
        return "\n".join(parts)
