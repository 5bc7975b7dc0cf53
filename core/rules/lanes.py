"""Which ready jobs start, where some need resources: the one rule for it. Pure.

Jobs are looked at by priority, then by number; of those of one queue with the same needs (a lane) only as far as the
first that cannot start. A job starts if all that it needs is free; if not, what it needs is set aside from those after
it. Nothing is set aside for a job that needs more than there is, that its queue keeps back, or whose line is exhausted:
of its needs the one that most lanes share. It is looked at again when a unit comes free. In a queue with a limit
a job that waits for a resource keeps its place: it counts as if it ran.
"""

# annotations are evaluated here, as in core.model

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from core.model import ResourceInfo
from core.rules.needs import DEFAULT_CAPACITY, are_there, is_out_of_reach, lowest_free

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


class Demand(NamedTuple):
    """What is wanted of resources and what is in use, as of one moment.

    ``resources`` are those that were set: how much there is, and whether that is on each host. ``holders`` are the
    running jobs that have some: number, host (0 where there is one alone), and which units. ``heads`` are the first
    jobs of all lanes with their needs, in any order. ``rooms`` is how many more jobs of a queue may start, for each
    that is paused or limited; ``counted`` are the needs of up to ``COUNTED`` ready jobs. ``hosts`` are those that live.
    """

    resources: Mapping[str, tuple[int, bool]]
    holders: Sequence[tuple[int, int, Mapping[str, Sequence[int]]]]
    heads: Sequence[tuple[Candidate, Needs]]
    rooms: Mapping[str, int] = {}
    counted: Sequence[Needs] = ()
    hosts: Sequence[int] = (0,)

    def in_use(self, host: int) -> dict[str, int]:
        """Return how many units are in use, as a claim for a host counts them: of some resources only on that host."""
        counter: Counter[str] = Counter()
        for _, on_host, units in self.holders:
            for name, numbers in units.items():
                if on_host == host or not self.resources.get(name, (0, False))[1]:
                    counter[name] += len(numbers)
        return counter


