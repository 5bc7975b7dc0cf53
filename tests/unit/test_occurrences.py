"""When schedules are due: both nights of a change of time, missed instants, and the rules against a naive cron."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from core.errors import UsageError
from core.rules.occurrences import (
    GRACE_MS,
    MAX_MISSED,
    Plan,
    Recipe,
    check_cron,
    next_after,
    next_instants,
    plan,
    zone_of,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

BERLIN = "Europe/Berlin"  # 2026-03-29: 02:00 becomes 03:00; 2026-10-25: 03:00 becomes 02:00
NEW_YORK = "America/New_York"  # 2026-03-08: 02:00 becomes 03:00; 2026-11-01: 02:00 becomes 01:00
LORD_HOWE = "Australia/Lord_Howe"  # 2026-10-04: 02:00 becomes 02:30; 2026-04-05: 02:00 becomes 01:30
HAVANA = "America/Havana"  # 2026-03-08: 00:00 becomes 01:00; 2026-11-01: 01:00 becomes 00:00


def ms(text: str) -> int:
    """Return the unix milliseconds of an ISO instant."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def cron(line: str, zone: str = "UTC") -> Recipe:
    """Return a recipe by a cron line."""
    return Recipe(line, None, zone, 0)


def every(milliseconds: int, anchor: int = 0) -> Recipe:
    """Return a recipe by a period."""
    return Recipe(None, milliseconds, "UTC", anchor)


def walls(recipe: Recipe, after: str, number: int) -> list[str]:
    """Return the next instants as the wall of the zone shows them, with the offset."""
    zone = zone_of(recipe.zone)
    found = next_instants(recipe, ms(after), number)
    return [datetime.fromtimestamp(at / 1000, zone).isoformat(" ", "minutes") for at in found]


# --- both nights, a case a row

