"""The connections of one database in this process: one a thread, closed when the thread ends, at close and at a fork.

SQLite's locks belong to the process, and ``fork`` does not copy them: a connection that a child inherits believes in
locks that the child does not have, and so does every connection that the child opens beside it. So the connections of a
process that forks are closed just before, and parent and child open new ones when they need them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable

from core.errors import DatabaseClosed, DatabaseError, DatabaseReplaced
from core.locks import WriteLock
from core.storage.sqlite.output_search import OutputSearch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

#: How long a fork waits for a transaction of another thread, in seconds; most take milliseconds.
FORK_WAIT_S = 10.0

#: A file's device and inode.
Identity = tuple[int, int]


class Held:
    """One thread's share of a database: its connection, write lock, cache size and level of sync.

    ``guard`` is held while the connection is in use; ``entered`` and ``uses`` count nested calls.
    """

    __slots__ = (
        *("cache_kib", "connection", "entered", "guard", "is_full_sync", "lock", "log", "output_search", "pid"),
        *("thread", "uses"),
    )

    def __init__(self, output_search: OutputSearch) -> None:
        self.thread = threading.current_thread()
        self.pid = os.getpid()
        self.guard = threading.RLock()
        self.entered = self.uses = 0
        self.connection: sqlite3.Connection | None = None
        self.log: Identity | None = None
        self.lock: WriteLock | None = None
        self.cache_kib: int | None = None
        self.is_full_sync: bool | None = None
        self.output_search = output_search


class _Use:
    """One use of a thread's connection, as a ``with`` block."""

    # no generator: a worker enters this at every step, and a class costs half
    __slots__ = ("_connections", "_held")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> sqlite3.Connection:
        held = self._held = self._connections.enter()
        try:
            return self._connections.acquire(held)
        except BaseException:
            self._connections.leave(held)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._connections.release(self._held)
        finally:
            self._connections.leave(self._held)


class _Local(threading.local):
    held: Held | None = None


