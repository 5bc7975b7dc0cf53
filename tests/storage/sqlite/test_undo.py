"""What undo makes of an operation whose jobs were removed for good while those of an older one are still there."""

from __future__ import annotations

import pytest

from core.errors import Refused
from core.model import State
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand, dump, job_in


def test_undo_does_not_reach_past_a_purge_whose_jobs_were_removed(queue: Queue, hand: Hand) -> None:
    """The purge before it is not what was meant; by its number it can be undone all the same."""
    dead, gone = job_in(queue, hand, State.DEAD), job_in(queue, hand, State.DEAD)
    act = queue.purge(dead)
    queue.purge(gone)
    with sqlite_of(queue).write() as connection:
        connection.execute("DELETE FROM jobs WHERE id = ?", (gone,))
    before = dump(queue.path)
    with pytest.raises(Refused, match=r"the last act, purge of 1 job, cannot be undone: its jobs were removed"):
        queue.undo()
    assert dump(queue.path) == before
    queue.undo(act.id)
    assert queue.job(dead).state is State.DEAD
