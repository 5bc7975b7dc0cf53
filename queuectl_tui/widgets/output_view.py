"""Show the output of an attempt: cleaned, coloured, folded or cut, searched, and followed as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from core.text import clean_line
from queuectl_tui.snapshot import Readable
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.output_lines import OutputLines, OutputStyles, ScreenRow
from queuectl_tui.widgets.text_search import TextSearch

#: How much of a new output is indexed before the first paint; the rest follows in slices between key presses.
_FIRST_SLICE_BYTES = 2 << 20
_SLICE_BYTES = 4 << 20
_WHEEL_ROWS = 3
_WHEEL_COLUMNS = 8
_SELECTED_LINES_MAX = 10_000

#: Where a row is: its line, and its number within the line.
RowPosition = tuple[int, int]


class OutputView(MeasuredView, can_focus=True, inherit_bindings=False):
    """Lines of output with a footer line after the last one.

    ``scroll_y`` counts lines; while lines are folded its fraction says how far into a line the first row is. The view
    has no keys of its own: the dashboard's table of keys calls its methods. ``matches`` is what is searched for.
    """

    ALLOW_SELECT = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "output-view--placeholder",
        "output-view--footer",
        "output-view--mark",
        "output-view--match",
        "output-view--current-match",
    }
    DEFAULT_CSS = """
    OutputView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        background: $background;
        color: $foreground;
    }
    OutputView > .output-view--placeholder { color: $text-muted; }
    OutputView > .output-view--footer { color: $text-muted; }
    OutputView > .output-view--mark { color: $text-muted; text-style: italic; }
    OutputView > .output-view--match { background: $warning 40%; }
    OutputView > .output-view--current-match { background: $warning; color: $background; text-style: bold; }
    """

    @dataclass
    class FollowChanged(Message):
        """The view began or ceased to follow the end of its output."""

        view: OutputView
        is_following: bool

    @dataclass
    class SearchEnded(Message):
        """A search ended at a line (from 0), or found none; ``has_wrapped`` says that it went round the end."""

        view: OutputView
        text: str
        line: int | None
        has_wrapped: bool

    class MatchesCounted(Message):
        """All lines that show the text are counted, or more are since the output has grown."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.is_following = True
        self.is_wrapped = False
        self._lines = OutputLines()
        self.matches = TextSearch(self._lines, self.call_later, self._search_ended, self._matches_counted)
        self._attempt_id: int | None = None
        self._is_extending = False
        self._output_styles: OutputStyles | None = None
        self._visible: list[RowPosition] | None = None
        self._widest = 0
        self._width = self._height = 1

    # --- what is shown

    def show(self, output: Readable | None, *, placeholder: str = "", footer: str = "") -> bool:
        """Show an attempt's output, from its end; the same attempt again changes its footer but not the place.

        Return whether it is the output of another attempt.
        """
        attempt_id = None if output is None else output.attempt.id
        missing = "Job has not started." if output is None else "No output."
        self._lines.placeholder = clean_line(placeholder or missing)
        self._lines.footer = clean_line(footer)
        is_same = attempt_id is not None and attempt_id == self._attempt_id
        self._attempt_id = attempt_id
        self._lines.open(output, is_same=is_same)
        if not is_same:
            self.matches.restart()
            self._widest = 0
            self._lines.is_reading = not self._lines.extend(_FIRST_SLICE_BYTES)
            self.scroll_x = 0
            self._move_to((0, 0))
            self._set_following(True)
        self.refresh_tail()
        self._repaint()
        return not is_same

    def refresh_tail(self) -> None:
        """Read what was written since, and repaint only what that changed."""
        if not self._is_extending:
            self._extend(_FIRST_SLICE_BYTES)

    def _extend(self, budget_bytes: int) -> None:
        lines = self._lines
        was_reading, old_total, first_changed = lines.is_reading, lines.total, max(0, lines.count - 1)
        self._is_extending = not lines.extend(budget_bytes)
        if self._is_extending:
            self.call_later(self._extend, _SLICE_BYTES)
        lines.is_reading = was_reading and self._is_extending
        if lines.total != old_total:
            self.matches.grown()
        if was_reading:
            lines.clear()
            first_changed = 0
        self._tail_changed(min(first_changed, lines.total), max(old_total, lines.total))

    def _tail_changed(self, first_changed: int, last_changed: int) -> None:
        self._visible = None
        self._sync_size()
        if self.is_following:
            self._go_to_end()
        y = first_changed - self._top()[0]
        if self.is_wrapped:
            self._repaint()
        elif y < self._height and last_changed >= self._top()[0]:
            y = max(0, y)
            self.refresh(Region(0, y, self._width, self._height - y))

    @property
    def line_count(self) -> int:
        """Return how many lines of output there are, as far as they have been read."""
        return self._lines.count

    @property
    def top_line(self) -> int:
        """Return the number, from 0, of the first line on the screen."""
        return self._top()[0]

    # --- moving

    def home(self) -> None:
        """Go to the start; stop following unless all is visible."""
        self.scroll_x = 0
        self._go_to((0, 0))

    def end(self) -> None:
        """Go to the end and follow it."""
        self._go_to_end()
        self._set_following(True)

    def page(self, direction: int = 1, share: float = 1.0) -> None:
        """Scroll a share of a page down, or up when ``direction`` is negative; one row stays in view."""
        rows = max(1, int((self._height - 1) * share))
        self.step(rows if direction > 0 else -rows)

    def step(self, rows: int) -> None:
        """Scroll so many rows down, or up when negative."""
        line, row = self._top()
        if not self.is_wrapped:
            self._go_to((line + rows, 0))
            return
        row += rows
        while row < 0 and line > 0:
            line -= 1
            row += self._row_count(line)
        while line < self._lines.total - 1 and row >= self._row_count(line):
            row -= self._row_count(line)
            line += 1
        self._go_to((line, max(0, row)))

    def sideways(self, columns: int) -> bool:
        """Scroll right, or left when negative; return whether that was possible."""
        furthest = 0 if self.is_wrapped else max(0, self._widest - self._width)
        x = min(max(0, round(self.scroll_x) + columns), furthest)
        has_moved = x != round(self.scroll_x)
        if has_moved:
            # virtual_size ends at the window's edge, so that the layout never depends on the longest line
            self.set_reactive(Widget.scroll_x, x)
            self._repaint()
        return has_moved

    def toggle_follow(self) -> None:
        """Follow the end, or stay where the view is."""
        if self.is_following:
            self._set_following(False)
        else:
            self.end()

    def toggle_wrap(self) -> None:
        """Fold long lines, or cut them; the first line on the screen stays."""
        line = self._top()[0]
        self.is_wrapped = not self.is_wrapped
        self.scroll_x = 0
        self._reflow(line)
        self._repaint()

    def _reflow(self, line: int) -> None:
        """Arrange the lines anew, with a line at the top unless the end is followed."""
        self._lines.fold_width = self._width if self.is_wrapped else 0
        self._lines.clear()
        self._visible = None
        self._sync_size()
        end = self._end_place()
        self._set_top(end if self.is_following else min((line, 0), end))

    def _go_to(self, place: RowPosition) -> None:
        end = self._end_place()
        self._move_to(max((0, 0), min(place, end)))
        self._set_following(place >= end)

    def _go_to_end(self) -> None:
        self._move_to(self._end_place())

    def _move_to(self, place: RowPosition) -> None:
        before = self.scroll_y
        self._set_top(place)
        if self.scroll_y != before:
            self._repaint()

    def _set_top(self, place: RowPosition) -> None:
        """Scroll to a place without a refresh."""
        line, row = place
        top = line + row / self._row_count(line) if row else float(line)
        self.set_reactive(Widget.scroll_target_y, top)
        self.set_reactive(Widget.scroll_y, top)
        self._visible = None
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = top

    def _set_following(self, is_following: bool) -> None:
        if is_following != self.is_following:
            self.is_following = is_following
            self.post_message(self.FollowChanged(self, is_following))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if old_value != new_value:
            self._visible = None
            self._repaint()

    def scroll_to(self, x: float | None = None, y: float | None = None, **how: object) -> None:
        """Go to a line at once: what the scroll bar asks for."""
        if y is not None:
            self._go_to((round(y), 0))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._on_wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._on_wheel(event, -1)

    def _on_wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        event.prevent_default()
        if event.shift or event.ctrl:
            self.sideways(_WHEEL_COLUMNS * direction)
        else:
            self.step(_WHEEL_ROWS * direction)

    # --- places

    def _top(self) -> RowPosition:
        """Return the place of the first row on the screen."""
        line = int(self.scroll_y)
        if not self.is_wrapped:
            return line, 0
        line = min(line, self._lines.total - 1)
        place = line, round((self.scroll_y - line) * self._row_count(line))
        return min(place, self._end_place())

    def _end_place(self) -> RowPosition:
        """Return the place of the first row when the last one is at the bottom."""
        height, line = self._height, self._lines.total
        if not self.is_wrapped:
            return max(0, line - height), 0
        rows = 0
        while line > 0 and rows < height:
            line -= 1
            rows += self._row_count(line)
        return line, max(0, rows - height)

    def _sync_size(self) -> None:
        """Set how much the scroll bar covers, without the layout that setting ``virtual_size`` would cost."""
        line, row = self._end_place()
        rows = self._height + line + (row > 0)
        self.set_reactive(Widget.virtual_size, Size(self._width, rows))
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = rows
            self.vertical_scrollbar.window_size = self._height

    def take_size(self) -> None:
        """Fold anew, and keep the first line where it is."""
        size = self.scrollable_content_region.size
        self._width, self._height = max(1, size.width), max(1, size.height)
        self._reflow(self._top()[0])

    # --- searching

    def search(self, text: str) -> None:
        """Mark a text everywhere and go to the next line, from the top of the screen on, that shows it; "" ends it."""
        self.matches.begin(text, self.top_line)
        self._repaint()

    def search_from_start(self, text: str) -> None:
        """Mark a text everywhere and go to the first line that shows it; "" ends it."""
        self.matches.begin(text, 0)
        self._repaint()

    def find_next(self) -> None:
        """Go to the next line that shows the text, going on at the start after the end."""
        self.matches.find_next(self.top_line)

    def find_previous(self) -> None:
        """Go to the line before that shows the text, going on at the end after the start."""
        self.matches.find_previous(self.top_line)

    def _matches_counted(self) -> None:
        self.post_message(self.MatchesCounted())

    def _search_ended(self, line: int | None, has_wrapped: bool) -> None:
        if line is not None:
            self._show_match(line)
        self.post_message(self.SearchEnded(self, self.matches.text, line, has_wrapped))

    def _show_match(self, line: int) -> None:
        self._set_following(False)
        if (line, 0) not in self._visible_places():
            self._move_to(min((max(0, line - self._height // 3), 0), self._end_place()))
        self._show_column(self._lines.match_column(line))
        self._repaint()

    def _show_column(self, column: int) -> None:
        x = round(self.scroll_x)
        if not self.is_wrapped and not x <= column < x + self._width - len(self.matches.text):
            self.set_reactive(Widget.scroll_x, 0 if column < self._width // 2 else column - self._width // 2)

    # --- painting

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._output_styles = None
        self._lines.clear()

    def _repaint(self) -> None:
        self.refresh(self.size.region)

    def render_line(self, y: int) -> Strip:
        width, base = self._width, self.rich_style
        places = self._visible_places()
        if y >= len(places):
            return Strip.blank(width, base)
        line, number = places[y]
        row = self._rows(line)[number]
        self._widest = max(self._widest, row.strip.cell_length)
        x = 0 if self.is_wrapped else round(self.scroll_x)
        strip = row.strip.crop_extend(x, x + width, base).apply_offsets(row.start + x, line)
        if self.is_wrapped or row.strip.cell_length <= x + width:
            return strip
        return Strip([*strip.crop(0, width - 1), Segment("›", base + self._current_styles().mark)], width)

    def _visible_places(self) -> list[RowPosition]:
        """Return the places of the rows on the screen, from the top."""
        if self._visible is None:
            places: list[RowPosition] = []
            line, row = self._top()
            while line < self._lines.total and len(places) < self._height:
                places.extend((line, number) for number in range(row, self._row_count(line)))
                line, row = line + 1, 0
            self._visible = places[: self._height]
        return self._visible

    def _row_count(self, line: int) -> int:
        return len(self._rows(line)) if self.is_wrapped else 1

    def _rows(self, line: int) -> list[ScreenRow]:
        return self._lines.rows(line, self._current_styles(), self.app.console)

    def _current_styles(self) -> OutputStyles:
        if self._output_styles is None:
            style = self.get_component_rich_style
            self._output_styles = OutputStyles(
                base=self.rich_style,
                placeholder=style("output-view--placeholder"),
                footer=style("output-view--footer"),
                mark=style("output-view--mark"),
                match=style("output-view--match"),
                current_match=style("output-view--current-match"),
                selection=self.screen.get_component_rich_style("screen--selection"),
            )
        return self._output_styles

    # --- selecting with the mouse

    def selection_updated(self, selection: Selection | None) -> None:
        self._lines.selection = selection
        self._lines.clear()
        self._repaint()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text that was selected with the mouse, of at most 10,000 lines."""
        return self._lines.selected(selection, _SELECTED_LINES_MAX), "\n"
