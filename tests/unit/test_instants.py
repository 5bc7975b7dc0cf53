"""Instants as people and programs write them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.rules.instants import parse_future, parse_instant, parse_run_at

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
        ("11:30pm", datetime(2026, 1, 31, 22, 30, tzinfo=timezone.utc)),
        ("9 a.m.", datetime(2026, 2, 1, 8, 0, tzinfo=timezone.utc)),
        ("12am", datetime(2026, 1, 31, 23, 0, tzinfo=timezone.utc)),
        ("noon", datetime(2026, 2, 1, 11, 0, tzinfo=timezone.utc)),
        ("midnight", datetime(2026, 1, 31, 23, 0, tzinfo=timezone.utc)),
        ("tomorrow 9:00", datetime(2026, 2, 1, 8, 0, tzinfo=timezone.utc)),
        ("Tomorrow at 9am", datetime(2026, 2, 1, 8, 0, tzinfo=timezone.utc)),
        ("today 20:00", datetime(2026, 1, 31, 19, 0, tzinfo=timezone.utc)),
        ("tomorrow", datetime(2026, 2, 1, 12, 0, tzinfo=timezone.utc)),
        ("+5m", datetime(2026, 1, 31, 12, 5, tzinfo=timezone.utc)),
        ("now", NOON),
        ("20260201T0630", datetime(2026, 2, 1, 5, 30, tzinfo=timezone.utc)),
        ("2026-02-01T06:30:00.5Z", datetime(2026, 2, 1, 6, 30, 0, 500_000, tzinfo=timezone.utc)),
        ("2026-02-01T06:30+0200", datetime(2026, 2, 1, 4, 30, tzinfo=timezone.utc)),
        ("2026-W05-7", datetime(2026, 1, 31, 23, 0, tzinfo=timezone.utc)),
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
        ("2026-03-28T12:00+01:00", "02:30", "2026-03-29T03:00+02:00"),
        ("2026-03-28T12:00+01:00", "2026-03-29T02:30", "2026-03-29T03:00+02:00"),
        ("2026-03-28T12:00+01:00", "2026-03-29T03:00", "2026-03-29T03:00+02:00"),
        ("2026-10-24T12:00+02:00", "2026-10-25T02:30", "2026-10-25T02:30+02:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_holds_when_the_clocks_change(now: str, text: str, instant: str) -> None:
    """Nine o'clock is nine on the wall; a time that is skipped is the end of the gap, of two it is the first."""
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
        "25:00",
        "12:60",
        "12:00:60",
        "2026-02-30",
        "2026-13-01T00:00",
        "31.01.2026",
        "10m",
        "13 pm",
        "0:30 am",
        "noonish",
        "+",
        "+5 parsecs",
        "yesterday 9:00",
        "2026-W60",
        "-1",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """The refusal repeats the text and shows how a time is written."""
    with pytest.raises(
        UsageError,
        match=r"^time '.*' is not understood; write 2026-01-31T18:30, 18:30, tomorrow 9:00, \+5m or use --delay$",
    ):
        parse_instant(text, NOON)


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"])
def test_an_instant_beyond_the_calendar_is_told_so(text: str) -> None:
    """It is well formed: the refusal says which years there are."""
    with pytest.raises(UsageError, match=r"^time '.*' is out of range; the years 2 to 9998 are taken$"):
        parse_instant(text, NOON)


@given(st.text(max_size=20) | st.text("0123456789.,:+- TZWapm", max_size=20))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    """No text makes a parser fail in another way."""
    for parse in (parse_instant, parse_future, parse_run_at):
        with contextlib.suppress(UsageError):
            parse(text, NOON)


def test_a_past_instant_is_refused_where_a_person_asks_for_later() -> None:
    """The refusal says what time it is; ``now`` is never past."""
    with pytest.raises(UsageError, match=r"^time '2020-01-01' is in the past: it is .*; write 'now' or a later time$"):
        parse_future("2020-01-01", NOON)
    assert parse_future("now", NOON) == NOON


@pytest.mark.parametrize("value", [1769860800, 1769860800.0, "1769860800", 1769860800000, "2026-01-31T12:00:00Z"])
def test_run_at_is_an_instant_or_a_number_since_1970(value: str | float) -> None:
    """Seconds, milliseconds where seconds would be absurd, or text; the past is taken."""
    assert parse_run_at(value, NOON) == NOON
    assert parse_run_at(0, NOON).year in (1969, 1970)
    assert parse_run_at("10", NOON).timestamp() == 10
    assert parse_run_at("20260131", NOON) == parse_instant("2026-01-31", NOON)
