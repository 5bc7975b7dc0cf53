"""Write ages, durations, counts, sizes and clipped text for people. Pure: no I/O, no clock, ``now`` is an argument.

age         2s ago   5m ago   3h ago   4d ago      floored, so that it never claims more time than has passed
clock       01:42    1:02:03                       how long something has been running
duration    250ms    3.1s     2m03s    4h05m       how long something took
countdown   retry in 14s      due in 2h            rounded up, so that it never reaches 0 too early
compact     999      1.2k     12k      1.2M        floored
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from rich.cells import cell_len, split_graphemes

ELLIPSIS = "…"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400
_JOINING = re.compile("[\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")
_SIZE_UNITS = ("B", "KB", "MB", "GB", "TB")
_COMPACT_UNITS = ("", "k", "M", "G")


def span(seconds: float) -> str:
    """Return whole seconds as one number and its unit: ``14s``, ``5m``, ``3h``, ``4d``, ``2y``; below 0 is ``0s``."""
    whole = max(0, int(seconds))
    for unit, length, limit in (("s", 1, _MINUTE), ("m", _MINUTE, _HOUR), ("h", _HOUR, _DAY), ("d", _DAY, _YEAR)):
        if whole < limit:
            return f"{whole // length}{unit}"
    return f"{whole // _YEAR}y"


def age(at: datetime, now: datetime) -> str:
    """Return how long ago something was; ``now`` for less than a second and for what lies ahead."""
    seconds = (now - at).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 1 else "now"


def countdown(at: datetime, now: datetime, word: str) -> str:
    """Return when something will be: ``retry in 14s``; ``retry now`` once the time has come."""
    seconds = (at - now).total_seconds()
    return f"{word} in {span_up(seconds)}" if seconds > 0 else f"{word} now"


def span_up(seconds: float) -> str:
    """Return ``span`` rounded up to the next whole unit: 61 s are ``2m``."""
    whole = max(0, math.ceil(seconds))
    for length, limit in ((_MINUTE, _HOUR), (_HOUR, _DAY), (_DAY, _YEAR)):
        if length <= whole < limit:
            return span(-(-whole // length) * length)
    return span(whole)


def due(at: datetime, now: datetime) -> str:
    """Return when a delayed job will be due, as short as it can be said, in the time zone of ``now``.

    ``due in 14m`` within an hour, ``due 02:00`` within a day, ``due 3 Jan`` within a year, then ``due 2031``.
    """
    seconds = (at - now).total_seconds()
    if seconds < _HOUR:
        return countdown(at, now, "due")
    local = at.astimezone(now.tzinfo)
    if seconds < _DAY:
        return f"due {local:%H:%M}"
    return f"due {local.day} {local:%b}" if seconds < _YEAR else f"due {local.year}"


def clock(seconds: float) -> str:
    """Return a running clock: ``01:42``, ``1:02:03``, from 100 hours on ``4d 04h``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02}h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def duration(seconds: float) -> str:
    """Return how long something took: ``250ms``, ``3.1s``, ``2m03s``, ``4h05m``, ``3d04h``."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def count(number: int) -> str:
    """Return a number with its thousands apart: ``12,482``."""
    return f"{number:,}"


def compact(number: int) -> str:
    """Return a number in at most four characters, floored: ``999``, ``1.2k``, ``12k``, ``1.2M``."""
    value, power = number, 0
    while value >= 1000 and power < len(_COMPACT_UNITS) - 1:
        value, power = value // 1000, power + 1
    if power > 0 and value < 10:
        tenths = number // 1000**power * 10 + number % 1000**power * 10 // 1000**power
        return f"{tenths / 10:g}{_COMPACT_UNITS[power]}"
    return f"{value}{_COMPACT_UNITS[power]}"


def plural(number: int, noun: str) -> str:
    """Return a count with its noun: ``1 job``, ``12,482 jobs``."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def size(number: int) -> str:
    """Return bytes in powers of 1024: ``512 B``, ``1.2 KB``, ``96 MB``."""
    value, power = float(number), 0
    while value >= 1023.5 and power < len(_SIZE_UNITS) - 1:
        value, power = value / 1024, power + 1
    shown = f"{value:.1f}" if power > 0 and value < 9.95 else f"{value:.0f}"
    return f"{shown} {_SIZE_UNITS[power]}"


def width(text: str) -> int:
    """Return how many terminal cells a text takes; wide characters take two."""
    return cell_len(text)


def clip(text: str, cells: int, ellipsis: str = ELLIPSIS) -> str:
    """Return a text that takes at most so many cells; what is left out at the end shows as an ellipsis."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(ellipsis)
    return _head(text, room) + ellipsis if room > 0 else _head(text, cells)


def clip_middle(text: str, cells: int, ellipsis: str = ELLIPSIS) -> str:
    """Return a text that takes at most so many cells, with an ellipsis in its middle: for paths."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(ellipsis)
    if room < 2:
        return clip(text, cells, ellipsis)
    tail = _tail(text, room - room // 3)
    return _head(text, room - cell_len(tail)) + ellipsis + tail


def flat(text: str) -> str:
    """Return a text without joiners, variation selectors and skin tones: terminals disagree on their width."""
    return text if text.isascii() else _JOINING.sub("", text)


def pad(text: str, cells: int) -> str:
    """Return a text, flat, clipped or filled at the right to exactly so many cells."""
    clipped = clip(flat(text), cells)
    return clipped + " " * (cells - cell_len(clipped))


def pad_left(text: str, cells: int) -> str:
    """Return a text, flat, clipped or filled at the left to exactly so many cells."""
    clipped = clip(flat(text), cells)
    return " " * (cells - cell_len(clipped)) + clipped


def _head(text: str, cells: int) -> str:
    """Return the longest start that takes at most so many cells, cut between graphemes."""
    if text.isascii():
        return text[: max(0, cells)]
    end = used = 0
    # one cell is at least one character except for marks of width 0: bound the work on long texts
    for start, stop, _ in split_graphemes(text[: cells * 8 + 8])[0]:
        # measured again: where joiners begin a text, the two functions do not agree
        length = cell_len(text[start:stop])
        if used + length > cells:
            break
        end, used = stop, used + length
    return text[:end]


def _tail(text: str, cells: int) -> str:
    """Return the longest end that takes at most so many cells, cut between graphemes."""
    if text.isascii():
        return text[len(text) - max(0, cells) :]
    bounded = text[-(cells * 8 + 8) :]
    begin, used = len(bounded), 0
    for start, stop, _ in reversed(split_graphemes(bounded)[0]):
        length = cell_len(bounded[start:stop])
        if used + length > cells:
            break
        begin, used = start, used + length
    return bounded[begin:]
