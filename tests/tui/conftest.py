"""What the tests of the dashboard share: a queue on the calendar, and what keeps them from growing their process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from core.queue import Queue
from tests.sqlite import new_database
from tests.storage.by_hand import Hand

#: After how many tests what they left is collected: some 100 dashboards of 6 MB each.
_BATCH = 100

_tests = count(1)


@pytest.fixture(autouse=True)
def _dashboards_are_collected() -> Iterator[None]:
    """Collect the dashboards of earlier tests now and then.

    Each exempts all that is there at its first picture from garbage collection, for as long as its process lives. Here
    hundreds are started in one process, and each would keep those before it.
    """
    yield
    if next(_tests) % _BATCH == 0:  # counting the objects that are exempt would take as long as a test
        gc.unfreeze()
        gc.collect()
        gc.freeze()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Open a new queue on the real clock: the dashboard shows how long ago things were."""
    with Queue(new_database(tmp_path / "queue.db")) as opened:
        yield opened


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Return a registered worker that does only what the test tells it."""
    with Hand(queue) as registered:
        yield registered
