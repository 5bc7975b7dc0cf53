"""Work that waits for work: what it costs those who wait for nothing, and how long much of it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from bench.lines import Line, Scale, Target
from bench.place import scratch
from core.model import Ending, NewJob, Outcome
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, StepTerms

#: How many lanes of resources there are, queues that are paused, and queues that are full.
_LANES, _PAUSED, _FULL = 500, 100, 50
#: How long the chain is whose last job asks why it waits.
_CHAIN = 10_000
_ENDED = Ending(Outcome.SUCCEEDED, exit_code=0, run_ms=1, output=b"")


class _Turns:
    """A queue, and a worker's steps on it without commands: each records what the one before claimed."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._attempts = queue.storage.attempts()
        self._terms = StepTerms(queue.settings(), False, False)
        self._worker = queue.storage.workers.register(slots=1, queues=()).id
        self.claimed: Sequence[Claim] = ()

    def step(self, slots: int = 1) -> float:
        """Do one step; return how long it took, in microseconds."""
        endings = [(claim, _ENDED) for claim in self.claimed]
        began = time.perf_counter()
        done = self._attempts.record_and_claim(
            endings, ClaimCapacity(self._worker, slots, ()), lambda claim: None, self._terms
        )
        took = (time.perf_counter() - began) * 1e6
        self.claimed = done.claimed
        return took


def run(scale: Scale) -> Iterator[Line]:
    """Yield the lines: turns beside what waits, ends that free many, batches that wait, and long chains."""
    with scratch() as directory:
        yield from _turns(directory, scale)
        for dependents, bound_ms in ((100, 5), (10_000, 20)):
            yield _end(directory, dependents, bound_ms)
        yield from _batches(directory, scale)
        yield from _chain(directory)


# --- turns


def _turns(directory: str, scale: Scale) -> Iterable[Line]:
    kinds: dict[str, tuple[Callable[[Queue, int], None], float]] = {
        "nobody waits": (_plain, 0),
        f"{_LANES} need sets blocked, of higher priority": (_blocked_lanes, 1.3),
        "all at once: paused, full, blocked, held, delayed": (_everything, 1.4),
        f"{_LANES} need sets that fit, each turn takes one": (_fitting_lanes, 2.0),
    }
    turns = {}
    for number, (what, (fill, _)) in enumerate(kinds.items()):
        turns[what] = _Turns(Queue(os.path.join(directory, f"turns{number}.db")))
        fill(turns[what].queue, scale.claims)
        for _ in range(20):
            turns[what].step()
    costs: dict[str, list[float]] = {what: [] for what in kinds}
    for _ in range(scale.claims):  # alternately, so that all meet the same machine
        for what, one in turns.items():
            costs[what].append(one.step())
    for one in turns.values():
        one.queue.close()
    base_name, *others = kinds
    base = median(costs[base_name])
    yield Line("waiting", f"one turn, {base_name}", base, "µs", note="record one, claim one, commit included")
    for what in others:
        cost, bound = median(costs[what]), kinds[what][1]
        yield Line("waiting", f"one turn, {what}", cost, "µs", base_name, base, cost / base, Target(False, bound))


def _plain(queue: Queue, turns: int) -> None:
    queue.enqueue_many(NewJob("true") for _ in range(turns + 50))


def _blocked_lanes(queue: Queue, turns: int) -> None:
    """Each set needs a lock of its own and one that none can have."""
    _plain(queue, turns)
    queue.set_resource("closed", 0)
    queue.enqueue_many(NewJob("true", priority=1, needs={"closed": 1, f"r{lane}": 1}) for lane in range(_LANES))


def _everything(queue: Queue, turns: int) -> None:
    _blocked_lanes(queue, turns)
    first = queue.add("true", is_held=True, priority=2)
    for number in range(_PAUSED + _FULL):
        name = f"q{number}"
        queue.add("true", queue=name, priority=1)
        if number < _PAUSED:
            queue.pause(name)
        else:
            queue.limit(name, 0)
    queue.enqueue_many(NewJob("true", after=[first], priority=1) for _ in range(turns))
    queue.enqueue_many(NewJob("true", is_held=True, priority=1) for _ in range(turns))


def _fitting_lanes(queue: Queue, turns: int) -> None:
    queue.enqueue_many(NewJob("true", needs={f"r{number % _LANES}": 1}) for number in range(turns + 50 + _LANES))


# --- ends, batches, chains


def _end(directory: str, dependents: int, bound_ms: float) -> Line:
    with Queue(os.path.join(directory, f"end{dependents}.db")) as queue:
        needed = queue.add("true", priority=1)
        queue.enqueue_many(NewJob("true", after=[needed]) for _ in range(dependents))
        turns = _Turns(queue)
        turns.step()
        longest, slots = 0.0, 0
        while queue.counts().blocked:
            longest = max(longest, turns.step(slots))
    what = f"the end of a job that {dependents:,} wait for, longest transaction"
    return Line("waiting", what, longest / 1000, "ms", target=Target(False, bound_ms, "ms"))


def _batches(directory: str, scale: Scale) -> Iterable[Line]:
    number = scale.batch_lines
    kinds: dict[str, Callable[[Queue], object]] = {
        "plain": lambda queue: queue.enqueue_many(NewJob("true") for _ in range(number)),
        "in a chain": lambda queue: queue.enqueue_many((NewJob("true") for _ in range(number)), chain=True),
        "in ten fan-ins": lambda queue: queue.enqueue_many(_fan_ins(number)),
    }
    times: dict[str, list[float]] = {what: [] for what in kinds}
    for round_number in range(scale.rounds):
        for what, add in kinds.items():
            with Queue(os.path.join(directory, f"batch{round_number}{what}.db")) as queue:
                began = time.perf_counter()
                add(queue)
                times[what].append(time.perf_counter() - began)
            os.unlink(queue.path)
    base = median(times["plain"])
    for what, bound in (("in a chain", 1.2), ("in ten fan-ins", 1.8)):
        cost = median(times[what])
        title = f"enqueue of {number:,} jobs {what}"
        yield Line("waiting", title, cost, "s", "waiting for nothing", base, cost / base, Target(False, bound))


def _fan_ins(number: int) -> Iterator[NewJob]:
    """Yield ten groups of jobs, and behind each one that waits for all of its group."""
    size = number // 10 - 1
    for group in range(10):
        names = [f"{group}.{one}" for one in range(size)]
        yield from (NewJob("true", ref=name) for name in names)
        yield NewJob("true", after=names)


def _chain(directory: str) -> Iterable[Line]:
    with Queue(os.path.join(directory, "chain.db")) as queue:
        ids = queue.enqueue_many((NewJob("true", max_attempts=1) for _ in range(_CHAIN)), chain=True)
        queue.cancel(ids[0])
        times = []
        for _ in range(9):
            began = time.perf_counter()
            queue.waiting(ids[-1])
            times.append((time.perf_counter() - began) * 1000)
        what = f"why the last of a chain of {_CHAIN:,} waits"
        yield Line("waiting", what, median(times), "ms", target=Target(False, 5, "ms"))
        began = time.perf_counter()
        queue.retry(ids[0], with_dependents=True)
        what = f"retry of a chain of {_CHAIN:,} with dependents"
        yield Line("waiting", what, time.perf_counter() - began, "s", target=Target(False, 0.5, "s"))
