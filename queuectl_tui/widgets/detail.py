"""Show all there is to know of one job: overview, attempts, history, tree, environment, behind tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from core.model import Attempt, Event, Job, Tree, Waiting
from core.rules.tree import TreeLine, left_out, tree_lines
from queuectl_tui.cells import clip, width
from queuectl_tui.snapshot import Found, RunProgress
from queuectl_tui.widgets import detail_lines
from queuectl_tui.widgets.detail_lines import Facts, Line
from queuectl_tui.widgets.glyphs import ASCII, UNICODE
from queuectl_tui.widgets.measured_view import MeasuredView
from queuectl_tui.widgets.tree_lines import lines_of_tree

_PLACEHOLDER = "No job under the cursor."
_STYLES = (
    *("tab", "current-tab", "label", "muted", "strong", "pointer", "chosen"),
    *("pending", "delayed", "running", "completed", "cancelled", "dead", "hit"),
)
#: The styles whose background shows; others leave that of a chosen line.
_WITH_BACKGROUND = ("chosen", "hit")
_WHEEL_ROWS = 3


class Detail(MeasuredView, can_focus=True, inherit_bindings=False):
    """An inspector: a row of tabs that stays, and lines below it that scroll.

    In the list of attempts and in the tree, going up and down chooses one. It has no keys of its own: the dashboard's
    table of keys calls its methods.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"detail--{name}" for name in _STYLES}
    DEFAULT_CSS = """
    Detail {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        background: $background;
        color: $foreground;
    }
    Detail > .detail--tab { color: $text-muted; }
    Detail > .detail--current-tab { color: $primary; text-style: bold underline; }
    Detail > .detail--label { color: $text-muted; }
    Detail > .detail--muted { color: $text-muted; }
    Detail > .detail--strong { text-style: bold; }
    Detail > .detail--pointer { color: $primary; }
    Detail > .detail--chosen { background: $primary 20%; }
    Detail > .detail--pending { color: $warning; }
    Detail > .detail--delayed { color: $warning; }
    Detail > .detail--running { color: $accent; }
    Detail > .detail--completed { color: $success; }
    Detail > .detail--cancelled { color: $text-muted; }
    Detail > .detail--dead { color: $error; }
    Detail > .detail--hit { background: $warning 40%; }
    """

    class AttemptChosen(Message):
        """The user chose an attempt, by its number: its output is wanted."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class JobChosen(Message):
        """The user pointed at another job of the tree: keys act on it."""

    class TabChosen(Message):
        """Another tab is shown, by its name: what stands in it may have to be read."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, *, is_ascii: bool = False, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._is_ascii = is_ascii
        self._facts: Facts | None = None
        self._now: datetime | None = None
        self._tab = 0
        self._chosen: int | None = None
        self._tree: list[TreeLine] = []
        self._chosen_job: int | None = None
        self._lines: list[Line] = []
        self._styles: dict[str, Style] = {}
        self._width = self._height = 1

    # --- what is shown

    def show(
        self,
        job: Job | None,
        attempts: Sequence[Attempt],
        history: Sequence[Event],
        waiting: Waiting | None,
        now: datetime,
        *,
        environment: Mapping[str, str | None] | None = None,
        progress: RunProgress | None = None,
        tree: Tree | None = None,
        canary: int | None = None,
        found: Found | None = None,
    ) -> None:
        """Show a job as it is ``now``, whose time zone is the one of the times; the same job again keeps the place."""
        old, old_now = self._facts, self._now
        self._now = now
        self._facts = None
        if job is not None:
            told = (waiting, environment, progress, tree, canary, found)
            self._facts = Facts(job, tuple(attempts), tuple(history), *told)
        if self._facts == old and old_now is not None and int(old_now.timestamp()) == int(now.timestamp()):
            return  # ages and countdowns are in whole seconds
        if job is None or old is None or old.job.id != job.id:
            self._chosen = self._chosen_job = None
            self._move_to(0)
        if tree is None or old is None or tree != old.tree:
            self._tree = [] if tree is None else tree_lines(tree)
        self._rebuild()

    def tick(self, now: datetime) -> None:
        """Repaint the lines whose times have moved on."""
        if self._facts is None:
            return
        self._now = now
        old, new = self._lines, self._built()
        if len(old) != len(new):
            self._rebuild()
            return
        self._lines = new
        first = round(self.scroll_y)
        rows = range(first, min(len(new), first + self._height - 1))
        regions = [Region(0, row - first + 1, self._width, 1) for row in rows if old[row] != new[row]]
        if regions:
            self.refresh(*regions)

    def choose_attempt(self, number: int | None) -> None:
        """Point at an attempt and post no message: the one whose output is shown; ``None`` is the newest."""
        if number != self._chosen:
            self._chosen = number
            self._rebuild()

    @property
    def chosen_attempt(self) -> int | None:
        """Return the number of the attempt that is pointed at."""
        numbers = self._numbers()
        return self._chosen if self._chosen in numbers else numbers[0] if numbers else None

    @property
    def chosen_job(self) -> Job | None:
        """Return the job that is pointed at in the tree; ``None`` while another tab is shown."""
        if self.tab != "Tree" or self._facts is None:
            return None
        wanted = self._facts.job.id if self._chosen_job is None else self._chosen_job
        shown = {line.job.id: line.job for line in self._tree}
        return shown.get(wanted, shown.get(self._facts.job.id))

    @property
    def tab(self) -> str:
        """Return the name of the tab that is shown."""
        names = self._tab_names()
        return names[min(self._tab, len(names) - 1)] if names else ""

    def _rebuild(self) -> None:
        self._arrange()
        self.refresh(self.size.region)

    def _arrange(self) -> None:
        lines = self._built()
        if lines != self._lines:
            self._lines = lines
            self._sync_size()
            self._set_top(round(self.scroll_y))

    def _built(self) -> list[Line]:
        facts, now = self._facts, self._now
        if facts is None or now is None:
            return []  # the placeholder stands in the row of the tabs
        room, is_ascii = self._width, self._is_ascii
        if self.tab == "Attempts":
            chosen = self.chosen_attempt
            lines = detail_lines.attempts(facts, now, room, chosen, is_ascii=is_ascii)
            return lines + detail_lines.attempt_errors(facts, chosen, room)
        if self.tab == "History":
            return detail_lines.history(facts, now, room)
        if self.tab == "Tree":
            return self._tree_lines(facts, now)
        if self.tab == "Environment":
            return detail_lines.environment(facts, room)
        return detail_lines.overview(facts, now, room, is_ascii=is_ascii)

    def _tree_lines(self, facts: Facts, now: datetime) -> list[Line]:
        if facts.tree is None:
            return []  # it is being read
        signs, chosen = ASCII if self._is_ascii else UNICODE, self.chosen_job
        around = None if chosen is None else chosen.id
        left = left_out(facts.tree)
        return lines_of_tree(self._tree, left, now, self._width, signs, root=facts.job.id, chosen=around)

    # --- moving

    def next_tab(self) -> None:
        """Show the tab after, the first after the last."""
        self._go_to_tab(self._tab + 1)

    def previous_tab(self) -> None:
        """Show the tab before, the last before the first."""
        self._go_to_tab(self._tab - 1)

    def _go_to_tab(self, number: int) -> None:
        count = len(self._tab_names())
        if count:
            self._tab = number % count
            self._move_to(0)
            self._rebuild()
            self.post_message(self.TabChosen(self.tab))

    def step(self, rows: int) -> None:
        """Scroll down, or up when negative; among attempts and in the tree, choose the one so many lines further."""
        if self.tab == "Tree" and self._tree:
            self._choose_line(self._chosen_line + rows)
            return
        numbers = self._numbers()
        if self.tab != "Attempts" or self.chosen_attempt is None:
            self._move_to(round(self.scroll_y) + rows)
            return
        at = numbers.index(self.chosen_attempt)
        self._choose(numbers[min(max(0, at + rows), len(numbers) - 1)])

    def page(self, direction: int = 1, share: float = 1.0) -> None:
        """Go a share of a page down, or up when ``direction`` is negative."""
        rows = max(1, int((self._height - 2) * share))
        self.step(rows if direction > 0 else -rows)

    def home(self) -> None:
        """Go to the first line, or the newest attempt."""
        self.step(-(1 << 30))

    def end(self) -> None:
        """Go to the last line, or the oldest attempt."""
        self.step(1 << 30)

    def _choose(self, number: int) -> None:
        if number == self.chosen_attempt:
            return
        self._chosen = number
        self._rebuild()
        row = self._numbers().index(number) + 1  # below the heading
        self._keep_in_view(row, 0 if row == 1 else row)
        self.post_message(self.AttemptChosen(number))

    def _keep_in_view(self, row: int, highest: int) -> None:
        """Scroll as little as needed to show a row, no further down than to ``highest``."""
        self._move_to(min(max(round(self.scroll_y), row - self._height + 2), highest))

    @property
    def _chosen_line(self) -> int:
        """The line of the tree that is pointed at, from 0."""
        chosen = self.chosen_job
        return next((row for row, line in enumerate(self._tree) if chosen is not None and line.job.id == chosen.id), 0)

    def _choose_line(self, row: int) -> None:
        """Point at a line of the tree, or at the nearest there is."""
        row = min(max(0, row), len(self._tree) - 1)
        self._chosen_job = self._tree[row].job.id
        self._rebuild()
        self._keep_in_view(row, row)
        self.post_message(self.JobChosen())

    def _numbers(self) -> list[int]:
        if self._facts is None:
            return []
        return [attempt.number for attempt in reversed(self._facts.attempts[-detail_lines.ATTEMPTS_MAX :])]

    def _move_to(self, y: int) -> None:
        before = self.scroll_y
        self._set_top(y)
        if self.scroll_y != before:
            self.refresh(self.size.region)

    def _set_top(self, y: int) -> None:
        """Scroll to a line, or as near as there are lines, without a refresh."""
        top = float(min(max(0, y), max(0, len(self._lines) + 1 - self._height)))
        self.set_reactive(Widget.scroll_target_y, top)
        self.set_reactive(Widget.scroll_y, top)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = top

    def scroll_to(self, x: float | None = None, y: float | None = None, **how: object) -> None:
        """Go to a line at once: what the scroll bar asks for."""
        if y is not None:
            self._move_to(round(y))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._on_wheel(event, _WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._on_wheel(event, -_WHEEL_ROWS)

    def _on_wheel(self, event: events.MouseEvent, rows: int) -> None:
        event.stop()
        event.prevent_default()
        self._move_to(round(self.scroll_y) + rows)

    def on_click(self, event: events.Click) -> None:
        """Show the tab, or choose the attempt, that was clicked."""
        if event.y == 0:
            end = 0
            for number, text in enumerate(self._tab_texts()):
                end += width(text)
                if event.x < end:
                    self._go_to_tab(number)
                    return
        elif self.tab == "Attempts":
            row = round(self.scroll_y) + event.y - 2
            numbers = self._numbers()
            if 0 <= row < len(numbers):
                self._choose(numbers[row])
        elif self.tab == "Tree" and (row := round(self.scroll_y) + event.y - 1) < len(self._tree):
            self._choose_line(row)

    # --- painting

    def take_size(self) -> None:
        """Break the lines anew."""
        size = self.scrollable_content_region.size
        self._width, self._height = max(1, size.width), max(1, size.height)
        self._arrange()
        self._sync_size()

    def _sync_size(self) -> None:
        """Set how much the scroll bar covers, without the layout that setting ``virtual_size`` would cost."""
        rows = max(self._height, len(self._lines) + 1)
        self.set_reactive(Widget.virtual_size, Size(self._width, rows))
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = rows
            self.vertical_scrollbar.window_size = self._height

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if old_value != new_value:
            self.refresh(self.size.region)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def render_line(self, y: int) -> Strip:
        row = round(self.scroll_y) + y - 1
        if y == 0:
            line: Line = self._tab_line()
        elif row < len(self._lines):
            line = self._lines[row]
        else:
            line = ()
        segments = [Segment(text, self._style(name)) for text, name in line if text]
        base = self._style("chosen") if y and self._is_chosen(row) else self.rich_style
        return Strip(Segment.apply_style(segments, base)).adjust_cell_length(self._width, base)

    def _is_chosen(self, row: int) -> bool:
        if self.tab == "Tree":
            return 1 < len(self._tree) > row == self._chosen_line
        if self.tab != "Attempts" or not 1 <= row <= len(numbers := self._numbers()):
            return False
        return numbers[row - 1] == self.chosen_attempt

    def _style(self, name: str) -> Style:
        if not name:
            return Style.null()
        style = self._styles.get(name)
        if style is None:
            style = self.get_component_rich_style(f"detail--{name}")
            if name not in _WITH_BACKGROUND:
                style = Style(color=style.color, bold=style.bold, italic=style.italic, underline=style.underline)
            self._styles[name] = style
        return style

    def _tab_names(self) -> list[str]:
        return [name for name, _ in detail_lines.tabs(self._facts)] if self._facts is not None else []

    def _tab_texts(self) -> list[str]:
        if self._facts is None:
            return []
        tabs = list(detail_lines.tabs(self._facts))
        texts = [f" {name} {count} " if count else f" {name} " for name, count in tabs]
        if sum(map(width, texts)) > self._width:
            texts = [f" {name.replace('Environment', 'Env')} " for name, _ in tabs]
        return texts

    def _tab_line(self) -> Line:
        if self._facts is None:
            return ((clip(_PLACEHOLDER, self._width), "muted"),)
        current = self._tab_names().index(self.tab) if self.tab else 0
        parts = [
            part
            for number, text in enumerate(self._tab_texts())
            for part in ((" ", ""), (text.strip(), "current-tab" if number == current else "tab"), (" ", ""))
        ]
        hint = "[ ]"
        used = sum(width(text) for text, _ in parts)
        if parts and used + 4 <= self._width:
            parts += [(" " * (self._width - used - 3), ""), (hint, "muted")]
        return tuple((clip(text, self._width), name) for text, name in parts)
