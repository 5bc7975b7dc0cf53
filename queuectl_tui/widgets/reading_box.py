"""A view of output under its title, with a row to search in: one job's, or that of all running jobs."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from core.wording import count
from queuectl_tui.line_search import is_too_slow
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.title import Title


class ReadingBox(Vertical):
    """Joins a title, a row to search in, and a view of output; a subclass says what is in the title."""

    def __init__(self, title: Title, view: OutputView, *, id: str, classes: str) -> None:
        super().__init__(id=id, classes=classes)
        self.title = title
        self.view = view
        self.search_bar = FilterBar(placeholder="text or /regex/ to look for in the output")
        self.is_opening = False
        #: What is looked for because a filter found it in outputs, maybe in that of another attempt.
        self.sought = ""

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.view

    def write_title(self) -> None:
        """Write what is shown, and where the view is, into the title."""
        raise NotImplementedError

    def add_row(self) -> None:
        """Add the hidden search row."""
        if self.is_attached and not self.search_bar.is_attached:
            self.mount(self.search_bar, after=self.title)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Look for what was typed so far."""
        message.stop()
        self.view.search(message.text)

    def on_filter_bar_submitted(self, message: FilterBar.Submitted) -> None:
        """Keep the matches highlighted."""
        message.stop()
        if message.text != self.view.matches.text:
            self.view.search(message.text)

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        """Look for nothing any more."""
        message.stop()
        self.view.search("")

    def on_output_view_follow_changed(self) -> None:
        """Write into the title whether the end is followed."""
        self.write_title()

    def on_output_view_search_ended(self, message: OutputView.SearchEnded) -> None:
        """Report that there is no match, and write where the view is into the title."""
        if message.line is None and message.text != self.sought:
            is_slow = is_too_slow(message.text)
            said = f"{message.text} takes too long to look for" if is_slow else f"No match for {message.text}"
            toast(self, said, "warning")
        self._show_match_words()

    def on_output_view_matches_counted(self) -> None:
        """Write which of the matches is shown, now that they are counted."""
        self._show_match_words()

    def _show_match_words(self) -> None:
        if self.search_bar.is_open:
            self.search_bar.show_note(self.view.matches.words)
        self.write_title()

    def title_end(self, *, is_live: bool) -> tuple[str, str]:
        """Return what stands at the right of the title, and its style: where the view is, or which match it shows."""
        right = "FOLLOW" if is_live else count(self.view.line_count, "line")
        if not self.view.is_following:
            right = f"line {count(self.view.top_line + 1)} of {count(self.view.line_count)}"
        if self.view.matches.words:
            right = f"match {self.view.matches.words}"
        if self.view.is_wrapped:
            right = f"wrap · {right}"
        return right, "accent" if is_live else "muted"

    # --- keys

    def toggle_wrap(self) -> None:
        """Fold long lines, or cut them."""
        self.view.toggle_wrap()
        self.write_title()

    def find(self, key: str, direction: int) -> None:
        """Go to the next match of the search, or the one before when ``direction`` is negative, for a key."""
        if not self.view.matches.text:
            toast(self, f"{key}: search first, with /", "warning")
        elif direction > 0:
            self.view.find_next()
        else:
            self.view.find_previous()

    def open_search(self) -> None:
        """Open the row for the text to look for, at once or as soon as the row is there."""
        self.is_opening = not self.search_bar.is_ready
        if self.search_bar.is_ready:
            self.search_bar.open(self.view.matches.text)
            self.post_message(FilterBar.Opened())
        elif self.is_attached:  # while the program ends there will be none
            self.add_row()
            self.call_later(self.open_search)
