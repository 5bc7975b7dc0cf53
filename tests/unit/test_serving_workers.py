"""Which workers take jobs of a queue, and why none does: the whole table."""

from __future__ import annotations

import pytest

from core.clock import to_datetime
from core.model import WorkerInfo
from core.rules.serving_workers import has_free_slot, serving_workers, why_none

_NO_ONE = "no worker is alive; start one with 'queuectl worker'"


def _worker(number: int = 1, *, queues: tuple[str, ...] = (), slots: int = 1, **others: object) -> WorkerInfo:
    fields: dict[str, object] = {"is_alive": True, "stop_requested": None, "running": 0, **others}
    return WorkerInfo(number, 1, "host", slots, queues, to_datetime(0), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("workers", "reason"),
    [
        ([], _NO_ONE),
        ([_worker(is_alive=False)], _NO_ONE),
        ([_worker()], None),
        ([_worker(queues=("default", "media"))], None),
        ([_worker(running=1)], None),
        ([_worker(queues=("a", "b"))], "worker 1 serves a and b"),
        ([_worker(stop_requested="drain")], "worker 1 is stopping"),
        ([_worker(slots=0)], "worker 1 has no slots"),
        ([_worker(stop_requested="now"), _worker(2, queues=("a",))], "worker 1 is stopping, worker 2 serves a"),
        ([_worker(n, slots=0) for n in range(1, 9)], "worker 3 has no slots, …"),
        ([_worker(slots=0), _worker(2)], None),
        ([_worker(is_alive=False), _worker(2, slots=0)], "queue default: worker 2 has no slots"),
    ],
)
def test_why_no_worker_takes_a_job(workers: list[WorkerInfo], reason: str | None) -> None:
    """One that does is enough; else each living one with its reason, and what to do."""
    said = why_none(workers, "default")
    if reason is None:
        assert said is None
        assert serving_workers(workers, "default") != []
    else:
        assert said is not None
        assert reason in said
        assert said.endswith("; start one with 'queuectl worker'")
        assert serving_workers(workers, "default") == []


def test_a_slot_is_free_where_less_runs_than_may() -> None:
    """Of any worker."""
    assert has_free_slot([_worker(running=1), _worker(2, slots=2, running=1)])
    assert not has_free_slot([_worker(running=1), _worker(2, slots=1, running=2)])
