"""Queues: how many jobs of each stand where, what is due next, their pause flags and their limits."""

from __future__ import annotations

from core.errors import QueueNotFound
from core.model import Counts, QueueInfo, State
from core.storage.postgres.connection import Connection, Connections
from core.storage.queue_facts import RATE_JOBS, RATE_WINDOW_MS, queues_of, rates_of

# shards may be negative by themselves; what is due is due by the clock, also before a worker has found it so
_COUNTS = "SELECT queue, kind, sum(n)::bigint FROM counts GROUP BY queue, kind HAVING sum(n) > 0"
_OVERDUE = "SELECT queue, count(*) FROM delayed WHERE run_at <= %s GROUP BY queue"
_ENDED = (
    "(SELECT since, queue FROM jobs WHERE state = 'completed' AND since > %(start)s AND state <> 'open'"
    " ORDER BY since DESC LIMIT %(limit)s)"
    " UNION ALL (SELECT since, queue FROM jobs WHERE state = 'dead' AND since > %(start)s AND state <> 'open'"
    " ORDER BY since DESC LIMIT %(limit)s)"
)

_FORGET = "DELETE FROM queues WHERE name = %s AND is_paused = 0 AND running_limit IS NULL AND on_lost_host IS NULL"

# of the advisory lock that the function ``turn`` shares while it claims: "QFLG"
_FLAGS_LOCK = 0x51464C47


class Queues:
    """The queues of one database; see ``core.storage.contract.Queues``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def counts(self) -> Counts:
        """Return how many jobs of each queue stand where."""
        now = self._db.now_ms()
        with self._db.read() as connection:
            return _counts(connection, now)

    def queues(self, counts: Counts | None = None) -> list[QueueInfo]:
        """Return every queue that has jobs, a pause flag or a limit, by name; ``counts`` if they were read already."""
        now = self._db.now_ms()
        with self._db.read() as connection:
            numbers = _counts(connection, now) if counts is None else counts
            stored = {
                name: (bool(is_paused), limit, on_lost_host)
                for name, is_paused, limit, on_lost_host in connection.execute(
                    "SELECT name, is_paused, running_limit, on_lost_host FROM queues"
                ).fetchall()
            }
        return queues_of(stored, numbers)

    def rates(self) -> dict[str, float]:
        """Return how many jobs a second of each queue completed or died, of the last minute or the newest 500."""
        now_ms = self._db.now_ms()
        found = self._db.query(_ENDED, {"start": now_ms - RATE_WINDOW_MS, "limit": RATE_JOBS})
        return rates_of([(since, queue) for since, queue in found], now_ms)

    def next_due_at(self) -> int | None:
        """Return when the next delayed job becomes due, in unix milliseconds; ``None`` if none is delayed."""
        found = self._db.query("SELECT min(run_at) FROM delayed WHERE run_at > %s", (self._db.now_ms(),))
        return None if found[0][0] is None else int(found[0][0])

    def oldest_pending_at(self) -> int | None:
        """Return when the pending job that has been due for longest became due, in unix milliseconds.

        Of the jobs that are marked as due only the next 1,000 in claim order are looked at: a bounded read, no scan.
        ``None`` when no job is due.
        """
        found = self._db.query(
            "SELECT least((SELECT min(due_at) FROM (SELECT due_at FROM ready ORDER BY -priority, job_id LIMIT 1000)"
            " AS next), (SELECT min(run_at) FROM delayed WHERE run_at <= %s))",
            (self._db.now_ms(),),
        )
        return None if found[0][0] is None else int(found[0][0])

    def next_schedule_at(self) -> int | None:
        """Return when the next schedule is due, in unix milliseconds; ``None`` if none is, ever."""
        found: int | None = self._db.query("SELECT min(next_at) FROM schedules")[0][0]
        return found

    def is_paused(self) -> bool:
        """Return whether everything is paused."""
        found = self._db.query("SELECT value FROM facts WHERE key = 'is_paused'")
        return bool(found and found[0][0])

    def set_all_paused(self, is_paused: bool) -> None:
        """Pause or resume everything."""

        def work(connection: Connection) -> None:
            _wait_for_claims(connection)
            connection.execute(
                "INSERT INTO facts (key, value) VALUES ('is_paused', %s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (int(is_paused),),
            )

        self._db.transact(work, wakes_workers=True)

    def set_paused(self, name: str, is_paused: bool) -> None:
        """Pause or resume one queue; raise ``QueueNotFound`` on resuming one that has no jobs, pause flag or limit."""

        def work(connection: Connection) -> None:
            known = connection.execute(
                "SELECT 1 FROM queues WHERE name = %(q)s"
                " UNION ALL SELECT 1 FROM counts WHERE queue = %(q)s GROUP BY kind HAVING sum(n) > 0 LIMIT 1",
                {"q": name},
            ).fetchone()
            if known is None and not is_paused:
                raise QueueNotFound(name)
            _wait_for_claims(connection)
            connection.execute(
                "INSERT INTO queues (name, is_paused) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET is_paused = excluded.is_paused",
                (name, int(is_paused)),
            )
            _forget_if_plain(connection, name)

        self._db.transact(work, wakes_workers=True)

    def set_limit(self, name: str, limit: int | None) -> None:
        """Limit how many of a queue's jobs run at once, over all workers; ``None`` lifts it."""

        def work(connection: Connection) -> None:
            _wait_for_claims(connection)
            connection.execute(
                "INSERT INTO queues (name, running_limit) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET running_limit = excluded.running_limit",
                (name, limit),
            )
            _forget_if_plain(connection, name)

        self._db.transact(work, wakes_workers=True)

    def set_on_lost_host(self, name: str, choice: str | None) -> None:
        """Say what becomes of a queue's running jobs whose host is given up: ``"hold"``, or ``None`` to run again."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO queues (name, on_lost_host) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET on_lost_host = excluded.on_lost_host",
                (name, choice),
            )
            _forget_if_plain(connection, name)

        self._db.transact(work)


def _wait_for_claims(connection: Connection) -> None:
    """Let steps that are about to claim finish, and later ones wait for this transaction: it holds for all of them."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_FLAGS_LOCK,))


def _forget_if_plain(connection: Connection, name: str) -> None:
    """Delete the row of a queue that has nothing of its own: no pause flag, no limit, no word on lost hosts."""
    connection.execute(_FORGET, (name,))


_STATE_OF = {**dict.fromkeys(("ready", "delayed", "blocked"), State.PENDING), **{state.value: state for state in State}}


def _counts(connection: Connection, now_ms: int) -> Counts:
    by_queue: dict[str, dict[State, int]] = {}
    delayed: dict[str, int] = {}
    blocked: dict[str, int] = {}
    for queue, kind, number in connection.execute(_COUNTS).fetchall():
        states = by_queue.setdefault(queue, {})
        states[_STATE_OF[kind]] = states.get(_STATE_OF[kind], 0) + number
        if kind == "delayed":
            delayed[queue] = number
        elif kind == "blocked":
            blocked[queue] = number
    if delayed:
        # those that are due are few: workers move them all the time
        for queue, number in connection.execute(_OVERDUE, (now_ms,)).fetchall():
            delayed[queue] = delayed.get(queue, 0) - number
    return Counts(by_queue, {queue: number for queue, number in delayed.items() if number > 0}, blocked)
