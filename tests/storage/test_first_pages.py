"""The first pages of lists, read as texts: the same rows as one by one, and made only where something changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DatabaseCorrupt
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


def spoil(path: Path, assignment: str) -> None:
    """Write into the first job what no queue writes: a value of another type, as a bad disk could."""
    for sql in (
        "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'jobs'",
        f"UPDATE jobs SET {assignment} WHERE id = 1",
        "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'jobs'",
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(sql)
            connection.commit()


@pytest.mark.parametrize("assignment", ["command = x'41ff42'", "command = CAST(x'41ff42' AS TEXT)", "label = x'00'"])
def test_a_value_that_another_tool_spoilt_is_shown_as_in_a_list(queue: Queue, assignment: str) -> None:
    queue.enqueue_many([NewJob("true"), NewJob("false")])
    spoil(Path(queue.path), assignment)
    (page,) = queue.first_pages([(PENDING, 10)], [Page()])
    assert list(page.rows) == queue.rows(PENDING)


@pytest.mark.parametrize("assignment", ["enqueued_at = 'never'", "backoff_base = 'x'", "run_at = 'x'", "state = '?'"])
def test_a_damaged_row_is_an_error_with_advice(queue: Queue, assignment: str) -> None:
    queue.enqueue_many([NewJob("true"), NewJob("false")])
    spoil(Path(queue.path), assignment)
    view = View()
    with pytest.raises(DatabaseCorrupt, match="doctor"):
        queue.first_pages([(view, 10)], [Page()])
    with pytest.raises(DatabaseCorrupt, match="doctor"):
        queue.rows(view, limit=10)
