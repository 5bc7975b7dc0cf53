"""Measure, clip and fill texts in terminal cells; wide characters take two. Pure."""

from __future__ import annotations

import re

from rich.cells import cell_len, split_graphemes

ELLIPSIS = "…"
_JOINING = re.compile("[\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")


def width(text: str) -> int:
    """Return how many terminal cells a text is wide."""
    return cell_len(text)


def clip(text: str, cells: int, ellipsis: str = ELLIPSIS) -> str:
    """Return a text at most so many cells wide; what is left out at the end shows as an ellipsis."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(ellipsis)
    return _head(text, room) + ellipsis if room > 0 else _head(text, cells)


def clip_middle(text: str, cells: int, ellipsis: str = ELLIPSIS) -> str:
    """Return a text at most so many cells wide, with an ellipsis in its middle: for paths."""
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
    """Return the longest start at most so many cells wide, cut between graphemes."""
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
    """Return the longest end at most so many cells wide, cut between graphemes."""
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
