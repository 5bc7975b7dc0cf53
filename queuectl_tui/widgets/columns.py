"""The columns that a list of jobs can have behind the command, and which of them fit into a row. Pure.

Each pane has its columns by rank. They are drawn in that order, as many as leave the command half of the row; a
narrower row has the first of those that a wider one has. A column that says the same in every row is not drawn.
The width of a column depends on the rows that were seen and never shrinks, so that lines do not jitter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from core.model import Job, Phase, State
from core.rules.needs import format_needs
from core.text import clean_line
from core.wording import ago, clock, code_words, due, duration, ending_words, size, span_up, time_left
from queuectl_tui.cells import flat, width
from queuectl_tui.snapshot import Pane, RunProgress
from queuectl_tui.widgets.glyphs import Glyphs, Part, bar

#: Longer texts are cut before they are cleaned and measured; no terminal is that wide.
MAX_TEXT = 2000
#: Cells for the cursor's sign, the mark, and around the sign of the state.
_AROUND_SIGN = 5
#: A column of free text has at least so many cells before the columns of a lower rank get any.
_TEXT_CELLS = 20
#: With fewer cells a column of free text is not drawn.
_LEAST_TEXT_CELLS = 10
_MIN_ID = 3
_BAR_CELLS = 5
_SHARE_CELLS = 4


class Circumstances(NamedTuple):
    """What a row shows beside its job: the time, the signs, why the job is held (``""``: it is not), how far it is.

    ``note`` is that of ``PaneData.notes``, ``canary`` that of ``PaneData.canaries`` or 0.
    """

    now: datetime
    glyphs: Glyphs
    hold: str = ""
    progress: RunProgress | None = None
    note: str = ""
    canary: int = 0


class Drawn(Enum):
    """When a column is drawn, where it fits."""

    ALWAYS = "always"
    WHEN_SAID = "when a row says something in it"
    WHEN_DIFFERENT = "when two rows differ in it"


class Column(NamedTuple):
    """A column behind the command. ``least`` and ``most`` are its cells for the shortest and the longest texts.

    ``name`` is its name in the preferences, ``explanation`` a line for the dialog that offers it, ``heading`` stands
    over it where the name does not fit.
    ``is_text`` columns hold free text, aligned at the left, and share what room the others leave. ``short`` is how many
    cells at the right end of a text say the same in fewer, where there is no room for all of it; 0 for none.
    """

    name: str
    explanation: str
    text: Callable[[Job, Circumstances], Part]
    least: int
    most: int
    drawn: Drawn = Drawn.WHEN_DIFFERENT
    is_left: bool = False
    is_text: bool = False
    heading: str = ""
    short: int = 0


def last_words(job: Job) -> str:
    """Return the line of its output that says why a job's last attempt ended, else how that ended."""
    return flat(clean_line(job.last_line[:MAX_TEXT])) if job.last_line else flat(ending_words(job)) or "dead"


def _words(job: Job, at: Circumstances) -> Part:
    dependents = f"{at.glyphs.dependents}{at.note} " if at.note and job.state is State.DEAD else ""
    canary = f"canary {at.canary} · " if at.canary else ""
    return f"{canary}{dependents}{last_words(job)}", "dead"


def _ending(job: Job, _at: Circumstances) -> Part:
    return ending_words(job._replace(last_error=None)) or "dead", "muted"


def _when(job: Job, at: Circumstances) -> Part:
    phase = job.phase(at.now)
    if phase is Phase.HELD:
        return "held", "muted"
    if phase is Phase.BLOCKED:
        return at.note or "blocked", "dead" if at.note.startswith("stuck") else "muted"
    if job.run_at is None or phase is Phase.READY:
        return at.hold or (f"needs {format_needs(job.needs)}" if job.needs else ""), "muted"
    if phase is Phase.RETRYING:
        seconds = (job.run_at - at.now).total_seconds()
        return f"retry {span_up(seconds)}", "delayed"
    return due(job.run_at, at.now), "muted"


def _elapsed(job: Job, at: Circumstances) -> Part:
    if job.started_at is None:
        return at.glyphs.nothing, "muted"
    if job.unwatched is None:
        return clock((at.now - job.started_at).total_seconds()), "running"
    if job.unwatched.phase is Phase.ENDED:
        return "ended", "delayed"
    return clock((at.now - job.started_at).total_seconds()), "delayed"


def _progress(_job: Job, at: Circumstances) -> Part:
    told = None if at.progress is None else at.progress.progress
    if told is None:
        return "", "running"
    return f"{bar(told.share, _BAR_CELLS, at.glyphs)} {int(told.share * 100):3}%", "running"


