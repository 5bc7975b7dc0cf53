"""The output pane: its title, its search row and the view of the attempt's output."""

from __future__ import annotations

from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical

from core.errors import QueueError
from core.model import Attempt, Outcome, Phase, State
from core.text import clean_line
from queuectl_tui.format import count, countdown, duration, plural, size
from queuectl_tui.snapshot import JobDetail
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.title import Title


class OutputBox(Vertical):
    """Joins title, search row and output view."""

    def __init__(self, *, is_ascii: bool = False) -> None:
        super().__init__(id="output-box", classes="box side-box")
        self.title = Title(5, "Output", is_ascii=is_ascii)
        self.search_bar = FilterBar(placeholder="text to look for in the output")
        self.view = OutputView(id="output")
        self.is_opening = False
        self._shown: tuple[JobDetail | None, str] | None = None
        self._tail: tuple[int, int] | None = None
        self._is_ascii = is_ascii

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.view

    def add_row(self) -> None:
        """Add the hidden search row."""
        if self.is_attached and not self.search_bar.is_attached:
            self.mount(self.search_bar, after=self.title)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Look for what was typed so far."""
        message.stop()
        self.view.search(message.text)

    def on_filter_bar_submitted(self, message: FilterBar.Submitted) -> None:
        """Keep the matches lit."""
        message.stop()
        if message.text != self.view.query_text:
            self.view.search(message.text)

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        """Look for nothing any more."""
        message.stop()
        self.view.search("")

    def show(self, detail: JobDetail | None, now: datetime) -> None:
        """Show the output of an attempt; the place in it is kept while it is the same one."""
        footer = footer_text(detail, now, is_ascii=self._is_ascii)
        if self._shown != (detail, footer):
            self._shown = (detail, footer)
            output = detail.output if detail is not None else None
            self.view.show(output, placeholder=placeholder_text(detail), footer=footer)
        self.say(detail)

    def follow_tail(self, detail: JobDetail) -> None:
        """Show what a running attempt has written since; nothing is painted when that is nothing."""
        if detail.output is None:
            return
        try:
            tail = (detail.output.attempt.id, detail.output.size())
        except (OSError, QueueError):
            return
        if tail != self._tail:
            self._tail = tail
            self.view.refresh_tail()
            self.say(detail)

    def say(self, detail: JobDetail | None) -> None:
        """Write the title."""
        if detail is None:
            self.title.say("")
            return
        told = str(detail.job.id)
        more = f"· attempt {detail.number}" if detail.number is not None else ""
        if detail.number is not None and len(detail.attempts) > 1:
            more += f" of {detail.attempts[-1].number}"
        if detail.output is None:
            self.title.say(told, more=more)
            return
        attempt = shown_attempt(detail)
        is_live = attempt is not None and attempt.ended_at is None and self.view.is_following
        right = "FOLLOW" if is_live else plural(self.view.line_count, "line")
        if not self.view.is_following:
            right = f"line {count(self.view.top_line + 1)} of {count(self.view.line_count)}"
        if self.view.is_wrapped:
            right = f"wrap · {right}"
        self.title.say(told, more=more, right=right, right_style="accent" if is_live else "muted")

    def open_search(self) -> None:
        """Let the person type what to look for, at once or as soon as the row is there."""
        self.is_opening = not self.search_bar.is_ready
        if self.search_bar.is_ready:
            self.search_bar.open(self.view.query_text)
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
        parts.append(f"{countdown(job.run_at, now, 'next attempt')} ({job.attempts + 1} of {job.max_attempts})")
    elif is_newest and job.state is State.DEAD:
        parts.append("dead: r retries, E edits")
    dash = "--" if is_ascii else "—"
    return f"{dash} {(' - ' if is_ascii else ' · ').join(parts)} {dash}"


def ending_words(attempt: Attempt) -> str:
    """Return how an attempt ended in a few words: ``exit 1``, ``signal 9``, ``timed out``."""
    if attempt.outcome is None:
        return "running"
    if attempt.error:
        return clean_line(attempt.error)
    if attempt.outcome in (Outcome.SUCCEEDED, Outcome.FAILED) and attempt.exit_code is not None:
        return f"exit {attempt.exit_code}"
    if attempt.outcome is Outcome.SIGNALLED and attempt.signal is not None:
        return f"signal {attempt.signal}"
    return attempt.outcome.value.replace("_", " ")
