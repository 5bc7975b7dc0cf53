"""Checks of the values that programs hand to the library; a refusal names the argument and shows the value. Pure."""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The largest whole number that SQLite stores.
MAX_WHOLE = (1 << 63) - 1
_LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """Return a value as a program would write it, shortened if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number with thousands of digits
        return "a number with thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def check_kind(value: object, what: str, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise ``UsageError`` unless ``value`` is of one of the kinds; a bool counts only where ``kinds`` is ``bool``."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise UsageError(f"{what} is {wanted}, not {shown(value)}")


def check_whole(value: object, what: str, low: int = 0, high: int = MAX_WHOLE) -> int:
    """Return ``value``; raise ``UsageError`` unless it is a whole number from ``low`` to ``high``."""
    check_kind(value, what, int, "a whole number")
    return int(check_number(value, what, low, high))  # type: ignore[arg-type] # an int, as was just checked


def check_number(value: float, what: str, low: float, high: float) -> float:
    """Return ``value``; raise ``UsageError`` unless it is a number from ``low`` to ``high``."""
    check_kind(value, what, (int, float), "a number")
    if not low <= value <= high:
        raise UsageError(f"{what} is from {_plain(low)} to {_plain(high)}, not {_plain(value)}")
    return value


def _plain(value: float) -> str:
    """Return a number as people write it: ``1,000,000``, not ``1e+06``; one without end or sense as it is."""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) <= MAX_WHOLE else shown(value)
    return f"{value:,.6f}".rstrip("0").rstrip(".") if 1e-6 <= abs(value) < 1e15 else f"{value:g}"


def check_texts(values: Iterable[object], what: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple; raise ``UsageError`` for one text, whose letters would be taken for them."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise UsageError(f"{what} is a list of texts, not {shown(values)}")
    texts = []
    for value in values:
        check_kind(value, f"each of {what}", str, "a text")
        texts.append(str(value))
    return tuple(texts)