def _left(job: Job, at: Circumstances) -> Part:
    usual_s = None if at.progress is None else at.progress.usual_s
    if usual_s is None or job.started_at is None:
        return "", "muted"
    return time_left(usual_s, (at.now - job.started_at).total_seconds()), "muted"


def _took(job: Job, at: Circumstances) -> Part:
    return (duration(job.run_s) if job.run_s is not None else at.glyphs.nothing), "muted"


def _exit(job: Job, _at: Circumstances) -> Part:
    if job.state is State.CANCELLED:
        return "cancelled", "cancelled"
    return code_words(job.last_outcome, job.last_exit_code or None), "delayed"


def _queue(job: Job, _at: Circumstances) -> Part:
    return flat(clean_line(job.queue[:MAX_TEXT])), "muted"


def _label(job: Job, _at: Circumstances) -> Part:
    return flat(clean_line((job.label or "")[:MAX_TEXT])), "muted"


def _attempts(job: Job, _at: Circumstances) -> Part:
    return f"{job.attempts}/{job.max_attempts}", "muted"


def _priority(job: Job, _at: Circumstances) -> Part:
    return f"prio {job.priority}", "muted"


def _cpu(job: Job, _at: Circumstances) -> Part:
    return "" if job.cpu_s is None else f"cpu {duration(job.cpu_s)}", "muted"


def _memory(job: Job, _at: Circumstances) -> Part:
    return "" if job.max_rss_bytes is None else size(job.max_rss_bytes), "muted"


_WHEN = Column("when", "what it waits for: a time, a retry, jobs, its queue", _when, 9, 20, Drawn.WHEN_SAID)
_ELAPSED = Column("elapsed", "how long it has been running", _elapsed, 7, 8, Drawn.ALWAYS)
_PROGRESS = Column(
    "progress",
    "how far it says it is",
    _progress,
    _BAR_CELLS + 1 + _SHARE_CELLS,
    _BAR_CELLS + 1 + _SHARE_CELLS,
    Drawn.WHEN_SAID,
    is_left=True,
    heading="done",
    short=_SHARE_CELLS,
)
_LEFT = Column("left", "an estimate, from its last runs", _left, 9, 9, Drawn.WHEN_SAID)
_TOOK = Column("took", "how long the last attempt took", _took, 5, 6, Drawn.ALWAYS)
_AGE = Column(
    "age", "how long it is in its state", lambda job, at: (ago(job.since, at.now), "muted"), 7, 8, Drawn.ALWAYS
)
_WORDS = Column(
    "last words",
    "▸3: so many wait for it; why it ended",
    _words,
    10,
    200,
    Drawn.ALWAYS,
    True,
    True,
)
_ENDING = Column("ended with", "exit code, signal, time-out", _ending, 6, 16, is_left=True, heading="ended")
_QUEUE = Column("queue", "the queue it is in", _queue, 5, 16, Drawn.WHEN_DIFFERENT, is_left=True)
_LABEL = Column("label", "the label it was given", _label, 5, 24, Drawn.WHEN_DIFFERENT, is_left=True)
_ATTEMPTS = Column("attempts", "spent and allowed", _attempts, 3, 9, heading="try")
_PRIORITY = Column("priority", "higher runs first", _priority, 6, 12, heading="prio")
_EXIT = Column("exit", "the exit code, when it is not 0; or cancelled", _exit, 6, 9, Drawn.WHEN_SAID)
_CPU = Column("cpu", "processor time of the last attempt", _cpu, 8, 10)
_MEMORY = Column("memory", "peak memory of the last attempt", _memory, 6, 7)

#: The columns of each pane by rank.
RANKED: Mapping[Pane, tuple[Column, ...]] = {
    Pane.PENDING: (_WHEN, _QUEUE, _ATTEMPTS, _PRIORITY, _AGE),
    Pane.RUNNING: (_ELAPSED, _PROGRESS, _LEFT, _QUEUE, _ATTEMPTS, _CPU, _MEMORY),
    Pane.COMPLETED: (_TOOK, _AGE, _QUEUE, _ATTEMPTS, _EXIT, _CPU, _MEMORY),
    Pane.DLQ: (_WORDS, _AGE, _ENDING, _QUEUE, _ATTEMPTS),
}
#: What a user can add to a pane beside those.
_MORE: Mapping[Pane, tuple[Column, ...]] = {
    Pane.PENDING: (_LABEL,),
    Pane.RUNNING: (_PRIORITY, _LABEL),
    Pane.COMPLETED: (_WORDS, _PRIORITY, _LABEL),
    Pane.DLQ: (_TOOK, _CPU, _MEMORY, _PRIORITY, _LABEL),
}


