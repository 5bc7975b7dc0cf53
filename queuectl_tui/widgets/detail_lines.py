"""Lay out what the inspector says about a job, as lines of styled parts for a width. Pure.

Command    python etl.py --day 2026-01-02
State      ◔ pending · retry in 14s
Attempts   1 of 3 · last exit 1 after 2.4s
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.model import ENDED_STATES, Attempt, Event, Job, Outcome, Phase, State, Tree, Waiting
from core.rules.job_fields import FIELDS, JobField
from core.rules.needs import format_needs
from core.rules.units import fingerprint_text, format_duration
from core.text import clean_line, clean_lines
from core.wording import (
    ago,
    clock,
    code_words,
    count,
    duration,
    ending_words,
    local_time,
    outcome_words,
    size,
    time_left,
    until,
    used_words,
)
from queuectl_tui.cells import ELLIPSIS, clip, flat, pad, pad_left
from queuectl_tui.cells import width as width_of
from queuectl_tui.line_text import word_rows
from queuectl_tui.snapshot import Found, FoundLine, RunProgress
from queuectl_tui.widgets.glyphs import ASCII, UNICODE, Glyphs, Part, bar, glyph

Line = tuple[Part, ...]

LABEL_CELLS = 11
_WIDE = 72
_BAR_CELLS = 30
#: With less room behind the other columns of the attempts their last words stand only below the list.
_LEAST_WORDS = 24
#: More is not laid out: an inspector is for a look, and each look is made anew.
ATTEMPTS_MAX = 500
_VALUE_LINES_MAX = 500
_VALUE_MAX = 4000
#: The states, as acts note them, from which a job is replayed.
_ENDED = frozenset(state.value for state in ENDED_STATES)
_OUTCOME_STYLES: Mapping[Outcome, str] = {
    Outcome.SUCCEEDED: "completed",
    Outcome.CANCELLED: "cancelled",
    Outcome.INTERRUPTED: "cancelled",
    Outcome.LOST: "delayed",
}


#: Fields that have a place of their own in the overview, or a page.
_ELSEWHERE = frozenset("command name queue priority run_at max_attempts timeout_s backoff_base cwd env label".split())


class Facts(NamedTuple):
    """All that the inspector knows of a job; ``environment`` and ``tree`` are ``None`` when they were not asked for."""

    job: Job
    attempts: tuple[Attempt, ...]
    history: tuple[Event, ...]
    waiting: Waiting | None
    environment: Mapping[str, str | None] | None
    progress: RunProgress | None = None
    tree: Tree | None = None
    canary: int | None = None
    found: Found | None = None


def overview(facts: Facts, now: datetime, width: int, *, is_ascii: bool = False) -> list[Line]:
    """Return what the job is, where it stands and why, and when what happened."""
    job = facts.job
    signs = ASCII if is_ascii else UNICODE
    lines = [*_state(job, now, width, signs), *_reason(facts, now, width), *_progress(facts, now, width, signs)]
    lines += _found(facts, width)
    lines += _used(job, width)
    lines += _field("Command", clean_lines(job.command), width)
    short: list[tuple[str, str]] = [("Queue", job.queue), ("Priority", str(job.priority))]
    group = fingerprint_text(job.fingerprint) if job.state is State.DEAD and job.fingerprint is not None else ""
    short += [(name, value) for name, value in (("Name", job.name), ("Label", job.label), ("Group", group)) if value]
    lines += _pairs(short, width)
    lines += _field("Directory", job.cwd, width)
    lines += _times(job, now, width)
    return lines + _pairs(_settings(facts), width)


def attempts(facts: Facts, now: datetime, width: int, chosen: int | None, *, is_ascii: bool = False) -> list[Line]:
    """Return a heading and a line for each attempt, the newest first; the chosen one is pointed at."""
    shown = facts.attempts[::-1][:ATTEMPTS_MAX]
    if not shown:
        return [(("Job has not started.", "muted"),)]
    number_cells = max(2, len(str(shown[0].number)))
    is_used_known = any(attempt.cpu_s is not None for attempt in shown)
    columns = _attempt_columns(width - 2 - number_cells - 1, is_used_known)
    room = width - 2 - number_cells - 1 - sum(cells for _, cells in columns)
    if room >= _LEAST_WORDS and any(attempt.last_line for attempt in shown):
        columns.append(("last words", room))
    signs = ASCII if is_ascii else UNICODE
    heading = " " * 2 + pad_left("#", number_cells) + " " + "".join(_cell(name, name, cells) for name, cells in columns)
    lines: list[Line] = [((heading.rstrip(), "muted"),)]
    for attempt in shown:
        is_chosen = attempt.number == chosen
        pointer = (f"{signs.cursor} " if is_chosen else "  ", "pointer")
        cells = _attempt_cells(attempt, facts.job, now, signs)
        parts = [(_cell(name, cells[name][0], length), cells[name][1]) for name, length in columns]
        lines.append((pointer, (pad_left(str(attempt.number), number_cells) + " ", ""), *parts))
    if len(facts.attempts) > ATTEMPTS_MAX:
        lines.append(((f"  {len(facts.attempts) - ATTEMPTS_MAX} older attempts", "muted"),))
    return lines


def attempt_errors(facts: Facts, chosen: int | None, width: int) -> list[Line]:
    """Return the error that the chosen attempt ended with and its last words, below the list."""
    attempt = next((attempt for attempt in facts.attempts if attempt.number == chosen), None)
    if attempt is None:
        return []
    lines = _field(f"Attempt {attempt.number}", attempt.error, width, "dead") if attempt.error else []
    lines += _last_words(attempt, width)
    return [(("", ""),), *lines] if lines else []


def history(facts: Facts, now: datetime, width: int) -> list[Line]:
    """Return what people did to the job, the newest first, and how it was before."""
    if not facts.history:
        return [(("This job was not changed since it was enqueued.", "muted"),)]
    lines: list[Line] = []
    for event in reversed(facts.history):
        when = f"{local_time(event.at, now.tzinfo)}  {pad_left(ago(event.at, now), 8)}  "
        before = _before(event)
        first = before.pop(0) if len(before) == 1 else ""
        undone = "" if event.undone_at is None else " (undone)"
        verb = (clean_line(event.verb), "strong")
        lines.append(((when, "muted"), verb, (undone, "muted"), (f"  {first}" if first else "", "")))
        for text in before:
            lines += _indented(text, 4, width)
    return lines


def environment(facts: Facts, width: int) -> list[Line]:
    """Return the variables the job runs with, by name."""
    if not facts.environment:
        return [(("No environment is kept with this job.", "muted"),)]
    lines: list[Line] = []
    for name, value in sorted(facts.environment.items()):
        label = clean_line(name)
        text = " (left to the worker)" if value is None else f"={clean_line(value)}"
        rows = _folded(f"{label}{text}", width)
        lines.append(((rows[0][: len(label)], "label"), (rows[0][len(label) :], "")))
        lines += [((row, ""),) for row in rows[1:]]
    return lines


# --- overview


def _state(job: Job, now: datetime, width: int, signs: Glyphs) -> list[Line]:
    sign, style = glyph(job, now, signs)
    words = [job.state.value]
    if job.state is State.PENDING and job.run_at is not None and job.phase(now) is not Phase.READY:
        words.append(f"{'retry' if job.phase(now) is Phase.RETRYING else 'due'} {until(job.run_at, now)}")
    elif job.unwatched is not None and job.unwatched.phase is Phase.ENDED:
        words.append("ended, not yet recorded")
    elif job.state is State.RUNNING and job.started_at is not None:
        words += ["unwatched"] if job.unwatched is not None else []
        words.append(clock((now - job.started_at).total_seconds()))
    elif job.state is not State.PENDING:
        words.append(ago(job.since, now))
    label = pad("State", LABEL_CELLS)
    return [
        (
            (label, "label"),
            (f"{sign} {words[0]}", style),
            (clip("".join(f" · {word}" for word in words[1:]), width), ""),
        )
    ]


def _reason(facts: Facts, now: datetime, width: int) -> list[Line]:
    """Return why a waiting job is not running, or what ended the last attempt."""
    job = facts.job
    if job.state is State.PENDING:
        lines = _field("Because", facts.waiting.reason, width, "strong") if facts.waiting is not None else []
        return lines + (_field("Last end", ending(job), width) + _last_words(job, width) if job.last_outcome else [])
    if job.unwatched is not None:
        return _field("Because", job.unwatched.reason, width, "strong")
    if job.last_outcome is None:
        return []
    lines = _field("Ended with", ending(job), width, "" if job.state is State.COMPLETED else "dead")
    if facts.canary is not None:
        lines += _field("Canary", f"{facts.canary}; once that completes this job is replayed", width, "strong")
    return lines + _last_words(job, width)


def _used(job: Job, width: int) -> list[Line]:
    """Return what the attempt used that the job ended with."""
    if job.state is State.PENDING or job.unwatched is not None or job.last_outcome is None:
        return []
    used = used_words(job.cpu_s, job.max_rss_bytes)
    return _field("Used", used, width) if used else []


def _progress(facts: Facts, now: datetime, width: int, signs: Glyphs) -> list[Line]:
    """Return how far a running job says it has come, and how long it may still take by its last runs."""
    job, told = facts.job, facts.progress
    if told is None or job.state is not State.RUNNING or job.started_at is None:
        return []
    lines: list[Line] = []
    if told.progress is not None:
        share, words = told.progress
        words = "" if words.endswith("%") else f" · {words}"
        filled = bar(share, min(_BAR_CELLS, max(8, width - LABEL_CELLS - 30)), signs)
        lines.append(
            ((pad("Progress", LABEL_CELLS), "label"), (filled, "running"), (f" {int(share * 100)}%{words}", ""))
        )
    if told.usual_s is not None:
        left = time_left(told.usual_s, (now - job.started_at).total_seconds())
        lines += _field("Estimate", f"{left}; {duration(told.usual_s)} is the median of {told.runs} runs", width)
    return lines


def _found(facts: Facts, width: int) -> list[Line]:
    """Return how many lines a filter found in the newest output that has any, and the first of them, hits marked."""
    found = facts.found
    if found is None:
        return []
    number = count(found.total, "line") if found.is_all else f"{found.total:,}+ lines"
    told = number if found.total == len(found.lines) else f"the first {len(found.lines)} of {number}"
    where = f" · attempt {found.attempt}" if len(facts.attempts) > 1 else ""
    lines: list[Line] = _field("Found", f"{told}{where}", width, "strong")
    for line in found.lines:
        label: Part = (f"{pad_left(str(line.number), LABEL_CELLS - 1)} ", "label")
        lines.append((label, *_around_hits(line, max(8, width - LABEL_CELLS))))
    return lines


def _around_hits(line: FoundLine, room: int) -> list[Part]:
    """Return a found line, cut so that its first hit can be seen, with the hits marked."""
    start, end = line.hits[0] if line.hits else (0, 0)
    begin = 0
    if line.is_cut or width_of(line.text[:end]) >= room:
        begin = max(0, start - room // 3)
        while begin < start and width_of(line.text[begin:end]) > room - 2:  # wide characters before the hit
            begin += 1
    lead = ELLIPSIS if begin or line.is_cut else ""
    shown = clip(line.text[begin:], room - len(lead))
    parts, at = [(lead, "muted")], 0
    for first, after in line.hits:
        first, after = max(at, first - begin), min(after - begin, len(shown))
        if first < after:
            parts += [(shown[at:first], ""), (shown[first:after], "hit")]
            at = after
    return [*parts, (shown[at:], "")]


def _last_words(job: Job | Attempt, width: int) -> list[Line]:
    """Return the line of its output that says why a job's newest attempt, or an attempt, did not succeed."""
    outcome = job.last_outcome if isinstance(job, Job) else job.outcome
    if not job.last_line or outcome is Outcome.SUCCEEDED:
        return []
    return _field("Last words", job.last_line, width, "dead")


