"""What tests of the SQLite engine see of a queue beyond the contract, and new databases that are copies of one."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from core.queue import Queue
from core.storage.sqlite.engine import SqliteStorage


def sqlite_of(queue: Queue) -> SqliteStorage:
    """Return the storage of a queue whose database is an SQLite file."""
    assert isinstance(queue.storage, SqliteStorage)
    return queue.storage


def new_database(path: Path) -> str:
    """Make a file with an empty queue in it; return its path. It is a copy: the steps of the schema take 10 ms."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(_empty())
    return str(path)


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "queue.db"
        Queue(made).close()
        return made.read_bytes()
