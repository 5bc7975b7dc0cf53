"""Lines are found where ``splitlines`` would find them, however the output grew and was read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl_tui.line_index import BLOCK_BYTES, LINE_LIMIT_BYTES, LineIndex
from queuectl_tui.line_search import LineSearch
from tests.tui.fake_output import FakeOutput


def indexed(data: bytes) -> LineIndex:
    index = LineIndex(FakeOutput(data))
    while not index.extend(BLOCK_BYTES):
        pass
    return index


def lines_of(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\n").split(b"\n") if data else []


@given(st.lists(st.binary(max_size=40).map(lambda part: part * 1000), max_size=30).map(b"\n".join), st.integers(0, 99))
def test_lines_are_those_between_newlines(data: bytes, seed: int) -> None:
    index = indexed(data)
    lines = lines_of(data)
    assert index.line_count == len(lines)
    for number in {0, len(lines) // 2, len(lines) - 1, seed % max(1, len(lines))} & set(range(len(lines))):
        offset = index.offset(number)
        assert data[:offset].count(b"\n") == number
        assert index.line_at(offset) == number
        if b"\r" not in lines[number]:
            assert index.line(number).data == lines[number][:LINE_LIMIT_BYTES]


_PIECES = st.sampled_from([b"", b"a", b"\n", b"b\n", b"c" * 70_000, b"\n" * 70_000, b"d\n" * 40_000])


@given(st.lists(_PIECES, max_size=8))
def test_growing_in_pieces_is_the_same_as_at_once(pieces: list[bytes]) -> None:
    output = FakeOutput(b"")
    index = LineIndex(output)
    for piece in pieces:
        output.data += piece
        index.extend(1 << 30)
        if index.line_count:
            index.line(index.line_count - 1)  # reads, and remembers, a block that grows later
    lines = lines_of(output.data)
    assert index.line_count == len(lines)
    for number in {0, len(lines) // 3, len(lines) - 1} & set(range(len(lines))):
        assert index.line(number).data == lines[number][:LINE_LIMIT_BYTES]


def test_a_budget_bounds_what_is_read_at_once() -> None:
    output = FakeOutput(b"x\n" * 1_000_000)
    index = LineIndex(output)
    assert not index.extend(100_000)
    assert output.bytes_read <= 100_000
    assert index.line_count == 50_000


def test_an_output_that_shrank_is_read_anew() -> None:
    output = FakeOutput(b"old\n" * 100_000)
    index = LineIndex(output)
    index.extend()
    output.data = b"new\n"
    index.extend()
    assert (index.line_count, index.line(0).data) == (1, b"new")


def test_a_long_line_is_clipped_between_characters() -> None:
    index = indexed("ä".encode() * 100_000 + b"\nnext\n")
    line = index.line(0)
    assert line.data.decode() == "ä" * (LINE_LIMIT_BYTES // 2)
    assert line.clipped_bytes == 200_000 - LINE_LIMIT_BYTES
    assert index.line(1).data == b"next"


def test_of_a_long_line_of_progress_the_last_state_is_shown() -> None:
    index = indexed(b"\r".join(b"%d %%" % number for number in range(100_000)) + b"\r\nnext\n")
    assert index.line(0).data == b"99999 %"
    assert index.line(0).clipped_bytes == 0


def found(data: bytes, text: str, start: int, *, is_upwards: bool = False) -> tuple[int | None, bool]:
    index = indexed(data)

    def shown(number: int) -> str:
        return index.line(number).data.decode("utf-8", "replace")

    search = LineSearch(index, text, start, is_upwards=is_upwards, shown=shown)
    while not search.step():
        pass
    return search.found, search.has_wrapped


@pytest.mark.parametrize(
    ("text", "start", "is_upwards", "line", "has_wrapped"),
    [
        ("two", 0, False, 1, False),
        ("two", 1, False, 1, False),
        ("two", 2, False, 4, False),
        ("two", 5, False, 1, True),
        ("two", 4, True, 1, False),
        ("two", 1, True, 4, True),
        ("TWO", 0, False, None, True),
        ("Two", 0, False, 4, False),
        ("ÜBER", 0, False, None, True),
        ("über", 0, False, 2, False),
        ("no", 0, False, None, True),
        (".", 0, False, None, True),
    ],
)
def test_a_search_goes_round_once(text: str, start: int, is_upwards: bool, line: int | None, has_wrapped: bool) -> None:
    data = "one\ntwo\nÜber\nthree\nTwo\n".encode()
    assert found(data, text, start, is_upwards=is_upwards) == (line, has_wrapped)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([b"needle", b"x" * 3000, b"y" * 90_000]), min_size=1, max_size=60), st.integers(0, 59))
def test_a_search_finds_the_next_line_in_either_direction(lines: list[bytes], start: int) -> None:
    data = b"\n".join(line * (1 if line == b"needle" else 9) for line in lines)
    start %= len(lines)
    hits = [number for number, line in enumerate(lines) if line == b"needle"]
    after = [number for number in hits if number >= start] or hits
    before = [number for number in hits if number < start] or hits
    assert found(data, "needle", start)[0] == (after[0] if after else None)
    assert found(data, "needle", start, is_upwards=True)[0] == (before[-1] if before else None)


def test_bytes_that_are_not_shown_do_not_match() -> None:
    data = b"\x1b[31mred\x1b[0m text\n\x1b[1mre\x1b[0md text\n"
    assert found(data, "31m", 0) == (None, True)
