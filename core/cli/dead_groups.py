"""Dead jobs by what they died of: the table of ``queuectl dlq groups``, and which group ``--group`` means."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.cli.context import Session
from core.cli.progress import ProgressBar
from core.cli.tables import Cell, Column, show_table
from core.errors import Refused, UsageError
from core.model import DeadGroup, State, Term, View
from core.queue import Queue
from core.rules.units import fingerprint_text
from core.wording import ago, ending_words

#: The fewest digits that stand for a group.
_FEWEST_DIGITS = 4

_COLUMNS = (
    Column("group"),
    Column("jobs", is_right=True),
    Column("first", is_right=True),
    Column("last", is_right=True),
    Column("queues"),
    Column("result"),
    Column("last words", is_wide=True),
)


def read_groups(session: Session, queue: Queue, *, limit: int | None) -> list[DeadGroup]:
    """Return the groups of dead jobs, the largest first, after reading the outputs that no one has read for this."""
    if not queue.is_read_only:
        with ProgressBar(session, "reading outputs") as progress:
            queue.read_last_words(progress=progress)
    return queue.dead_groups() if limit is None else queue.dead_groups(limit)


def view_of_group(queue: Queue, digits: str) -> View:
    """Return the view of the dead jobs of a group, which is named by all of its 16 digits or its first four or more.

    Raise ``UsageError`` for what is no group's name, ``Refused`` where no group or more than one is named so.
    """
    name = digits.lower()
    if not _FEWEST_DIGITS <= len(name) <= 16 or any(digit not in "0123456789abcdef" for digit in name):
        raise UsageError(f"--group takes 4 to 16 digits that 'queuectl dlq groups' shows, not {digits!r}")
    found = {
        text
        for group in queue.dead_groups(1_000_000)
        if group.fingerprint is not None and (text := fingerprint_text(group.fingerprint)).startswith(name)
    }
    if not found:
        raise Refused(f"no dead job is in group {name}; see 'queuectl dlq groups'")
    if len(found) > 1:
        raise Refused(f"{len(found)} groups begin with {name}; give more digits")
    return View((State.DEAD,), (Term("group", found.pop()),))


def group_object(group: DeadGroup) -> dict[str, Any]:
    """Return a group as a flat object; the outcome, codes, last line and command are those of its newest job."""
    from core.cli.json_output import plain

    return {
        "fingerprint": None if group.fingerprint is None else fingerprint_text(group.fingerprint),
        "count": group.number,
        "first_at": plain(group.first_at),
        "last_at": plain(group.last_at),
        "queues": list(group.queues),
        "by_hour": list(group.hours),
        "outcome": plain(group.sample.last_outcome),
        "exit_code": group.sample.last_exit_code,
        "signal": group.sample.last_signal,
        "last_line": group.sample.last_line,
        "sample_id": group.sample.id,
        "sample_command": group.sample.command,
    }


def show_groups(session: Session, groups: list[DeadGroup]) -> None:
    """Print the groups as a table."""
    now = session.now()
    show_table(session, _COLUMNS, [_row(group, now) for group in groups])


def _row(group: DeadGroup, now: datetime) -> tuple[object, ...]:
    return (
        "-" if group.fingerprint is None else fingerprint_text(group.fingerprint),
        str(group.number),
        ago(group.first_at, now),
        ago(group.last_at, now),
        " ".join(group.queues),
        Cell(ending_words(group.sample) if group.fingerprint is not None else "not read", "red"),
        group.sample.last_line or group.sample.command,
    )
