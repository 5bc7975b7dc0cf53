"""What a job needs while it runs: resources by name, and how many units of each. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from core.errors import Refused, UsageError
from core.rules.arguments import check_kind, shown

#: The most units of one resource; each has a number that the command gets, in a variable of less than 128 KiB.
MAX_UNITS = 10_000
#: The most resources that one job needs.
MAX_NEEDS = 16
#: How much there is of a resource that was never set: it is a lock.
DEFAULT_CAPACITY = 1
#: How the variables begin in which a command finds its units.
UNITS_PREFIX = "QUEUECTL_RESOURCE_"
# no "_" and no capitals: two names never share a variable
_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_LONGEST_NAME = 50


def check_resource(name: str) -> str:
    """Return the name of a resource; raise ``UsageError`` for what can be none."""
    check_kind(name, "a resource", str, "a text")
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"a resource is a word of a-z, 0-9 and -, such as gpu or db-lock, not {shown(name)}")
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"the resource {name!r} has {len(name)} characters; {_LONGEST_NAME} are taken")
    return name


def check_units(number: int, what: str, low: int = 1) -> int:
    """Return a number of units, from ``low`` to ``MAX_UNITS``; raise ``UsageError`` that names ``what`` it is of."""
    check_kind(number, what, int, "a whole number")
    if not low <= number <= MAX_UNITS:
        raise UsageError(f"{what} is from {low} to {MAX_UNITS:,}, not {shown(number)}")
    return number


def parse_needs(text: str) -> dict[str, int]:
    """Return what a text such as ``gpu=2,license`` means, by name; an empty text is no need at all."""
    needs: dict[str, int] = {}
    for part in text.split(",") if text.strip() else ():
        name, sign, number = (word.strip() for word in part.partition("="))
        if sign and not re.fullmatch("[0-9]{1,9}", number):
            raise UsageError(f"needs {text!r} is not understood; write gpu=2,license")
        if check_resource(name) in needs:
            raise UsageError(f"needs {text!r} names {name} twice; give one number for it")
        needs[name] = int(number) if sign else 1
    return needs


def check_needs(needs: Mapping[str, int] | str) -> str | None:
    """Return needs, given as a mapping or a text, as they are stored: a JSON object, keys sorted; ``None`` for none."""
    check_kind(needs, "needs", (Mapping, str), "a text such as 'gpu=2,license' or a mapping such as {'gpu': 2}")
    by_name = parse_needs(needs) if isinstance(needs, str) else needs
    for name, number in by_name.items():
        check_units(number, f"the need for {check_resource(name)}")
    if len(by_name) > MAX_NEEDS:
        raise UsageError(f"the job needs {len(by_name)} resources; {MAX_NEEDS} are taken")
    return json.dumps(dict(by_name), sort_keys=True, separators=(",", ":")) if by_name else None


@lru_cache(maxsize=1024)
def needs_of(text: str | None) -> Mapping[str, int]:
    """Return stored needs by name, in its order; what another tool spoilt reads as none."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: number for name, number in value.items() if isinstance(number, int) and number > 0}


def format_needs(needs: Mapping[str, int]) -> str:
    """Return needs as people write them: ``gpu=2,license``."""
    return ",".join(name if number == 1 else f"{name}={number}" for name, number in sorted(needs.items()))


def check_reach(needs: Mapping[str, int], capacities: Mapping[str, int]) -> None:
    """Raise ``Refused`` for needs that could never be met; a resource that is closed (capacity 0) may be opened again.

    ``capacities`` are those of the resources that were set.
    """
    for name, number in needs.items():
        capacity = capacities.get(name, DEFAULT_CAPACITY)
        if 0 < capacity < number:
            said = f"{name} was never set, so there is 1" if name not in capacities else are_there(capacity)
            raise Refused(
                f"the job needs {name}={number}; {said}; 'queuectl resource set {name} {number}' changes that"
            )


def is_out_of_reach(needs: Mapping[str, int], capacities: Mapping[str, int]) -> bool:
    """Return whether there is less of something than these needs, whatever runs; ``capacities`` are those set."""
    return any(number > capacities.get(name, DEFAULT_CAPACITY) for name, number in needs.items())


def are_there(number: int) -> str:
    """Return how much there is of something in words."""
    return "there is 1" if number == 1 else f"there are {number:,}"


# --- units: which numbers a job was given of each resource


def lowest_free(count: int, taken: set[int]) -> list[int]:
    """Return the ``count`` lowest numbers from 0 on that are not taken."""
    found: list[int] = []
    number = 0
    while len(found) < count:
        if number not in taken:
            found.append(number)
        number += 1
    return found


def units_text(units: Mapping[str, Sequence[int]]) -> str | None:
    """Return numbers by resource as they are stored, ``{"gpu":"0-2,5"}``; ``None`` for none."""
    spans = {name: spans_of(numbers) for name, numbers in units.items() if numbers}
    return json.dumps(spans, sort_keys=True, separators=(",", ":")) if spans else None


def spans_of(numbers: Sequence[int]) -> str:
    """Return numbers in order, those in a row as one: ``0-2,5``."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def units_of(text: str | None) -> Mapping[str, tuple[int, ...]]:
    """Return what ``units_text`` was made of; what another tool spoilt reads as none."""
    if text is None:
        return {}
    try:
        return {name: tuple(_numbers(spans)) for name, spans in json.loads(text).items()}
    except (ValueError, AttributeError):
        return {}


def _numbers(spans: str) -> list[int]:
    found: list[int] = []
    for span in spans.split(","):
        low, _, high = span.partition("-")
        found += range(int(low), min(int(high or low), int(low) + MAX_UNITS) + 1)
    return found


def variable_of(name: str) -> str:
    """Return the variable in which a command finds its numbers of a resource: ``QUEUECTL_RESOURCE_DB_LOCK``."""
    return UNITS_PREFIX + name.upper().replace("-", "_")


def variables_for(units: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Return the variables for a command that was given these numbers."""
    return {variable_of(name): ",".join(map(str, numbers)) for name, numbers in units.items()}
