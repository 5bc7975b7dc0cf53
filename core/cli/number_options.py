"""Numbers in options: text in, number out; a refusal names the option and says what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from core.errors import UsageError
from core.rules.arguments import MAX_WHOLE, shown

#: Not all that ``int`` reads: no "1_000", no digits of other scripts.
_DIGITS = re.compile(r"[+-]?[0-9]+")


def whole_number(option: str, example: int, low: int = 0, high: int = MAX_WHOLE) -> Callable[[str], int]:
    """Return what makes a whole number from ``low`` to ``high`` of an option's text."""
    return partial(_whole, option, example, low, high)


def _whole(option: str, example: int, low: int, high: int, text: str) -> int:
    try:
        number = int(text) if _DIGITS.fullmatch(text.strip()) else None
    except ValueError:  # it has thousands of digits
        number = None
    if number is None:
        raise UsageError(f"{option} is a whole number such as {example}, not {shown(text)}")
    if not low <= number <= high:
        bounds = f"of at least {low:,}" if high == MAX_WHOLE and number < low else f"from {low:,} to {high:,}"
        raise UsageError(f"{option} is a whole number {bounds}, not {shown(text)}")
    return number


def decimal_number(option: str, example: float) -> Callable[[str], float]:
    """Return what makes a number of an option's text."""
    return partial(_decimal, option, example)


def _decimal(option: str, example: float, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} is a number such as {example}, not {shown(text)}") from None
