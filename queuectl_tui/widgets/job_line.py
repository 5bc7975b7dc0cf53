"""Lay one job out as a line of styled parts, exactly as wide as its pane. Pure.

▶  10413 ◔ python etl.py --day 2026-01-02              retry 14s default  1/3     pending
   10409 ● ffmpeg -i a.mov b.mp4                           00:12 media    2/3     running
▶✓ 10407 ✔ nightly · ./thumbs.sh 7                  3.1s  2s ago default  1/3     completed
    9981 ✗ python etl.py --day 01     ConnectionError: refused    exit 1  5m ago  dead
"""

from __future__ import annotations

from core.model import Job
from core.text import clean_line
from queuectl_tui.cells import clip, flat, pad, pad_left, width
from queuectl_tui.widgets.columns import MAX_TEXT, Circumstances, Columns, Field
from queuectl_tui.widgets.glyphs import Glyphs, Part, Parts

#: With fewer cells than this left for it, the command is not begun behind a long name.
_LEAST_COMMAND = 8


def heading(columns: Columns) -> str:
    """Return the line of column headings."""
    return "".join(
        pad_left(name, cells) if is_right else pad(name, cells) for name, cells, is_right in columns.headings()
    )


def head(job: Job, columns: Columns, glyphs: Glyphs, sign: Part, *, spare: int = 0) -> Parts:
    """Return a line from the id to the command, with the sign of the state between; nothing in it depends on time.

    Name and command take the ``spare`` cells that what stands behind them leaves.
    """
    room = columns.command + spare
    command = _clean(job.command)
    start: Parts = ((pad_left(str(job.id), columns.id) + " ", "muted"), sign, (" ", ""))
    if job.name is None:
        return (*start, (_fit(command, room, glyphs), ""))
    between = f" {glyphs.name_end} "
    most = max(room * 2 // 3, room - width(command)) - width(between)
    name = clip(_clean(job.name), max(0, most), glyphs.ellipsis)
    left = room - width(name) - width(between)
    if left < min(_LEAST_COMMAND, width(command)):
        return (*start, (_fit(_clean(job.name), room, glyphs), "name"))
    return (*start, (name, "name"), (between, "muted"), (_fit(command, left, glyphs), ""))


def tail(job: Job, columns: Columns, at: Circumstances) -> Parts:
    """Return what stands behind the command without its leading blanks: what depends on time is here."""
    if not columns.fields:
        return ()
    parts = [_field(field, job, at) for field in columns.fields]
    text, style = parts[0]
    parts[0] = (" " + text.lstrip() if not text.isspace() else "", style)
    return tuple(parts)


def spare_cells(columns: Columns, tail: Parts) -> int:
    """Return how many cells of the columns behind the command a job's ``tail`` does not need."""
    return sum(field.cells + 1 for field in columns.fields) - sum(width(text) for text, _ in tail)


def _clean(text: str) -> str:
    return flat(clean_line(text[:MAX_TEXT]))


def _fit(text: str, cells: int, glyphs: Glyphs) -> str:
    clipped = clip(text, cells, glyphs.ellipsis)
    return clipped + " " * (cells - width(clipped))


def _field(field: Field, job: Job, at: Circumstances) -> Part:
    column, cells = field
    text, style = column.text(job, at)
    text = text[-cells:] if cells == column.short else clip(text, cells, at.glyphs.ellipsis)
    blanks = " " * (cells - width(text))
    return " " + (text + blanks if column.is_left else blanks + text), style
