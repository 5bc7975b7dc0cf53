"""Hooks as an engine keeps them."""

from __future__ import annotations

import pytest

from core.errors import HookNotFound, UsageError
from core.queue import Queue
from core.rules.hook_events import Hook, HookEvent
from tests.fakes import FakeClock


def test_hooks_are_listed_in_the_order_they_were_added(queue: Queue, clock: FakeClock) -> None:
    """With all that they were given; a removed one is gone, and its number is not given again."""
    first = queue.add_hook("dead", "mail me", queue="media", every_s=0, cwd="/")
    clock.advance(5)
    second = queue.add_hook(HookEvent.DRAINED, "touch done", cwd="/")
    at = queue.now()
    assert [hook._replace(added_at=at) for hook in queue.hooks()] == [
        Hook(first, HookEvent.DEAD, "media", "mail me", 0.0, "/", at),
        Hook(second, HookEvent.DRAINED, None, "touch done", 60.0, "/", at),
    ]
    assert [(at - hook.added_at).total_seconds() for hook in queue.hooks()] == [5.0, 0.0]
    queue.remove_hook(second)
    assert [hook.id for hook in queue.hooks()] == [first]
    assert queue.add_hook("complete", "x", cwd="/") > second


def test_a_hook_that_is_not_there_cannot_be_removed(queue: Queue) -> None:
    """And one that is refused was not added."""
    with pytest.raises(HookNotFound, match="no hook 7; see 'queuectl hook list'"):
        queue.remove_hook(7)
    with pytest.raises(UsageError, match="no event"):
        queue.add_hook("died", "x")
    assert queue.hooks() == []


def test_a_job_of_no_hook_has_nothing_to_read(queue: Queue) -> None:
    """Whether it is there or not."""
    assert queue.storage.hooks.lines(queue.add("true")) == []
    assert queue.storage.hooks.lines(99) == []


def test_a_job_has_commands_of_its_own_for_its_end(queue: Queue) -> None:
    """They are stored, changed and cleared like its other fields, and an edit of them is undone."""
    job_id = queue.add("true", on_dead="./page", on_complete="./next\n./after")
    assert (queue.job(job_id).on_dead, queue.job(job_id).on_complete) == ("./page", "./next\n./after")
    act = queue.edit(job_id, on_dead=None, on_complete="./other")
    assert (queue.job(job_id).on_dead, queue.job(job_id).on_complete) == (None, "./other")
    queue.undo(act.id)
    assert (queue.job(job_id).on_dead, queue.job(job_id).on_complete) == ("./page", "./next\n./after")
    with pytest.raises(UsageError, match="on-dead is empty"):
        queue.add("true", on_dead=" ")
