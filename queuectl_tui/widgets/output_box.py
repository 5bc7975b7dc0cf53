"""The output pane: its title, its search row and the view of the attempt's output."""

from __future__ import annotations

from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from core.errors import QueueError
from core.model import Attempt, Phase, State
from core.wording import count, duration, ending_words, size, until
from queuectl_tui.snapshot import JobDetail
from queuectl_tui.toasts import toast
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.title import Title

#: How often the output of a running job is looked at, in seconds.
TAIL_S = 0.1


class OutputBox(Vertical):
    """Joins title, search row and output view, and follows the output of a running job."""

    def __init__(self, *, is_ascii: bool = False) -> None:
        super().__init__(id="output-box", classes="box side-box")
        self.title = Title(5, "Output", is_ascii=is_ascii)
        self.search_bar = FilterBar(placeholder="text to look for in the output")
        self.view = OutputView(id="output")
        self.is_opening = False
        self._shown: tuple[JobDetail | None, str] | None = None
        self._tail: tuple[int, int] | None = None
        self._tail_timer: Timer | None = None
        self._is_ascii = is_ascii

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.view

    def on_mount(self) -> None:
        self._tail_timer = self.set_interval(TAIL_S, self._follow_tail, pause=True)

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
        if message.line is None:
            toast(self, f"No match for {message.text}", "warning")
        self._show_match_words()

    def on_output_view_matches_counted(self) -> None:
        """Write which of the matches is shown, now that they are counted."""
        self._show_match_words()

    def _show_match_words(self) -> None:
        if self.search_bar.is_open:
            self.search_bar.show_note(self.view.matches.words)
        self.write_title()

    # --- what it shows

    def show(self, detail: JobDetail | None, now: datetime) -> None:
        """Show the output of an attempt; the view stays where it is while that is the same attempt."""
        if self._tail_timer is not None:
            if detail is not None and detail.job.state is State.RUNNING:
                self._tail_timer.resume()
            else:
                self._tail_timer.pause()  # ten wake-ups a second for nothing are half of what an idle dashboard costs
        footer = footer_text(detail, now, is_ascii=self._is_ascii)
        if self._shown != (detail, footer):
            self._shown = (detail, footer)
            output = detail.output if detail is not None else None
            self.view.show(output, placeholder=placeholder_text(detail), footer=footer)
        self.write_title()

    def tick(self, now: datetime) -> None:
        """Repaint the footer line if its times have moved on."""
        self.show(self._shown[0] if self._shown is not None else None, now)

    def _follow_tail(self) -> None:
        """Show what a running attempt has written since; nothing is painted when that is nothing."""
        detail = self._shown[0] if self._shown is not None else None
        if detail is None or detail.output is None:
            return
        try:
            tail = (detail.output.attempt.id, detail.output.size())
        except (OSError, QueueError):
            return
        if tail != self._tail:
            self._tail = tail
            self.view.refresh_tail()
            self.write_title()

    def write_title(self) -> None:
        """Write job, attempt and where the view is into the title."""
        detail = self._shown[0] if self._shown is not None else None
        if detail is None:
            self.title.set_text("")
            return
        job_id = str(detail.job.id)
        more = f"· attempt {detail.number}" if detail.number is not None else ""
        if detail.number is not None and len(detail.attempts) > 1:
            more += f" of {detail.attempts[-1].number}"
        if detail.compared_with is not None:
            more += f" against {detail.compared_with}"
        if detail.output is None:
            self.title.set_text(job_id, more=more)
            return
        attempt = shown_attempt(detail)
        is_live = attempt is not None and attempt.ended_at is None and self.view.is_following
        is_live = is_live and detail.compared_with is None
        right = "FOLLOW" if is_live else count(self.view.line_count, "line")
        if not self.view.is_following:
            right = f"line {count(self.view.top_line + 1)} of {count(self.view.line_count)}"
        if self.view.matches.words:
            right = f"match {self.view.matches.words}"
        if self.view.is_wrapped:
            right = f"wrap · {right}"
        self.title.set_text(job_id, more=more, right=right, right_style="accent" if is_live else "muted")

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


def shown_attempt(detail: JobDetail | None) -> Attempt | None:
    """Return the attempt whose output is shown."""
    if detail is None:
        return None
    return next((attempt for attempt in detail.attempts if attempt.number == detail.number), None)


def placeholder_text(detail: JobDetail | None) -> str:
    """Return what stands where there is no output."""
    if detail is None:
        return "No job under the cursor."
    attempt = shown_attempt(detail)
    if attempt is None:
        return "Job has not started."
    return "No output yet." if attempt.ended_at is None else "No output."


def footer_text(detail: JobDetail | None, now: datetime, *, is_ascii: bool = False) -> str:
    """Return the line behind the output: how the attempt ended and what follows."""
    attempt = shown_attempt(detail)
    if detail is None or attempt is None or attempt.ended_at is None:
        return ""
    parts = [ending_words(attempt)]
    if attempt.run_s is not None:
        parts.append(duration(attempt.run_s))
    if attempt.output_bytes:
        parts.append(size(attempt.output_bytes))
    job = detail.job
    is_newest = attempt.number == detail.attempts[-1].number
    if is_newest and job.state is State.PENDING and job.run_at is not None and job.phase(now) is Phase.RETRYING:
        parts.append(f"next attempt {until(job.run_at, now)} ({job.attempts + 1} of {job.max_attempts})")
    elif is_newest and job.state is State.DEAD:
        parts.append("dead: r retries, E edits")
    dash = "--" if is_ascii else "—"
    return f"{dash} {(' - ' if is_ascii else ' · ').join(parts)} {dash}"