#: How many ready jobs are looked at to say how many need a resource.
COUNTED = 1000


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

    def is_out_of_reach(self, needs: Needs) -> bool:
        """Return whether there is less of something than these needs, whatever runs."""
        return is_out_of_reach(needs, self._capacities)

    def is_exhausted(self, needs: Needs) -> bool:
        """Return whether nothing is left of the line of a lane with these needs."""
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

    ``needs`` are those of each lane by queue and text; ``rooms`` is how many more jobs may start of each queue that
    is paused or limited. ``kept_places`` are the limited queues in which one that waits for a resource keeps its place.
    ``has_asked_lines`` is whether one did not fit: what became of it, and of all after it, depends on the lines.
    """

    def __init__(self, stock: Stock, needs: Mapping[tuple[str, str], Needs], rooms: Mapping[str, int]) -> None:
        self.stock = stock
        self.kept_places: set[str] = set()
        self.has_asked_lines = False
        self._needs = needs
        self._rooms = dict(rooms)
        self._closed: set[tuple[str, str]] = set()

    def look(self, candidate: Candidate) -> Verdict:
        """Return what becomes of the next candidate."""
        queue, lane = candidate.queue, candidate.lane
        room = self._rooms.get(queue)
        if (room is not None and room <= 0) or (lane and (queue, lane) in self._closed):
            return Verdict.PASSED
        needs = self._needs[queue, lane] if lane else {}
        verdict = self._of_lane(needs) if lane else Verdict.STARTS
        if verdict is not Verdict.STARTS:
            self._closed.add((queue, lane))
        if room is not None and not self.stock.is_out_of_reach(needs):
            self._rooms[queue] = room - 1
            if verdict is not Verdict.STARTS:
                self.kept_places.add(queue)
        return verdict

    def _of_lane(self, needs: Needs) -> Verdict:
        if self.stock.fits(needs):
            self.stock.put_away(needs)
            return Verdict.STARTS
        self.has_asked_lines = True
        if self.stock.is_out_of_reach(needs) or self.stock.is_exhausted(needs):
            return Verdict.PASSED
        self.stock.put_away(needs)
        return Verdict.WAITS


#: How many jobs a reason names.
_NAMED = 5


def why_waiting(job: Candidate, needs: Needs, demand: Demand, served: Collection[str]) -> str | None:
    """Return what a ready job lacks, in one line; ``None`` if all that it needs is free for it on some host.

    Jobs before it in queues that are not ``served`` by any worker keep nothing from it.
    """
    reasons = [_why_waiting_on(host, job, needs, demand, served) for host in demand.hosts or (0,)]
    return None if None in reasons else reasons[0]


def _why_waiting_on(host: int, job: Candidate, needs: Needs, demand: Demand, served: Collection[str]) -> str | None:
    in_use = demand.in_use(host)
    capacities = {name: capacity for name, (capacity, _) in demand.resources.items()}
    stock = Stock(capacities, in_use, [needs for _, needs in demand.heads])
    for name, number in needs.items():
        if number > stock.capacity(name):
            return f"needs {_amount(name, number)}, {are_there(stock.capacity(name))}"
    for name, number in needs.items():
        if number > stock.left(name):
            return _in_use_words(name, number, stock, demand)
    before = [(head, its) for head, its in sorted(demand.heads) if (head.rank, head.id) < (job.rank, job.id)]
    texts = {(head.queue, head.lane): its for head, its in before}
    choice = Choice(stock, texts, demand.rooms)
    for head, _ in before:
        if head.queue in served and choice.look(head) is not Verdict.PASSED:
            for name, number in needs.items():
                if number > stock.left(name):
                    return f"{name} is set aside for {head.id} (priority {-head.rank})"
    return None


def _amount(name: str, number: int) -> str:
    return name if number == 1 else f"{name}={number}"


def _in_use_words(name: str, number: int, stock: Stock, demand: Demand) -> str:
    """Return the words for a resource of which too little is free: who has the rest."""
    holders = [str(job_id) for job_id, _, units in demand.holders if name in units]
    named = holders if len(holders) <= _NAMED else [*holders[:_NAMED], f"{len(holders) - _NAMED:,} more"]
    who = " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))
    has = f"{who} {'has' if len(holders) == 1 else 'have'}"
    capacity = stock.capacity(name)
    if capacity == 1:
        return f"needs {name}: {has} it"
    where = " on a host" if demand.resources.get(name, (0, False))[1] else ""
    return f"needs {_amount(name, number)}: {stock.left(name)} of {capacity:,} free{where}, {has} the rest"


def resource_infos(demand: Demand) -> list[ResourceInfo]:
    """Return all resources that were set, that running jobs have or that ready jobs need, by name."""
    heads = sorted(demand.heads)
    names = {
        *demand.resources,
        *(name for _, _, units in demand.holders for name in units),
        *(name for _, needs in heads for name in needs),
    }
    infos = []
    for name in sorted(names):
        capacity, is_per_host = demand.resources.get(name, (DEFAULT_CAPACITY, False))
        holders = {job_id: len(units[name]) for job_id, _, units in demand.holders if name in units}
        infos.append(
            ResourceInfo(
                name,
                capacity,
                is_per_host,
                name in demand.resources,
                sum(holders.values()),
                sum(name in needs for needs in demand.counted),
                next((head.id for head, needs in heads if name in needs), None),
                holders,
            )
        )
    return infos


def given_twice(demand: Demand) -> list[str]:
    """Return the names of resources of which two running jobs have the same unit, which a claim never gives them."""
    counter: Counter[tuple[str, int, int]] = Counter()
    for _, host, units in demand.holders:
        for name, numbers in units.items():
            is_per_host = demand.resources.get(name, (0, False))[1]
            counter.update((name, host if is_per_host else 0, number) for number in numbers)
    return sorted({name for (name, _, _), times in counter.items() if times > 1})


class Started(NamedTuple):
    """A choice among jobs with and without needs: those that start, in order, and units for those with needs."""

    jobs: Sequence[Candidate]
    units: Mapping[int, Mapping[str, Sequence[int]]]


class Units:
    """Which numbers of each resource running jobs have, and which the next one is given."""

    def __init__(self, held: Iterable[Mapping[str, Sequence[int]]]) -> None:
        self._taken: dict[str, set[int]] = {}
        for units in held:
            for name, numbers in units.items():
                self._taken.setdefault(name, set()).update(numbers)

    def in_use(self) -> dict[str, int]:
        """Return how many of each are in use."""
        return {name: len(numbers) for name, numbers in self._taken.items()}

    def give(self, needs: Needs) -> dict[str, list[int]]:
        """Return the lowest free numbers for a job that starts; they are in use from then on."""
        given = {name: lowest_free(number, self._taken.setdefault(name, set())) for name, number in needs.items()}
        for name, numbers in given.items():
            self._taken[name].update(numbers)
        return given

    def give_each(
        self, started: Iterable[Candidate], needs: Mapping[tuple[str, str], Needs]
    ) -> dict[int, Mapping[str, Sequence[int]]]:
        """Return the numbers that are given to each of these jobs that needs any, by its own number."""
        return {job.id: self.give(needs[job.queue, job.lane]) for job in started if job.lane}


def looked_at(needs: Needs, stock: Stock, room: int | None, slots: int) -> int:
    """Return how many jobs of a lane are to be looked at: as many as could start, and one that could not.

    ``room`` is how many jobs of its queue may start (``None``: any number), ``stock`` is as before the choice.
    """
    if room is not None and room <= 0:
        return 0
    if number := stock.fits(needs):
        return min(slots, number + 1)
    is_passed = stock.is_out_of_reach(needs) or (room is None and stock.is_exhausted(needs))
    return 0 if is_passed else min(slots, 1)


def chosen(candidates: Iterable[Candidate], choice: Choice, slots: int) -> tuple[list[Candidate], bool]:
    """Return the candidates that start, up to ``slots``, of all that are given, in any order.

    And whether no job with needs was left that could start if there were more slots: then a look at them is in vain
    until something changes, however many jobs without needs start meanwhile.
    """
    started: list[Candidate] = []
    for candidate in sorted(candidates):
        has_slot = len(started) < slots
        if not has_slot and not candidate.lane:
            continue
        if choice.look(candidate) is Verdict.STARTS:
            if not has_slot:
                return started, False
            started.append(candidate)
    return started, not any(job.lane for job in started) and not choice.kept_places
