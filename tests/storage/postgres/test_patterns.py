"""A pattern with stars means what it means to SQLite, and a text in an output is found wherever its bytes are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.queue import Queue
from core.rules.output_pattern import matcher_of
from core.storage.postgres.output_search import OutputSearch
from core.storage.postgres.views import regex_of
from tests.postgres import Databases, postgres_of


@pytest.fixture(scope="module")
def storage_of_module(databases: Databases) -> Iterator[Queue]:
    """Return a queue that all examples use."""
    address = databases.new()
    with Queue(address) as queue:
        yield queue
    databases.drop(address)


PIECES = st.sampled_from(["*", "?", "[", "]", "^", "-", "a", "b", "é", ".", "\\", "(", "{", "[a-c]", "[^a-c]", "[]-b]"])


@given(
    pattern=st.lists(PIECES, max_size=8).map("".join),
    texts=st.lists(st.text("abcé-]^[.\\({\n", max_size=5), min_size=1, max_size=8),
)
@settings(max_examples=500)
def test_a_pattern_matches_what_glob_matches(storage_of_module: Queue, pattern: str, texts: list[str]) -> None:
    with sqlite3.connect(":memory:") as connection:
        expected = [bool(connection.execute("SELECT ? GLOB ?", (text, pattern)).fetchone()[0]) for text in texts]
    found = postgres_of(storage_of_module).query(
        'SELECT text COLLATE "C" ~ %s FROM unnest(%s::text[]) WITH ORDINALITY AS one (text, place) ORDER BY place',
        (regex_of(pattern), texts),
    )
    assert [row[0] for row in found] == expected, regex_of(pattern)


SOME_BYTES = st.binary(max_size=6) | st.sampled_from([b"\\", b"\\000", b"\x00", b"303", b"\xc3\xbc", b"A\\\\b", b"\n"])


@given(outputs=st.lists(st.lists(SOME_BYTES, max_size=4).map(b"".join), min_size=1, max_size=6), data=st.data())
@settings(max_examples=300)
def test_an_output_is_found_by_any_text_in_it(
    storage_of_module: Queue, outputs: list[bytes], data: st.DataObject
) -> None:
    """Whatever bytes are around it: the server only leaves out what cannot match."""
    texts = [output.decode("utf-8", "ignore") for output in outputs]
    pattern = data.draw(
        st.sampled_from([text[at:] for text in texts for at in range(len(text))] + ["x", "\\", "0", "303"])
    )
    storage = postgres_of(storage_of_module)
    storage.query("TRUNCATE attempts")
    for number, output in enumerate(outputs, 1):
        storage.query(_ENDED, {"id": number, "output": output})
    found = OutputSearch(storage, storage.spool).between(pattern, 0, 100, 100)
    matches = matcher_of(pattern)
    assert {one.attempt_id: one.is_match for one in found} == {
        number: matches(output) for number, output in enumerate(outputs, 1)
    }


@pytest.mark.parametrize("is_open", [False, True])
def test_what_another_host_has_shared_of_an_output_is_searched(queue: Queue, is_open: bool) -> None:
    """Across its parts, as many as there are, but not across what was left out of it."""
    storage = postgres_of(queue)
    storage.query(_RUNNING if is_open else _ENDED, {"id": 1, "output": None})
    parts = [b"begin nee", b"dle ", *[b"." * 1000] * 20, b"cut ha"]
    at = 0
    for part in parts:
        storage.query("INSERT INTO chunks VALUES (1, %s, %s)", (at, part))
        at += len(part)
    storage.query("INSERT INTO chunks VALUES (1, %s, %s)", (at + 5, b"lf, then the end"))
    for pattern, is_match in (
        *(("NEEDLE", True), ("/begin n.*dle/", True), ("cut ha", True), ("the end", True)),
        *(("half", False), ("/ha.?lf/", False), ("hay", False)),
    ):
        (found,) = queue.search_outputs(pattern, limit=10)
        assert (found.attempt_id, found.is_open, found.is_match) == (1, is_open, is_match), pattern


_RUNNING = (
    "INSERT INTO running (attempt_id, job_id, number, queue, priority, due_at, worker_id, host_id, started_at)"
    " VALUES (%(id)s, 1, 1, 'default', 0, 0, 1, 1, 0)"
)
_ENDED = (
    "INSERT INTO attempts (id, job_id, number, worker_id, host_id, started_at, ended_at, outcome, output)"
    " VALUES (%(id)s, 1, %(id)s, 1, 1, 0, 0, 'failed', %(output)s)"
)
