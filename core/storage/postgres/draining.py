"""Whether a draining worker has jobs left to wait for: those it may run, or may have to run again."""

from __future__ import annotations

from collections.abc import Sequence

from core.rules.needs import DEFAULT_CAPACITY
from core.storage.postgres.connection import Connections

# a pause, and a limit of 0, hold until a user lifts them; a job that runs elsewhere may fail, and is to run again then;
# a time that a user gave has no back-off
_IS_OPEN = (
    "NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.name = {0}.queue AND (q.is_paused = 1 OR q.running_limit = 0))"
    " AND (%(queues)s::text[] = '{{}}' OR {0}.queue = ANY (%(queues)s))"
)
# other capacities are a user's to set
_IS_WITHIN_REACH = (
    "NOT EXISTS (SELECT 1 FROM jsonb_each_text(r.needs::jsonb) AS need (name, number)"
    " LEFT JOIN resources AS s ON s.name = need.name"
    f" WHERE need.number::bigint > COALESCE(s.capacity, {DEFAULT_CAPACITY}))"
)
_IS_ALL_PAUSED = "EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1)"
_IS_ANY = " OR ".join(
    (
        f"EXISTS (SELECT 1 FROM ready_queues() AS r (queue) WHERE {_IS_OPEN.format('r')})",
        f"EXISTS (SELECT 1 FROM ready_lanes() AS r WHERE {_IS_OPEN.format('r')} AND {_IS_WITHIN_REACH})",
        f"EXISTS (SELECT 1 FROM running AS r WHERE {_IS_OPEN.format('r')})",
        f"EXISTS (SELECT 1 FROM delayed AS d JOIN jobs AS j ON j.id = d.job_id WHERE {_IS_OPEN.format('d')}"
        " AND (j.backoff_ms IS NOT NULL OR d.run_at <= %(now)s))",
        # what waits for an end that was just recorded is about to be due
        "EXISTS (SELECT 1 FROM settling)",
    )
)


class Drain:
    """Whether the jobs of some queues (none: of all) have come to their ends, as far as no user holds them back.

    Jobs that wait for others or are held, that were scheduled for later, those of a queue that is paused or has a
    limit of 0, and those that need more than there is of a resource are not waited for.
    """

    def __init__(self, db: Connections, queues: Sequence[str]) -> None:
        self._db = db
        self._queues = list(queues)

    def is_over(self) -> bool:
        """Return whether nothing is due, runs or waits for its next attempt."""
        parameters = {"queues": self._queues, "now": self._db.now_ms()}
        return bool(self._db.query(f"SELECT {_IS_ALL_PAUSED} OR NOT ({_IS_ANY})", parameters)[0][0])
