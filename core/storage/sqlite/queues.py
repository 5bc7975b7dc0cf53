"""Queues: how many jobs of each stand where, what is due next, their pause flags and their limits."""

from __future__ import annotations

import sqlite3

from core.errors import DatabaseCorrupt, QueueNotFound
from core.model import Counts, QueueInfo, State
from core.storage.queue_facts import RATE_JOBS, RATE_WINDOW_MS, queues_of, rates_of
from core.storage.sqlite.file import Database

_FORGET = "DELETE FROM queues WHERE name = ? AND is_paused = 0 AND running_limit IS NULL AND on_lost_host IS NULL"
_STATES = frozenset(state.value for state in State)


class Queues:
    """The queues of one database; see ``core.storage.contract.Queues``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def counts(self) -> Counts:
        """Return how many jobs of each queue stand where."""
        with self._db.read() as connection:
            return _counts(connection, self._db.now_ms())

    def queues(self, numbers: Counts | None = None) -> list[QueueInfo]:
        """Return every queue that has jobs, a pause flag or a limit, by name; ``numbers`` if they were read already."""
        with self._db.read() as connection:
            numbers = _counts(connection, self._db.now_ms()) if numbers is None else numbers
            stored = {
                row[0]: (bool(row[1]), row[2], row[3])
                for row in connection.execute(
                    "SELECT name, is_paused, running_limit, on_lost_host FROM queues"
                ).fetchall()
            }
        if not all(isinstance(name, str) for name in (*numbers.by_queue, *stored)):
            raise DatabaseCorrupt("the names of queues are damaged; run 'queuectl doctor', restore a backup")
        return queues_of(stored, numbers)

    def rates(self) -> dict[str, float]:
        """Return how many jobs a second of each queue completed or died, of the last minute or the newest 500."""
        now_ms = self._db.now_ms()
        start_ms = now_ms - RATE_WINDOW_MS
        with self._db.read() as connection:
            ended: list[tuple[int, str]] = [
                row
                for state in (State.COMPLETED, State.DEAD)
                for row in connection.execute(
                    "SELECT since, queue FROM jobs INDEXED BY jobs_finished WHERE state = ? AND since > ?"
                    " AND state NOT IN ('pending', 'running') ORDER BY since DESC LIMIT ?",
                    (state.value, start_ms, RATE_JOBS),
                ).fetchall()
            ]
        return rates_of(ended, now_ms)

    def next_due_at(self) -> int | None:
        """Return when the next delayed job becomes due, in unix milliseconds; ``None`` if none is delayed."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT run_at FROM jobs INDEXED BY jobs_delayed"
                " WHERE run_at IS NOT NULL AND blocks = 0 AND run_at > ? ORDER BY run_at LIMIT 1",
                (self._db.now_ms(),),
            ).fetchone()
        return None if row is None else int(row[0])

    def oldest_pending_at(self) -> int | None:
        """Return when the pending job that has been due for longest became due, in unix milliseconds.

        Of the jobs that are marked as due only the next 1,000 in claim order are looked at: a bounded read, no scan.
        ``None`` when no job is due.
        """
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT min(due_at) FROM (SELECT due_at FROM jobs INDEXED BY jobs_ready"
                " WHERE state = 'pending' AND run_at IS NULL AND blocks = 0 ORDER BY priority DESC, id LIMIT 1000)"
            ).fetchone()
            overdue = connection.execute(
                "SELECT run_at FROM jobs INDEXED BY jobs_delayed"
                " WHERE run_at IS NOT NULL AND blocks = 0 AND run_at <= ? ORDER BY run_at LIMIT 1",
                (self._db.now_ms(),),
            ).fetchone()
            found = [int(one[0]) for one in (row, overdue) if one is not None and one[0] is not None]
            return min(found, default=None)

    def next_schedule_at(self) -> int | None:
        """Return when the next schedule is due, in unix milliseconds; ``None`` if none is, ever."""
        with self._db.read() as connection:
            found: int | None = connection.execute("SELECT min(next_at) FROM schedules WHERE next_at > 0").fetchone()[0]
            return found

    def is_paused(self) -> bool:
        """Return whether everything is paused."""
        with self._db.read() as connection:
            row = connection.execute("SELECT value FROM facts WHERE key = 'is_paused'").fetchone()
            return bool(row and row[0])

    def set_all_paused(self, is_paused: bool) -> None:
        """Pause or resume everything."""
        with self._db.write(wakes_workers=True) as connection:
            connection.execute(
                "INSERT INTO facts (key, value) VALUES ('is_paused', :v) ON CONFLICT DO UPDATE SET value = :v",
                {"v": int(is_paused)},
            )

    def set_paused(self, name: str, is_paused: bool) -> None:
        """Pause or resume one queue; raise ``QueueNotFound`` on resuming one that has no jobs, pause flag or limit."""
        with self._db.write(wakes_workers=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM counts WHERE queue = :q AND n > 0 UNION ALL SELECT 1 FROM queues WHERE name = :q",
                {"q": name},
            ).fetchone()
            if known is None and not is_paused:
                raise QueueNotFound(name)
            connection.execute(
                "INSERT INTO queues (name, is_paused) VALUES (:q, :v) ON CONFLICT DO UPDATE SET is_paused = :v",
                {"q": name, "v": int(is_paused)},
            )
            _forget_if_plain(connection, name)

    def set_limit(self, name: str, limit: int | None) -> None:
        """Limit how many of a queue's jobs run at once, over all workers; ``None`` lifts it."""
        with self._db.write(wakes_workers=True) as connection:
            connection.execute(
                "INSERT INTO queues (name, running_limit) VALUES (:q, :v) ON CONFLICT DO UPDATE SET running_limit = :v",
                {"q": name, "v": limit},
            )
            _forget_if_plain(connection, name)

    def set_on_lost_host(self, name: str, choice: str | None) -> None:
        """Say what becomes of a queue's running jobs whose host is given up: ``"hold"``, or ``None`` to run again."""
        with self._db.write() as connection:
            connection.execute(
                "INSERT INTO queues (name, on_lost_host) VALUES (:q, :v) ON CONFLICT DO UPDATE SET on_lost_host = :v",
                {"q": name, "v": choice},
            )
            _forget_if_plain(connection, name)


