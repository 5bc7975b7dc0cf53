"""Lay one job out as a line of styled parts, and decide which columns a pane's width has room for. Pure.

    ▶  10413 ◔ 1/3  default   python etl.py --day 2026-01-02           retry in 14s     pending
       10409 ● 2/3  media     ffmpeg -i a.mov b.mp4                           00:12     running
    ▶✓ 10407 ✔ 1/3  default   ./thumbs.sh 7                    0   3.1s      2s ago     completed
        9981 ✗ 3/3  default   python etl.py --day 01           exit 1        5m ago     dead

Columns depend on the width of the pane and on nothing that changes from one refresh to the next, except that the id and
the attempts grow when a longer one shows up; they never shrink again, so that lines do not jitter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from core.model import Job, Phase, State
from core.text import clean_line
from core.wording import ago, clock, due, duration, ending_words, until
from queuectl_tui.cells import ELLIPSIS, clip, flat, pad, pad_left, width
from queuectl_tui.snapshot import Pane

#: A stretch of text and the component class (without its prefix) that colours it; "" is the pane's own colour.
Part = tuple[str, str]
Parts = tuple[Part, ...]

#: With less room than this for the command the queue goes: what runs matters more than where.
MIN_COMMAND_WITH_QUEUE = 26
#: With less room than this the attempts go, then what else can be spared.
MIN_COMMAND = 18
#: Longer commands are cut before they are cleaned and measured; no terminal is that wide.
_MAX_COMMAND = 2000
_MARKERS = 3
_WIDE_PANE = 100


class Glyphs(NamedTuple):
    """The signs that stand for states, marks and the cursor; each takes one cell, ``ellipsis`` may take more."""

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
    ellipsis: str = ELLIPSIS


UNICODE = Glyphs()
ASCII = Glyphs("o", "~", "*", "?", "+", "-", "x", ">", "#", "-", "..")


class Tail(NamedTuple):
    """A right-aligned column behind the command: its width and the headings over it, each with its own width."""

    name: str
    cells: int
    headings: tuple[tuple[str, int], ...]


_WHEN = Tail("when", 12, (("due", 12),))
_CLOCK = Tail("clock", 8, (("time", 8),))
_RESULT = Tail("result", 10, (("exit", 4), ("took", 6)))
_EXIT = Tail("exit", 4, (("exit", 4),))
_REASON = Tail("reason", 12, (("reason", 12),))
_AGE = Tail("age", 8, (("age", 8),))

#: What stands behind the command, with room and without.
_TAILS: dict[Pane, tuple[tuple[Tail, ...], tuple[Tail, ...]]] = {
    Pane.PENDING: ((_WHEN,), (_WHEN,)),
    Pane.RUNNING: ((_CLOCK,), (_CLOCK,)),
    Pane.COMPLETED: ((_RESULT, _AGE), (_EXIT, _AGE)),
    Pane.DLQ: ((_REASON, _AGE), (_REASON,)),
}


class Needs(NamedTuple):
    """How many cells the longest id and the longest attempts took so far."""

    id: int = 5
    attempts: int = 3

    def grown(self, jobs: Iterable[Job]) -> Needs:
        """Return what these jobs need, never less than before."""
        jobs = tuple(jobs)
        if not jobs:
            return self
        spent, allowed = max(job.attempts for job in jobs), max(job.max_attempts for job in jobs)
        needs_id = max(self.id, len(str(max(job.id for job in jobs))))
        needs_attempts = max(self.attempts, len(str(spent)) + 1 + len(str(allowed)))
        return Needs(needs_id, needs_attempts)


class Columns(NamedTuple):
    """The columns of one pane at one width, in cells; a column of 0 cells is left out."""

    cells: int
    id: int
    attempts: int
    queue: int
    command: int
    tails: tuple[Tail, ...]

    def headings(self) -> tuple[tuple[str, int, bool], ...]:
        """Return every heading from left to right: name, cells up to and with its column, and whether right-aligned."""
        fixed = [("id", _MARKERS + self.id, True), ("", 2, False)]
        if self.attempts:
            fixed.append(("try", self.attempts + 1, True))
        if self.queue:
            fixed.extend((("", 2, False), ("queue", self.queue, False)))
        fixed.extend((("", 2, False), ("command", self.command, False)))
        fixed.append(("", 1, False))
        for tail in self.tails:
            gap = 1
            for name, cells in tail.headings:
                fixed.append((name, cells + gap, True))
                gap = 0
        return tuple(fixed)

    def heading_at(self, x: int) -> str:
        """Return the heading over a cell, ``""`` between two."""
        end = 0
        for name, cells, _ in self.headings():
            end += cells
            if x < end:
                return name
        return ""


def _cells_of(tails: tuple[Tail, ...]) -> int:
    """Return what stands behind the command: a gap of two, the columns with a gap of one between, and a margin."""
    return sum(tail.cells + 1 for tail in tails) + 2


def columns_for(pane: Pane, cells: int, needs: Needs) -> Columns:
    """Return the columns that fit: first the queue goes, then the attempts, then what the pane can spare."""
    full, spare = _TAILS[pane]
    queue = 12 if cells >= _WIDE_PANE else 8
    choices = ((needs.attempts, queue, full), (needs.attempts, 0, full), (0, 0, full), (0, 0, spare))
    for attempts, queue, tails in choices:
        before = _MARKERS + needs.id + 2 + (attempts + 1 if attempts else 0) + (queue + 2 if queue else 0) + 2
        command = cells - before - _cells_of(tails)
        if command >= (MIN_COMMAND_WITH_QUEUE if queue else MIN_COMMAND):
            break
    return Columns(cells, needs.id, attempts, queue, max(0, command), tails)


def heading(columns: Columns) -> str:
    """Return the line of column headings."""
    return "".join(
        pad_left(name, cells) if is_right else pad(name, cells) for name, cells, is_right in columns.headings()
    )


def glyph(job: Job, now: datetime, glyphs: Glyphs) -> Part:
    """Return the sign of a job's state and its colour."""
    state = job.state
    if state is State.PENDING:
        return (glyphs.pending, "pending") if job.phase(now) is Phase.READY else (glyphs.delayed, "delayed")
    if state is State.RUNNING:
        return (glyphs.running, "running") if job.unwatched is None else (glyphs.unwatched, "delayed")
    if state is State.COMPLETED:
        return glyphs.completed, "completed"
    return (glyphs.dead, "dead") if state is State.DEAD else (glyphs.cancelled, "cancelled")


