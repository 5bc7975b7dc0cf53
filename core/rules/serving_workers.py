"""Which workers claim jobs of a queue, and why none of them does. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core.model import WorkerInfo

#: The most workers that a reason names.
_NAMED = 3


def serving_workers(workers: Sequence[WorkerInfo], queue_name: str) -> list[WorkerInfo]:
    """Return the workers that claim jobs of a queue once a slot of theirs is free."""
    return [worker for worker in workers if worker.is_alive and _why_not(worker, queue_name) is None]


def has_free_slot(workers: Sequence[WorkerInfo]) -> bool:
    """Return whether any of the workers runs fewer jobs than it has slots."""
    return any(worker.running < worker.slots for worker in workers)


def why_none(workers: Sequence[WorkerInfo], queue_name: str) -> str | None:
    """Return why no worker claims jobs of a queue, with what to do, in one line; ``None`` if one does."""
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        return "no worker is alive; start one with 'queuectl worker'"
    reasons = [(worker.id, reason) for worker in alive if (reason := _why_not(worker, queue_name)) is not None]
    if len(reasons) < len(alive):
        return None
    said = ", ".join(f"worker {worker_id} {reason}" for worker_id, reason in reasons[:_NAMED])
    more = ", …" if len(reasons) > _NAMED else ""
    return f"no worker takes jobs of queue {queue_name}: {said}{more}; start one with 'queuectl worker'"


def _why_not(worker: WorkerInfo, queue_name: str) -> str | None:
    if worker.stop_requested is not None:
        return "is stopping"
    if worker.queues and queue_name not in worker.queues:
        return f"serves {' and '.join(worker.queues)}"
    if worker.slots <= 0:
        return "has no slots"
    return None
