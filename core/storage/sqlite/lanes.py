"""The claim where ready jobs need resources: their lanes, what is in use, and what a worker remembers of its last look.

A lane is the ready jobs of one queue with the same needs. While no job has any needs, none of this is read.
"""

from __future__ import annotations

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
        self._epoch = None
        given = Units(units for _, units in holders(connection))
        there_are = capacities(connection)
        return _chosen_at_once(connection, plain, rooms, slots, there_are, given) or self._choose_of_all(
            connection, plain, rooms, slots, there_are, given
        )

    def _choose_of_all(
        self,
        connection: sqlite3.Connection,
        plain: Sequence[Candidate],
        rooms: Rooms,
        slots: int,
        there_are: Mapping[str, int],
        units: Units,
    ) -> Started:
        found = lanes(connection)
        stock = Stock(there_are, units.in_use(), [lane.needs for lane in found])
        candidates = list(plain)
        for lane in found:
            candidates += _first_of(connection, lane, looked_at(lane.needs, stock, rooms.get(lane.queue, 0), slots))
        needs = {(lane.queue, lane.text): lane.needs for lane in found}
        choice = Choice(stock, needs, _limits(rooms))
        started, is_in_vain = chosen(candidates, choice, slots)
        if is_in_vain:
            self._epoch = connection.execute(_EPOCH).fetchone()[0]
            self._rooms = {lane.queue: rooms.get(lane.queue, 0) for lane in found}
        return Started(started, units.give_each(started, needs))


def _chosen_at_once(
    connection: sqlite3.Connection,
    plain: Sequence[Candidate],
    rooms: Rooms,
    slots: int,
    there_are: Mapping[str, int],
    units: Units,
) -> Started | None:
    """Return which jobs start if all that are looked at fit; ``None`` if one does not: then all lanes must be seen."""
    gated = [
        Candidate(*row)
        for queue, room in rooms.items()
        for row in connection.execute(_FIRST, (queue, slots if room is None else max(0, min(slots, room)))).fetchall()
    ]
    needs = {(job.queue, job.lane): needs_of(job.lane) for job in gated}
    choice = Choice(Stock(there_are, units.in_use(), ()), needs, _limits(rooms))
    started, is_in_vain = chosen([*plain, *gated], choice, slots)
    if is_in_vain or choice.has_asked_lines:
        return None
    return Started(started, units.give_each(started, needs))


def _limits(rooms: Rooms) -> dict[str, int]:
    return {queue: room for queue, room in rooms.items() if room is not None}


def _first_of(connection: sqlite3.Connection, lane: Lane, number: int) -> list[Candidate]:
    if number <= 1:
        return [lane.head][:number]
    found = connection.execute(_OF_LANE, (lane.queue, lane.text, number)).fetchall()
    return [Candidate(rank, job_id, lane.queue, lane.text) for rank, job_id in found]
