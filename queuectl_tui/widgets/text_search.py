"""Search a text in the lines of an output, and count the lines that show it, in steps that keys come before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from queuectl_tui.line_search import LineSearch, MatchCount
from queuectl_tui.widgets.output_lines import OutputLines


class CallLater(Protocol):
    """What calls a function with its argument once the keys that wait have been handled."""

    def __call__(self, callback: Callable[..., object], /, *arguments: object) -> object: ...


class TextSearch:
    """The text that is looked for in an output, the line of it that was found, and which of how many that is.

    ``on_end`` gets the line where a search ended, or ``None`` for none, and whether it went round the end. ``on_count``
    is called when all lines that show the text are counted, or more are since the output has grown.
    """

    def __init__(
        self,
        lines: OutputLines,
        call_later: CallLater,
        on_end: Callable[[int | None, bool], None],
        on_count: Callable[[], object],
    ) -> None:
        self._lines = lines
        self._call_later = call_later
        self._on_end = on_end
        self._on_count = on_count
        self._search: LineSearch | None = None
        self._further = 0  # how many lines on from where the search under way ends; negative is back
        self._count: MatchCount | None = None
        self._is_counted = False

    @property
    def text(self) -> str:
        """The text that is searched for and marked; "" is none."""
        return self._lines.query_text

    @property
    def line(self) -> int | None:
        """The line, from 0, that was found last."""
        return self._lines.match_line

    @property
    def words(self) -> str:
        """Which of the matches the current one is, as ``3 of 17``; "" without one, or while it is not known."""
        line = self._lines.match_line
        return "" if line is None or self._count is None else self._count.words(line, is_complete=self._is_counted)

    # --- looking

    def begin(self, text: str, top: int) -> None:
        """Mark a text everywhere, and look for the first line from ``top`` on that shows it; "" ends the search."""
        self._lines.query_text = text
        self._lines.match_line = None
        self._lines.clear()
        self.restart()
        self._look_from(top, is_upwards=False)

    def restart(self) -> None:
        """Give up the search under way and count anew: the text is another, or the output."""
        self._search = None
        self._further = 0
        self._is_counted = False
        self._count = MatchCount(self._lines.index, self.text, shown=self._lines.plain) if self.text else None
        if self._count is not None:
            self._call_later(self._count_further, self._count)

    def find_next(self, top: int) -> None:
        """Look for the next line, going on at the start after the end; from ``top`` on while none was found."""
        self._find(1, top)

    def find_previous(self, top: int) -> None:
        """Look for the line before, going on at the end after the start; from ``top`` up while none was found."""
        self._find(-1, top)

    def _find(self, direction: int, top: int) -> None:
        """Look for the line after, or before; once the search under way has ended, so that each key counts."""
        if self._search is not None:
            self._further += direction
        else:
            self._look_on(direction, top)

    def _look_on(self, direction: int, top: int) -> None:
        start = top if self.line is None else self.line + (direction > 0)
        self._look_from(start, is_upwards=direction < 0)

    def _look_from(self, start: int, *, is_upwards: bool) -> None:
        if not self.text:
            return
        lines = self._lines
        self._search = LineSearch(lines.index, self.text, start, is_upwards=is_upwards, shown=lines.plain)
        self._call_later(self._look_further, self._search)

    def _look_further(self, search: LineSearch) -> None:
        if search is not self._search:  # a newer one took its place
            return
        if self._lines.is_reading or not search.step():
            self._call_later(self._look_further, search)  # keys that were pressed meanwhile come first
            return
        self._search = None
        if search.found is not None:
            self._lines.match_line = search.found
            self._lines.clear()
        further, self._further = self._further, 0
        self._on_end(search.found, search.has_wrapped)
        if further and search.found is not None:
            direction = 1 if further > 0 else -1
            self._further = further - direction
            self._look_on(direction, search.found)

    # --- counting

    def grown(self) -> None:
        """Count on: the output has grown."""
        if self._is_counted and self._count is not None:
            self._count.grown()
            self._is_counted = False
            self._call_later(self._count_further, self._count)

    def _count_further(self, count: MatchCount) -> None:
        if count is not self._count or self._is_counted:
            return
        if self._lines.is_reading or not count.step():
            self._call_later(self._count_further, count)  # keys that were pressed meanwhile come first
            return
        self._is_counted = True
        self._on_count()
