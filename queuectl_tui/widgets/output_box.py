"""The output pane: the output of one attempt of the shown job, and what its title and its last line say."""

from __future__ import annotations

from datetime import datetime

from textual.timer import Timer

from core.errors import QueueError
from core.model import Attempt, Phase, State
from core.wording import duration, ending_words, size, until
from queuectl_tui.snapshot import JobDetail
from queuectl_tui.widgets.output_view import OutputView
from queuectl_tui.widgets.reading_box import ReadingBox
from queuectl_tui.widgets.title import Title

#: How often the output of a running job is looked at, in seconds.
TAIL_S = 0.1


class OutputBox(ReadingBox):
    """Shows the output of one attempt of the shown job, and follows it while it runs."""

    def __init__(self, *, is_read_only: bool = False, is_ascii: bool = False) -> None:
        title = Title(5, "Output", is_ascii=is_ascii)
        super().__init__(title, OutputView(id="output"), id="output-box", classes="box side-box")
        self._shown: tuple[JobDetail | None, str] | None = None
        self._tail: tuple[int, int] | None = None
        self._tail_timer: Timer | None = None
        self._is_read_only = is_read_only
        self._is_ascii = is_ascii

    def on_mount(self) -> None:
        self._tail_timer = self.set_interval(TAIL_S, self._follow_tail, pause=True)

    def show(self, detail: JobDetail | None, now: datetime) -> None:
        """Show the output of an attempt; the view stays where it is while that is the same attempt."""
        if self._tail_timer is not None:
            if detail is not None and detail.job.state is State.RUNNING:
                self._tail_timer.resume()
            else:
                self._tail_timer.pause()  # ten wake-ups a second for nothing are half of what an idle dashboard costs
        footer = footer_text(detail, now, is_read_only=self._is_read_only, is_ascii=self._is_ascii)
        if self._shown != (detail, footer):
            self._shown = (detail, footer)
            output = detail.output if detail is not None else None
            is_other = self.view.show(output, placeholder=placeholder_text(detail), footer=footer)
            if is_other and self.sought and not self.search_bar.is_open:
                self.view.search_from_start(self.sought)
        self.write_title()

    def look_for(self, text: str) -> None:
        """Mark a text that a filter found in outputs, and go to the first line that shows it; "" is none.

        So in each output that is shown from now on, until a user looks for something else in it.
        """
        if text == self.sought:
            return
        is_marked, self.sought = self.view.matches.text == self.sought, text
        if is_marked and not self.search_bar.is_open:
            self.view.search_from_start(text)

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
        right, style = self.title_end(is_live=is_live)
        self.title.set_text(job_id, more=more, right=right, right_style=style)


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


def footer_text(detail: JobDetail | None, now: datetime, *, is_read_only: bool = False, is_ascii: bool = False) -> str:
    """Return the line behind the output: how the attempt ended and what follows, or which keys make it go on."""
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
        parts.append("dead" if is_read_only else "dead: r replays, E edits")
    dash = "--" if is_ascii else "—"
    return f"{dash} {(' - ' if is_ascii else ' · ').join(parts)} {dash}"
