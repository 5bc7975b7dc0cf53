"""What a job table tells its dashboard; ``JobTable`` names these classes too."""

from __future__ import annotations

from textual.message import Message

from core.model import Job
from queuectl_tui.snapshot import Pane


class TableMessage(Message, namespace="job_table"):
    """A fact about the table of one pane."""

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane


class CursorMoved(TableMessage, namespace="job_table"):
    """The cursor is on another job now, or on none."""

    def __init__(self, pane: Pane, job: Job | None) -> None:
        super().__init__(pane)
        self.job = job


class WindowWanted(TableMessage, namespace="job_table"):
    """Rows are on screen, or will soon be, that are not loaded."""

    def __init__(self, pane: Pane, start: int, length: int) -> None:
        super().__init__(pane)
        self.start = start
        self.length = length


class RangeWanted(TableMessage, namespace="job_table"):
    """The range that is being drawn covers lines that were never loaded; ``JobTable.learn`` takes their ids."""

    def __init__(self, pane: Pane, start: int, length: int) -> None:
        super().__init__(pane)
        self.start = start
        self.length = length


class Marked(TableMessage, namespace="job_table"):
    """Another number of jobs is marked now."""

    def __init__(self, pane: Pane, count: int) -> None:
        super().__init__(pane)
        self.count = count


class HeadingClicked(TableMessage, namespace="job_table"):
    """Somebody clicked a heading: id, try, queue, command, due, time, exit, took, reason or age."""

    def __init__(self, pane: Pane, column: str) -> None:
        super().__init__(pane)
        self.column = column


class Opened(TableMessage, namespace="job_table"):
    """Somebody double-clicked a job."""

    def __init__(self, pane: Pane, job: Job) -> None:
        super().__init__(pane)
        self.job = job
