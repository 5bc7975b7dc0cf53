"""Groups of dead jobs from what an index knows of them: totals by fingerprint and queue, and by hour. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from core.clock import to_datetime
from core.model import DeadGroup, Job
from core.storage.rows import SqlRow

HOURS = 24


def largest(rows: Iterable[SqlRow], limit: int) -> Sequence[tuple[int | None, Total]]:
    """Return the totals of up to ``limit`` fingerprints, the largest first; of those alike the one that grew last.

    A row has fingerprint, queue, number, first and last death in unix milliseconds, largest id.
    """
    totals: dict[int | None, Total] = {}
    for fingerprint, queue, count, first, last, newest_id in rows:
        found = totals.get(fingerprint, _NONE)
        totals[fingerprint] = found.plus(queue, count, first, last, newest_id)
    return sorted(totals.items(), key=lambda item: (-item[1].number, -item[1].last))[:limit]


def groups_of(
    chosen: Sequence[tuple[int | None, Total]], hours: Iterable[SqlRow], samples: Mapping[int, Job]
) -> list[DeadGroup]:
    """Return the groups of totals; a row of ``hours`` has fingerprint, how many hours ago, number.

    ``samples`` are jobs by id: the newest of each group.
    """
    by_hour: dict[int | None, list[int]] = {}
    for fingerprint, ago, count in hours:
        by_hour.setdefault(fingerprint, [0] * HOURS)[HOURS - 1 - ago] = count
    return [
        DeadGroup(
            fingerprint,
            total.number,
            to_datetime(total.first),
            to_datetime(total.last),
            tuple(sorted(total.queues)),
            tuple(by_hour.get(fingerprint, [0] * HOURS)),
            samples[total.newest_id],
        )
        for fingerprint, total in chosen
    ]


class Total(NamedTuple):
    """What the index knows of a group, over its queues."""

    number: int
    first: int
    last: int
    newest_id: int
    queues: tuple[str, ...]

    def plus(self, queue: str, count: int, first: int, last: int, newest_id: int) -> Total:
        """Return this with the jobs of one more queue."""
        return Total(
            self.number + count,
            min(self.first, first),
            max(self.last, last),
            max(self.newest_id, newest_id),
            (*self.queues, queue),
        )


_NONE = Total(0, 1 << 62, 0, 0, ())