def head(job: Job, columns: Columns, glyphs: Glyphs, sign: Part, *, spare: int = 0) -> Parts:
    """Return a line from the id to the command, with the sign of the state between; nothing in it depends on time.

    The command takes the ``spare`` cells that what stands behind it leaves.
    """
    middle = " "
    if columns.attempts:
        middle += pad_left(f"{job.attempts}/{job.max_attempts}", columns.attempts)
    if columns.queue:
        middle += "  " + _fit(job.queue, columns.queue, glyphs)
    command = _fit(job.command, columns.command + spare, glyphs)
    return (
        (" " + pad_left(str(job.id), columns.id) + " ", "muted"),
        sign,
        (middle + "  " if middle != " " else "  ", "muted"),
        (command + " ", ""),
    )


def tail(job: Job, columns: Columns, glyphs: Glyphs, now: datetime, is_held: bool) -> Parts:
    """Return what stands behind the command without its leading blanks: what depends on time is here."""
    parts = [_tail_part(column, job, glyphs, now, is_held) for column in columns.tails]
    text, style = parts[0]
    parts[0] = (" " + text.lstrip() if not text.isspace() else "", style)
    text, style = parts[-1]
    return (*parts[:-1], (text + " ", style))


def spare_cells(columns: Columns, tail: Parts) -> int:
    """Return how many cells of the columns behind the command a job's ``tail`` does not need."""
    return _cells_of(columns.tails) - 1 - sum(width(text) for text, _ in tail)


def _fit(text: str, cells: int, glyphs: Glyphs) -> str:
    clipped = clip(flat(clean_line(text[:_MAX_COMMAND])), cells, glyphs.ellipsis)
    return clipped + " " * (cells - width(clipped))


def _tail_part(column: Tail, job: Job, glyphs: Glyphs, now: datetime, is_held: bool) -> Part:
    text, style = _TAIL_TEXTS[column.name](job, glyphs, now, is_held)
    if text.isascii() and len(text) <= column.cells:
        return " " + text.rjust(column.cells), style
    return " " + pad_left(clip(text, column.cells, glyphs.ellipsis), column.cells), style


def _when(job: Job, _glyphs: Glyphs, now: datetime, is_held: bool) -> Part:
    phase = job.phase(now)
    if job.run_at is None or phase is Phase.READY:
        return ("held", "muted") if is_held else ("", "muted")
    if phase is Phase.RETRYING:
        return f"retry {until(job.run_at, now)}", "delayed"
    return due(job.run_at, now), "muted"


def _clock(job: Job, glyphs: Glyphs, now: datetime, _is_held: bool) -> Part:
    if job.started_at is None:
        return glyphs.nothing, "muted"
    if job.unwatched is None:
        return clock((now - job.started_at).total_seconds()), "running"
    if job.unwatched.phase is Phase.ENDED:
        return "ended", "delayed"
    return clock((now - job.started_at).total_seconds()), "delayed"


def _exit(job: Job, glyphs: Glyphs, _now: datetime, _is_held: bool) -> Part:
    if job.state is State.CANCELLED or job.last_exit_code is None:
        return glyphs.nothing, "muted"
    return str(job.last_exit_code), "muted" if job.last_exit_code == 0 else "delayed"


def _result(job: Job, glyphs: Glyphs, now: datetime, is_held: bool) -> Part:
    if job.state is State.CANCELLED:
        return "cancelled", "cancelled"
    code, style = _exit(job, glyphs, now, is_held)
    took = duration(job.run_s) if job.run_s is not None else glyphs.nothing
    return pad_left(code, 4) + pad_left(took, 6), style


def _reason(job: Job, _glyphs: Glyphs, _now: datetime, _is_held: bool) -> Part:
    return flat(ending_words(job)) or "dead", "dead"


def _age(job: Job, _glyphs: Glyphs, now: datetime, _is_held: bool) -> Part:
    return ago(job.since, now), "muted"


_TAIL_TEXTS = {
    "when": _when,
    "clock": _clock,
    "exit": _exit,
    "result": _result,
    "reason": _reason,
    "age": _age,
}
