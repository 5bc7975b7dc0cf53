"""The signs that stand for states, marks and the cursor, in Unicode and in ASCII. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.model import Job, Phase, State
from queuectl_tui.cells import ELLIPSIS

#: A stretch of text and the component class (without its prefix) that colours it; "" is the pane's own colour.
Part = tuple[str, str]
Parts = tuple[Part, ...]


class Glyphs(NamedTuple):
    """The signs that stand for states, marks and the cursor; each is one cell wide, ``ellipsis`` may be wider.

    ``name_end`` stands between a job's name and its command, ``bar`` and ``no_bar`` for what is done and what is not,
    ``dependents`` before the number of jobs that wait for one.
    """

    pending: str = "○"
    delayed: str = "◔"
    running: str = "●"
    unwatched: str = "◌"
    completed: str = "✔"
    cancelled: str = "⊘"
    dead: str = "✗"
    cursor: str = "▶"
    mark: str = "✓"
    nothing: str = "–"
    name_end: str = "·"
    ellipsis: str = ELLIPSIS
    bar: str = "█"
    no_bar: str = "░"
    dependents: str = "▸"


UNICODE = Glyphs()
ASCII = Glyphs("o", "~", "*", "?", "+", "-", "x", ">", "#", "-", "|", "..", "#", ".", ">")


def bar(share: float, cells: int, glyphs: Glyphs) -> str:
    """Return a bar of so many cells for a share from 0 to 1, to the nearest cell; it is full only when all is done."""
    filled = min(round(share * cells), cells if share >= 1 else cells - 1)
    return glyphs.bar * filled + glyphs.no_bar * (cells - filled)


def glyph(job: Job, now: datetime, glyphs: Glyphs) -> Part:
    """Return the sign of a job's state and its colour."""
    state = job.state
    if state is State.PENDING:
        if job.blocks:
            return glyphs.pending, "muted"
        return (glyphs.pending, "pending") if job.phase(now) is Phase.READY else (glyphs.delayed, "delayed")
    if state is State.RUNNING:
        return (glyphs.running, "running") if job.unwatched is None else (glyphs.unwatched, "delayed")
    if state is State.COMPLETED:
        return glyphs.completed, "completed"
    return (glyphs.dead, "dead") if state is State.DEAD else (glyphs.cancelled, "cancelled")
