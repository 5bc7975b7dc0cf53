"""Instants as people and programs write them. Pure: ``now`` is an argument; the local zone is the process's own."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

from core.errors import UsageError
from core.rules.units import parse_duration

_TIME_WORDS = {"noon": (12, 0, 0), "midnight": (0, 0, 0)}
_TIME_OF_DAY = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?\s*([ap])?\.?(?:m\.?)?")
#: Read here, not by ``datetime.fromisoformat``: Python 3.10 knows fewer forms than later ones.
_ISO = re.compile(
    r"(?P<year>\d{4})(?:-?W(?P<week>\d{2})(?:-?(?P<weekday>\d))?|-?(?P<month>\d{2})-?(?P<day>\d{2}))"
    r"(?:[T ](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?)?",
    re.I,
)
#: A number without a unit: seconds since 1970, or milliseconds where seconds would be beyond the year 5138. Of eight
#: digits it is a date: 20260131.
_EPOCH = re.compile(r"(?!\d{8}$)\d+(?:\.\d+)?")
_MILLISECONDS_FROM = 1e11


def parse_instant(text: str, now: datetime) -> datetime:
    """Return the instant that a text means as an aware datetime, which may be in the past; raise ``UsageError``.

    ``text`` is ISO 8601 (local time without a zone); ``now``; ``+5m``; a time of day, the next one: ``18:30``,
    ``11:30pm``, ``noon``, ``midnight``; or ``today`` or ``tomorrow`` with one. A local time that the change to summer
    time skips is the first instant after the gap; of one that comes twice it is the first.
    """
    cleaned = " ".join(text.split())
    try:
        instant = _read(cleaned, now)
        if instant is None:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"time {text!r} is not understood; write 2026-01-31T18:30, 18:30, tomorrow 9:00, +5m or use --delay"
        ) from None
    except (OverflowError, OSError):
        raise _out_of_range(text) from None
    return instant


def parse_future(text: str, now: datetime) -> datetime:
    """Return an instant as ``parse_instant`` does; raise ``UsageError`` for one in the past."""
    instant = parse_instant(text, now)
    if instant < now:
        local = now.astimezone().isoformat(sep=" ", timespec="seconds")
        raise UsageError(f"time {text!r} is in the past: it is {local}; write 'now' or a later time")
    return instant


def parse_run_at(value: str | float, now: datetime) -> datetime:
    """Return the instant of a ``run_at`` as other queues write it: a text, or seconds (or milliseconds) since 1970."""
    text = value.strip() if isinstance(value, str) else f"{value:f}" if isinstance(value, float) else str(value)
    if isinstance(value, str) and not _EPOCH.fullmatch(text):
        return parse_instant(value, now)
    try:
        number = float(text)
        instant = datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise _out_of_range(text) from None
    return instant.astimezone()


def _out_of_range(text: str) -> UsageError:
    return UsageError(f"time {text!r} is out of range; the years 2 to 9998 are taken")


def _read(text: str, now: datetime) -> datetime | None:
    """Return the instant that a text means, ``None`` for a text of no known form."""
    lower = text.lower()
    if lower == "now":
        return now.astimezone()
    if re.fullmatch(r"\+\s?\d.*", lower):
        try:
            return (now + timedelta(seconds=parse_duration(lower[1:]))).astimezone()
        except UsageError:
            return None
    day, _, rest = lower.partition(" ")
    if day in ("today", "tomorrow"):
        today = now.astimezone().replace(tzinfo=None)
        time = _time_of_day(rest.removeprefix("at ")) if rest else (today.hour, today.minute, today.second)
        return None if time is None else _local(_at(today.date() + timedelta(days=int(day == "tomorrow")), time))
    time = _time_of_day(lower)
    return _next(time, now) if time is not None else _iso(text)


def _time_of_day(text: str) -> tuple[int, int, int] | None:
    """Return hour, minute and second of ``18:30``, ``9am``, ``noon``; ``None`` for another text."""
    if text in _TIME_WORDS:
        return _TIME_WORDS[text]
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None or (match[2] is None and match[4] is None):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[4] is None:
        return None if text.endswith(("m", ".")) else (hour, minute, second)
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if match[4] == "p" else 0), minute, second


def _at(day: date, time: tuple[int, int, int]) -> datetime:
    return datetime(day.year, day.month, day.day, *time)


def _next(time: tuple[int, int, int], now: datetime) -> datetime:
    # day by day on the wall, so that each day's own offset applies when the clocks change in between
    today = now.astimezone().date()
    instant = _local(_at(today, time))
    return instant if instant > now else _local(_at(today + timedelta(days=1), time))


def _iso(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year = int(match["year"])
    if not 2 <= year <= 9998:  # in another zone the first and the last year have no clock
        raise OverflowError
    if match["week"]:
        day = date.fromisocalendar(year, int(match["week"]), int(match["weekday"] or 1))
    else:
        day = date(year, int(match["month"]), int(match["day"]))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    fraction = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    local = datetime(day.year, day.month, day.day, hour, minute, second, fraction)
    if match["zone"] is None:
        return _local(local)
    return local.replace(tzinfo=_zone(match["zone"].upper())).astimezone()


def _zone(text: str) -> timezone:
    if text == "Z":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = (int(digits[place : place + 2]) for place in (0, 2, 4))
    if minutes > 59 or seconds > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if text[0] == "-" else offset)


def _local(wall: datetime) -> datetime:
    """Return the instant of a local time; one that is skipped is the first instant after the gap."""
    first, second = (_timestamp(wall.replace(fold=fold)) for fold in (0, 1))
    if first <= second:  # unequal where the clocks are set back: then this wall time comes twice
        return (_instant(first) + timedelta(microseconds=wall.microsecond)).astimezone()
    offset = _instant(first).astimezone().utcoffset()
    late, early = first, second
    while late - early > 1:  # the clocks are set forward between the two
        middle = (late + early) // 2
        if _instant(middle).astimezone().utcoffset() == offset:
            late = middle
        else:
            early = middle
    return _instant(late).astimezone()


def _timestamp(wall: datetime) -> int:
    return round(wall.replace(microsecond=0).timestamp())


def _instant(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp, timezone.utc)
