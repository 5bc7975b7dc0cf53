"""What the tests of the storage share: a worker whose writes are made by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.queue import Queue
from tests.storage.by_hand import Hand


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Return a registered worker that does only what the test tells it."""
    with Hand(queue) as registered:
        yield registered
