"""Queues with very many jobs, built once for all benchmarks that need one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from core.model import NewJob
from core.queue import Queue

_CHUNK = 100_000


def fill(queue: Queue, count: int, *, name: str = "default", is_delayed: bool = False) -> None:
    """Add many jobs, in batches: due ones, or ones of higher priority that are due next year."""
    run_at = datetime.now(timezone.utc) + timedelta(days=365) if is_delayed else None
    for begin in range(0, count, _CHUNK):
        queue.enqueue_many(_jobs(range(begin, min(begin + _CHUNK, count)), name, run_at))


def _jobs(numbers: range, name: str, run_at: datetime | None) -> Iterator[NewJob]:
    for number in numbers:
        yield NewJob(f"encode film-{number}.mov", queue=name, priority=0 if run_at is None else 9, run_at=run_at)
