"""The detail pane: its title and the tabs with all there is to know of one job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Container

from core.text import clean_line
from queuectl_tui.snapshot import JobDetail, RunProgress
from queuectl_tui.widgets.detail import Detail
from queuectl_tui.widgets.title import Title


class DetailBox(Container):
    """Joins title and detail."""

    def __init__(self, *, is_ascii: bool = False) -> None:
        super().__init__(id="detail-box", classes="box side-box")
        self.title = Title(6, "Detail", is_ascii=is_ascii)
        self.detail = Detail(is_ascii=is_ascii, id="detail")

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.detail

    def show(
        self, shown: JobDetail | None, now: datetime, number: int | None, progress: Mapping[int, RunProgress]
    ) -> None:
        """Show a job and its progress, by id, and point at its attempt ``number``; ``None`` is the newest one."""
        if shown is None:
            self.title.set_text("")
            self.detail.show(None, (), (), None, now)
            return
        job = shown.job
        self.title.set_text(str(job.id), more=clean_line(job.name or ""))
        times = now.astimezone()
        self.detail.show(
            job,
            shown.attempts,
            shown.history,
            shown.waiting,
            times,
            environment=shown.environment,
            progress=progress.get(job.id),
            tree=shown.tree,
            canary=shown.canary,
            found=shown.found,
        )
        self.detail.choose_attempt(number)
