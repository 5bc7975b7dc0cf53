"""Pruning by age, emptying the trash, files that nothing needs any more, and copies of a database in use."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Sequence

from core.errors import DatabaseError, Refused
from core.locks import create_private, sync_directory
from core.model import Finding
from core.rules.pruning import EVER, KEEP_MINUTES, too_old
from core.rules.settings import Settings
from core.storage.leftovers import AttemptFacts, files_in, leftovers, numbers_in
from core.storage.sqlite import checks
from core.storage.sqlite.file import Database, retry_on_full_disk
from core.storage.sqlite.outputs import kept_in_files
from core.storage.sqlite.totals import sum_up_some, summed_until

#: Jobs removed for good per transaction.
CHUNK = 500


class Maintenance:
    """The upkeep of one database; see ``core.storage.contract.Maintenance``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def prune(self, settings: Settings) -> int:
        """Remove for good the jobs older than ``keep-completed`` and ``keep-purged`` say; return how many."""
        removed = 0
        while found := self.prune_some(settings):
            removed += found
        return removed

    def prune_some(self, settings: Settings) -> int:
        """Do one transaction's worth of ``prune``; return how many jobs it removed, 0 when none is left to remove.

        Nothing is written when there is nothing to remove.
        """
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
            oldest = connection.execute("SELECT min(minute) FROM minutes").fetchone()[0]
            end = min(oldest_minute, summed_until(connection))
        if oldest is not None and oldest < end:
            with self._db.write(is_durable=False) as connection:
                connection.execute("DELETE FROM minutes WHERE minute < ?", (end,))
                connection.execute("DELETE FROM durations WHERE minute < ?", (end,))

    def _remove_some(self, state: str, until_ms: int) -> int:
        """Remove up to ``CHUNK`` jobs that have been in a state since ``until_ms`` or longer; return how many."""
        with self._db.read() as connection:
            if connection.execute(_OLD, (state, until_ms, 1)).fetchone() is None:
                return 0

        def work() -> tuple[int, list[int]]:
            with self._db.write(is_durable=False) as connection:
                ids = removable(connection, state, until_ms)
                listed = json.dumps(ids)
                in_files = connection.execute(
                    "SELECT id FROM attempts WHERE job_id IN (SELECT value FROM json_each(?)) AND output IS NULL",
                    (listed,),
                ).fetchall()
                connection.execute(
                    "DELETE FROM dependencies WHERE on_id IN (SELECT value FROM json_each(?))", (listed,)
                )
                connection.execute("DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))", (listed,))
            return len(ids), [row[0] for row in in_files]

        removed, in_files = retry_on_full_disk(self._db, work)
        for attempt_id in in_files:
            with contextlib.suppress(OSError):
                os.unlink(self._db.spool.output_file(attempt_id))
        return removed

    def make_roles(self) -> Sequence[str]:
        """Refuse: who may use a file is said by its mode."""
        raise Refused(
            f"{self._db.path} is a file: its mode and its directory's say who may use it; roles are a server's"
        )

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Write a consistent copy of the database to a new file, 0600, while it is in use.

        Outputs longer than 64 KiB stay in the spool and are not part of it; return how many those are.
        """
        target = os.path.abspath(os.path.expanduser(path))
        if os.path.lexists(target):
            raise Refused(f"{target} exists; choose another file")
        if not os.path.isdir(os.path.dirname(target)):
            raise Refused(f"{os.path.dirname(target)} is not a directory")
        partial = f"{target}.partial-{os.getpid()}"
        try:
            os.close(create_private(partial, os.O_RDWR, is_new=True))
            copy = sqlite3.connect(partial, isolation_level=None)
            try:
                # in one step: between steps it would begin again whenever there was a commit
                with self._db.using() as connection:
                    connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                left_out = len(kept_in_files(copy))
            finally:
                copy.close()
            _rename_new(partial, target)
            sync_directory(os.path.dirname(target))
            return left_out
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"the backup to {target} failed: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(partial)

    def check_data(self) -> list[Finding]:
        """Return what there is to say about the file, its integrity and its counters."""
        return checks.of_data(self._db)

    def check_surroundings(self) -> list[Finding]:
        """Return what there is to say about permissions, locks, room and the filesystem."""
        return checks.of_surroundings(self._db)

    def network_filesystem(self) -> str | None:
        """Return the kind of network filesystem that the file is on; ``None`` if it is local."""
        return checks.network_filesystem(self._db.path)

    def leftovers(self, among: Sequence[str] | None = None) -> list[str]:
        """Return the paths of lock, run and output files that nothing needs any more."""
        paths = files_in(self._db.spool) if among is None else among
        numbers = json.dumps(numbers_in(paths))
        with self._db.read() as connection:
            workers = {row[0] for row in connection.execute(_WORKERS, (numbers,)).fetchall()}
            attempts = {row[0]: AttemptFacts(*row[1:]) for row in connection.execute(_ATTEMPTS, (numbers,)).fetchall()}
        return leftovers(self._db.spool, paths, workers, attempts)

    def remove_leftovers(self) -> int:
        """Remove the files that workers left which died in mid-step; return how many.

        The write lock is held for the second look: inside it no claim is under way, so an unlocked run file without an
        open attempt belongs to no worker, and neither does an unlocked lock file without a row.
        """
        candidates = self.leftovers()
        if not candidates:
            return 0
        removed = 0
        with self._db.write(is_durable=False):
            for path in self.leftovers(among=candidates):
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    removed += 1
        return removed


_OLD = (
    "SELECT id FROM jobs INDEXED BY jobs_finished WHERE state = ? AND state NOT IN ('pending', 'running')"
    " AND since <= ? AND NOT EXISTS (SELECT 1 FROM dependencies WHERE on_id = jobs.id AND is_met = 0)"
    " ORDER BY since, id LIMIT ?"
)
# jobs that only those wait for that go themselves
_NEEDED_BY = (
    "SELECT DISTINCT on_id FROM dependencies AS edge JOIN jobs ON jobs.id = on_id"
    " WHERE edge.job_id IN (SELECT value FROM json_each(:last)) AND is_met = 0 AND state = :state AND since <= :until"
    " AND NOT EXISTS (SELECT 1 FROM dependencies AS other WHERE other.on_id = edge.on_id AND other.is_met = 0"
    " AND other.job_id NOT IN (SELECT value FROM json_each(:all)))"
)


def removable(connection: sqlite3.Connection, state: str, until_ms: int) -> list[int]:
    """Return up to ``CHUNK`` jobs that may be removed for good: none that another job still waits for.

    A job that only such ones wait for which are removed with it may be, too.
    """
    ids = [row[0] for row in connection.execute(_OLD, (state, until_ms, CHUNK)).fetchall()]
    last = ids
    while last and len(ids) < CHUNK:
        parameters = {"last": json.dumps(last), "all": json.dumps(ids), "state": state, "until": until_ms}
        known = set(ids)
        last = [row[0] for row in connection.execute(_NEEDED_BY, parameters).fetchall() if row[0] not in known]
        ids += last
    return ids


_WORKERS = "SELECT id FROM workers WHERE id IN (SELECT value FROM json_each(?))"
_ATTEMPTS = (
    "SELECT id, worker_id, ended_at IS NOT NULL, output IS NOT NULL FROM attempts"
    " WHERE id IN (SELECT value FROM json_each(?))"
)


def _rename_new(partial: str, target: str) -> None:
    """Give a file its name, never in place of another file."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, and then replaced
        os.close(create_private(target, os.O_RDWR, is_new=True))
        os.replace(partial, target)
