"""The connections of a process: what an error leaves behind on one."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from core.errors import DatabaseError
from core.model import State
from core.queue import Queue
from core.storage.postgres import connection
from tests.postgres import postgres_of


@pytest.mark.parametrize("left", ["BEGIN", "BEGIN; SELECT 1 / 0"], ids=["open", "failed"])
def test_a_transaction_that_an_error_left_open_takes_in_nothing_more(queue: Queue, address: str, left: str) -> None:
    """What was written after it would be seen by no other, for as long as the thread lives."""
    storage = postgres_of(queue)
    with contextlib.suppress(psycopg.errors.DivisionByZero):
        storage.connection().execute(left)
    queue.set("timeout", "5s")
    storage.query("UPDATE settings SET value = '6s' WHERE key = 'timeout'")
    with Queue(address) as other:
        assert other.settings().timeout_s == 6


def test_reads_and_writes_in_a_block_stay_parts_of_it(queue: Queue, address: str) -> None:
    storage = postgres_of(queue)
    with storage.read():
        before = storage.query("SELECT now()")
        queue.settings()
        assert storage.query("SELECT now()") == before
    with Queue(address) as other:

        def work(connection: psycopg.Connection[tuple[object, ...]]) -> int:
            storage.query("INSERT INTO settings VALUES ('timeout', '7s')")
            return len(other.storage.settings.stored())

        assert storage.transact(work) == 0
        assert other.settings().timeout_s == 7


def test_the_time_goes_on_while_the_server_is_away(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker asks for it between its steps, where no error is expected: it ended with one."""
    storage = postgres_of(queue)
    before = storage.now_ms()

    def no_answer(*arguments: object) -> None:
        raise DatabaseError("no answer")

    monkeypatch.setattr(connection, "CLOCK_AGE_S", 0.0)
    monkeypatch.setattr(storage, "query", no_answer)
    assert 0 <= storage.now_ms() - before < 60_000


def test_a_read_after_the_server_has_ended_the_connection_opens_another(queue: Queue, address: str) -> None:
    """As after a restart: a dashboard or a program that waits had done nothing that could be lost."""
    queue.add("true")
    with psycopg.connect(address, autocommit=True) as other:
        pid = postgres_of(queue).connection().info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    assert queue.counts().of(State.PENDING) == 1
