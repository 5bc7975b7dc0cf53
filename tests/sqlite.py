"""What tests of the SQLite engine see of a queue beyond the contract: its connection and its transactions."""

from __future__ import annotations

from core.queue import Queue
from core.storage.sqlite.engine import SqliteStorage


def sqlite_of(queue: Queue) -> SqliteStorage:
    """Return the storage of a queue whose database is an SQLite file."""
    assert isinstance(queue.storage, SqliteStorage)
    return queue.storage
