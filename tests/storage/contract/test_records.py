"""Records of jobs, as an export reads them: attempts of whole pages, and environments that jobs share."""

from __future__ import annotations

import pytest

from core.model import Outcome, State, View
from core.queue import Queue
from tests.storage.by_hand import Hand


def test_records_are_the_jobs_with_their_attempts(queue: Queue, hand: Hand) -> None:
    """In the order that was given, attempts the first one first, as ``job`` and ``attempts`` return them."""
    queue.enqueue_many(["true"] * 3)
    hand.do_next(Outcome.SUCCEEDED)
    queue.replay(1)
    hand.do_next(Outcome.FAILED)
    jobs = [queue.job(number) for number in (3, 1, 2)]
    found = queue.records(jobs)
    assert [record.job for record in found] == jobs
    assert [list(record.attempts) for record in found] == [queue.attempts(number) for number in (3, 1, 2)]
    assert [len(record.attempts) for record in found] == [0, 2, 0]


def test_a_purged_job_says_what_it_was(queue: Queue, hand: Hand) -> None:
    """So that it can be restored from an export, too."""
    queue.enqueue_many(["true", "true"])
    hand.do_next(Outcome.SUCCEEDED)
    queue.purge(1)
    found = queue.records([queue.job(1), queue.job(2)])
    assert [record.purged_from for record in found] == [State.COMPLETED, None]


def test_a_job_that_was_removed_since_has_no_record(queue: Queue, hand: Hand) -> None:
    """It is left out, and the others are there."""
    queue.enqueue_many(["true", "true"])
    hand.do_next(Outcome.SUCCEEDED)
    jobs = queue.jobs(View())
    queue.purge(1)
    queue.empty_trash()
    assert [record.job.id for record in queue.records(jobs)] == [2]
    assert queue.records([]) == []


def test_jobs_share_their_environments(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all jobs that were added with the same variables; secrets that were captured are in it as they are."""
    queue.set("capture-env", "all")
    monkeypatch.setenv("API_TOKEN", "hush")
    queue.enqueue_many(["true", "true"])
    monkeypatch.setenv("API_TOKEN", "other")
    queue.enqueue("true", env={"OWN": "1"})
    one, two, three = (record.environment_id for record in queue.records([queue.job(n) for n in (1, 2, 3)]))
    assert one == two != three
    found = {stored.id: stored for stored in queue.environments([three, one, 10**9])}
    assert sorted(found) == sorted([one, three])
    assert [found[number].variables["API_TOKEN"] for number in (one, three)] == ["hush", "other"]
    assert found[one].mode == "all"
    assert "OWN" not in found[three].variables


def test_an_environment_names_what_was_left_to_the_worker(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name alone: the value was never stored."""
    monkeypatch.setenv("API_TOKEN", "hush")
    job = queue.enqueue("true")
    (record,) = queue.records([job])
    (stored,) = queue.environments([record.environment_id])
    assert "API_TOKEN" in stored.left_out
    assert "API_TOKEN" not in stored.variables
