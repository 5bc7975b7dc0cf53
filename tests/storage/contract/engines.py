"""The engines that the conformance suite runs on; a second one is one more ``Engine`` in ``ENGINES``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core.queue import Queue
from core.storage.sqlite.engine import SqliteStorage
from tests.storage.by_hand import dump

#: All that is stored: rows by table.
Contents = dict[str, list[tuple[object, ...]]]


class Engine(NamedTuple):
    """What the suite needs of an engine beside the contract.

    ``new_address`` returns the address of a database that is not there yet, given an empty directory; ``contents`` all
    that a queue has stored, read past the engine.
    """

    name: str
    storage: type[object]
    new_address: Callable[[Path], str]
    contents: Callable[[Queue], Contents]


ENGINES = (Engine("sqlite", SqliteStorage, lambda directory: str(directory / "queue.db"), lambda q: dump(q.path)),)


def contents(queue: Queue) -> Contents:
    """Return all that a queue has stored, as another program reads it."""
    (engine,) = (engine for engine in ENGINES if isinstance(queue.storage, engine.storage))
    return engine.contents(queue)
