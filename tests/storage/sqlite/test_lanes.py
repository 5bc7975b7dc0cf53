"""What a claim costs where jobs need resources, and that it costs nothing where none does."""

from __future__ import annotations

from core.model import NewJob
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand


def statements_of_a_claim(queue: Queue, hand: Hand) -> list[str]:
    """Claim one job that needs nothing and return the statements of the step, without those of triggers."""
    queue.add("true", priority=-5)
    hand.step()  # what the first step alone does
    seen: list[str] = []
    connection = sqlite_of(queue).connection()
    connection.set_trace_callback(seen.append)
    (claim,) = hand.claim(1)
    connection.set_trace_callback(None)
    assert claim.job.needs is None
    hand.record(claim)
    return [sql for sql in seen if not sql.startswith("--")]


def test_a_claim_where_no_job_needs_anything_reads_nothing_of_resources(queue: Queue, hand: Hand) -> None:
    """But one number in a statement that there was before: whether such jobs have come since the last look."""
    for statement in statements_of_a_claim(queue, hand):
        assert "lanes_epoch" not in statement or statement.startswith("SELECT (SELECT min(run_at)")
        assert "jobs_lanes" not in statement
        assert "resources" not in statement
        assert "attempts_units" not in statement


def test_a_worker_that_found_nothing_to_start_looks_no_more_until_something_changes(queue: Queue, hand: Hand) -> None:
    """Five hundred jobs that wait for a lock cost as many statements as none; then the lock is free."""
    before = len(statements_of_a_claim(queue, hand))
    lock = queue.add(NewJob("true", needs="db"))
    (claim,) = hand.claim(1)
    assert claim.job.id == lock
    queue.enqueue_many(NewJob("true", needs=f"db,r{number}", priority=9) for number in range(500))
    queue.add("true", priority=-5)
    assert [claim.job.needs for claim in hand.claim(1)] == [None]  # its slot is filled, and yet it has seen all
    assert len(statements_of_a_claim(queue, hand)) == before
    hand.record(claim)
    assert len(hand.claim(1)) == 1


def test_lanes_are_walked_only_when_something_does_not_fit(queue: Queue, hand: Hand) -> None:
    """Of five hundred sets of needs the first that fit start, as they do where there is one."""
    before = len(statements_of_a_claim(queue, hand))
    queue.enqueue_many(NewJob("true", needs={f"r{number}": 1}) for number in range(500))
    seen: list[str] = []
    connection = sqlite_of(queue).connection()
    connection.set_trace_callback(seen.append)
    claims = hand.claim(3)
    connection.set_trace_callback(None)
    assert [claim.job.needs for claim in claims] == [{"r0": 1}, {"r1": 1}, {"r2": 1}]
    assert not any("jobs_lanes" in sql for sql in seen)
    looks = [sql for sql in seen if sql.startswith("SELECT")]
    assert len(looks) <= before + 8
    queue.add(NewJob("true", needs="r0", priority=9))
    connection.set_trace_callback(seen.append)
    (claim,) = hand.claim(1)
    connection.set_trace_callback(None)
    assert claim.job.needs == {"r3": 1}
    assert any("jobs_lanes" in sql for sql in seen)
