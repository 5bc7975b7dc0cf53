"""The connections to one database on a server, one a thread, and what is done on them: reads and transactions."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import pq

from core.addresses import is_unclear, without_password
from core.clock import Clock, SystemClock
from core.errors import DatabaseClosed, DatabaseError, DatabaseReadOnly, DatabaseReplaced, Interrupted, UsageError
from core.storage.postgres import starting
from core.storage.postgres.errors import POOLER, REPEATABLE, translated, translating_errors

_T = TypeVar("_T")
Connection = psycopg.Connection[tuple[Any, ...]]
Parameters = Sequence[Any] | Mapping[str, Any] | None

#: How often a transaction is done again that the server or the network ended before its commit.
REPEATS = 3
#: How long the server may be silent in a handshake, in seconds.
CONNECT_TIMEOUT_S = 10
#: How long a statement of a snapshot may take, in milliseconds.
SNAPSHOT_TIMEOUT_MS = 2000
#: How old a reading of the server's clock may be, in seconds.
CLOCK_AGE_S = 10.0
#: How often a read that can be given up asks whether it is, in seconds.
GIVE_UP_LOOK_S = 0.02

_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A setting whose value every client is sent, on which nothing depends, and that is hardly ever so by itself: by it a
# pooler is known that drops the settings of a session.
_MARK = "sql_standard"

# A connection that dies silently is found within 10 s; a transaction that its client forgot ends.
_SETTINGS = {
    "application_name": "queuectl",
    "client_encoding": "utf8",
    "target_session_attrs": "read-write",
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": (
        "-c search_path=queuectl -c timezone=UTC -c synchronous_commit=on"
        " -c default_transaction_isolation=read\\ committed -c idle_in_transaction_session_timeout=60s -c jit=off"
        # what a role or a database may be set to, and would end statements or change what is read and written
        " -c statement_timeout=0 -c extra_float_digits=1 -c array_nulls=on -c standard_conforming_strings=on"
        f" -c IntervalStyle={_MARK}"
        # a row by its key is hardly ever on a disk that seeks: else small tables are read whole for each row of a page
        " -c random_page_cost=1.1"
    ),
}


class _GiveUp:
    """Whether a read is given up: asked until it is, by one thread at a time."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._is_over = False

    def __call__(self) -> bool:
        with self._lock:
            self._is_over = self._is_over or self._ask()
            return self._is_over


class _Local(threading.local):
    connection: Connection | None = None
    pid = 0
    busy_timeout_s = 0.0
    blocks = 0
    is_given_up: _GiveUp | None = None


