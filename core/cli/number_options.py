"""Numbers in options: text in, number out; a refusal names the option and says what it takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from core.rules.arguments import MAX_WHOLE
from core.rules.units import parse_decimal, parse_whole


def whole_number(option: str, example: int, low: int = 0, high: int = MAX_WHOLE) -> Callable[[str], int]:
    """Return what makes a whole number from ``low`` to ``high`` of an option's text."""
    return partial(parse_whole, what=option, example=example, low=low, high=high)


def decimal_number(option: str, example: float) -> Callable[[str], float]:
    """Return what makes a number of an option's text."""
    return partial(parse_decimal, what=option, example=example)
