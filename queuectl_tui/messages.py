"""What the gateway reports to the dashboard: facts in the past tense, posted from threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from queuectl_tui.snapshot import Pane

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from core.model import LastAct


class SnapshotTaken(Message, bubble=False):
    """A new snapshot waits in the gateway: the latest one, with one message in flight at most."""


class OutputsFollowed(Message, bubble=False):
    """New lines of the running outputs wait in the gateway; no more of these come until they are taken."""


class JobEnqueued(Message):
    """The job that the form asked for is on disk."""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id


class UndoOffered(Message):
    """The newest act that was not undone, if there is one."""

    def __init__(self, last: LastAct | None) -> None:
        super().__init__()
        self.last = last


class ActDone(Message):
    """A write ended well. ``text`` is one line for a toast, ``""`` for none; ``ticket`` is the write's number."""

    def __init__(self, verb: str, text: str, ticket: int = 0) -> None:
        super().__init__()
        self.verb = verb
        self.text = text
        self.ticket = ticket


class ActRefused(Message):
    """A write was refused or failed; nothing changed.

    ``reason`` is one line; ``ticket`` is the write's number; ``field_id`` is the field of the form that it is about.
    """

    def __init__(self, verb: str, reason: str, ticket: int = 0, field_id: str | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.reason = reason
        self.ticket = ticket
        self.field_id = field_id


class ActProgressed(Message):
    """A bulk write has done so many of so many jobs."""

    def __init__(self, verb: str, done: int, total: int) -> None:
        super().__init__()
        self.verb = verb
        self.done = done
        self.total = total


class WorkerReported(Message):
    """The worker inside this process has a trouble, or one has ended: one line ``text`` for a toast.

    ``is_of_storage`` when the trouble is that the database cannot be written.
    """

    def __init__(self, text: str, severity: SeverityLevel, *, is_of_storage: bool = False) -> None:
        super().__init__()
        self.text = text
        self.severity = severity
        self.is_of_storage = is_of_storage


class WorkerEnded(Message):
    """The worker inside this process has ended or could not start; ``error`` says so and why, after "The worker"."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = error


class SearchRefused(Message):
    """A search in outputs cannot go on; ``reason`` is one line for a toast. What it found so far stays."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class RangeRead(Message):
    """The ids of a list's rows from ``start`` on, which ``read_range`` asked for."""

    def __init__(self, pane: Pane, start: int, ids: list[int]) -> None:
        super().__init__()
        self.pane = pane
        self.start = start
        self.ids = ids
