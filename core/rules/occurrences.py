"""When a schedule is due: its recipe, a cron line in a zone or a period, and what to do about missed instants.

Instants are unix milliseconds. Pure, but for the tables of zones that the system (or the package ``tzdata``) has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone, tzinfo
from typing import NamedTuple

from core.errors import UsageError

#: An instant that is this late, or less, is not missed, in milliseconds.
GRACE_MS = 60_000
#: The most missed instants that ``all`` makes up for, the newest ones.
MAX_MISSED = 1000
#: The shortest period of ``--every``, in milliseconds.
MIN_EVERY_MS = 1000
#: What becomes of instants that were missed: one run for all of them, none, or one each.
MISSED = ("once", "skip", "all")
#: What becomes of an occurrence while the one before is unfinished.
OVERLAP = ("skip", "queue", "replace", "allow")
_FIRST_WINDOW_MS = 2 * 3_600_000
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Recipe(NamedTuple):
    """When a schedule is due: a ``cron`` line in a ``zone`` (an IANA name), or ``every_ms`` since ``anchor_ms``."""

    cron: str | None
    every_ms: int | None
    zone: str
    anchor_ms: int


class Plan(NamedTuple):
    """What is due of a schedule: the instants to run, how many others were missed, the last of them; what is next."""

    runs: tuple[int, ...]
    missed: int
    last_missed: int | None
    next_at: int


def plan(recipe: Recipe, next_at: int, now: int, missed: str) -> Plan:
    """Return what to do at ``now`` about a schedule that was due at ``next_at``, by its policy for ``missed`` instants.

    Instants no more than ``GRACE_MS`` late are run. Of those before, ``all`` runs the newest ``MAX_MISSED``, ``once``
    the newest one, unless one that is not late runs for them; ``skip`` none.
    """
    due = _due(recipe, next_at, now)
    on_time = [instant for instant in due if now - instant <= GRACE_MS]
    late = due[: len(due) - len(on_time)]
    runs = on_time
    if missed == "all":
        runs = [*late[-MAX_MISSED:], *on_time]
        late = late[:-MAX_MISSED]
    elif missed == "once" and not on_time:
        runs, late = late[-1:], late[:-1]
    return Plan(tuple(runs), len(late), late[-1] if late else None, next_after(recipe, max(now, next_at)))


def _due(recipe: Recipe, next_at: int, now: int) -> list[int]:
    """Return the instants from ``next_at`` to ``now``, the newest ones if there are more than can be made up for."""
    if recipe.every_ms is not None:
        last = next_at + (now - next_at) // recipe.every_ms * recipe.every_ms
        number = (last - next_at) // recipe.every_ms + 1
        first = last - (min(number, 2 * MAX_MISSED) - 1) * recipe.every_ms
        return list(range(first, last + 1, recipe.every_ms))
    window_ms = _FIRST_WINDOW_MS
    while True:
        start = max(next_at, now - window_ms)
        found = [instant for instant in _between(recipe, start - 1, now) if instant >= next_at]
        if start == next_at or len(found) > MAX_MISSED:
            return found
        window_ms *= 4


def _between(recipe: Recipe, after: int, until: int) -> Iterator[int]:
    for instant in _instants(recipe, after):
        if instant > until:
            return
        yield instant


def next_after(recipe: Recipe, after: int) -> int:
    """Return the first instant of a recipe that is later than ``after``."""
    if recipe.every_ms is not None:
        return recipe.anchor_ms + ((after - recipe.anchor_ms) // recipe.every_ms + 1) * recipe.every_ms
    return next(_instants(recipe, after))


def next_instants(recipe: Recipe, after: int, number: int) -> list[int]:
    """Return the first instants of a recipe that are later than ``after``."""
    found: list[int] = []
    while len(found) < number:
        after = next_after(recipe, after)
        found.append(after)
    return found


def _instants(recipe: Recipe, after: int) -> Iterator[int]:
    from cronsim import CronSim, CronSimError

    assert recipe.cron is not None
    zone = zone_of(recipe.zone)
    try:
        for instant in CronSim(recipe.cron, datetime.fromtimestamp(after / 1000, zone)):
            found = round(instant.timestamp()) * 1000
            # asked from inside of an hour that comes twice it may answer an instant that is past
            if found > after:
                after = found
                yield found
    except (CronSimError, OverflowError) as error:
        raise UsageError(f"the schedule {recipe.cron!r} has no next instant; see 'queuectl schedule edit'") from error
    raise UsageError(f"the schedule {recipe.cron!r} has no next instant; see 'queuectl schedule edit'")


def check_cron(text: str, zone: str) -> str:
    """Return a cron line with single spaces; raise ``UsageError`` unless it has five fields and some instant."""
    from cronsim import CronSim, CronSimError

    fields = _SHORTHANDS.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise UsageError(
            f"{text!r} has {len(fields)} fields; write five (minute, hour, day of month, month, weekday) as in"
            " '0 2 * * *', or @daily"
        )
    line = " ".join(fields)
    try:
        next(CronSim(line, datetime(2000, 1, 1, tzinfo=zone_of(zone))))
    except (CronSimError, ValueError) as error:
        what = _reason(str(error))
        raise UsageError(f"{text!r}: {what}; five fields as in '30 2 * * MON-FRI' or '*/15 * * * *'") from None
    except (StopIteration, OverflowError):
        raise UsageError(f"{text!r} is never due; write another day or month") from None
    return line


def _reason(text: str) -> str:
    return f"the {text.removeprefix('Bad ')} is wrong" if text.startswith("Bad ") else text.lower()


def explain(recipe: Recipe) -> str:
    """Return a recipe in words: ``At 02:00 every day``."""
    from core.wording import span

    if recipe.every_ms is not None:
        return f"every {span(recipe.every_ms / 1000)}"
    from cronsim import CronSim

    assert recipe.cron is not None
    return str(CronSim(recipe.cron, datetime(2000, 1, 1)).explain())


def zone_of(name: str) -> tzinfo:
    """Return a zone by its IANA name; raise ``UsageError`` for one that this host does not know."""
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo  # here: status, which asks whether there are schedules, mostly needs no zone

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UsageError(
            f"no zone {name!r} on this host; write an IANA name such as Europe/Berlin, or install its table: tzdata"
        ) from None
