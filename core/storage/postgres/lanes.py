"""The claim where ready jobs need resources, and what a worker remembers; see ``schema/0003_lanes.sql``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.rules.lanes import Candidate, Choice, Needs, Started, Stock, Units, chosen, looked_at
from core.rules.needs import DEFAULT_CAPACITY, needs_of, units_of, units_text
from core.storage.postgres.connection import Connection
from core.storage.values import ClaimCapacity

_LOOK = "SELECT kind, name, needs, number, is_mine FROM lane_look(%s, %s, %s::text[])"
_HEADS = "SELECT rank, job_id, queue, needs FROM lane_heads(%s::text[], %s::text[], %s::bigint[])"

_Lane = tuple[str, str]


class _Look:
    """What ``lane_look`` found: lanes with their needs, queues that are open, what there is, what is in use."""

    def __init__(self, rows: Sequence[tuple[str, str, str, int | None, bool]]) -> None:
        self.epoch: int | None = None
        self.lanes: dict[_Lane, Needs] = {}
        self.rooms: dict[str, int | None] = {}
        self.is_all_mine = True
        capacities: dict[str, int] = {}
        per_host = {name for kind, name, *_ in rows if kind == "per host"}
        held: list[Mapping[str, Sequence[int]]] = []
        locked_by_others: set[str] = set()
        for kind, name, text, number, is_mine in rows:
            if kind == "epoch":
                self.epoch = number
            elif kind == "lane":
                self.lanes[name, text] = needs_of(text)
            elif kind == "queue":
                self.rooms[name] = number
            elif kind == "units":
                held.append({one: its for one, its in units_of(text).items() if is_mine or one not in per_host})
            else:
                capacities[name] = DEFAULT_CAPACITY if number is None else number
                if not is_mine:
                    locked_by_others.add(name)
        self.units = Units(held)
        self.is_all_mine = not locked_by_others
        # of what another transaction gives out just now nothing is free
        in_use = {**self.units.in_use(), **{name: capacities[name] for name in locked_by_others}}
        self.stock = Stock(capacities, in_use, list(self.lanes.values()))

    def has_limits(self) -> bool:
        """Return whether the queue of a lane is paused or limited, which changes without the epoch."""
        return any(self.rooms.get(queue, 0) is not None for queue, _ in self.lanes)


class LaneMemory:
    """What one worker remembers: the epoch at which it found that no job with needs could start."""

    def __init__(self) -> None:
        self.epoch: int | None = None

    def choose(self, connection: Connection, capacity: ClaimCapacity) -> Started:
        """Return which jobs start, with needs and without; what they need stays locked until the transaction ends."""
        self.epoch = None
        parameters = (capacity.worker_id, capacity.slots, list(capacity.queues))
        look = _Look(connection.execute(_LOOK, parameters).fetchall())
        choice = Choice(look.stock, look.lanes, {queue: room for queue, room in look.rooms.items() if room is not None})
        started, is_in_vain = chosen(_candidates(connection, look, capacity.slots), choice, capacity.slots)
        given = look.units.give_each(started, look.lanes)
        if is_in_vain and look.is_all_mine and not look.has_limits():
            self.epoch = look.epoch
        return Started(started, given)


def _candidates(connection: Connection, look: _Look, slots: int) -> list[Candidate]:
    """Return the first jobs of each lane and of each queue, as many as may be looked at."""
    wanted: list[tuple[str, str | None, int]] = [
        (queue, None, slots if room is None else min(slots, room)) for queue, room in look.rooms.items()
    ]
    wanted += [
        (queue, text, looked_at(needs, look.stock, look.rooms.get(queue, 0), slots))
        for (queue, text), needs in look.lanes.items()
    ]
    columns: list[list[Any]] = [list(column) for column in zip(*(one for one in wanted if one[2] > 0), strict=True)]
    found = connection.execute(_HEADS, columns).fetchall() if columns else []
    return [Candidate(rank, job_id, queue, text or "") for rank, job_id, queue, text in found]


def parameters_of(started: Started) -> tuple[list[int], list[str | None]]:
    """Return the two arrays of ``lane_take``: the jobs that start, and what each is given."""
    return [job.id for job in started.jobs], [units_text(started.units.get(job.id, {})) for job in started.jobs]
