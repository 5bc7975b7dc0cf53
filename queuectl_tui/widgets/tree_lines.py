"""Lay out the tree of what waits for what around a job, as lines of styled parts for a width. Pure.

  ✔ 11 fetch           2m ago
▶ └ ✗ 12 build         exit 7, 2m ago · 2 wait
    └ ○ 14 test        stuck: 12 is dead
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model import Job, State
from core.rules.tree import TreeLine, note, stem
from core.text import clean_line
from core.wording import count
from queuectl_tui.cells import clip, flat
from queuectl_tui.cells import width as width_of
from queuectl_tui.widgets.detail_lines import Line
from queuectl_tui.widgets.glyphs import Glyphs, glyph

#: Between a job and what is said of it.
_GAP = "  "
#: A job has at least so many cells, if it needs them: its number and a name. What is said of it has the others first.
_LEAST_JOB = 26


def lines_of_tree(
    lines: Sequence[TreeLine], left_out: int, now: datetime, width: int, signs: Glyphs, *, root: int, chosen: int | None
) -> list[Line]:
    """Return a line for each job; the chosen one is pointed at, and the ``root`` is the one that was asked for."""
    if len(lines) == 1 and not left_out:
        return [(("This job waits for no other, and none waits for it.", "muted"),)]
    is_ascii = signs.cursor.isascii()
    stems = [stem(line.branches, is_ascii=is_ascii) for line in lines]
    notes = [note(line, now).replace(" · ", f" {signs.name_end} ") for line in lines]
    room = max(8, width - 2)
    said = max((width_of(text) for text in notes), default=0)
    drawn = max((width_of(before) + _job_cells(line.job) for before, line in zip(stems, lines, strict=True)), default=0)
    left = min(drawn, max(room - width_of(_GAP) - said, min(_LEAST_JOB, room)))
    rows: list[Line] = []
    for before, line, text in zip(stems, lines, notes, strict=True):
        job = line.job
        pointer = (f"{signs.cursor} " if job.id == chosen else "  ", "pointer")
        sign = glyph(job, now, signs)
        style = "strong" if job.id == root else ""
        name = _fit(f" {job.id} {_name(job)}", max(0, left - width_of(before) - 1), signs)
        words = _fit_note(text, max(0, room - left - width_of(_GAP)), signs)
        rows.append((pointer, (before, "muted"), sign, (name + _GAP, style), (words, _note_style(line))))
    if left_out:
        rows.append(((f"  {count(left_out, 'more job')} around these; ⏎ on one goes further", "muted"),))
    return rows


def _job_cells(job: Job) -> int:
    return width_of(f"o {job.id} {_name(job)}")


def _fit_note(text: str, cells: int, signs: Glyphs) -> str:
    """Return as many parts of a note as fit, and dots if there are more; of the first as much as fits."""
    between = f" {signs.name_end} "
    parts = text.split(between)
    for number in range(len(parts), 0, -1):
        kept = between.join(parts[:number]) + (f" {signs.ellipsis}" if number < len(parts) else "")
        if width_of(kept) <= cells:
            return kept
    return clip(parts[0], cells, signs.ellipsis)


def _fit(text: str, cells: int, signs: Glyphs) -> str:
    clipped = clip(text, cells, signs.ellipsis)
    return clipped + " " * (cells - width_of(clipped))


def _name(job: Job) -> str:
    return flat(clean_line(job.name or job.command[:200]))


def _note_style(line: TreeLine) -> str:
    if line.stuck_on or line.job.state is State.DEAD:
        return "dead"
    return "muted"