class Connections:
    """The connections to the database at ``address``; a forked child opens its own and closes none of the parent's."""

    def __init__(
        self,
        address: str,
        *,
        is_read_only: bool,
        clock: Clock | None,
        busy_timeout_s: float,
        on_wait: Callable[[str], object] | None = None,
    ) -> None:
        if is_unclear(address):
            raise UsageError(
                f"{without_password(address)}: write special characters of a password as %40 (@), %2F (/), %3A (:),"
                " %3F (?) or %23 (#), or leave it out: it may stand in ~/.pgpass"
            )
        self.conninfo = address
        self.address = without_password(address)
        self.is_read_only = is_read_only
        self.clock: Clock = clock or SystemClock()
        self._has_own_time = clock is not None
        self.busy_timeout_s = busy_timeout_s
        self._on_wait = on_wait
        self.database_id: int | None = None
        self.is_closed = False
        self._local = _Local()
        self._guard = threading.Lock()
        self._all: list[tuple[threading.Thread, Connection]] = []
        self._server_ahead_ms: tuple[float, float] | None = None

    # --- connections

    def connection(self) -> Connection:
        """Return this thread's connection, opened if there is none or the one there was is broken.

        A transaction that an error left open outside of ``read`` and ``transact`` is ended first: what came after it
        would be a part of it, and never be committed.
        """
        found = self._local.connection
        if found is not None and not found.closed and self._local.pid == os.getpid():
            if not self._local.blocks and found.info.transaction_status != pq.TransactionStatus.IDLE:
                with contextlib.suppress(psycopg.Error):
                    found.execute("ROLLBACK")
            if not found.closed:
                return found
        if self.is_closed:
            raise DatabaseClosed(self.address)
        with translating_errors(self.address):
            opened = self._first() if self.database_id is None else self.connect()
        self._local.connection, self._local.pid = opened, os.getpid()
        self._local.busy_timeout_s = self.busy_timeout_s
        with self._guard:
            if self._all and not self._all[0][0].is_alive():
                self._close_ended()
            self._all.append((threading.current_thread(), opened))
        return opened

    def _first(self) -> Connection:
        """Return a connection of a program that begins, perhaps beside its server; later ones do not wait."""
        on_wait, text = self._on_wait, f"the server of {self.address} takes no connections yet; waiting for it"
        return starting.connected(self.connect, self.conninfo, on_wait and (lambda: on_wait(text)))

    def connect(self, **more: Any) -> Connection:
        """Return a new connection in autocommit mode, for the caller to close; raises psycopg's errors."""
        settings = {**_SETTINGS, **more}
        if self.is_read_only:
            settings["target_session_attrs"] = "any"
            settings["options"] = f"{settings['options']} -c default_transaction_read_only=on"
        settings["options"] = f"{settings['options']} -c lock_timeout={round(self.busy_timeout_s * 1000)}"
        opened: Connection = psycopg.connect(
            self.conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, **settings
        )
        try:
            self._check_settings(opened)
            self._check_database(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _check_settings(self, connection: Connection) -> None:
        if connection.info.parameter_status("IntervalStyle") != _MARK:
            raise DatabaseError(POOLER.format(address=self.address))

    def _check_database(self, connection: Connection) -> None:
        if self.database_id is None:
            return
        row = connection.execute("SELECT value FROM facts WHERE key = 'database_id'").fetchone()
        if row is None or row[0] != self.database_id:
            raise DatabaseReplaced(f"{self.address} is another database than it was; start again")

    def set_busy_timeout(self, seconds: float) -> None:
        """Set how long this thread's connection, and those opened later, wait for what other writers hold."""
        self.busy_timeout_s = seconds
        self.connection()
        if self._local.busy_timeout_s != seconds:
            self.query(f"SET lock_timeout = {round(seconds * 1000)}")
            self._local.busy_timeout_s = seconds

    def close_thread(self) -> None:
        """Close this thread's connection; a later use opens another."""
        found, self._local.connection = self._local.connection, None
        if found is not None and self._local.pid == os.getpid():
            with self._guard:
                self._all = [(thread, other) for thread, other in self._all if other is not found]
            found.close()

    def close(self) -> None:
        """Close the connections of all threads; every later use raises ``DatabaseClosed``.

        A transaction of another thread is finished first: closing waits for it.
        """
        self.is_closed = True
        with self._guard:
            found, self._all = self._all, []
        for _, connection in found:
            if self._local.pid in (0, os.getpid()):
                with connection.lock, contextlib.suppress(psycopg.Error):
                    connection.close()

    def _close_ended(self) -> None:
        for thread, connection in self._all:
            if not thread.is_alive():
                connection.close()
        self._all = [(thread, connection) for thread, connection in self._all if thread.is_alive()]

    # --- time

    def now_ms(self) -> int:
        """Return the server's time in unix milliseconds, from a reading at most ``CLOCK_AGE_S`` old and the stopwatch.

        While the server does not answer, an older reading does: a worker reckons with it outside of its steps. With a
        clock given at the opening, its time.
        """
        if self._has_own_time:
            return self.clock.now_ms()
        before = self.clock.monotonic_s()
        ahead = self._server_ahead_ms
        if ahead is None or not 0 <= before - ahead[0] < CLOCK_AGE_S:
            try:
                server = self.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")[0][0]
            except DatabaseError:
                if ahead is None:
                    raise
                ahead_ms = ahead[1]
            else:
                ahead_ms = server - (before + self.clock.monotonic_s()) * 500
            before = self.clock.monotonic_s()
            ahead = self._server_ahead_ms = (before, ahead_ms)
        return round(before * 1000 + ahead[1])

    # --- reads

    def query(self, statement: str, parameters: Parameters = None, *, repeats: int = REPEATS) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, in a transaction of its own, or of the one that runs in this thread.

        It is done again, up to ``repeats`` times, when the connection broke: it may have been done twice then.
        """
        for repeat in range(repeats + 1):
            connection = self.connection()
            is_alone = connection.info.transaction_status == pq.TransactionStatus.IDLE
            try:
                cursor = connection.execute(statement, parameters)
                # not its description, which is made anew, an object for each column
                return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
            except psycopg.Error as error:
                if is_alone and repeat < repeats and (connection.closed or isinstance(error, REPEATABLE)):
                    continue
                raise translated(self.address, error, may_give_up=self._may_give_up()) from error
        raise AssertionError

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield this thread's connection for reads that all see the same moment; keep it short."""
        connection = self.connection()
        with translating_errors(self.address, self._may_give_up):
            if connection.info.transaction_status != pq.TransactionStatus.IDLE:
                yield connection
                return
            try:
                connection.execute(_BEGIN_READ)
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                connection = self.connection()  # the server has ended the one there was: nothing was read on it
                connection.execute(_BEGIN_READ)
            self._local.blocks += 1
            try:
                yield connection
            finally:
                self._local.blocks -= 1
                if not connection.closed:
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def snapshot(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Let all reads of this thread in the block see one moment; raise ``Interrupted`` soon after ``give_up()``."""
        with self.read() as connection:
            connection.execute(f"SET LOCAL statement_timeout = {SNAPSHOT_TIMEOUT_MS}")
            over, is_given_up = threading.Event(), _GiveUp(give_up)
            self._local.is_given_up = is_given_up

            def watch() -> None:
                while not over.wait(GIVE_UP_LOOK_S):
                    if is_given_up():
                        with contextlib.suppress(psycopg.Error):
                            connection.cancel_safe(timeout=1.0)

            watcher = threading.Thread(target=watch, name="queuectl-give-up", daemon=True)
            watcher.start()
            try:
                yield
            finally:
                self._local.is_given_up = None
                over.set()
                watcher.join()

    def _may_give_up(self) -> bool:
        return self._local.is_given_up is not None

    def check_given_up(self) -> None:
        """Raise ``Interrupted`` if this thread's snapshot is given up; to be asked between two statements of it."""
        is_given_up = self._local.is_given_up
        if is_given_up is not None and is_given_up():
            raise Interrupted(f"reading {self.address} was given up")

    # --- writes

    def transact(self, work: Callable[[Connection], _T], *, wakes_workers: bool = False) -> _T:
        """Return what ``work(connection)`` returns, done in one transaction that is on disk when this returns.

        ``work`` is done again, up to three times, after a deadlock or when the connection broke before the commit: it
        must have no other effects. A commit whose answer was lost is looked for on the server; if that cannot say,
        the error says so. ``wakes_workers`` rings after the commit.
        """
        if self.is_read_only:
            raise DatabaseReadOnly(f"{self.address} is open read-only; nothing was changed")
        for repeat in range(REPEATS + 1):
            try:
                done = self._once(work)
                break
            except psycopg.Error as error:
                lost = self._local.connection is None or self._local.connection.closed
                if repeat < REPEATS and (lost or isinstance(error, REPEATABLE)):
                    continue
                raise translated(self.address, error) from error
        if wakes_workers:
            self.ring()
        return done

    def _once(self, work: Callable[[Connection], _T]) -> _T:
        connection = self.connection()
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            raise DatabaseReadOnly(f"{self.address} is read as of one moment now; nothing was changed")
        # one round trip for both: the number is what a lost answer is asked by
        cursor = connection.execute("BEGIN; SELECT pg_current_xact_id()::text")
        cursor.nextset()
        row = cursor.fetchone()
        assert row is not None
        self._local.blocks += 1
        try:
            done = work(connection)
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            raise
        finally:
            self._local.blocks -= 1
        try:
            connection.execute("COMMIT")
        except psycopg.Error:
            if not connection.closed:
                raise
            if not self._is_committed(row[0]):
                raise
        return done

    def _is_committed(self, transaction: str) -> bool:
        """Return whether a transaction, whose commit was not answered, was committed; ask on a new connection."""
        try:
            found = self.query("SELECT pg_xact_status(%s::text::xid8)", (transaction,))
        except DatabaseError as error:
            raise DatabaseError(
                f"the connection to {self.address} broke during a commit, which may or may not have happened;"
                " look before you repeat it"
            ) from error
        return bool(found[0][0] == "committed")

    def ring(self) -> None:
        """Wake all sleeping workers. It saves time and decides nothing: failures are ignored."""
        with contextlib.suppress(psycopg.Error, DatabaseError):
            self.connection().execute("BEGIN; SET LOCAL synchronous_commit = off; NOTIFY queuectl; COMMIT")