class Connections:
    """The connections to the database at ``path``, one a thread; ``connect`` opens one."""

    def __init__(self, path: str, identity: Identity, connect: Callable[[Held], sqlite3.Connection]) -> None:
        self._path = path
        self._identity = identity
        self._connect = connect
        self._start()
        self.is_closed = False
        _watch_forks(self)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._local = _Local()
        self._all: list[Held] = []
        # acquired before any guard, never while one is held
        self.opening = threading.RLock()
        self._is_opening_held = False
        self._at_fork: list[Held] = []

    # --- one use

    def enter(self) -> Held:
        """Return this thread's ``Held``, which stays until ``leave``. Raise ``DatabaseClosed`` after ``close``."""
        if self._pid != os.getpid():
            self._forget_inherited()  # a fork that went past Python's hooks
        held = self._local.held
        if held is None or self.is_closed or _unusable:
            held = self._admit(held)
        with held.guard:
            held.entered += 1
        return held

    def _admit(self, held: Held | None) -> Held:
        if self.is_closed and (held is None or not held.entered):
            raise DatabaseClosed(self._path)
        refuse_inherited(self._path, self._identity)
        if held is None:
            held = self._local.held = Held(OutputSearch(self._path))
            with self.opening:
                self._all.append(held)
        return held

    @property
    def mine(self) -> Held:
        """Return this thread's ``Held``; only between ``enter`` and ``leave``."""
        held = self._local.held
        assert held is not None
        return held

    def leave(self, held: Held) -> None:
        """End what ``enter`` began."""
        with held.guard:
            held.entered -= 1
            if self.is_closed and not held.entered:
                self._let_go(held)

    def acquire(self, held: Held) -> sqlite3.Connection:
        """Return the thread's connection, opened if need be; no other thread closes it until ``release``."""
        while True:
            if held.connection is None:
                self._open(held)
            held.guard.acquire()
            if held.connection is not None:
                held.uses += 1
                return held.connection
            held.guard.release()  # closed by a fork just now

    def release(self, held: Held) -> None:
        """End what ``acquire`` began."""
        held.uses -= 1
        held.guard.release()

    def using(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a ``with`` block that yields this thread's connection, opened if need be; begins no transaction."""
        return _Use(self)

    def _open(self, held: Held) -> None:
        with self.opening:
            for other in [other for other in self._all if not other.thread.is_alive()]:
                self._let_go(other)
            if held.connection is None:
                held.connection = self._connect(held)
                if held.log is None:
                    held.log = identity_of(self._path + "-wal")

    # --- the write-ahead log

    def check_log(self, held: Held) -> None:
        """Raise ``DatabaseReplaced`` when the log beside the database is not the one that this connection writes.

        While it is open SQLite makes no new one: that happens only after the last connection of all was closed.
        """
        path = self._path + "-wal"
        found = identity_of(path)
        if held.log is None:
            held.log = found
        elif found != held.log:
            what = "deleted" if found is None else "replaced"
            raise DatabaseReplaced(
                f"{path} was {what} while in use; nothing was changed; stop what uses this database and start it again"
            )

    # --- closing

    def close_thread(self) -> None:
        """Close this thread's connection and lock; a later use opens new ones."""
        held = self._local.held
        if held is not None and held.pid == os.getpid() and not held.entered:
            with held.guard:
                self._let_go(held)

    def close(self) -> None:
        """Close the connections and locks of all threads; a thread that uses its own now closes it right after."""
        self.is_closed = True
        if self._pid != os.getpid():
            self._forget_inherited()
        with self.opening:
            for held in list(self._all):
                if held.guard.acquire(blocking=False):
                    try:
                        if not held.entered:
                            self._let_go(held)
                    finally:
                        held.guard.release()

    def _let_go(self, held: Held) -> None:
        """Close a thread's connection and lock; its guard is held, or the thread has ended."""
        self._close_connection(held)
        if held.lock is not None:
            held.lock.close()
            held.lock = None
        with contextlib.suppress(ValueError):
            self._all.remove(held)
        if self._local.held is held:
            self._local.held = None

    def _close_connection(self, held: Held) -> None:
        connection, log = held.connection, held.log
        held.connection = held.log = held.is_full_sync = None
        if connection is None:
            return
        if log is not None and identity_of(self._path + "-wal") != log:
            # closed as the last one, SQLite would write an old log into the database and delete the one that is there
            _abandon(connection)
            return
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    # --- forks

    def before_fork(self) -> None:
        """Close all connections, and hold every thread off until the fork is over."""
        self._is_opening_held = self.opening.acquire(timeout=FORK_WAIT_S)
        for held in list(self._all):
            if held.guard.acquire(timeout=FORK_WAIT_S):
                self._at_fork.append(held)
                if not held.uses:
                    self._close_connection(held)

    def after_fork_in_parent(self) -> None:
        """Release the threads that ``before_fork`` held off."""
        while self._at_fork:
            self._at_fork.pop().guard.release()
        if self._is_opening_held:
            self._is_opening_held = False
            self.opening.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's connections: none of them is used or closed here."""
        self._forget_inherited()

    def _forget_inherited(self) -> None:
        inherited = self._all
        self._start()
        for held in inherited:
            if held.lock is not None:
                held.lock.close_inherited()
            if held.connection is not None:
                _abandon(held.connection)
                _unusable.add(self._identity)


def identity_of(path: str) -> Identity | None:
    """Return the device and inode of the file at a path, ``None`` when there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def refuse_inherited(path: str, identity: Identity) -> None:
    """Raise ``DatabaseError`` in a process that was forked while a connection to this file was in use."""
    if identity in _unusable:
        raise DatabaseError(
            f"{path} was in use at the moment that this process was forked off, so it cannot be used here;"
            " fork at another moment, or start a new program"
        )


# Files that this process inherited an open connection to. SQLite would have new ones share its wrong idea of locks.
_unusable: set[Identity] = set()
_watched: weakref.WeakSet[Connections] = weakref.WeakSet()
_watched_guard = threading.Lock()
_hooks: list[bool] = []


class _Forking(threading.local):
    """A thread's ``Connections`` that are prepared for the fork that it is about to do."""

    prepared: tuple[Connections, ...] = ()


_forking = _Forking()


def _watch_forks(connections: Connections) -> None:
    with _watched_guard:
        _watched.add(connections)
        if not _hooks:
            _hooks.append(True)
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
            )


def _before_fork() -> None:
    with _watched_guard:
        prepared = tuple(sorted(_watched, key=id))
    for connections in prepared:
        connections.before_fork()
    _forking.prepared = prepared


def _after_fork_in_parent() -> None:
    for connections in _forking.prepared:
        connections.after_fork_in_parent()
    _forking.prepared = ()


def _after_fork_in_child() -> None:
    global _watched_guard
    _watched_guard = threading.Lock()  # another thread of the parent's may have held it
    for connections in _forking.prepared:
        connections.after_fork_in_child()
    _forking.prepared = ()


def _abandon(connection: sqlite3.Connection) -> None:
    """Keep a connection from ever being closed, even at the end of the program."""
    import ctypes  # only here: it is slow to load

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
