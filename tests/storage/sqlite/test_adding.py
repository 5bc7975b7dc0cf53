"""What is stored of new jobs, as the file and its tables show it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand, dump


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "hunter2-not-to-be-found") for name in ("API_TOKEN", "aws_secret_access_key", "SSHPASS", "JWT")),
        ("DATABASE_URL", "postgres://u:hunter2-not-to-be-found@h/db"),
    ],
    ids=lambda word: word.partition("-")[0].partition(":")[0],  # pytest puts it into the environment
)
def test_a_secret_is_not_written_to_the_disk_in_safe_mode(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Not a byte of it is in the database or its log; that it was left to the worker is."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("HARMLESS", "plain")
    job = queue.enqueue("true")
    stored = b"".join(Path(queue.path + suffix).read_bytes() for suffix in ("", "-wal"))
    assert b"hunter2-not-to-be-found" not in stored
    assert queue.environment(job.id)[name] is None
    assert name in queue.left_to_worker()
    assert queue.environment(job.id)["HARMLESS"] == "plain"


def test_what_an_older_version_stored_of_a_secret_is_masked(queue: Queue) -> None:
    """It kept no names of what it left out, and stored what is a secret today."""
    job = queue.enqueue("true")
    with sqlite_of(queue).write() as connection:
        connection.execute("UPDATE environments SET variables = ?, left_out = NULL", ('{"DB_PASS":"x","A":"1"}',))
    assert queue.environment(job.id) == {"A": "1", "DB_PASS": "***"}


NONSENSE = [
    "INSERT INTO jobs (command) VALUES ('x')",
    "UPDATE jobs SET state = 'sleeping'",
    "UPDATE jobs SET state = 'running'",
    "UPDATE jobs SET state = 'purged'",
    "UPDATE jobs SET purged_from = 'dead'",
    "UPDATE jobs SET state = 'dead', run_at = 5",
    "UPDATE jobs SET priority = 'high'",
    "UPDATE jobs SET command = ''",
    "UPDATE jobs SET command = x'00'",
    "UPDATE jobs SET name = '42'",
    "UPDATE jobs SET max_attempts = 0",
    "UPDATE jobs SET attempts = 99",
    "UPDATE jobs SET attempts = -1",
    "UPDATE jobs SET interrupts = -1",
    "UPDATE jobs SET timeout_ms = 0",
    "UPDATE jobs SET backoff_base = 0.5",
    "UPDATE jobs SET environment_id = 99",
    "UPDATE jobs SET run_ms = -1",
    "UPDATE jobs SET queue = ''",
    "UPDATE attempts SET outcome = 'great'",
    "UPDATE attempts SET outcome = NULL",
    "UPDATE attempts SET ended_at = NULL",
    "UPDATE attempts SET number = 0",
    "UPDATE attempts SET run_ms = -1",
    "UPDATE attempts SET output = 'text'",
    "UPDATE attempts SET stop_requested = 'please'",
    "INSERT INTO attempts (job_id, number, worker_id, started_at) VALUES (1, 1, 1, 1)",
    "INSERT INTO attempts (job_id, number, worker_id, started_at) VALUES (99, 1, 1, 1)",
    "UPDATE counts SET n = -1",
    "UPDATE counts SET gate = 3",
    "INSERT INTO queues (name, is_paused) VALUES ('q', 2)",
    "INSERT INTO queues (name, running_limit) VALUES ('q', -1)",
    "UPDATE workers SET stop = 'maybe'",
    "UPDATE workers SET slots = -1",
    "UPDATE environments SET mode = 'some'",
    "INSERT INTO history (act_id, job_id, before) VALUES (99, 1, '{}')",
]


@pytest.mark.parametrize("statement", NONSENSE)
def test_the_tables_refuse_nonsense(queue: Queue, hand: Hand, statement: str) -> None:
    """STRICT types and CHECKs hold against a bug of ours and against other tools."""
    queue.enqueue("true")
    hand.do_next()
    queue.enqueue("true")
    before = dump(queue.path)
    connection = sqlite3.connect(queue.path)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    finally:
        connection.close()
    assert dump(queue.path) == before
