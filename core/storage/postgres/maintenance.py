"""Pruning by age, emptying the trash, and files of this host that nothing needs any more."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence

from core.errors import Refused
from core.locks import is_locked
from core.model import Finding
from core.rules.arguments import check_kind
from core.rules.pruning import EVER, KEEP_MINUTES, too_old
from core.rules.settings import Settings
from core.spool import Spool
from core.storage.leftovers import AttemptFacts, files_in, leftovers, numbers_in
from core.storage.postgres import checks
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.counting import CountChanges
from core.storage.postgres.roles import make_roles
from core.storage.postgres.totals import sum_up_some, summed_until

#: Jobs removed for good per transaction.
CHUNK = 500

_OLD = (
    "SELECT id FROM jobs WHERE state = %s AND state <> 'open' AND since <= %s"
    " AND NOT EXISTS (SELECT FROM dependencies WHERE on_id = jobs.id AND is_met = 0) ORDER BY since, id LIMIT %s"
)
# jobs that only those wait for that go themselves
_NEEDED_BY = (
    "SELECT id FROM jobs WHERE id = ANY (ARRAY("
    "SELECT DISTINCT on_id FROM dependencies WHERE job_id = ANY (%(last)s) AND is_met = 0 AND on_id <> ALL (%(all)s)"
    ")) AND state = %(state)s AND since <= %(until)s"
    " AND NOT EXISTS (SELECT FROM dependencies AS other"
    " WHERE other.on_id = jobs.id AND other.is_met = 0 AND other.job_id <> ALL (%(all)s))"
    " ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED"
)
_STILL_NEEDED = (
    "SELECT DISTINCT on_id FROM dependencies WHERE on_id = ANY (%(all)s) AND is_met = 0 AND job_id <> ALL (%(all)s)"
)
_WORKERS = "SELECT id FROM workers WHERE id = ANY (%s)"
_ATTEMPTS = (
    "SELECT id, worker_id, true, output IS NOT NULL FROM attempts WHERE id = ANY (%s)"
    " UNION ALL SELECT attempt_id, worker_id, false, false FROM running WHERE attempt_id = ANY (%s)"
)


class Maintenance:
    """The upkeep of one database; see ``core.storage.contract.Maintenance``."""

    def __init__(self, db: Connections, spool: Spool) -> None:
        self._db = db
        self._spool = spool

    def prune(self, settings: Settings) -> int:
        """Remove for good the jobs older than ``keep-completed`` and ``keep-purged`` say; return how many."""
        removed = 0
        while found := self.prune_some(settings):
            removed += found
        return removed

    def prune_some(self, settings: Settings) -> int:
        """Do one transaction's worth of ``prune``; return how many jobs it removed, 0 when none is left to remove."""
        now = self._db.now_ms()
        for state, until_ms in too_old(settings, now):
            if removed := self._remove_some(state, until_ms):
                return removed
        self._prune_rollups(now // 60_000 - KEEP_MINUTES)
        return 0

    def empty_trash(self) -> int:
        """Remove all purged jobs for good; return how many."""
        removed = 0
        while found := self._remove_some("purged", EVER):
            removed += found
        return removed

    def _prune_rollups(self, oldest_minute: int) -> None:
        """Remove minutes before ``oldest_minute``, but none that the totals do not have: those must not fall."""
        sum_up_some(self._db)
        with self._db.read() as connection:
            row = connection.execute("SELECT min(minute) FROM minutes").fetchone()
            end = min(oldest_minute, summed_until(connection))
        if row is not None and row[0] is not None and row[0] < end:
            self._db.query("DELETE FROM minutes WHERE minute < %s", (end,))
            self._db.query("DELETE FROM durations WHERE minute < %s", (end,))

    def _remove_some(self, state: str, until_ms: int) -> int:
        """Remove up to ``CHUNK`` jobs that have been in a state since ``until_ms`` or longer; return how many."""
        if not self._db.query(_OLD, (state, until_ms, 1)):
            return 0

        def work(connection: Connection) -> tuple[int, list[int]]:
            ids = removable(connection, state, until_ms)
            in_files = _remove(connection, ids, state)
            return len(ids), in_files

        removed, in_files = self._db.transact(work)
        for attempt_id in in_files:
            with contextlib.suppress(OSError):
                os.unlink(self._spool.output_file(attempt_id))
        return removed

    def make_roles(self) -> Sequence[str]:
        """Make the roles by which other users of the server use the queue, with their rights; return their names."""
        return self._db.transact(make_roles)

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Refuse: a server is backed up by its own means."""
        check_kind(path, "path", (str, os.PathLike), "a path")
        raise Refused(
            "a queue on a server is backed up with it: 'pg_dump --schema=queuectl'; 'queuectl export' writes the"
            " jobs as JSON lines"
        )

    def check_data(self) -> list[Finding]:
        """Return what there is to say about the server, its rows and its counters."""
        return checks.of_data(self._db)

    def check_surroundings(self) -> list[Finding]:
        """Return what there is to say about rights, safety and what else uses the server."""
        return checks.of_surroundings(self._db, self._spool)

    def network_filesystem(self) -> str | None:
        """Return ``None``: no lock on a file decides anything between hosts."""
        return None

    def leftovers(self) -> list[str]:
        """Return the paths of this host's lock, run and output files that nothing needs any more.

        Not the run file of a command that runs though its attempt is over, since its host was given up: it says what
        is to be ended.
        """
        paths = files_in(self._spool)
        numbers = (numbers_in(paths),)
        with self._db.read() as connection:
            workers = {row[0] for row in connection.execute(_WORKERS, numbers).fetchall()}
            attempts = {row[0]: AttemptFacts(*row[1:]) for row in connection.execute(_ATTEMPTS, numbers * 2).fetchall()}
        found = leftovers(self._spool, paths, workers, attempts)
        return [path for path in found if not (path.endswith(".run") and is_locked(path))]

    def remove_leftovers(self) -> int:
        """Remove the files that workers left which died in mid-step; return how many.

        A claim is committed before its files are made, so a file without an open attempt belongs to none under way.
        """
        removed = 0
        for path in self.leftovers():
            with contextlib.suppress(OSError):
                os.unlink(path)
                removed += 1
        return removed


def removable(connection: Connection, state: str, until_ms: int) -> list[int]:
    """Return up to ``CHUNK`` jobs that may be removed for good, locked: none that another job still waits for.

    A job that only such ones wait for which are removed with it may be, too.
    """
    found = connection.execute(f"{_OLD} FOR UPDATE SKIP LOCKED", (state, until_ms, CHUNK)).fetchall()
    last = ids = [row[0] for row in found]
    while last and len(ids) < CHUNK:
        parameters = {"last": last, "all": ids, "state": state, "until": until_ms, "limit": CHUNK - len(ids)}
        last = [row[0] for row in connection.execute(_NEEDED_BY, parameters).fetchall()]
        ids = ids + last
    # an edge to one of them may have been added before it was locked, and not be in the snapshots until then
    while needed := {row[0] for row in connection.execute(_STILL_NEEDED, {"all": ids}).fetchall()}:
        ids = [job_id for job_id in ids if job_id not in needed]
    return ids


def _remove(connection: Connection, ids: Sequence[int], state: str) -> list[int]:
    """Remove jobs with all that belongs to them; return the attempts whose outputs are in files of some host."""
    jobs = (list(ids),)
    removed = connection.execute("DELETE FROM attempts WHERE job_id = ANY (%s) RETURNING id, output IS NULL", jobs)
    attempts = removed.fetchall()
    connection.execute("DELETE FROM chunks WHERE attempt_id = ANY (%s)", ([row[0] for row in attempts],))
    connection.execute("DELETE FROM history WHERE job_id = ANY (%s)", jobs)
    connection.execute("DELETE FROM settling WHERE job_id = ANY (%s)", jobs)
    for column in ("job_id", "on_id"):
        connection.execute(f"DELETE FROM dependencies WHERE {column} = ANY (%s)", jobs)
    connection.execute("DELETE FROM hook_events WHERE hook_job_id = ANY (%s)", jobs)
    connection.execute("DELETE FROM canary_jobs WHERE job_id = ANY (%s)", jobs)
    queues = connection.execute("DELETE FROM jobs WHERE id = ANY (%s) RETURNING queue", jobs).fetchall()
    changes = CountChanges()
    for queue, number in Counter(row[0] for row in queues).items():
        changes.add(queue, state, -number)
    changes.write(connection)
    return [attempt_id for attempt_id, is_in_file in attempts if is_in_file]
