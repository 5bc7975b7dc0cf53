"""Reads that belong together see one moment, and one that nobody waits for any more is given up."""

from __future__ import annotations

import errno

import pytest

from core.errors import DatabaseError, Interrupted, QueueError
from core.model import NewJob, RowCache, State, Term, View
from core.queue import Queue

PENDING = View(states=(State.PENDING,))


def test_reads_in_a_snapshot_see_one_moment(queue: Queue) -> None:
    queue.enqueue("true")
    with Queue(queue.path) as other, queue.snapshot():
        assert queue.counts().of(State.PENDING) == 1
        other.enqueue("true")
        assert queue.counts().of(State.PENDING) == 1
        assert len(queue.rows(PENDING)) == 1
    assert queue.counts().of(State.PENDING) == 2


def test_a_write_in_a_snapshot_is_refused(queue: Queue) -> None:
    with queue.snapshot(), pytest.raises(DatabaseError):
        queue.add("true")
    queue.add("true")
    assert queue.counts().of(State.PENDING) == 1


def test_trouble_of_what_is_done_in_a_snapshot_is_not_the_databases(queue: Queue) -> None:
    """A reader that is gone, a full disk under a copy: the error stays what it is, and the next read works."""
    trouble = BrokenPipeError(errno.EPIPE, "Broken pipe")

    def write() -> None:
        with queue.snapshot():
            queue.counts()
            raise trouble

    with pytest.raises(BrokenPipeError) as caught:
        write()
    assert caught.value is trouble
    queue.add("true")
    assert queue.counts().of(State.PENDING) == 1


def test_a_slow_read_is_given_up(queue: Queue) -> None:
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(5_000))
    terms = tuple(Term("text", f"no{number}such word", is_negated=True) for number in range(100))
    asked = 0

    def give_up() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 3

    def read() -> None:
        with queue.snapshot(give_up):
            for _ in range(500):  # one may be over before it was asked about three times
                queue.count(View(states=(State.PENDING,), terms=terms))

    with pytest.raises(Interrupted) as caught:
        read()
    assert asked == 3
    assert isinstance(caught.value, QueueError)
    assert queue.count(PENDING) == 5_000
    queue.add("true")


def test_known_rows_are_the_same_objects_again(queue: Queue) -> None:
    queue.enqueue_many(NewJob(f"echo {number}") for number in range(3))
    known: RowCache = {}
    before = queue.rows(PENDING, known=known)
    queue.edit(2, command="echo changed")
    after = queue.rows(PENDING, known=known)
    assert [new is old for new, old in zip(after, before, strict=True)] == [True, False, True]
    assert after == queue.rows(PENDING)
    assert queue.last_rows(PENDING, known=known) == after
