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

    def show(self, job_id: int, number: int | None = None) -> None:
        """Show a job and the output of its attempt ``number``; ``None`` is the newest one."""
        if self._listed is not None and self._listed.id != job_id:
            self._listed = None
        request = DetailRequest(job_id, number)
        if request != self.request:
            self.request = request
            self._gateway.show_detail(request)

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
            self._gateway.show_detail(None)

    def receive(self, newest: JobDetail | None) -> None:
        """Note the detail in the newest snapshot; it may still be that of the job shown before."""
        self._newest = newest

    def step_attempt(self, step: int) -> str | None:
        """Show the output of an attempt so many later, or earlier when negative; return why there is none."""
        detail = self.detail
        if detail is None or not detail.attempts:
            return "This job has no attempt yet."
        numbers = [attempt.number for attempt in detail.attempts]
        index = numbers.index(detail.number) if detail.number in numbers else len(numbers) - 1
        if not 0 <= index + step < len(numbers):
            return f"There is no {'later' if step > 0 else 'earlier'} attempt."
        number = numbers[index + step]
        self.show(detail.job.id, None if number == numbers[-1] else number)
        return None
