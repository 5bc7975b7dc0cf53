"""Resources that are counted on each host, on a server that several hosts use; two spools act two hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.model import NewJob, Phase
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand


@pytest.fixture
def elsewhere(address: str, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    """Return a worker of another host."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with Queue(address, clock=queue.storage.clock) as opened, Hand(opened) as registered:
        assert opened.storage.spool.root != queue.storage.spool.root
        yield registered


def test_what_is_counted_by_host_is_free_on_each(queue: Queue, hand: Hand, elsewhere: Hand) -> None:
    """Its numbers begin at 0 on each host; what is counted over all does not become more by a second host."""
    queue.set_resource("gpu", 2, is_per_host=True)
    queue.enqueue_many(NewJob("true", needs="gpu") for _ in range(5))
    here, there = hand.claim(5), elsewhere.claim(5)
    assert (
        [dict(claim.units) for claim in here] == [dict(claim.units) for claim in there] == [{"gpu": [0]}, {"gpu": [1]}]
    )
    (info,) = queue.resources()
    assert (info.capacity, info.is_per_host, info.in_use, info.waiting) == (2, True, 4, 1)
    hand.record(here[1])
    assert [dict(claim.units) for claim in hand.claim(5)] == [{"gpu": [1]}]


def test_a_lock_is_one_over_all_hosts(queue: Queue, hand: Hand, elsewhere: Hand) -> None:
    """And so is a capacity that was set without a word about hosts."""
    queue.set_resource("gpu", 3)
    queue.enqueue_many(NewJob("true", needs="db") for _ in range(2))
    queue.enqueue_many(NewJob("true", needs="gpu=2") for _ in range(2))
    assert len(hand.claim(5)) == 2
    assert elsewhere.claim(5) == []


def test_a_job_lacks_nothing_that_is_free_on_one_of_the_hosts(
    queue: Queue, hand: Hand, elsewhere: Hand, clock: FakeClock
) -> None:
    """Once it is in use on all, the reason names who has it."""
    queue.set_resource("gpu", 1, is_per_host=True)
    first, second, third = queue.enqueue_many(NewJob("true", needs="gpu") for _ in range(3))
    hand.claim(1)
    found = queue.waiting(second)
    assert found is not None
    assert found.phase is Phase.READY
    elsewhere.claim(1)
    found = queue.waiting(third)
    assert found is not None
    assert found.phase is Phase.HELD
    assert found.reason.startswith(f"needs gpu: {first} and {second} have it")
