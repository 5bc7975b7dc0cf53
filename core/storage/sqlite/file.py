"""The SQLite file: opening it safely, migrating it, and its transactions: one connection a thread, one writer."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator

from core.clock import Clock, SystemClock
from core.errors import (
    DatabaseError,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseReplaced,
    DatabaseTooNew,
    DiskFull,
    NotOurDatabase,
    QueueError,
)
from core.locks import (
    WriteLock,
    create_afresh,
    create_private,
    make_private_directories,
    make_private_directory,
    sync_directory,
)
from core.spool import Spool
from core.storage.sqlite import migrations, reserve
from core.storage.sqlite.connection import Connections, Held, identity_of, refuse_inherited
from core.storage.sqlite.errors import translating_errors
from core.storage.sqlite.file_identity import check_name, check_owner, claim_spool
from core.storage.sqlite.wakeup import wake_all

#: The size of a new database's pages. A step of a worker changes a row here and there on ten of them, and each goes to
#: the log as a whole: half of SQLite's default is half of that; a quarter would slow down what reads a million rows.
PAGE_BYTES = 2048
#: How long the write-ahead log grows before it is copied back, in bytes.
WAL_BYTES = 16 << 20
#: How often a read asks whether to give up, in instructions of SQLite's virtual machine: about once a millisecond.
GIVE_UP_STEPS = 20_000

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import TypeVar

    _T = TypeVar("_T")

_SMALLEST_FILE = 100  # bytes: the header of an SQLite database
_JOURNAL_HEADER = bytes.fromhex("d9d505f920a163d7")

# Held while a new file is made: closing it by hand drops every lock that SQLite, in another thread, has on it by then.
_making = threading.Lock()


class Database:
    """One database file, open. Every method may be called from any thread; each thread gets its own connection."""

    def __init__(
        self,
        path: str,
        *,
        create: bool = True,
        is_read_only: bool = False,
        clock: Clock | None = None,
        busy_timeout_s: float | None = None,
    ) -> None:
        if sqlite3.sqlite_version_info < (3, 37, 0):
            raise DatabaseError(f"SQLite {sqlite3.sqlite_version} is too old; queuectl needs 3.37 or newer")
        # one file has one name: locks and run files of a database reached through a symlink are the same ones
        self.path = os.path.realpath(path)
        self.spool = Spool(self.path + ".spool")
        self.clock: Clock = clock or SystemClock()
        self.busy_timeout_s = 5.0 if busy_timeout_s is None else busy_timeout_s
        self.is_read_only = is_read_only
        #: Whether ``is_read_only`` was set for want of rights at the opening, not because the caller asked for it.
        self.lacks_rights = False
        self._is_immutable = False
        self._identity = self._find_or_create(create)
        self._connections = Connections(self.path, self._identity, self._connect)
        try:
            with self._connections.opening, self._reader_first():
                try:
                    self._open_with_room()
                except BaseException:
                    self._connections.close_thread()
                    raise
        except BaseException:
            self.close()
            raise

    def now_ms(self) -> int:
        """Return the time by this host's calendar, in unix milliseconds."""
        return self.clock.now_ms()

    # --- opening

    def _find_or_create(self, create: bool) -> tuple[int, int]:
        with translating_errors(self.path):
            with _making:
                if not os.path.lexists(self.path):
                    self._make(create)
            status = os.stat(self.path)
            if not stat.S_ISREG(status.st_mode):
                raise NotOurDatabase(f"{self.path} is not a file; pass --db with the path of a database")
            check_owner(self.path, status)
            check_name(self.path, status)
            identity = (status.st_dev, status.st_ino)
            refuse_inherited(self.path, identity)
            if status.st_size:
                self._refuse_foreign_file(status.st_size)
            if not os.access(self.path, os.W_OK) or not os.access(os.path.dirname(self.path), os.W_OK):
                self.lacks_rights = not self.is_read_only
                self.is_read_only = True
            return identity

    def _make(self, create: bool) -> None:
        if not create or self.is_read_only:
            raise DatabaseMissing(f"no database at {self.path}; enqueue a job to create it, or pass --db")
        directory = os.path.dirname(self.path)
        make_private_directories(directory)
        with contextlib.suppress(FileExistsError):
            os.close(create_private(self.path, os.O_RDWR, is_new=True))
            sync_directory(directory)

    def _refuse_foreign_file(self, size: int) -> None:
        """Raise ``NotOurDatabase`` for a file of ``size`` bytes that is no SQLite database, or another application's.

        The header is read without a lock or a journal: opening the file as usual could already change it. SQLite reads
        it: opened and closed by hand, the file would lose the locks that this process has on it.
        """
        try:
            with contextlib.closing(self._sqlite("ro&immutable=1")) as reader:
                # a file that is shorter than it says waits for its log: what a full disk or a power cut leaves
                reader.execute("PRAGMA writable_schema = ON")
                number = reader.execute("PRAGMA application_id").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if "not a database" not in str(error):
                raise
            if self._is_half_made():
                return  # the power went while it was created; SQLite rolls back what was written
            number = None
        if number is None or size < _SMALLEST_FILE:
            raise NotOurDatabase(f"{self.path} is not an SQLite database; it was not touched")
        if number != migrations.APPLICATION_ID:
            raise NotOurDatabase(f"{self.path} belongs to another application; it was not touched")

    def _is_half_made(self) -> bool:
        """Return whether there is a journal whose rollback cuts the file to no pages at all."""
        try:
            with open(self.path + "-journal", "rb") as file:
                header = file.read(20)
        except FileNotFoundError:
            return False
        return header[:8] == _JOURNAL_HEADER and header[16:] == bytes(4)

    def _open_with_room(self) -> None:
        """Open the database; where a full disk leaves SQLite's shared memory no room, once more without the reserve."""
        try:
            self._open()
        except DiskFull:
            self.release_reserve()
            self._open()

    def _open(self) -> None:
        with translating_errors(self.path), self.using() as connection:
            version = self._version(connection)
            if self.is_read_only:
                if version == 0:
                    raise DatabaseMissing(f"{self.path} is empty; enqueue a job to fill it")
                if version < migrations.SCHEMA_VERSION:
                    raise DatabaseReadOnly(f"{self.path} has an older schema and cannot be migrated read-only")
                return
            self.make_spool()
            if version < migrations.SCHEMA_VERSION:
                self._migrate(connection)
            self._use_wal(connection)
        self.keep_reserve()

    def make_spool(self) -> None:
        """Make the spool's directories that are missing, and write into the spool which file it belongs to."""
        status = os.stat(self.path)
        for directory in (self.spool.root, self.spool.workers, self.spool.attempts):
            make_private_directory(directory, owner=(status.st_uid, status.st_gid))
        claim_spool(self.path, status)

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Turn the write-ahead log on unless it is on: it stays on, but a process may have died just before this."""
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with self._write_lock(self._connections.mine):
                connection.execute("PRAGMA journal_mode = WAL")

    @contextlib.contextmanager
    def _reader_first(self) -> Iterator[None]:
        """Hold a read-only connection while the database is opened, so that one that is refused stays unchanged.

        The last connection to close a database copies its WAL back, also into a damaged or newer one; a connection that
        may only read never does. So one is opened before all others and closed after them.
        """
        if self.is_read_only or not os.path.exists(self.path + "-wal"):
            yield
            return
        with translating_errors(self.path), contextlib.closing(self._sqlite("ro")) as reader:
            try:
                reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                self._version(reader)
            except sqlite3.OperationalError:
                pass  # reading is not enough: there is a journal to roll back, say
            yield

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the schema's version; raise ``DatabaseTooNew`` for one that is newer than this program's."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > migrations.SCHEMA_VERSION:
            raise DatabaseTooNew(
                f"{self.path} was written by a newer queuectl (schema {version}, this one knows"
                f" {migrations.SCHEMA_VERSION}); upgrade queuectl"
            )
        return version

    def _migrate(self, connection: sqlite3.Connection) -> None:
        held = self._connections.mine
        with self._write_lock(held):
            version = self._version(connection)
            if version >= migrations.SCHEMA_VERSION:
                return
            if version > 0:
                self._back_up_before(connection, version)
            # a new file gets its header outside WAL, so that the file alone says whose it is
            connection.execute("PRAGMA synchronous = FULL")
            held.is_full_sync = True
            connection.execute("BEGIN IMMEDIATE")
            try:
                for number, script in migrations.migrations():
                    if number > version:
                        for statement in migrations.statements(script):
                            connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {migrations.SCHEMA_VERSION}")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _back_up_before(self, connection: sqlite3.Connection, version: int) -> None:
        target = f"{self.path}.schema-{version}.backup"
        # the name appears only when the copy is whole: a process that dies here leaves no empty backup to trust
        partial = f"{target}.partial"
        os.close(create_afresh(partial, os.O_RDWR))
        backup = sqlite3.connect(partial)
        try:
            connection.backup(backup)
        finally:
            backup.close()
        os.replace(partial, target)
        sync_directory(os.path.dirname(target))

    def keep_reserve(self) -> bool:
        """Reserve room for a purge on a full disk, as much as there is; return whether that is the whole reserve."""
        return reserve.keep(self.spool.reserve)

    def release_reserve(self) -> None:
        """Delete the reserve, which frees its room."""
        reserve.release(self.spool.reserve)

    def shrink_log(self) -> None:
        """Copy the write-ahead log back and cut it to nothing, which frees its room; a failure is ignored."""
        with (
            contextlib.suppress(QueueError),
            translating_errors(self.path),
            self.using() as connection,
            self._write_lock(self._connections.mine),
        ):
            connection.execute("PRAGMA wal_checkpoint = TRUNCATE").fetchone()

    # --- connections

    def set_busy_timeout(self, seconds: float) -> None:
        """Set how long this thread's connection, and those opened later, wait for other writers."""
        self.busy_timeout_s = seconds
        with self.using() as connection:
            connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def limit_cache(self, kib: int) -> None:
        """Keep at most ``kib`` KiB of the file in memory for this thread, until it calls ``close_thread``."""
        held = self._connections.enter()
        try:
            held.cache_kib = kib
            if held.connection is not None:
                with self.using() as connection:
                    connection.execute(f"PRAGMA cache_size = {-kib}")
        finally:
            self._connections.leave(held)

    def using(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a ``with`` block that yields this thread's connection, opened on first use; begins no transaction."""
        return self._connections.using()

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection, for use inside of ``read`` or ``write``."""
        with self.using() as connection:
            return connection

    def _connect(self, held: Held) -> sqlite3.Connection:
        self.check_identity()
        try:
            with translating_errors(self.path):
                return self._connect_as_allowed(held)
        except DatabaseError:
            self.check_identity()  # it may have gone just now
            raise

    def _connect_as_allowed(self, held: Held) -> sqlite3.Connection:
        if not self.is_read_only:
            return self._prepare(self._sqlite("rw"), held)
        if not self._is_immutable:
            try:
                return self._prepare(self._sqlite("ro"), held)
            except sqlite3.OperationalError:
                # a read-only directory has no room for the shared-memory file; without a WAL the file is complete
                if os.path.exists(self.path + "-wal") and os.path.getsize(self.path + "-wal"):
                    raise
                self._is_immutable = True
        return self._prepare(self._sqlite("ro&immutable=1"), held)

    def _sqlite(self, mode: str) -> sqlite3.Connection:
        quoted = self.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        return sqlite3.connect(
            f"file:{quoted}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=self.busy_timeout_s,
            check_same_thread=False,
        )

    def _prepare(self, connection: sqlite3.Connection, held: Held) -> sqlite3.Connection:
        # one row that another tool spoilt must not blind a list
        connection.text_factory = _text_of
        connection.create_function("printed", 3, held.output_search)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            if held.cache_kib is not None:
                connection.execute(f"PRAGMA cache_size = {-held.cache_kib}")
            if self.is_read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a file that is empty yet
                connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
                # copying the log back syncs twice: once in 16 MB, not in 4, most of its pages being the same few
                page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
                connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // page_bytes}")
                connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connections of all threads; every later use of this object raises ``DatabaseClosed``.

        A transaction that runs in another thread is finished first, and closes its connection then.
        """
        self._connections.close()

    def close_thread(self) -> None:
        """Close this thread's connection and lock; a later use opens new ones."""
        self._connections.close_thread()

    # --- transactions

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for reads that all see the same moment. Fetch whole results; keep it short."""
        with self.using() as connection:
            if connection.in_transaction:
                yield connection  # a part of a transaction, which translates the errors
                return
            with translating_errors(self.path):
                self.check_identity()
                connection.execute("BEGIN")
                try:
                    yield connection
                except sqlite3.OperationalError:
                    self._connections.mine.output_search.raise_again()
                    raise
                finally:
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def snapshot(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Let all reads of this thread in the block see one moment; raise ``Interrupted`` soon after ``give_up()``.

        An ``OSError`` in the block is not of this file and passes as it is: what is read may be written elsewhere.
        """
        elsewhere: OSError | None = None
        with self.read() as connection:
            search = self._connections.mine.output_search
            connection.set_progress_handler(give_up, GIVE_UP_STEPS)
            search.give_up = give_up
            try:
                yield
            except OSError as error:
                elsewhere = error
            finally:
                search.give_up = None
                connection.set_progress_handler(None, 0)
        if elsewhere is not None:
            raise elsewhere

    @contextlib.contextmanager
    def write(self, *, is_durable: bool = True, wakes_workers: bool = False) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside one ``BEGIN IMMEDIATE`` transaction; commit at the end, roll back on any error.

        ``is_durable`` syncs the commit to disk before this returns; ``wakes_workers`` wakes sleeping workers after it.
        Raises ``DatabaseBusy``, ``DatabaseReplaced``, ``DatabaseReadOnly``, ``DiskFull``; then nothing was changed.
        """
        if self.is_read_only:
            raise DatabaseReadOnly(f"{self.path} is open read-only; nothing was changed")
        held = self._connections.enter()
        try:
            with translating_errors(self.path), self._write_lock(held):
                connection = self._connections.acquire(held)
                try:
                    yield from self._transaction(connection, held, is_durable)
                finally:
                    self._connections.release(held)
        finally:
            self._connections.leave(held)
        if wakes_workers:
            wake_all(self.spool.workers)

    def _transaction(
        self, connection: sqlite3.Connection, held: Held, is_durable: bool
    ) -> Iterator[sqlite3.Connection]:
        if held.is_full_sync is not is_durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            held.is_full_sync = is_durable
        connection.execute("BEGIN IMMEDIATE")
        is_committing = False
        try:
            yield connection
            self.check_identity()
            self._connections.check_log(held)
            is_committing = True
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if is_committing:
                self._take_back(connection, held)
            raise

    def _take_back(self, connection: sqlite3.Connection, held: Held) -> None:
        """Overwrite, in the WAL, a commit that failed in its sync: it is whole there, and a recovery would find it."""
        with contextlib.suppress(sqlite3.Error):
            held.is_full_sync = None
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO facts (key, value) VALUES ('failed_commits', 1)"
                " ON CONFLICT DO UPDATE SET value = value + 1"
            )
            connection.execute("COMMIT")
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def _write_lock(self, held: Held, timeout_s: float | None = None) -> WriteLock:
        """Acquire and return the write lock for a ``with``. It is fair; no two writers ever reset the WAL at once."""
        lock = held.lock
        if lock is None:
            self.check_identity()
            lock = held.lock = WriteLock(self.spool.write_lock)
        timeout_s = self.busy_timeout_s if timeout_s is None else timeout_s
        try:
            lock.acquire(timeout_s)
        except FileNotFoundError:
            self.check_identity()  # the spool may have gone together with the database
            self.make_spool()
            lock.acquire(timeout_s)
        return lock

    def try_locks(self, patience_s: float) -> None:
        """Acquire and release the locks that a write needs; raise ``DatabaseBusy`` after ``patience_s`` seconds."""
        held = self._connections.enter()
        try:
            with translating_errors(self.path), self._write_lock(held, patience_s):
                connection = self._connections.acquire(held)
                try:
                    connection.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("ROLLBACK")
                finally:
                    connection.execute(f"PRAGMA busy_timeout = {round(self.busy_timeout_s * 1000)}")
                    self._connections.release(held)
        finally:
            self._connections.leave(held)

    def check_identity(self) -> None:
        """Raise ``DatabaseReplaced`` when the file at the path is not the one that was opened."""
        found = identity_of(self.path)
        if found != self._identity:
            what = "deleted" if found is None else "replaced"
            raise DatabaseReplaced(
                f"{self.path} was {what} while in use; nothing was changed; put it back or start again",
                is_deleted=found is None,
            )

    def data_version(self) -> int:
        """Return a number that changes whenever another connection than this thread's has committed."""
        try:
            with self.using() as connection:
                return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            with translating_errors(self.path):  # only now: idle workers ask fifty times a second
                raise


def _text_of(data: bytes) -> str:
    return str(data, "utf-8", "replace")


def retry_on_full_disk(database: Database, work: Callable[[], _T]) -> _T:
    """Return the result of ``work``, which frees room; on a full disk retry without the log, then the reserve."""
    for make_room in (database.shrink_log, database.release_reserve):
        try:
            return work()
        except DiskFull:
            make_room()
    return work()
