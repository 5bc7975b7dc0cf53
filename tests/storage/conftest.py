"""What the tests of the storage share: a worker whose writes are made by hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue
from tests.storage.by_hand import Hand


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Return a registered worker that does only what the test tells it."""
    with Hand(queue) as registered:
        yield registered


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Return a directory that another user can come to: pytest's own are closed to others, by each run that starts."""
    parent = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="queuectl-test-", dir=parent) as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
