"""The claim where ready jobs need resources: their lanes, what is in use, and what a worker remembers of its last look.

A lane is the ready jobs of one queue with the same needs. While no job has any needs, none of this is read.
"""

# annotations are evaluated here, as in core.model

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.rules.lanes import Candidate, Choice, Needs, Started, Stock, Units, chosen, looked_at
from core.rules.needs import needs_of, units_of
from core.storage.sqlite.capacities import capacities

#: What a ready job with needs is, as in the indexes of such jobs.
READY = "state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NOT NULL"
# One probe of the index a lane, and one more a queue, however many jobs each has. SQLite would compare pairs of columns
# by the first alone.
_NEXT = (
    f"SELECT next.id FROM jobs AS next INDEXED BY jobs_lanes WHERE {READY} AND {{}}"
    " ORDER BY next.queue, next.needs, next.priority DESC, next.id LIMIT 1"
)
_LANES = (
    "WITH RECURSIVE heads (id) AS ("
    f"SELECT ({_NEXT.format('1')}) UNION ALL SELECT COALESCE("
    f"({_NEXT.format('next.queue = head.queue AND next.needs > head.needs')}),"
    f" ({_NEXT.format('next.queue > head.queue')})) FROM heads JOIN jobs AS head ON head.id = heads.id)"
    " SELECT queue, needs, -priority, jobs.id FROM heads JOIN jobs ON jobs.id = heads.id"
)
_OF_LANE = (
    f"SELECT -priority, id FROM jobs INDEXED BY jobs_lanes WHERE {READY} AND queue = ? AND needs = ?"
    " ORDER BY priority DESC, id LIMIT ?"
)
_FIRST = (
    f"SELECT -priority, id, queue, needs FROM jobs INDEXED BY jobs_gated WHERE {READY} AND queue = ?"
    " ORDER BY priority DESC, id LIMIT ?"
)
_IN_USE = (
    "SELECT job_id, units FROM attempts INDEXED BY attempts_units"
    " WHERE ended_at IS NULL AND units IS NOT NULL ORDER BY job_id"
)
_EPOCH = "SELECT value FROM facts WHERE key = 'lanes_epoch'"
#: Of each queue that is open, how many more jobs of it may start; ``None`` for one without a limit.
Rooms = Mapping[str, int | None]


class Lane(NamedTuple):
    """The ready jobs of a queue with the same ``needs``; rank and id are those of the first."""

    queue: str
    text: str
    needs: Needs
    head: Candidate


def lanes(connection: sqlite3.Connection) -> list[Lane]:
    """Return all lanes, by queue and needs."""
    return [
        Lane(queue, text, needs_of(text), Candidate(rank, job_id, queue, text))
        for queue, text, rank, job_id in connection.execute(_LANES).fetchall()
    ]


def holders(connection: sqlite3.Connection) -> list[tuple[int, Mapping[str, Sequence[int]]]]:
    """Return the running jobs that were given units, by number, with these."""
    return [(job_id, units_of(units)) for job_id, units in connection.execute(_IN_USE).fetchall()]


class LaneMemory:
    """What one worker remembers: that in its last look no job with needs could start, and under which conditions."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._rooms: Mapping[str, int | None] = {}

    def must_look(self, epoch: int | None, rooms: Rooms) -> bool:
        """Return whether a job with needs may start: what was found last does not hold, or there was no look yet."""
        if epoch is None:
            return False
        return epoch != self._epoch or any(rooms.get(queue, 0) != room for queue, room in self._rooms.items())

    def choose(self, connection: sqlite3.Connection, plain: Sequence[Candidate], rooms: Rooms, slots: int) -> Started:
        """Return which jobs start, of ``plain`` ones, which need nothing, and of the lanes in open queues."""
        units = Units(units for _, units in holders(connection))
        look = _Look(connection, plain, rooms, slots, capacities(connection), units)
        self._epoch = None
        return look.choose_at_once() or self._choose_of_all(look)

    def _choose_of_all(self, look: "_Look") -> Started:
        found = lanes(look.connection)
        stock = look.stock([lane.needs for lane in found])
        candidates = list(look.plain)
        for lane in found:
            number = looked_at(lane.needs, stock, look.rooms.get(lane.queue, 0), look.slots)
            candidates += _first_of(look.connection, lane, number)
        needs = {(lane.queue, lane.text): lane.needs for lane in found}
        started, is_in_vain = chosen(candidates, Choice(stock, needs, look.limits()), look.slots)
        if is_in_vain:
            self._epoch = look.connection.execute(_EPOCH).fetchone()[0]
            self._rooms = {lane.queue: look.rooms.get(lane.queue, 0) for lane in found}
        return Started(started, look.units.give_each(started, needs))


class _Look(NamedTuple):
    """What a choice is made of: ``plain`` candidates, what queues have room for, what there is and what is in use."""

    connection: sqlite3.Connection
    plain: Sequence[Candidate]
    rooms: Rooms
    slots: int
    capacities: Mapping[str, int]
    units: Units

    def stock(self, of_lanes: Sequence[Needs]) -> Stock:
        """Return what is free, where these are the needs of all lanes."""
        return Stock(self.capacities, self.units.in_use(), of_lanes)

    def limits(self) -> dict[str, int]:
        """Return the rooms of the queues that have a limit."""
        return {queue: room for queue, room in self.rooms.items() if room is not None}

    def choose_at_once(self) -> Started | None:
        """Return which jobs start if all that are looked at fit; ``None`` if one does not: then all lanes count."""
        gated = [
            Candidate(*row)
            for queue, room in self.rooms.items()
            if (number := self.slots if room is None else min(self.slots, room)) > 0
            for row in self.connection.execute(_FIRST, (queue, number)).fetchall()
        ]
        needs = {(job.queue, job.lane): needs_of(job.lane) for job in gated}
        choice = Choice(self.stock([]), needs, self.limits())
        started, is_in_vain = chosen([*self.plain, *gated], choice, self.slots)
        if is_in_vain or choice.has_asked_lines:
            return None
        return Started(started, self.units.give_each(started, needs))


def _first_of(connection: sqlite3.Connection, lane: Lane, number: int) -> list[Candidate]:
    if number <= 1:
        return [lane.head][:number]
    found = connection.execute(_OF_LANE, (lane.queue, lane.text, number)).fetchall()
    return [Candidate(rank, job_id, lane.queue, lane.text) for rank, job_id in found]
