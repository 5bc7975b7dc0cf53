"""The first pages of lists, read as texts: the same rows as one by one, and made only where something changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.model import NewJob, Page, Sort, State, View
from core.queue import Queue
from core.rules.views import DONE
from tests.storage.by_hand import Hand, job_in

PENDING = View(states=(State.PENDING,))
VIEWS = [
    View(states, (), sort, is_reversed)
    for states in ((State.PENDING,), (State.RUNNING,), DONE, (State.DEAD,), ())
    for sort in Sort
    for is_reversed in (False, True)
]
#: What a text could lose: quotes, escapes, line feeds, other scripts, a fraction with all its digits.
AWKWARD = NewJob(
    "printf 'a\n\\t\x01\\u0000 \x7f\x1e\u2028'", name='"ü\\"', label="é, null", backoff_base=1.1000000000000003
)


@pytest.fixture
def busy(queue: Queue) -> Iterator[Queue]:
    """Return a queue with jobs in every state, ready and delayed ones, and one with awkward values."""
    with Hand(queue) as hand:
        for state in reversed(State):
            job_in(queue, hand, state)
        now = queue.job(1).enqueued_at
        queue.enqueue_many(
            NewJob("true", priority=n % 3, run_at=now.replace(year=2100) if n % 2 else None) for n in range(9)
        )
        queue.enqueue(AWKWARD)
        queue.enqueue(AWKWARD, name="more", env={"A": "1", "B": "\n"}, timeout_s=1.5)
        yield queue


@pytest.mark.parametrize("limit", [1, 4, 6, 100])
def test_pages_hold_what_lists_hold(busy: Queue, limit: int) -> None:
    pages = busy.first_pages([(view, limit) for view in VIEWS], [Page()] * len(VIEWS))
    for view, page in zip(VIEWS, pages, strict=True):
        assert list(page.rows) == busy.rows(view, limit=limit), view


def test_what_did_not_change_is_the_same_object_again(busy: Queue) -> None:
    wanted = [(view, 100) for view in (PENDING, View(states=(State.DEAD,)), View(states=DONE))]
    before = busy.first_pages(wanted, [Page()] * 3)
    assert all(new is old for new, old in zip(busy.first_pages(wanted, before), before, strict=True))
    changed = before[0].rows[2].job.id
    busy.edit(changed, command="echo changed")
    after = busy.first_pages(wanted, before)
    assert [new is old for new, old in zip(after, before, strict=True)] == [False, True, True]
    is_same = [new is old for new, old in zip(after[0].rows, before[0].rows, strict=True)]
    assert is_same == [row.job.id != changed for row in before[0].rows]
    assert after[0].rows[2].job.command == "echo changed"


@pytest.mark.parametrize(
    "change",
    [
        {"command": "false"},
        {"name": "other"},
        {"priority": 1},
        {"queue": "media"},
        {"label": "x"},
        {"cwd": "/"},
        {"env": {"A": "2"}},
        {"max_attempts": 9},
        {"timeout_s": 9.0},
        {"backoff_base": 1.1000000000000005},
        {"ok_exit": "3"},
        {"dead_exit": "4"},
    ],
)
def test_a_change_of_any_field_shows(queue: Queue, change: dict[str, object]) -> None:
    job = queue.enqueue("true", backoff_base=1.1000000000000003)
    before = queue.first_pages([(PENDING, 10)], [Page()])
    queue.edit(job.id, **change)  # type: ignore[arg-type]
    (after,) = queue.first_pages([(PENDING, 10)], before)
    assert [row.job for row in after.rows] == [queue.job(job.id)]
    assert after.rows[0].job != before[0].rows[0].job


def test_an_empty_list_is_an_empty_page(queue: Queue) -> None:
    (page,) = queue.first_pages([(PENDING, 10)], [Page()])
    assert page == Page()
    queue.enqueue("true")
    (page,) = queue.first_pages([(PENDING, 10)], [page])
    assert len(page.rows) == 1
    queue.cancel(1)
    assert queue.first_pages([(PENDING, 10)], [page]) == [Page()]
