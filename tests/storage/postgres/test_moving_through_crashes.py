"""A move goes on, or can be started again, when the server that it reads or fills crashes on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DatabaseError, DatabaseMoved
from core.model import NewJob, State
from core.moving import move
from core.queue import Queue
from core.storage.transfer import PARTS, Record
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.long


def _rows(address: str) -> dict[str, list[Record]]:
    with Queue(address, create=False) as queue:
        return {part.name: queue.storage.transfer.read(part, None, None, 1 << 30) for part in PARTS}


@pytest.mark.parametrize("nth", [2, 5], ids=["while jobs are copied", "in the last look, with all writers kept out"])
@pytest.mark.parametrize("is_source", [False, True], ids=["the target", "the source"])
def test_a_server_crashes_and_comes_back(nth: int, is_source: bool, reachable_directory: Path, tmp_path: Path) -> None:
    """What was not committed is done again; without the locks, which went with the crash, nothing is handed over."""
    file = str(tmp_path / "queue.db")
    with Queue(file) as queue:
        queue.enqueue_many(NewJob(f"true {number}") for number in range(2500))
        queue.cancel(list(range(1, 500)))
    with PostgresServer(reachable_directory / "server", is_synced=True) as server:
        server.start()
        source, target = file, server.url()
        if is_source:
            move(file, server.url())
            source, target = server.url(), str(tmp_path / "back.db")
        before = _rows(source)
        seen = [0]

        def progress(what: str, done: int, of: int) -> None:
            seen[0] += what == "jobs"
            if what == "jobs" and seen[0] == nth:
                server.crash()
                server.start()

        if is_source and nth == 5:
            with pytest.raises(DatabaseError, match="no answer"):
                move(source, target, progress=progress)
            with Queue(source) as queue:
                assert queue.storage.transfer.state().moved_to is None
            move(source, target)
        else:
            move(source, target, progress=progress)
        assert seen[0] >= nth
        assert _rows(target) == before
        with Queue(target) as queue:
            assert queue.counts().of(State.CANCELLED) == 499
            queue.enqueue("true")
        with Queue(source) as queue, pytest.raises(DatabaseMoved):
            queue.enqueue("true")
