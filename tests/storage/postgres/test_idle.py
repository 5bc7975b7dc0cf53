"""What workers without work cost a server: connections, looks, and what one bell sets going; counted, not timed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from core.execution.worker import Worker
from core.queue import Queue
from core.storage.postgres.attempts import Attempts
from core.storage.postgres.changes import Changes
from tests.processes import wait_for

WORKERS = 4


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the looks and the turns of all workers of this process."""
    counts: Counter[str] = Counter()
    version, turn = Changes.version, Attempts.record_and_claim

    def counted_version(self: Changes) -> int:
        counts["looks"] += 1
        return version(self)

    def counted_turn(self: Attempts, *arguments: object, **more: object) -> object:
        counts["turns"] += 1
        return turn(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Changes, "version", counted_version)
    monkeypatch.setattr(Attempts, "record_and_claim", counted_turn)
    return counts


@pytest.fixture
def workers(address: str, counted: Counter[str]) -> Iterator[list[Worker]]:
    """Start workers that have nothing to do, and wait until each has looked for jobs once."""
    with Queue(address) as queue:
        started = [Worker(queue) for _ in range(WORKERS)]
        for worker in started:
            worker.start()
        try:
            wait_for(lambda: counted["turns"] >= WORKERS)
            yield started
        finally:
            for worker in started:
                worker.stop()
            assert all(worker.join(60) for worker in started)


@pytest.mark.usefixtures("workers")
def test_a_worker_has_two_connections(address: str) -> None:
    """One for its statements, one for the bell; the program that started them has one, and so has the keeper."""
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT application_name = 'queuectl', count(*)::integer FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'queuectl%' GROUP BY 1"
        ).fetchall()
    counts: dict[bool, int] = dict(found)
    assert counts[False] == WORKERS
    assert WORKERS <= counts[True] <= WORKERS + 2


@pytest.mark.usefixtures("workers")
def test_a_worker_without_work_looks_once_a_second(counted: Counter[str]) -> None:
    """On a file it looks twenty times; here each look is a statement, and hundreds of workers share the server."""
    counted.clear()
    began = time.monotonic()
    time.sleep(3)  # a slow machine makes fewer looks in a longer time
    looks, seconds = counted["looks"], time.monotonic() - began
    assert looks <= WORKERS * (seconds + 2)


@pytest.mark.usefixtures("workers")
def test_a_bell_sets_one_claim_a_worker_going(
    address: str, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them makes the others try again: a claim that finds nothing commits nothing."""
    bells = 20
    monkeypatch.setattr(Changes, "look_s", 3600.0)
    with psycopg.connect(address, autocommit=True) as connection:
        counted.clear()
        for number in range(1, bells + 1):
            connection.execute("NOTIFY queuectl")
            wait_for(lambda number=number: counted["turns"] >= number * WORKERS)  # type: ignore[misc]
    # each of them rang when it began, too
    assert counted["turns"] <= (bells + 2 * WORKERS) * WORKERS
