"""What a draining worker waits for in a file that an older version wrote."""

from __future__ import annotations

from datetime import timedelta

from core.clock import to_datetime
from core.model import Outcome
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand


def test_a_back_off_from_before_it_was_kept_is_waited_for(queue: Queue, hand: Hand) -> None:
    """A database that was upgraded while a job backed off does not know how long that was to take."""
    job_id = queue.add("exit 3", max_attempts=2, backoff_base=1000)
    hand.do_next(Outcome.FAILED)
    with sqlite_of(queue).write() as connection:
        connection.execute("UPDATE jobs SET backoff_ms = NULL")
    drain = queue.storage.drain(())
    assert not drain.is_over()
    queue.edit(job_id, run_at=to_datetime(queue.storage.now_ms()) + timedelta(hours=1))
    assert drain.is_over()
