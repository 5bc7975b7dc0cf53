"""Durations, sizes, instants and exit codes as people write them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.units import (
    MAX_DURATION_S,
    MAX_SIZE_BYTES,
    exit_code_matches,
    format_duration,
    parse_duration,
    parse_exit_codes,
    parse_instant,
    parse_size,
)

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the process into a zone that changes its clocks: forward on 29 March 2026, back on 25 October 2026."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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
    ("text", "instant"),
    [
        ("2026-02-01T06:30:00Z", datetime(2026, 2, 1, 6, 30, tzinfo=timezone.utc)),
        ("2026-02-01T06:30z", datetime(2026, 2, 1, 6, 30, tzinfo=timezone.utc)),
        ("2026-02-01T06:30+02:00", datetime(2026, 2, 1, 4, 30, tzinfo=timezone.utc)),
        ("2026-02-01T06:30", datetime(2026, 2, 1, 5, 30, tzinfo=timezone.utc)),
        (" 2026-02-01 06:30:15 ", datetime(2026, 2, 1, 5, 30, 15, tzinfo=timezone.utc)),
        ("2026-08-01", datetime(2026, 7, 31, 22, 0, tzinfo=timezone.utc)),
        ("18:30", datetime(2026, 1, 31, 17, 30, tzinfo=timezone.utc)),
        ("18:30:15", datetime(2026, 1, 31, 17, 30, 15, tzinfo=timezone.utc)),
        ("13:00", datetime(2026, 2, 1, 12, 0, tzinfo=timezone.utc)),
        ("13:00:01", datetime(2026, 1, 31, 12, 0, 1, tzinfo=timezone.utc)),
        ("9:05", datetime(2026, 2, 1, 8, 5, tzinfo=timezone.utc)),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_an_instant_is_read(text: str, instant: datetime) -> None:
    """Without a zone it is local time; a time of day is the next one, tomorrow when it is now or has passed."""
    parsed = parse_instant(text, NOON)
    assert parsed == instant
    assert parsed.tzinfo is not None


@pytest.mark.parametrize(
    ("now", "text", "instant"),
    [
        ("2026-03-28T12:00+01:00", "09:00", "2026-03-29T09:00+02:00"),
        ("2026-03-29T00:30+01:00", "09:00", "2026-03-29T09:00+02:00"),
        ("2026-10-24T12:00+02:00", "09:00", "2026-10-25T09:00+01:00"),
        ("2026-10-25T00:30+02:00", "09:00", "2026-10-25T09:00+01:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_holds_when_the_clocks_change(now: str, text: str, instant: str) -> None:
    """Nine o'clock is nine o'clock on the wall, also when summer time begins or ends before it."""
    assert parse_instant(text, datetime.fromisoformat(now)) == datetime.fromisoformat(instant)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc)),
    st.times().map(lambda time_of_day: time_of_day.replace(microsecond=0)),
)
def test_a_time_of_day_is_within_the_next_day(now: datetime, time_of_day: datetime) -> None:
    """The next such time is in the future and at most a day (and a change of clocks) away."""
    instant = parse_instant(time_of_day.strftime("%H:%M:%S"), now)
    assert now < instant <= now + timedelta(hours=25)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)))
def test_an_iso_instant_reads_back(instant: datetime) -> None:
    """What isoformat writes is understood to the microsecond."""
    assert parse_instant(instant.isoformat(), NOON) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "25:00",
        "12:60",
        "12:00:60",
        "2026-02-30",
        "2026-13-01T00:00",
        "31.01.2026",
        "10m",
        "12:00 pm",
        "-1",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """The refusal repeats the text and shows how a time is written."""
    with pytest.raises(
        UsageError, match=r"^time '.*' is not understood; write 2026-01-31T18:30, 18:30 or use --delay$"
    ):
        parse_instant(text, NOON)


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"])
def test_an_instant_beyond_the_calendar_is_told_so(text: str) -> None:
    """It is well formed: the refusal says which years there are."""
    with pytest.raises(UsageError, match=r"^time '.*' is out of range; the years 2 to 9998 are taken$"):
        parse_instant(text, NOON)


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
    for parse in (parse_duration, parse_size, parse_exit_codes, lambda typed: parse_instant(typed, NOON)):
        with contextlib.suppress(UsageError):
            parse(text)
