"""The engines that the conformance suite runs on; a third one is one more ``Engine`` in ``ENGINES``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import pytest

import tests.postgres
from core.queue import Queue
from core.storage.postgres.engine import PostgresStorage
from core.storage.sqlite.engine import SqliteStorage
from tests.postgres import Databases
from tests.sqlite import new_database
from tests.storage.by_hand import dump

#: All that is stored: rows by table.
Contents = dict[str, list[tuple[object, ...]]]


class Engine(NamedTuple):
    """What the suite needs of an engine beside the contract.

    ``database`` yields the address of a new, empty database, and removes it afterwards; ``contents`` returns all that a
    queue has stored, read past the engine.
    """

    name: str
    storage: type[object]
    database: Callable[[pytest.FixtureRequest], AbstractContextManager[str]]
    contents: Callable[[Queue], Contents]


@contextlib.contextmanager
def _file(request: pytest.FixtureRequest) -> Iterator[str]:
    directory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    yield new_database(directory.mktemp("database") / "queue.db")  # pytest removes it


@contextlib.contextmanager
def _on_server(request: pytest.FixtureRequest) -> Iterator[str]:
    databases: Databases = request.getfixturevalue("databases")
    address = databases.new()
    try:
        yield address
    finally:
        databases.drop(address)


ENGINES = (
    Engine("sqlite", SqliteStorage, _file, lambda q: dump(q.path)),
    Engine(
        "postgres",
        PostgresStorage,
        _on_server,
        lambda q: tests.postgres.dump(q.path),
    ),
)


def contents(queue: Queue) -> Contents:
    """Return all that a queue has stored, as another program reads it."""
    (engine,) = (engine for engine in ENGINES if isinstance(queue.storage, engine.storage))
    return engine.contents(queue)
