"""Pruning: what is removed for good, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import JobNotFound
from core.model import Ending, NewJob, Outcome, State, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand, job_in
from tests.storage.contract.engines import contents


def test_nothing_is_pruned_before_its_time(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Completed jobs stay for ever unless the setting says otherwise; the trash is emptied after a week."""
    kept, thrown = job_in(queue, hand, State.COMPLETED), job_in(queue, hand, State.PURGED)
    clock.advance(7 * 86400 - 1)
    assert queue.prune() == 0
    clock.advance(1)
    assert queue.prune() == 1
    assert queue.job(kept).state is State.COMPLETED
    with pytest.raises(JobNotFound):
        queue.job(thrown)


def test_old_completed_jobs_are_pruned_when_asked_for(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Only completed ones, only old enough ones, with everything that belongs to them."""
    queue.set("keep-completed", "1h")
    old = job_in(queue, hand, State.COMPLETED)
    queue.replay(old)
    hand.do_next()
    dead = job_in(queue, hand, State.DEAD)
    clock.advance(3600)
    young = job_in(queue, hand, State.COMPLETED)
    assert queue.prune() == 1
    assert queue.ids(View()) == [dead, young]
    tables = contents(queue)
    assert {row[1] for row in tables["attempts"]} == {dead, young}
    assert tables["history"] == []


def test_pruning_works_in_chunks(queue: Queue) -> None:
    """More jobs than fit into one transaction are all removed."""
    queue.enqueue_many(NewJob("true") for _ in range(1200))
    queue.cancel(View())
    queue.purge(View())
    assert queue.empty_trash() == 1200
    assert contents(queue)["jobs"] == []


def test_pruning_takes_the_output_files_along(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """The file of a long output goes with its job, and only that."""
    files = []
    for _ in range(2):
        queue.enqueue("true")
        (claim,) = hand.claim()
        path = Path(queue.storage.spool.output_file(claim.attempt_id))
        path.write_bytes(b"x" * 100_000)
        hand.step([(claim, Ending(Outcome.SUCCEEDED, exit_code=0, output_bytes=100_000))])
        files.append(path)
    assert (queue.output(1).size(), queue.output(1).path) == (100_000, str(files[0]))
    queue.purge(1)
    queue.empty_trash()
    assert [path.exists() for path in files] == [False, True]
