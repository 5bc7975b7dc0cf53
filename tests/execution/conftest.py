"""What the tests of the worker share: a queue on the machine's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue
from tests.postgres import Databases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module on each of its ``ENGINES``, as far as they use a queue; without these on a file."""
    engines = getattr(metafunc.module, "ENGINES", None)
    if engines is not None and "queue" in metafunc.fixturenames:
        metafunc.parametrize("queue", engines, indirect=True)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Queue]:
    """Open a new queue, where its jobs run in a temporary directory, with a short grace between TERM and KILL."""
    monkeypatch.chdir(tmp_path)
    if getattr(request, "param", "sqlite") == "sqlite":
        with Queue(tmp_path / "queue.db") as opened:
            opened.set("kill-grace", "300ms")
            yield opened
        return
    databases: Databases = request.getfixturevalue("databases")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    address = databases.new()
    try:
        with Queue(address) as opened:
            opened.set("kill-grace", "300ms")
            yield opened
    finally:
        databases.drop(address)
