"""What the tests of the worker share: a queue on the machine's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.queue import Queue


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Open a new queue in a temporary directory, where its jobs run, with a short grace between TERM and KILL."""
    monkeypatch.chdir(tmp_path)
    with Queue(tmp_path / "queue.db") as opened:
        opened.set("kill-grace", "300ms")
        yield opened
