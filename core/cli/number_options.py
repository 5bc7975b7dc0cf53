"""Converters of argparse for numbers; their ``UsageError`` names the option and its bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from core.rules.arguments import MAX_WHOLE
from core.rules.units import parse_decimal, parse_whole


def whole_number(option: str, example: int, low: int = 0, high: int = MAX_WHOLE) -> Callable[[str], int]:
    """Return a converter of an option's text to a whole number from ``low`` to ``high``."""
    return partial(parse_whole, what=option, example=example, low=low, high=high)


def decimal_number(option: str, example: float) -> Callable[[str], float]:
    """Return a converter of an option's text to a number."""
    return partial(parse_decimal, what=option, example=example)
