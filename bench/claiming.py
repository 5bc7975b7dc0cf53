"""What one claim costs, with few and with very many jobs in the way; and lists over the same million jobs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from statistics import median

from bench.filled import fill
from bench.lines import Line, Scale, Target
from bench.place import scratch
from core.model import NewJob, Sort, State, Term, View
from core.queue import Queue
from core.rules.settings import Settings
from core.storage.values import ClaimCapacity, StepTerms
from tests.sqlite import sqlite_of

_WARM_UP = 20


def run(scale: Scale) -> Iterable[Line]:
    """Yield a line for each crowd, the cost relative to a queue of 1,000, then the lists over the largest one."""
    with contextlib.ExitStack() as stack:
        queues = _crowds(stack, scale)
        names = list(queues)
        costs = _alternate(queues, scale.claims)
        base = median(costs[names[0]])
        yield Line("claim", f"one claim, {names[0]}", base, "µs", note="the whole transaction, commit included")
        for name in names[1:]:
            cost = median(costs[name])
            yield Line("claim", f"one claim, {name}", cost, "µs", names[0], base, cost / base, Target(False, 1.3))
        yield from _paused(scale, queues[names[2]], queues[names[0]], names[0])
        yield from _lists(scale, queues[names[2]])


def _crowds(stack: contextlib.ExitStack, scale: Scale) -> dict[str, Queue]:
    directory = stack.enter_context(scratch())
    queues: dict[str, Queue] = {}
    for count in (scale.small_queue, scale.middle_queue, scale.large_queue):
        queue = queues[f"{count:,} waiting"] = stack.enter_context(Queue(os.path.join(directory, f"{count}.db")))
        fill(queue, count)
    name = f"{scale.delayed:,} delayed of higher priority"
    queue = queues[name] = stack.enter_context(Queue(os.path.join(directory, "delayed.db")))
    fill(queue, scale.small_queue)
    fill(queue, scale.delayed, is_delayed=True)
    return queues


def _paused(scale: Scale, crowded: Queue, small: Queue, base_name: str) -> Iterable[Line]:
    """Measure a small open queue behind the large one, which is paused now."""
    crowded.pause("default")
    crowded.enqueue_many(NewJob("true", queue="open") for _ in range(scale.claims + _WARM_UP + scale.small_queue))
    name = f"{scale.large_queue:,} in a paused queue"
    costs = _alternate({base_name: small, name: crowded}, scale.claims)
    cost, base = median(costs[name]), median(costs[base_name])
    yield Line("claim", f"one claim, {name}", cost, "µs", base_name, base, cost / base, Target(False, 1.3))


def _alternate(queues: dict[str, Queue], count: int) -> dict[str, list[float]]:
    """Claim one job of each queue in turn, many times; return the microseconds of each claim."""
    costs: dict[str, list[float]] = {name: [] for name in queues}
    for number in range(count + _WARM_UP):
        for name, queue in queues.items():
            took_us = _claim_us(queue)
            if number >= _WARM_UP:
                costs[name].append(took_us)
    return costs


def _claim_us(queue: Queue) -> float:
    began = time.perf_counter()
    terms = StepTerms(Settings(), is_durable=False)
    done = queue.storage.attempts().record_and_claim([], ClaimCapacity(1, 1), lambda claim: None, terms)
    took_us = (time.perf_counter() - began) * 1e6
    if len(done.claimed) != 1:
        raise RuntimeError("there was nothing to claim")
    return took_us


# --- lists


def _lists(scale: Scale, queue: Queue) -> Iterable[Line]:
    """Measure what a pane asks of a million jobs, against paging by OFFSET where that is what others do."""
    view = View((State.PENDING,))
    filtered = View((State.PENDING,), (Term("text", "film-99"),))
    half = scale.large_queue // 2
    key = queue.key_at(view, half)
    size = f"{scale.large_queue:,} jobs"
    offset = _milliseconds(
        lambda: (
            sqlite_of(queue)
            .connection()
            .execute("SELECT * FROM jobs ORDER BY id LIMIT 100 OFFSET ?", (half,))
            .fetchall()
        )
    )
    yield Line("list", f"first page of {size}", _milliseconds(lambda: queue.rows(view)), "ms")
    deep = _milliseconds(lambda: queue.rows(view, after=key))
    yield Line("list", f"page from the middle of {size}", deep, "ms", "paging by OFFSET", offset, deep / offset)
    yield Line("list", f"last page of {size}", _milliseconds(lambda: queue.last_rows(view)), "ms")
    yield Line("list", f"count of {size}", _milliseconds(lambda: queue.count(view)), "ms")
    yield Line("list", f"count with a text filter, {size}", _milliseconds(lambda: queue.count(filtered), 3), "ms")
    yield Line("list", f"jump to the middle of {size}", _milliseconds(lambda: queue.key_at(view, half), 5), "ms")
    by_command = View((State.PENDING,), sort=Sort.COMMAND)
    yield Line("list", f"first page by command, {size}", _milliseconds(lambda: queue.rows(by_command), 3), "ms")


def _milliseconds(act: Callable[[], object], times: int = 11) -> float:
    found: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1000)
    return median(found)
