"""Names of purged jobs are free for others, and come back with the job if they still are."""

from __future__ import annotations

import pytest

from core.errors import JobNotFound, NameTaken
from core.model import NewJob, State
from core.queue import Queue


@pytest.fixture
def purged(queue: Queue) -> int:
    """Add and purge a job named nightly; return its id."""
    job_id = queue.add("echo one", name="nightly")
    queue.cancel(job_id)
    queue.purge(job_id)
    return job_id


def test_a_purged_job_keeps_its_name_until_another_wants_it(queue: Queue, purged: int) -> None:
    """It is still called by it, and restored with it."""
    assert queue.job("nightly").id == purged
    queue.restore("nightly")
    assert (queue.job("nightly").id, queue.job(purged).state) == (purged, State.CANCELLED)


def test_the_name_of_a_purged_job_is_free(queue: Queue, purged: int) -> None:
    """For a job of its own, of a batch, or one that is renamed."""
    second = queue.add("echo two", name="nightly")
    assert (queue.job("nightly").id, queue.job(purged).name) == (second, None)
    queue.cancel(second)
    queue.purge(second)
    (third,) = queue.enqueue_many([NewJob("echo three", name="nightly")])
    assert queue.job("nightly").id == third
    queue.cancel(third)
    queue.purge(third)
    fourth = queue.add("echo four")
    queue.edit(fourth, name="nightly")
    assert queue.job("nightly").id == fourth


def test_the_name_of_a_job_that_is_not_purged_is_taken(queue: Queue, purged: int) -> None:
    """By whichever way it comes."""
    queue.restore(purged)
    with pytest.raises(NameTaken):
        queue.add("true", name="nightly")
    with pytest.raises(NameTaken):
        queue.enqueue_many([NewJob("true", name="nightly")])
    other = queue.add("true")
    with pytest.raises(NameTaken):
        queue.edit(other, name="nightly")
    assert queue.job("nightly").id == purged


@pytest.mark.parametrize("way", ["restore", "undo", "restore the last purge"])
def test_a_job_comes_back_without_a_name_that_another_has(queue: Queue, purged: int, way: str) -> None:
    """The act says so; the other keeps it."""
    second = queue.add("echo two", name="nightly")
    act = {
        "restore": lambda: queue.restore(purged),
        "undo": queue.undo,
        "restore the last purge": queue.restore,
    }[way]()
    assert (act.count, act.unnamed) == (1, 1)
    assert (queue.job("nightly").id, queue.job(purged).name) == (second, None)


def test_a_job_comes_back_with_its_name_when_that_is_free_again(queue: Queue, purged: int) -> None:
    """The job that had it meanwhile was purged itself: the one restored first has it."""
    second = queue.add("echo two", name="nightly")
    queue.cancel(second)
    queue.purge(second)
    act = queue.restore([purged, second])
    assert (act.count, act.unnamed) == (2, 1)
    assert sorted(str(queue.job(job_id).name) for job_id in (purged, second)) == ["None", "nightly"]


def test_a_name_can_come_back_by_undoing_an_edit(queue: Queue) -> None:
    """Also from a purged job that took it after the edit."""
    first = queue.add("true", name="nightly")
    act = queue.edit(first, name="daily")
    second = queue.add("true", name="nightly")
    queue.cancel(second)
    queue.purge(second)
    queue.undo(act.id)
    assert (queue.job("nightly").id, queue.job(second).name) == (first, None)
    with pytest.raises(JobNotFound):
        queue.job("daily")


def test_a_purged_job_tells_what_it_was(queue: Queue, purged: int) -> None:
    """Those who waited for it want to know."""
    assert queue.purged_from(purged) is State.CANCELLED
    queue.restore(purged)
    assert queue.purged_from(purged) is None
