"""Which ready jobs start, where some need resources: the one rule for it. Pure.

Jobs are looked at by priority, then by number; of those of one queue with the same needs (a lane) only as far as the
first that cannot start. A job starts if all that it needs is free; if not, what it needs is set aside from those after
it. Nothing is set aside for a job that needs more than there is, that its queue keeps back, or whose line is exhausted:
of its needs the one that most lanes share. Such a job is looked at again when a unit comes free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from core.rules.needs import DEFAULT_CAPACITY

#: What a job needs, by resource.
Needs = Mapping[str, int]


class Candidate(NamedTuple):
    """A ready job as the choice sees it; ``rank`` is its priority, negated. In the order in which they are looked at.

    ``lane`` is any text that jobs of its queue with the same needs share; empty for a job without needs.
    """

    rank: int
    id: int
    queue: str
    lane: str = ""


class Verdict(Enum):
    """What the choice says of a job: it starts, what it needs is set aside for it, or it is passed over."""

    STARTS = "starts"
    WAITS = "waits"
    PASSED = "passed"


class Stock:
    """How many units of each resource there are, and how many are left while the jobs of one choice are looked at.

    ``capacities`` are those that were set, ``in_use`` what runs has. ``lanes`` are the needs of all lanes that have a
    ready job, one entry a lane: they say what the line of each is.
    """

    def __init__(self, capacities: Mapping[str, int], in_use: Mapping[str, int], lanes: Collection[Needs]) -> None:
        self._capacities = capacities
        self._left: dict[str, int] = {}
        self._in_use = in_use
        self._shared = Counter(name for needs in lanes for name in needs)

    def capacity(self, name: str) -> int:
        """Return how many units there are."""
        return self._capacities.get(name, DEFAULT_CAPACITY)

    def left(self, name: str) -> int:
        """Return how many units are neither in use nor given out nor set aside."""
        if name not in self._left:
            self._left[name] = max(0, self.capacity(name) - self._in_use.get(name, 0))
        return self._left[name]

    def line(self, needs: Needs) -> str:
        """Return the line of a lane; of needs that are shared alike the first by name."""
        return min(needs, key=lambda name: (-self._shared[name], name))

    def is_passed(self, needs: Needs) -> bool:
        """Return whether a job with these needs is passed over: there is less than that, or its line is exhausted."""
        if any(number > self.capacity(name) for name, number in needs.items()):
            return True
        return self.left(self.line(needs)) <= 0

    def fits(self, needs: Needs) -> int:
        """Return how many jobs with these needs there is room for."""
        return min(self.left(name) // number for name, number in needs.items())

    def put_away(self, needs: Needs) -> None:
        """Give these units out, or set aside as many as are left of them."""
        for name, number in needs.items():
            self._left[name] = max(0, self.left(name) - number)


class Choice:
    """A choice that is being made: candidates are given to ``look`` in their order, which says what becomes of each.

    ``needs`` are those of each lane by its text; ``rooms`` is how many more jobs of a queue may start, for each that is
    paused or limited. ``kept_places`` are the limited queues in which a job that waits for a resource keeps its place.
    """

    def __init__(self, stock: Stock, needs: Mapping[str, Needs], rooms: Mapping[str, int]) -> None:
        self.stock = stock
        self.kept_places: set[str] = set()
        self._needs = needs
        self._rooms = dict(rooms)
        self._closed: set[tuple[str, str]] = set()

    def look(self, candidate: Candidate) -> Verdict:
        """Return what becomes of the next candidate."""
        queue, lane = candidate.queue, candidate.lane
        room = self._rooms.get(queue)
        if (room is not None and room <= 0) or (lane and (queue, lane) in self._closed):
            return Verdict.PASSED
        verdict = self._of_lane(queue, lane) if lane else Verdict.STARTS
        if verdict is not Verdict.PASSED and room is not None:
            self._rooms[queue] = room - 1
            if verdict is Verdict.WAITS:
                self.kept_places.add(queue)
        return verdict

    def _of_lane(self, queue: str, lane: str) -> Verdict:
        needs = self._needs[lane]
        if self.stock.is_passed(needs):
            verdict = Verdict.PASSED
        else:
            verdict = Verdict.STARTS if self.stock.fits(needs) else Verdict.WAITS
            self.stock.put_away(needs)
        if verdict is not Verdict.STARTS:
            self._closed.add((queue, lane))
        return verdict


def chosen(candidates: Iterable[Candidate], choice: Choice, slots: int) -> list[Candidate]:
    """Return the candidates that start, up to ``slots``, of all that are given, in any order."""
    started: list[Candidate] = []
    for candidate in sorted(candidates):
        if len(started) >= slots:
            break
        if choice.look(candidate) is Verdict.STARTS:
            started.append(candidate)
    return started