def ending(job: Job) -> str:
    """Return how the newest attempt ended and after how long: ``exit 1 after 2.4s``."""
    words = ending_words(job)
    if job.run_s is None or job.last_outcome is Outcome.SPAWN_ERROR:
        return words
    return f"{words}{',' if '; ' in words else ''} after {duration(job.run_s)}"


def _times(job: Job, now: datetime, width: int) -> list[Line]:
    times = [("Enqueued", job.enqueued_at), ("Started", job.started_at), ("Finished", job.finished_at)]
    lines = [line for name, at in times if at is not None for line in _moment(name, at, ago(at, now), now, width)]
    if job.state is State.PENDING and job.run_at is not None:
        lines += _moment("Due", job.run_at, until(job.run_at, now), now, width)
    return lines


def _moment(name: str, at: datetime, relative: str, now: datetime, width: int) -> list[Line]:
    label, behind = pad(name, LABEL_CELLS), clip(f"  {relative}", max(0, width - LABEL_CELLS - 19))
    return [((label, "label"), (local_time(at, now.tzinfo), ""), (behind, "muted"))]


def _settings(facts: Facts) -> list[tuple[str, str]]:
    job = facts.job
    again = " since replay" if any(map(_forgot_attempts, facts.history)) else ""
    told = [
        ("Attempts", f"{job.attempts} of {job.max_attempts}{again}"),
        ("Back-off", _back_off(job)),
        ("Timeout", format_duration(job.timeout_s) if job.timeout_s else "none"),
        ("Lost", count(job.interrupts, "time") if job.interrupts else ""),
        *((field.label, _value(field, getattr(job, field.name))) for field in FIELDS if field.name not in _ELSEWHERE),
    ]
    return [(name, value) for name, value in told if value]


