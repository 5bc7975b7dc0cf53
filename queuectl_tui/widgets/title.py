"""The line over a pane: its digit and name, how many jobs, filter and order, and unseen jobs at the right."""

from __future__ import annotations

from textual import events
from textual.message import Message

from core.model import Counts, Sort
from core.wording import count
from queuectl_tui.snapshot import Pane, PaneData
from queuectl_tui.widgets.bar import Bar, BarPart


class Title(Bar):
    """A rule with words in it; the focused pane's is bright. A click on it goes to the pane."""

    class Clicked(Message):
        """A title was clicked."""

        def __init__(self, title: Title) -> None:
            super().__init__()
            self.title = title

    def __init__(self, digit: int | str, name: str, *, is_ascii: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, classes="title")
        self.digit = digit
        self._word = name
        self.is_ascii = is_ascii
        self.fill_character = "-" if is_ascii else "─"
        self._is_here = self._is_current = False
        self._parts: tuple[str, str, str, str] = ("", "", "", "muted")
        self._write()

    def highlight(self, *, is_here: bool, is_current: bool) -> None:
        """Be bright when the keys go to this pane; stand out when it is the list that has or had the focus last."""
        if (is_here, is_current) != (self._is_here, self._is_current):
            self._is_here, self._is_current = is_here, is_current
            self._write()

    def set_text(self, text: str = "", *, more: str = "", right: str = "", right_style: str = "muted") -> None:
        """Say something behind the name, more of it muted, and something at the right end."""
        parts = (text, more, right, right_style)
        if parts != self._parts:
            self._parts = parts
            self._write()

    def _write(self) -> None:
        text, more, right, right_style = self._parts
        fill = self.fill_character
        self.fill_style = "bright" if self._is_here else "fill"
        name_style = "key" if self._is_here else "strong" if self._is_current else "dim"
        left = [
            BarPart(fill * 2, self.fill_style),
            BarPart(f" {self.digit}", "key" if self._is_here else "dim"),
            BarPart(f" {self._word} ", name_style),
        ]
        if text:
            left.append(BarPart(f"{text} ", "told"))
        if more:
            left.append(BarPart(f"{more} ", "muted"))
        ends = [BarPart(f" {right} ", right_style, 1), BarPart(fill * 2, self.fill_style, 1)] if right else []
        self.show_parts(left, ends)

    def on_click(self, event: events.Click) -> None:
        """Report the click."""
        event.stop()
        self.post_message(self.Clicked(self))


def order_words(pane: Pane, sort: Sort, is_reversed: bool) -> str:
    """Return the order of a list in a word or two: ``next first``, ``newest first``, ``by command``."""
    if sort is Sort.DEFAULT:
        forward, backward = {
            Pane.PENDING: ("next first", "last first"),
            Pane.RUNNING: ("oldest first", "newest first"),
        }.get(pane, ("newest first", "oldest first"))
        return backward if is_reversed else forward
    return f"by {sort.value}, reversed" if is_reversed else f"by {sort.value}"


def list_words(data: PaneData, plain_total: int, kept_back: Counts, filter_words: str) -> tuple[str, str]:
    """Return what a list's title says: its count, and what is filtered, in these words, or how many cannot start yet.

    Those are counted in ``kept_back``.
    """
    if filter_words:
        found = count(data.total) + ("" if data.is_counted else "+")
        searched = "" if data.searched >= 1 else f" · searched {data.searched:.0%}"
        return found, f"of {count(plain_total)} · {filter_words}{searched}"
    kinds = ((kept_back.delayed, "delayed"), (kept_back.blocked, "blocked"))
    return count(plain_total), " ".join(f"· {count(number)} {word}" for number, word in kinds if number)