CASES = (
    # in the gap a fixed time is due at its end
    ("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]),
    ("0 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00"]),
    ("59 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["2026-03-08 03:00-04:00", "2026-03-09 02:59-04:00"]),
    ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["2026-10-04 02:30+11:00", "2026-10-05 02:15+11:00"]),
    ("0 0 * * *", HAVANA, "2026-03-07T12:00-05:00", ["2026-03-08 01:00-04:00", "2026-03-09 00:00-04:00"]),
    # several of them fall into one, and so does one that is due then anyway
    ("0,30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00"]),
    ("0 2,3 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00"]),
    # beside the gap nothing changes
    ("30 1 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 01:30+01:00", "2026-03-30 01:30+02:00"]),
    ("30 3 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29 03:30+02:00", "2026-03-30 03:30+02:00"]),
    # in the hour that comes twice a fixed time is due once, the first time
    ("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]),
    ("0 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["2026-10-25 02:00+02:00", "2026-10-26 02:00+01:00"]),
    ("0 3 * * *", BERLIN, "2026-10-24T12:00+02:00", ["2026-10-25 03:00+01:00", "2026-10-26 03:00+01:00"]),
    ("15 1 * * *", NEW_YORK, "2026-10-31T12:00-04:00", ["2026-11-01 01:15-04:00", "2026-11-02 01:15-05:00"]),
    ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00+11:00", ["2026-04-05 01:45+11:00", "2026-04-06 01:45+10:30"]),
    ("30 0 * * *", HAVANA, "2026-10-31T12:00-04:00", ["2026-11-01 00:30-04:00", "2026-11-02 00:30-05:00"]),
    # also asked from inside of it: what is past does not come again
    ("30 2 * * *", BERLIN, "2026-10-25T02:30+02:00", ["2026-10-26 02:30+01:00"]),
    ("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", ["2026-10-26 02:30+01:00"]),
    ("30 2 * * *", BERLIN, "2026-10-25T02:50+01:00", ["2026-10-26 02:30+01:00"]),
    ("0,20,40 2 * * *", BERLIN, "2026-10-25T02:25+01:00", ["2026-10-26 02:00+01:00"]),
    ("0,20,40 2,3 * * *", BERLIN, "2026-10-25T02:25+01:00", ["2026-10-25 03:00+01:00", "2026-10-25 03:20+01:00"]),
    # what begins with a star just goes on
    ("*/30 * * * *", BERLIN, "2026-03-29T01:30+01:00", ["2026-03-29 03:00+02:00", "2026-03-29 03:30+02:00"]),
    ("0 * * * *", BERLIN, "2026-03-29T00:30+01:00", ["2026-03-29 01:00+01:00", "2026-03-29 03:00+02:00"]),
    (
        "*/30 * * * *",
        BERLIN,
        "2026-10-25T02:00+02:00",
        ["2026-10-25 02:30+02:00", "2026-10-25 02:00+01:00", "2026-10-25 02:30+01:00", "2026-10-25 03:00+01:00"],
    ),
    ("0 * * * *", BERLIN, "2026-10-25T01:30+02:00", ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00"]),
    ("30 */2 * * *", BERLIN, "2026-10-25T01:30+02:00", ["2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00"]),
    ("* * * * *", BERLIN, "2026-03-29T01:58+01:00", ["2026-03-29 01:59+01:00", "2026-03-29 03:00+02:00"]),
    # one zone's night is not another's
    ("30 2 * * *", NEW_YORK, "2026-03-28T12:00-04:00", ["2026-03-29 02:30-04:00"]),
    ("30 2 * * *", "UTC", "2026-03-28T12:00+00:00", ["2026-03-29 02:30+00:00"]),
)


@pytest.mark.parametrize(("line", "zone", "after", "expected"), CASES)
def test_both_nights(line: str, zone: str, after: str, expected: list[str]) -> None:
    """The next instants of a line in a zone, later than a given one."""
    assert walls(cron(line, zone), after, len(expected)) == expected


def test_days_of_month_and_week() -> None:
    """The thirteenth or a Friday, as cron has it; with a star in one of both, both must fit."""
    assert walls(cron("0 0 13 * FRI"), "2026-11-01T00:00+00:00", 3) == [
        "2026-11-06 00:00+00:00",
        "2026-11-13 00:00+00:00",
        "2026-11-20 00:00+00:00",
    ]
    assert walls(cron("0 0 29 2 *"), "2026-11-01T00:00+00:00", 1) == ["2028-02-29 00:00+00:00"]
    assert walls(cron("0 0 L * *"), "2026-02-01T00:00+00:00", 1) == ["2026-02-28 00:00+00:00"]


# --- against a naive cron, minute by minute

_NIGHTS = (
    (BERLIN, "2026-03-29"),
    (BERLIN, "2026-10-25"),
    (NEW_YORK, "2026-03-08"),
    (NEW_YORK, "2026-11-01"),
    # not Lord Howe and Chatham, which do not move their clocks from a full hour to a full hour: there, that day, lines
    # with a star may leave out some minutes
    ("Asia/Kolkata", "2026-05-01"),
    ("Australia/Sydney", "2026-10-04"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("UTC", "2026-12-31"),
)


def _field(chance: random.Random, low: int, high: int) -> tuple[str, set[int]]:
    """Return a field of a cron line, and the numbers that it has."""
    kind = chance.choice(("star", "star", "step", "one", "list", "range", "stepped range"))
    everything = range(low, high + 1)
    if kind == "star":
        return "*", set(everything)
    if kind == "step":
        step = chance.choice((2, 3, 5, 7, 15))
        return f"*/{step}", set(everything[::step])
    if kind == "one":
        one = chance.choice(everything)
        return str(one), {one}
    if kind == "list":
        some = sorted(chance.sample(everything, 3))
        return ",".join(map(str, some)), set(some)
    first, last = sorted(chance.sample(everything, 2))
    if kind == "range":
        return f"{first}-{last}", set(range(first, last + 1))
    return f"{first}-{last}/2", set(range(first, last + 1, 2))


def _naive(line: str, fields: list[set[int]], zone: str, start: int, end: int) -> list[int]:
    """Return all instants in a span by looking at each of its minutes; the days do not matter to the line."""
    minutes, hours = fields
    table = ZoneInfo(zone)
    found = set()
    is_fixed = not any(field.startswith("*") for field in line.split()[:2])
    seen: set[datetime] = set()
    for at in range(start, end, MINUTE_MS):
        wall = datetime.fromtimestamp(at / 1000, table).replace(tzinfo=None, fold=0)
        if is_fixed:
            # minutes that the wall leaves out before this one; what it shows again counts for nothing
            before = datetime.fromtimestamp((at - MINUTE_MS) / 1000, table).replace(tzinfo=None, fold=0)
            left_out = _minutes_between(before, wall)
            if any(each.minute in minutes and each.hour in hours for each in left_out):
                found.add(at)
            if wall in seen:
                continue
            seen.add(wall)
        if wall.minute in minutes and wall.hour in hours:
            found.add(at)
    return sorted(found)


def _minutes_between(before: datetime, after: datetime) -> Iterator[datetime]:
    at = before + timedelta(minutes=1)
    while at < after:
        yield at
        at += timedelta(minutes=1)


@pytest.mark.parametrize("seed", range(40))
def test_lines_in_zones_against_a_naive_cron(seed: int) -> None:
    """From any instant of three days around a change of time the next one is the first that is later: none is past."""
    chance = random.Random(seed)
    zone, night = chance.choice(_NIGHTS)
    (minute, minutes), (hour, hours) = _field(chance, 0, 59), _field(chance, 0, 23)
    line = f"{minute} {hour} * * *"
    middle = ms(f"{night}T00:00+00:00")
    expected = _naive(line, [minutes, hours], zone, middle - 2 * DAY_MS, middle + 4 * DAY_MS)
    recipe = cron(line, zone)
    for _ in range(30):
        after = middle + chance.randrange(-DAY_MS, 2 * DAY_MS)
        assert next_after(recipe, after) == next(at for at in expected if at > after), (line, zone, after)
    start = middle - DAY_MS
    here = [at for at in expected if at > start][:200]
    assert next_instants(recipe, start, len(here)) == here, (line, zone)


# --- a period


def test_a_period_counts_from_its_start_and_knows_no_zone() -> None:
    """Elapsed time: through a change of time it goes on, and a start in the middle of a second keeps its part of it."""
    recipe = every(15 * MINUTE_MS, anchor=1_234)
    assert next_after(recipe, 1_234) == 15 * MINUTE_MS + 1_234
    assert next_after(recipe, 15 * MINUTE_MS + 1_233) == 15 * MINUTE_MS + 1_234
    assert next_after(recipe, 15 * MINUTE_MS + 1_234) == 30 * MINUTE_MS + 1_234
    assert next_after(recipe, 0) == 1_234


# --- what was missed

NOW = ms("2026-11-28T12:00+00:00")
HOURLY = cron("0 * * * *")


def test_on_time() -> None:
    """One that is due now, or up to a minute ago, is not missed under any policy."""
    for policy in ("once", "skip", "all"):
        for late in (0, 1, GRACE_MS):
            assert plan(HOURLY, NOW, NOW + late, policy) == Plan((NOW,), 0, None, NOW + HOUR_MS)


def test_a_minute_and_a_bit_late_is_missed() -> None:
    """By one policy it still runs."""
    late = NOW + GRACE_MS + 1
    assert plan(HOURLY, NOW, late, "once") == Plan((NOW,), 0, None, NOW + HOUR_MS)
    assert plan(HOURLY, NOW, late, "all") == Plan((NOW,), 0, None, NOW + HOUR_MS)
    assert plan(HOURLY, NOW, late, "skip") == Plan((), 1, NOW, NOW + HOUR_MS)


def test_three_were_missed() -> None:
    """One run for all of them, none, or each; the newest stands for the others."""
    due = [NOW, NOW + HOUR_MS, NOW + 2 * HOUR_MS]
    now, then = NOW + 2 * HOUR_MS + 30 * MINUTE_MS, NOW + 3 * HOUR_MS
    assert plan(HOURLY, NOW, now, "once") == Plan((due[2],), 2, due[1], then)
    assert plan(HOURLY, NOW, now, "skip") == Plan((), 3, due[2], then)
    assert plan(HOURLY, NOW, now, "all") == Plan(tuple(due), 0, None, then)


def test_three_were_missed_and_one_is_on_time() -> None:
    """That one runs for those before, too, unless all are wanted."""
    due = [NOW + hours * HOUR_MS for hours in range(4)]
    now, then = due[3] + 5, due[3] + HOUR_MS
    assert plan(HOURLY, NOW, now, "once") == Plan((due[3],), 3, due[2], then)
    assert plan(HOURLY, NOW, now, "skip") == Plan((due[3],), 3, due[2], then)
    assert plan(HOURLY, NOW, now, "all") == Plan(tuple(due), 0, None, then)


@pytest.mark.parametrize("recipe", [cron("* * * * *"), every(MINUTE_MS)], ids=["cron", "every"])
def test_a_year_was_missed(recipe: Recipe) -> None:
    """The newest ones are made up for, as many as there is sense in; it is answered at once."""
    now = NOW + 365 * DAY_MS + 30_000
    (all_of_it, one) = (plan(recipe, NOW, now, policy) for policy in ("all", "once"))
    newest = now - 30_000
    assert all_of_it.runs[-1] == newest
    assert list(all_of_it.runs) == sorted(set(all_of_it.runs))
    assert MAX_MISSED <= len(all_of_it.runs) <= MAX_MISSED + 1  # that which is on time is not missed
    assert all_of_it.missed > 0
    assert all_of_it.last_missed == all_of_it.runs[0] - MINUTE_MS
    assert (one.runs, one.last_missed) == ((newest,), newest - MINUTE_MS)
    assert one.next_at == all_of_it.next_at == newest + MINUTE_MS


def test_a_rare_line_that_was_missed_for_years() -> None:
    """All of its instants are found, however far back."""
    new_year = cron("0 0 1 1 *", BERLIN)
    first = next_after(new_year, NOW)
    found = plan(new_year, first, NOW + 5 * 365 * DAY_MS, "all")
    assert [datetime.fromtimestamp(at / 1000, timezone.utc).year for at in found.runs] == [2026, 2027, 2028, 2029, 2030]


def test_a_missed_night_of_the_change_of_time() -> None:
    """In the repeated hour, asked in its second half, the fixed time of the first is missed once, not due twice."""
    recipe, due = cron("30 2 * * *", BERLIN), ms("2026-10-25T02:30+02:00")
    found = plan(recipe, due, ms("2026-10-25T02:45+01:00"), "all")
    assert found == Plan((due,), 0, None, ms("2026-10-26T02:30+01:00"))


# --- what is refused


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 2 * *", "has 4 fields"),
        ("0 0 2 * * *", "has 6 fields"),
        ("", "has 0 fields"),
        ("60 2 * * *", "minute is wrong"),
        ("0 24 * * *", "hour is wrong"),
        ("0 0 32 * *", "day-of-month is wrong"),
        ("0 0 * 13 *", "month is wrong"),
        ("0 0 * * 8", "day-of-week is wrong"),
        ("0 0 * * MON-", "day-of-week is wrong"),
        ("*/0 * * * *", "minute is wrong"),
        ("0 0 30 2 *", "wrong"),
        ("a b c d e", "wrong"),
        ("5-1 * * * *", "minute is wrong"),
        ("²  * * * *", "wrong"),
        ("0 0 * * L", "wrong"),
        ("0 0 L-3 * *", "wrong"),
        ("L * * * *", "wrong"),
        ("0 0 31 2,4 *", "wrong"),
        ("0 0 LW/2,L-1 * *", "wrong"),
        ("0 0 * * 1#6", "wrong"),
        ("0 0 * * 1#1/2", "wrong"),
    ],
)
def test_a_line_that_is_refused(line: str, why: str) -> None:
    """In one line that says what is wrong."""
    with pytest.raises(UsageError, match=why) as caught:
        check_cron(line, "UTC")
    assert "\n" not in str(caught.value)


def test_a_line_is_kept_with_single_spaces() -> None:
    """As it was written, else."""
    assert check_cron("  0   2 * *   mon-fri ", BERLIN) == "0 2 * * mon-fri"


_NO_ZONES = ("Europe/Nowhere", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 5000, "é")


@pytest.mark.parametrize("name", _NO_ZONES)
def test_a_zone_that_is_not_known(name: str) -> None:
    """Whatever is asked for, it is an error of the one who asks."""
    with pytest.raises(UsageError, match="no zone"):
        zone_of(name)
