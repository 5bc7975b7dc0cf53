"""The queue of the conformance suite: a new one on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.contract.engines import ENGINES, Engine


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the engine that a test runs on; each test that uses a queue runs on every one."""
    found = request.param
    assert isinstance(found, Engine)
    return found


@pytest.fixture
def queue(engine: Engine, tmp_path: Path, clock: FakeClock) -> Iterator[Queue]:
    """Open a new queue on an engine, on the fake clock."""
    with Queue(engine.new_address(tmp_path), clock=clock) as opened:
        yield opened
