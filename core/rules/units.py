"""Numbers, durations, sizes and exit codes as people write them. Pure."""

from __future__ import annotations

import math
import re

from core.errors import UsageError
from core.rules.arguments import MAX_WHOLE, shown

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
#: The longest duration, in seconds: a hundred years.
MAX_DURATION_S = 100 * 365 * 86400.0
#: The largest size, in bytes: one exbibyte.
MAX_SIZE_BYTES = 1 << 60


def parse_whole(text: str, what: str, example: int, low: int = 0, high: int = MAX_WHOLE) -> int:
    """Return a whole number from ``low`` to ``high``; raise ``UsageError`` that names ``what`` it is for."""
    try:
        # not all that int() reads: no "1_000", no digits of other scripts
        number = int(text) if re.fullmatch(r"[+-]?[0-9]+", text.strip()) else None
    except ValueError:  # it has thousands of digits
        number = None
    if number is None:
        raise UsageError(f"{what} is a whole number such as {example}, not {shown(text)}")
    if not low <= number <= high:
        bounds = f"of at least {low:,}" if high == MAX_WHOLE and number < low else f"from {low:,} to {high:,}"
        raise UsageError(f"{what} is a whole number {bounds}, not {shown(text)}")
    return number


def parse_decimal(text: str, what: str, example: float) -> float:
    """Return a number; raise ``UsageError`` that names ``what`` it is for."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{what} is a number such as {example}, not {shown(text)}") from None


def parse_duration(text: str, what: str = "duration", most_s: float = MAX_DURATION_S) -> float:
    """Return seconds, 0 to ``most_s``: ``90``, ``90s``, ``1h30m``, ``1.5h``, ``250ms``; a bare number is seconds."""
    compact = re.sub(r"\s*([a-z]+)\s*", r"\1", text.strip().lower())
    seconds = math.nan
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        seconds = float(compact)
    elif compact and re.fullmatch(r"(\d+(\.\d+)?(ms|[smhdw]))+", compact):
        seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(compact))
    if math.isnan(seconds):
        raise UsageError(f"{what} {text!r} is not a duration; write 30s, 5m, 1h30m or 7d")
    if seconds > most_s:
        raise UsageError(f"{what} {text!r} is too long; the most is {format_duration(most_s)}")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration that ``parse_duration`` reads back to the millisecond: ``1h30m``, ``0.25s``."""
    whole = round(seconds * 1000)
    if whole % 1000:
        return f"{whole / 1000:g}s" if whole < 60_000 else f"{whole}ms"
    rest, parts = whole // 1000, []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, int(_DURATION_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest}s")
    return "".join(parts)


def parse_size(text: str, what: str = "size") -> int:
    """Return bytes, >= 0: ``65536``, ``64K``, ``10MB``, ``1GiB``; units are powers of 1024."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?", text.strip().lower())
    size = float(match[1]) * _SIZE_UNITS[match[2] or ""] if match else math.nan
    if math.isnan(size):
        raise UsageError(f"{what} {text!r} is not a size; write 64K, 10M or 1G")
    if size > MAX_SIZE_BYTES:
        raise UsageError(f"{what} {text!r} is too large; the most is {MAX_SIZE_BYTES >> 40}T")
    return int(size)


def parse_exit_codes(text: str, what: str = "exit codes") -> str:
    """Return the canonical form of a list of exit codes 0 to 255 and ranges: ``"24, 0,64-78"`` -> ``"0,24,64-78"``."""
    spans: list[tuple[int, int]] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high or high > 255:
            raise UsageError(f"{what} {text!r} are not understood; write 0,24 or 64-78 (0 to 255)")
        spans.append((low, high))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in sorted(set(spans)))


def exit_code_matches(exit_code: int, canonical: str) -> bool:
    """Return whether an exit code is in a list that ``parse_exit_codes`` returned."""
    for part in canonical.split(","):
        low, _, high = part.partition("-")
        if int(low) <= exit_code <= int(high or low):
            return True
    return False


def fingerprint_text(number: int) -> str:
    """Return a fingerprint as people type it: 16 hexadecimal digits."""
    return f"{number & 0xFFFFFFFFFFFFFFFF:016x}"


def parse_fingerprint(text: str) -> int | None:
    """Return the number of a fingerprint's 16 hexadecimal digits; ``None`` for anything else."""
    if re.fullmatch(r"[0-9a-fA-F]{16}", text) is None:
        return None
    number = int(text, 16)
    return number - (1 << 64) if number >= 1 << 63 else number


def check_fingerprint(text: str) -> str:
    """Return a fingerprint as ``fingerprint_text`` writes it; raise ``UsageError`` for what is none."""
    if parse_fingerprint(text) is None:
        raise UsageError(f"a group is 16 hexadecimal digits, as 'queuectl dlq groups' shows it, not {text!r}")
    return text.lower()
