"""Which job and attempt the detail and the output show: the cursor's, unless another job is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.model import Job
from queuectl_tui.gateway.gateway import DetailRequest
from queuectl_tui.snapshot import JobDetail

if TYPE_CHECKING:
    from queuectl_tui.gateway.gateway import Gateway


class ShownJob:
    """Asks the gateway for the detail of one job at a time, and knows whether it has come.

    While ``is_pinned`` the job stays, whatever the cursor does.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._newest: JobDetail | None = None
        self._listed: Job | None = None
        self.request: DetailRequest | None = None
        self.is_pinned = False
        self._has_tree = False
        self._sought = ""

    @property
    def detail(self) -> JobDetail | None:
        """The detail of the job that was asked for last; ``None`` while it is still being read."""
        newest, request = self._newest, self.request
        return newest if newest is not None and request is not None and newest.job.id == request.job_id else None

    @property
    def job(self) -> Job | None:
        """The shown job: from its detail, or as its list had it; ``None`` when neither is known."""
        detail = self.detail
        return self._listed if detail is None else detail.job

    def show(self, job_id: int, number: int | None = None, *, is_compared: bool = False) -> None:
        """Show a job and the output of its attempt ``number``; ``None`` is the newest one.

        With ``is_compared`` as it differs from that of the attempt before.
        """
        if self._listed is not None and self._listed.id != job_id:
            self._listed = None
        request = DetailRequest(job_id, number, is_compared, self._has_tree, self._sought)
        if request != self.request:
            self.request = request
            self._gateway.reader.show_detail(request)

    def show_tree(self, is_shown: bool) -> None:
        """Have the tree of what waits for what read with each job from now on, or no longer."""
        self._has_tree = is_shown
        self._show_again()

    def look_for(self, sought: str) -> None:
        """Have the lines read that show a text or a ``/regex/`` in the outputs of each job from now on; "" for none."""
        if sought != self._sought:
            self._sought = sought
            self._show_again()

    def _show_again(self) -> None:
        if self.request is not None:
            self.show(self.request.job_id, self.request.number, is_compared=self.request.is_compared)

    def pin(self, job_id: int) -> None:
        """Show a job, and keep it until ``is_pinned`` is taken back."""
        self.show(job_id)
        self.is_pinned = True

    def follow(self, job: Job | None, *, is_list_empty: bool) -> None:
        """Show the job under the cursor, and none in an empty list; nothing changes while a job is pinned."""
        if self.is_pinned:
            return
        if job is not None:
            self._listed = job
            self.show(job.id)
        elif self.request is not None and is_list_empty:
            self._listed = self.request = None
            self._gateway.reader.show_detail(None)

    def receive(self, newest: JobDetail | None) -> None:
        """Note the detail in the newest snapshot; it may still be that of the job shown before."""
        self._newest = newest

    def step_attempt(self, step: int) -> str | None:
        """Show the output of an attempt so many later, or earlier when negative; return why there is none."""
        detail = self.detail
        if detail is None or not detail.attempts:
            return "This job has no attempt yet."
        numbers = [attempt.number for attempt in detail.attempts]
        # from the one that was asked for: while it is still being read, a key typed ahead counts
        asked = None if self.request is None else self.request.number
        index = numbers.index(asked) if asked in numbers else len(numbers) - 1
        if not 0 <= index + step < len(numbers):
            return f"There is no {'later' if step > 0 else 'earlier'} attempt."
        number = numbers[index + step]
        is_compared = self.request is not None and self.request.is_compared
        self.show(detail.job.id, None if number == numbers[-1] else number, is_compared=is_compared)
        return None

    def toggle_comparison(self) -> str | None:
        """Compare the output with that of the attempt before, or show it alone again; return why that cannot be."""
        detail, request = self.detail, self.request
        if request is None:
            return "=: there is no job to compare attempts of"
        if detail is not None and not request.is_compared:  # while it is still being read, a key typed ahead counts
            if not detail.attempts:
                return "=: this job has no attempt yet"
            if (request.number or detail.number) == detail.attempts[0].number:
                return "=: there is no attempt before the first to compare it with"
        self.show(request.job_id, request.number, is_compared=not request.is_compared)
        return None