def _forget_if_plain(connection: sqlite3.Connection, name: str) -> None:
    """Delete the row of a queue that has nothing of its own: no pause flag, no limit, no word on lost hosts."""
    connection.execute(_FORGET, (name,))


# What is due is due by the clock, also before a worker has found it so. The counters know how many are delayed of each
# queue; of those that are due and those that come later, the fewer are counted, and the rest is the difference.
_LATER = "jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND blocks = 0 AND run_at > ?"
_OVERDUE = "jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND blocks = 0 AND run_at <= ?"
_FEW = 5000


def _overdue(connection: sqlite3.Connection, delayed: dict[str, int], now_ms: int) -> dict[str, int]:
    """Return how many of each queue's delayed jobs are due."""
    later = _few_by_queue(connection, _LATER, now_ms, 1)
    if later is not None or not delayed:
        return dict(delayed)
    overdue = _few_by_queue(connection, _OVERDUE, now_ms, _FEW)
    if overdue is not None:
        return overdue
    later = _few_by_queue(connection, _LATER, now_ms, _FEW)
    if later is not None:
        return {queue: number - later.get(queue, 0) for queue, number in delayed.items()}
    if len(delayed) == 1:
        return dict.fromkeys(delayed, connection.execute(f"SELECT count(*) FROM {_OVERDUE}", (now_ms,)).fetchone()[0])
    return dict(connection.execute(f"SELECT queue, count(*) FROM {_OVERDUE} GROUP BY queue", (now_ms,)).fetchall())


def _few_by_queue(connection: sqlite3.Connection, source: str, now_ms: int, limit: int) -> dict[str, int] | None:
    """Return how many jobs of each queue a source has; ``None`` if there are at least ``limit``: no more is read."""
    found = connection.execute(
        f"SELECT queue, count(*) FROM (SELECT queue FROM {source} LIMIT ?) GROUP BY queue", (now_ms, limit)
    )
    by_queue: dict[str, int] = dict(found.fetchall())
    return by_queue if sum(by_queue.values()) < limit else None


def _counts(connection: sqlite3.Connection, now_ms: int) -> Counts:
    by_queue: dict[str, dict[State, int]] = {}
    delayed: dict[str, int] = {}
    blocked: dict[str, int] = {}
    for queue, state, gate, number in connection.execute(
        "SELECT queue, state, gate, n FROM counts WHERE n > 0"
    ).fetchall():
        if state not in _STATES:
            raise DatabaseCorrupt(f"the counters are damaged: {state!r}; run 'queuectl doctor', restore a backup")
        states = by_queue.setdefault(queue, {})
        states[State(state)] = states.get(State(state), 0) + number
        if gate:
            (delayed if gate == 1 else blocked)[queue] = number
    overdue = _overdue(connection, delayed, now_ms)
    later = {queue: number - overdue.get(queue, 0) for queue, number in delayed.items()}
    return Counts(by_queue, {queue: number for queue, number in later.items() if number > 0}, blocked)