def offered(pane: Pane) -> tuple[Column, ...]:
    """Return every column that a pane can have, those of its own first, by rank."""
    return RANKED[pane] + _MORE[pane]


def chosen(pane: Pane, names: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of a pane by their names, in that order; names that the pane does not offer are left out."""
    by_name = {column.name: column for column in offered(pane)}
    return tuple(by_name[name] for name in dict.fromkeys(names) if name in by_name)


class Needs:
    """What the rows seen so far need: cells of the id, of each column, and of name and command; never less than before.

    ``said`` counts per column the different texts that rows have in it, up to two; a blank one counts when another
    row is not.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self._columns = tuple(columns)
        self.id = _MIN_ID
        self.command = 0
        self.cells = {column.name: column.least for column in self._columns}
        self._first: dict[str, str] = {}
        self._drawn = {column.name for column in self._columns if column.drawn is Drawn.ALWAYS}

    def is_drawn(self, column: Column) -> bool:
        """Return whether a column says more than the same in every row."""
        return column.name in self._drawn

    def see(self, job: Job, at: Circumstances) -> bool:
        """Count a row in; return whether anything needs more than before."""
        before = (self.id, self.command, len(self._drawn))
        self.id = max(self.id, len(str(job.id)))
        self.command = max(self.command, _identity_cells(job))
        has_grown = False
        for column in self._columns:
            text, _ = column.text(job, at)
            if self.cells[column.name] < column.most and (cells := width(text)) > self.cells[column.name]:
                self.cells[column.name] = min(cells, column.most)
                has_grown = True
            if column.name not in self._drawn:
                self._compare(column, text)
        return has_grown or before != (self.id, self.command, len(self._drawn))

    def _compare(self, column: Column, text: str) -> None:
        is_news = bool(text) if column.drawn is Drawn.WHEN_SAID else self._first.setdefault(column.name, text) != text
        if is_news:
            self._drawn.add(column.name)


def _identity_cells(job: Job) -> int:
    """Return how many cells name and command would take, at most ``MAX_TEXT``."""
    text = job.command[:MAX_TEXT] if job.name is None else f"{job.name} · {job.command}"[:MAX_TEXT]
    return len(text) if text.isascii() and text.isprintable() else width(flat(clean_line(text)))


class Field(NamedTuple):
    """A column as it is drawn: in so many cells, behind a blank."""

    column: Column
    cells: int


class Columns(NamedTuple):
    """The columns of one pane at one width, in cells; ``command`` is for name and command."""

    cells: int
    id: int
    command: int
    fields: tuple[Field, ...]

    def headings(self) -> tuple[tuple[str, int, bool], ...]:
        """Return every heading from left to right: name, cells up to and with its column, and whether right-aligned."""
        fixed = [("id", 2 + self.id, True), ("", 3, False), ("command", self.command, False)]
        for column, cells in self.fields:
            name = column.name if len(column.name) <= cells else column.heading or column.name
            fixed += [("", 1, False), (name, cells, not column.is_left)]
        return tuple(fixed)

    def heading_at(self, x: int) -> str:
        """Return the heading over a cell, ``""`` between two."""
        end = 0
        for name, cells, _ in self.headings():
            end += cells
            if x < end:
                return name
        return ""


def columns_for(columns: Sequence[Column], cells: int, needs: Needs) -> Columns:
    """Return the columns that fit into a row of so many cells: the first ones that leave the command half of it."""
    room = max(0, cells - _AROUND_SIGN - needs.id)
    left = room - cells // 2
    fields: list[Field] = []
    for column in columns:
        if not needs.is_drawn(column):
            continue
        wanted = needs.cells[column.name]
        if column.is_text:
            wanted = min(wanted, _TEXT_CELLS)
            if not fields and wanted >= left >= _LEAST_TEXT_CELLS:
                wanted = left - 1
        if not fields and wanted >= left > column.least:
            wanted = left - 1  # what says most is rather cut than left out
        if wanted + 1 > left >= column.short + 1 > 1:
            wanted = column.short
        if wanted + 1 > left:
            break
        fields.append(Field(column, wanted))
        left -= wanted + 1
    spare = left + max(0, cells // 2 - needs.command)  # what the longest command does not need is for the texts, too
    command = room - sum(field.cells + 1 for field in fields)
    for index, (column, taken) in enumerate(fields):
        if column.is_text:
            more = max(0, min(needs.cells[column.name] - taken, spare))
            fields[index] = Field(column, taken + more)
            spare, command = spare - more, command - more
    return Columns(cells, needs.id, max(0, command), tuple(fields))
