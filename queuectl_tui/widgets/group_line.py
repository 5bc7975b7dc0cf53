"""Lay out one group of dead jobs as a line of styled parts, and decide which columns a width has room for. Pure.

   jobs  last words                                       queues          first    last  last 24 h
▶   201  ConnectionError: [Errno 111] Connection refused  default media  5d ago  2m ago  ▁▁▂▃▁▁▁▇▂▁▁▁
     12  exit 7 · ./sync nas.example.test 3               backup         3h ago  1h ago  ▁▁▁▁▁▁▁▁▁▁▇▂
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.model import DeadGroup
from core.text import clean_line
from core.wording import ago, compact, ending_words
from queuectl_tui.cells import clip, flat, pad, pad_left, width
from queuectl_tui.widgets.glyphs import Part

_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*##"
_POINTER_CELLS = 2
_AGE_CELLS = 8
_QUEUES_MOST = 20
#: The last words keep at least so many cells, and as many as the longest needs, up to so many tenths of the line.
_LEAST_WORDS = 20
_WORDS_SHARE = 6
#: Of how many groups the last words are measured.
_MEASURED = 50


class Columns(NamedTuple):
    """The columns of a table of groups at one width, in cells without gaps; one of 0 cells is left out."""

    cells: int
    number: int = 4
    words: int = 0
    queues: int = 0
    first: int = 0
    last: int = 0
    hours: int = 0


def columns_for(cells: int, groups: Iterable[DeadGroup]) -> Columns:
    """Return the columns that fit: behind the last words the last, the first, the queues and the hours, by rank.

    The last words have room first: a column stands only where it cuts none of them, or leaves them most of the line.
    """
    shown = tuple(groups)
    longest = max((width(words_of(group)) for group in shown[:_MEASURED]), default=0)
    number = max([4, *(len(_number(group)) for group in shown)])
    queues = min(_QUEUES_MOST, max([6, *(width(_queues(group)) for group in shown)]))
    room = cells - _POINTER_CELLS - number - 2 - 1
    spare = room - max(_LEAST_WORDS, min(longest, cells * _WORDS_SHARE // 10))
    found: dict[str, int] = {}
    for name, wanted in (("last", _AGE_CELLS), ("first", _AGE_CELLS), ("queues", queues), ("hours", 12), ("hours", 24)):
        more = wanted - found[name] if name in found else wanted + 2
        if more > spare:
            break
        found[name] = wanted
        spare -= more
    words = room - sum(taken + 2 for taken in found.values())
    return Columns(cells, number, max(0, words), **found)


def heading(columns: Columns) -> str:
    """Return the line of column headings."""
    texts = [" " * _POINTER_CELLS + pad_left("jobs", columns.number), pad("last words", columns.words)]
    texts += [pad("queues", columns.queues)] if columns.queues else []
    texts += [pad_left("first", columns.first)] if columns.first else []
    texts += [pad_left("last", columns.last)] if columns.last else []
    texts += [pad("last 24 h", columns.hours)] if columns.hours else []
    return "  ".join(texts) + " "


def line(group: DeadGroup, columns: Columns, now: datetime, *, is_ascii: bool = False) -> tuple[Part, ...]:
    """Return the line of a group behind the cursor's sign, ``columns.cells - 1`` cells wide."""
    said = clip(words_of(group), columns.words, ".." if is_ascii else "…")
    parts = [
        (" " + pad_left(_number(group), columns.number), "dead"),
        ("  " + pad(said, columns.words), "" if group.fingerprint is not None else "muted"),
    ]
    if columns.queues:
        parts.append(("  " + pad(_queues(group), columns.queues), "muted"))
    if columns.first:
        parts.append(("  " + pad_left(ago(group.first_at, now), columns.first), "muted"))
    if columns.last:
        parts.append(("  " + pad_left(ago(group.last_at, now), columns.last), "muted"))
    if columns.hours:
        parts.append(("  " + bar(group.hours, columns.hours, _ASCII_BARS if is_ascii else _BARS), "dead"))
    return (*parts, (" ", "muted"))


def words_of(group: DeadGroup) -> str:
    """Return what the jobs of a group died of: the last words of the newest, else how it ended and its command."""
    if group.fingerprint is None:
        return "not read yet"
    job = group.sample
    said = clean_line(job.last_line) if job.last_line else f"{ending_words(job)} · {clean_line(job.command[:2000])}"
    return flat(said)


def bar(hours: Sequence[int], cells: int, blocks: str = _BARS) -> str:
    """Return a row of columns, the newest at the right, the highest full; each stands for as many hours as fit.

    Anything above 0 is seen.
    """
    each = max(1, len(hours) // cells)
    sums = [sum(hours[start : start + each]) for start in range(0, len(hours), each)]
    top, steps = max([1, *sums]), len(blocks) - 1
    return "".join(blocks[max(1, round(value / top * steps)) if value else 0] for value in sums)


def _number(group: DeadGroup) -> str:
    return f"{group.number:,}" if group.number < 100_000 else compact(group.number)


def _queues(group: DeadGroup) -> str:
    return flat(" ".join(clean_line(queue) for queue in group.queues[:8]))
