"""The queue of the conformance suite: a new one on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.contract.engines import ENGINES, Engine


@pytest.fixture(scope="session", params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the engine that a test runs on; each test that uses a queue runs on every one."""
    found = request.param
    assert isinstance(found, Engine)
    return found


@pytest.fixture
def queue(engine: Engine, request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Queue]:
    """Open a new queue on an engine, on the fake clock."""
    with engine.database(request) as address, Queue(address, clock=clock) as opened:
        yield opened
