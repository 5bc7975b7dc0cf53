"""What the tests of the PostgreSQL engine share: databases on the run's server, and servers of a test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue
from tests.fakes import FakeClock
from tests.postgres import Databases


@pytest.fixture
def address(databases: Databases) -> Iterator[str]:
    """Return the address of a new database with an empty queue in it."""
    made = databases.new()
    yield made
    databases.drop(made)


@pytest.fixture
def queue(address: str, clock: FakeClock) -> Iterator[Queue]:
    """Open a new queue on the server, on the fake clock."""
    with Queue(address, clock=clock) as opened:
        yield opened


@pytest.fixture
def reachable_directory() -> Iterator[Path]:
    """Return a directory that the user of a server can come to, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="queuectl-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)
