"""What the columns of the tables that a turn writes refuse, and that no statement pays for it again and again."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from core.queue import Queue
from tests.postgres import postgres_of

_HOT = ("jobs", "ready", "delayed", "blocked", "running", "attempts", "counts")
_OF_ONE_COLUMN = (
    "SELECT conrelid::regclass::text, conname FROM pg_constraint"
    " WHERE contype = 'c' AND cardinality(conkey) = 1 AND conrelid = ANY (%s::regclass[])"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs SET name = '12'",
        "UPDATE jobs SET command = ''",
        "UPDATE jobs SET queue = ''",
        "UPDATE jobs SET max_attempts = 0",
        "UPDATE jobs SET timeout_ms = 0",
        "UPDATE jobs SET backoff_base = 0.5",
        "UPDATE jobs SET is_held = 2",
        "UPDATE jobs SET needs = '[]'",
        "UPDATE jobs SET on_lost_host = 'rerun'",
        "UPDATE jobs SET state = 'pending'",
        "UPDATE jobs SET attempts = max_attempts + 1",
        "UPDATE jobs SET run_ms = -1",
        "UPDATE counts SET kind = 'open'",
        "UPDATE counts SET shard = 64",
        "UPDATE running SET stop_requested = 'drain'",
        "UPDATE running SET number = 0",
        "UPDATE attempts SET outcome = 'done'",
    ],
)
def test_a_column_refuses_what_no_queue_writes(queue: Queue, address: str, statement: str) -> None:
    queue.enqueue("true")
    with psycopg.connect(address, options="-c search_path=queuectl") as connection:
        connection.execute(
            "INSERT INTO running (job_id, number, queue, priority, due_at, worker_id, host_id, started_at)"
            " VALUES (1, 1, 'default', 0, 0, 1, 1, 0)"
        )
        connection.execute(
            "INSERT INTO attempts (id, job_id, number, worker_id, host_id, started_at, ended_at, outcome)"
            " VALUES (1, 1, 1, 1, 1, 0, 0, 'failed')"
        )
        with pytest.raises(errors.CheckViolation):
            connection.execute(statement)
        connection.rollback()


def test_a_check_of_one_column_is_its_domains(queue: Queue) -> None:
    """Each statement reads and compiles anew what a table checks, and a turn writes to all of these."""
    assert postgres_of(queue).query(_OF_ONE_COLUMN, (list(_HOT),)) == []
