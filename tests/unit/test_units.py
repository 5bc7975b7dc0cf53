"""Durations, sizes and exit codes as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.rules.units import (
    MAX_DURATION_S,
    MAX_SIZE_BYTES,
    exit_code_matches,
    format_duration,
    parse_duration,
    parse_exit_codes,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("1w2d3h4m5s6ms", 788645.006),
        ("30m1h", 5400),
        (" 1H 30M ", 5400),
        ("10 m", 600),
        ("36500d", MAX_DURATION_S),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """A bare number is seconds; units add up, in any order and either case."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "m",
        "-5",
        "-5s",
        "+5",
        "5x",
        "5 minutes",
        "1h30",
        "1 30",
        "1.",
        ".5",
        "1e3",
        "inf",
        "nan",
        "1:30",
        "1,5h",
        "5\0s",
        "ten",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The refusal names the option, repeats the text and shows how a duration is written."""
    with pytest.raises(UsageError, match=r"^timeout '.*' is not a duration; write 30s, 5m, 1h30m or 7d$"):
        parse_duration(text, "timeout")


@pytest.mark.parametrize("text", ["36501d", "99999d", "99999999999d", "9" * 400])
def test_a_duration_that_is_too_long_is_told_so(text: str) -> None:
    """It is well formed: the refusal says what the most is."""
    with pytest.raises(UsageError, match=r"^delay '.*' is too long; the most is 36500d$"):
        parse_duration(text, "delay")
    with pytest.raises(UsageError, match=r"^delay '.*' is too long; the most is 1h$"):
        parse_duration(text, "delay", 3600)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.001, "0.001s"),
        (0.25, "0.25s"),
        (1, "1s"),
        (59.999, "59.999s"),
        (60, "1m"),
        (61.5, "61500ms"),
        (90, "1m30s"),
        (3600, "1h"),
        (5400, "1h30m"),
        (86400, "1d"),
        (694861, "8d1h1m1s"),
    ],
)
def test_a_duration_is_written(seconds: float, text: str) -> None:
    """The largest units come first and empty ones are left out."""
    assert format_duration(seconds) == text


@given(st.integers(0, int(MAX_DURATION_S * 1000)))
def test_a_written_duration_reads_back_to_the_millisecond(milliseconds: int) -> None:
    """What format_duration writes parse_duration understands, and nothing is lost above a millisecond."""
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("10b", 10),
        ("64K", 65536),
        ("64k", 65536),
        ("64KB", 65536),
        ("64KiB", 65536),
        ("1.5M", 1572864),
        ("10 MB", 10485760),
        ("1GiB", 1 << 30),
        (" 2T ", 2 << 40),
        ("1048576T", MAX_SIZE_BYTES),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    """Units are powers of 1024, with or without B or iB."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "K", "-1", "1X", "1 K K", "1bb", "1ib", "1kk", "1.", ".5", "1e3", "inf", "nan"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """The refusal names the option, repeats the text and shows how a size is written."""
    with pytest.raises(UsageError, match=r"^output-limit '.*' is not a size; write 64K, 10M or 1G$"):
        parse_size(text, "output-limit")


@pytest.mark.parametrize("text", ["1048577T", "9" * 400])
def test_a_size_that_is_too_large_is_told_so(text: str) -> None:
    """It is well formed: the refusal says what the most is."""
    with pytest.raises(UsageError, match=r"^output-limit '.*' is too large; the most is 1048576T$"):
        parse_size(text, "output-limit")


@given(st.integers(0, 1 << 53))
def test_a_plain_number_of_bytes_reads_back(size: int) -> None:
    """A number without unit is taken to the byte."""
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("255", "255"),
        ("24, 0,64-78", "0,24,64-78"),
        (" 64 - 78 ", "64-78"),
        ("7-7", "7"),
        ("007", "7"),
        ("3,3,3", "3"),
        ("0-255", "0-255"),
        ("5,1-9", "1-9,5"),
    ],
)
def test_exit_codes_are_read(text: str, canonical: str) -> None:
    """The list is kept sorted, without spaces and repetitions."""
    assert parse_exit_codes(text) == canonical


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "256", "-1", "9-5", "1-256", "x", "1-2-3", "1.5", "1;2", "0x1", "1000"]
)
def test_what_are_no_exit_codes_is_refused(text: str) -> None:
    """The refusal names the option, repeats the text and shows how exit codes are written."""
    with pytest.raises(UsageError, match=r"^--ok-exit '.*' are not understood; write 0,24 or 64-78 \(0 to 255\)$"):
        parse_exit_codes(text, "--ok-exit")


spans = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted), min_size=1, max_size=8)


@given(spans)
def test_a_list_of_exit_codes_matches_exactly_its_members(chosen: list[list[int]]) -> None:
    """Each of the 256 codes is in the list when it was asked for, and only then."""
    canonical = parse_exit_codes(", ".join(f"{low}-{high}" for low, high in chosen))
    members = {code for low, high in chosen for code in range(low, high + 1)}
    assert {code for code in range(256) if exit_code_matches(code, canonical)} == members


@given(spans)
def test_the_canonical_list_of_exit_codes_reads_back_as_itself(chosen: list[list[int]]) -> None:
    """Reading a list once more changes nothing."""
    canonical = parse_exit_codes(",".join(f"{low}-{high}" for low, high in chosen))
    assert parse_exit_codes(canonical) == canonical


@given(st.text(max_size=20) | st.text("0123456789.,:+- TZsmhdwkMGiB", max_size=20))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    """Nothing that a person can type makes a parser fail in another way."""
    for parse in (parse_duration, parse_size, parse_exit_codes):
        with contextlib.suppress(UsageError):
            parse(text)
