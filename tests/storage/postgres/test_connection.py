"""The connections of a process: what an error leaves behind on one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from core.errors import DatabaseBusy, DatabaseError, DatabaseTooNew
from core.model import State
from core.queue import Queue
from core.storage.postgres import connection
from core.storage.postgres.engine import PostgresStorage
from tests.postgres import Databases, postgres_of


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


def test_what_a_database_or_a_role_is_set_to_changes_nothing(queue: Queue, address: str) -> None:
    """Not the time that a statement may take, nor how numbers and arrays are written."""
    odd = (
        "statement_timeout = '10ms'",
        "extra_float_digits = -5",
        "array_nulls = off",
        "standard_conforming_strings = off",
        "search_path = pg_temp",
        "default_transaction_isolation = serializable",
        "datestyle = 'SQL, DMY'",
    )
    with psycopg.connect(address, autocommit=True) as other:
        for one in odd:
            other.execute(f"ALTER DATABASE {other.info.dbname} SET {one}")
    with Queue(address) as opened:
        assert opened.enqueue("true", backoff_base=1 + 1e-15).backoff_base == 1 + 1e-15
        storage = postgres_of(opened)
        assert storage.query("SELECT pg_sleep(0.05)::text, '{NULL}'::bigint[]") == [("", [None])]


def test_a_statement_that_another_ended_is_not_a_read_that_was_given_up(queue: Queue, address: str) -> None:
    """Nothing was asked to be given up: whoever meets it may try again."""
    storage = postgres_of(queue)
    pid = storage.connection().info.backend_pid
    with psycopg.connect(address, autocommit=True) as other:

        def end_it() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not ended.wait(0.05):
                other.execute("SELECT pg_cancel_backend(%s)", (pid,))

        ended = threading.Event()
        ending = threading.Thread(target=end_it)
        ending.start()
        try:
            with pytest.raises(DatabaseBusy, match=r"ended a statement .*user request.*try again"):
                storage.query("SELECT pg_sleep(60)")
        finally:
            ended.set()
            ending.join()


def test_a_pooler_that_drops_the_settings_of_a_session_is_named(
    queue: Queue, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them tables are not found, or those of others are."""
    original = psycopg.connect

    def without_options(*arguments: Any, options: str, **more: Any) -> object:
        return original(*arguments, **more)

    monkeypatch.setattr(psycopg, "connect", without_options)
    with pytest.raises(DatabaseError, match="a pooler which drops the settings of a session; give the address of the"):
        Queue(address)


def test_a_newer_schema_that_another_makes_meanwhile_is_left_alone(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions are started at once on a new database; the older one is slower, and wrote its own number into it."""
    empty = databases.new_empty()
    original = PostgresStorage.transact

    def late(storage: PostgresStorage, work: Callable[[Any], object]) -> object:
        monkeypatch.undo()
        with Queue(empty) as newer:
            postgres_of(newer).query("UPDATE facts SET value = 99 WHERE key = 'schema_version'")
        return original(storage, work)

    monkeypatch.setattr(PostgresStorage, "transact", late)
    try:
        for _ in range(2):
            with pytest.raises(DatabaseTooNew, match="schema 99"):
                Queue(empty)
    finally:
        databases.drop(empty)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_no_queue_is_made_where_not_every_text_can_be_kept(databases: Databases, encoding: str) -> None:
    """A worker would try for ever to record a job whose last words have another letter."""
    name = f"{urlsplit(databases.new_empty()).path[1:]}_{encoding.lower()}"
    with psycopg.connect(databases.server, autocommit=True) as other:
        other.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(DatabaseError, match=f"encoding {encoding}.*createdb --encoding UTF8"):
            Queue(databases.url(name))
    finally:
        databases.drop(databases.url(name))