def _forgot_attempts(event: Event) -> bool:
    """Return whether an act, which was not undone, gave an ended job a fresh start after attempts."""
    before = event.before
    return event.undone_at is None and bool(before.get("attempts")) and before.get("state") in _ENDED


def _value(field: JobField, value: Any) -> str:
    if field.kind == "needs":
        return format_needs(value or {})
    return "" if value is None or field.shown is None else field.shown.detail.format(value)


def _back_off(job: Job) -> str:
    """Return the first waits between attempts, before jitter and cap."""
    waits = [job.backoff_base**number for number in range(1, min(job.max_attempts, 4))]
    told = ", ".join(duration(wait) if wait % 1 else format_duration(wait) for wait in waits)
    return (f"{told}, …" if job.max_attempts > 4 else told) or "none"


def _pairs(fields: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """Return fields one a line, or two with room for it and when both are short."""
    if width < _WIDE:
        return [line for name, value in fields for line in _field(name, value, width)]
    half = width // 2
    lines: list[Line] = []
    waiting: Line | None = None
    for name, value in fields:
        rows = _field(name, value, half - 2)
        if len(rows) > 1:
            lines += [waiting] if waiting is not None else []
            lines += _field(name, value, width)
            waiting = None
        elif waiting is None:
            waiting = rows[0]
        else:
            filler = " " * (half - sum(width_of(text) for text, _ in waiting))
            lines.append((*waiting, (filler, ""), *rows[0]))
            waiting = None
    return lines + ([waiting] if waiting is not None else [])


def _field(name: str, value: str, width: int, style: str = "") -> list[Line]:
    """Return a label and its value, folded below itself; line breaks in the value stay."""
    rows = [row for line in _split(value) for row in _folded(line, width - LABEL_CELLS)]
    label: Part = (pad(name, LABEL_CELLS), "label")
    return [(label if number == 0 else (" " * LABEL_CELLS, ""), (row, style)) for number, row in enumerate(rows)]


def _indented(text: str, indent: int, width: int) -> list[Line]:
    return [((" " * indent + row, ""),) for row in _folded(text, width - indent)]


def _split(value: str) -> list[str]:
    lines = value[:_VALUE_MAX].rstrip("\n").split("\n")[:_VALUE_LINES_MAX]
    left_out = len(value.rstrip("\n")) - len("\n".join(lines))
    return [*lines, f"… {count(left_out, 'more character')}"] if left_out > 0 else lines


def _folded(text: str, width: int) -> list[str]:
    return word_rows(flat(clean_line(text[:_VALUE_MAX])), max(8, width))


# --- attempts and history


def _attempt_columns(room: int, is_used_known: bool) -> list[tuple[str, int]]:
    """Return the columns that fit, in order, each with its width and the space behind it."""
    wanted = [("outcome", 14), ("exit", 11), ("took", 8), ("started", 20), ("output", 9)]
    wanted += [("cpu", 8), ("memory", 8)] if is_used_known else []
    columns: list[tuple[str, int]] = []
    for name, cells in wanted:
        if cells <= room:
            columns.append((name, cells))
            room -= cells
        elif name == "started" and room >= 10:
            columns.append(("age", 10))
            room -= 10
    return columns


def _cell(column: str, text: str, cells: int) -> str:
    return f"{pad_left(text, cells - 2)}  " if column in ("took", "output", "cpu", "memory") else pad(text, cells)


def _attempt_cells(attempt: Attempt, job: Job, now: datetime, signs: Glyphs) -> dict[str, Part]:
    style = _OUTCOME_STYLES.get(attempt.outcome, "dead") if attempt.outcome is not None else "running"
    sign = {
        "completed": signs.completed,
        "cancelled": signs.cancelled,
        "delayed": signs.delayed,
        "running": signs.running,
    }.get(style, signs.dead)
    word = outcome_words(attempt.outcome) if attempt.outcome is not None else "running"
    is_running = attempt.ended_at is None
    took = clock((now - attempt.started_at).total_seconds()) if is_running else ""
    if is_running and job.unwatched is not None:
        sign, word, style = signs.unwatched, job.unwatched.phase.value, "delayed"
        took = took if job.unwatched.phase is Phase.UNWATCHED else ""
    if attempt.run_s is not None:
        took = duration(attempt.run_s)
    code = code_words(attempt.outcome, attempt.exit_code, attempt.signal) or signs.nothing
    if attempt.stop_requested and is_running:
        code = f"{attempt.stop_requested} asked"
    return {
        "outcome": (f"{sign} {word}", style),
        "exit": (code, ""),
        "took": (took, ""),
        "started": (local_time(attempt.started_at, now.tzinfo), "muted"),
        "age": (ago(attempt.started_at, now), "muted"),
        "output": (size(attempt.output_bytes) if attempt.output_bytes is not None else "", "muted"),
        "cpu": (duration(attempt.cpu_s) if attempt.cpu_s is not None else "", "muted"),
        "memory": (size(attempt.max_rss_bytes) if attempt.max_rss_bytes is not None else "", "muted"),
        "last words": (clean_line(attempt.last_line or ""), "" if attempt.outcome is Outcome.SUCCEEDED else style),
    }


def _before(event: Event) -> list[str]:
    """Return how the job was before an act: its state, or each field that was edited."""
    before = event.before
    if "state" in before:
        spent = before.get("attempts")
        after = f" after {count(spent, 'attempt')}" if isinstance(spent, int) and spent else ""
        return [f"was {clean_line(str(before['state']))}{after}"]
    return [f"{_field_name(name)} was {_field_value(name, value)}" for name, value in before.items()]


def _field_name(name: str) -> str:
    return clean_line(name.removesuffix("_s").replace("_", " "))


def _field_value(name: str, value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, int | float) and name.endswith("_s"):
        return format_duration(value)
    return clean_line(str(value)[:_VALUE_MAX])


def tabs(facts: Facts) -> Iterator[tuple[str, int | None]]:
    """Return the names of the tabs there are, each with how much is behind it."""
    yield "Overview", None
    yield "Attempts", len(facts.attempts)
    yield "History", len(facts.history)
    yield "Tree", None
    if facts.environment is not None:
        yield "Environment", len(facts.environment)
