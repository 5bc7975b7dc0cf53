"""Rows that another tool spoilt: shown where they can be, else an error that says what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DatabaseCorrupt
from core.model import NewJob, Page, State, View
from core.queue import Queue

PENDING = View(states=(State.PENDING,))


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
