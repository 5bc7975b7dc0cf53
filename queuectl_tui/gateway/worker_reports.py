"""The line that the dashboard shows about an event of this process's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl_tui.messages import WorkerReported

if TYPE_CHECKING:
    from core.execution.events import WorkerEvent


class WorkerReports:
    """Turns a worker's events into reports; trouble with the database, which the worker repeats, is reported once."""

    def __init__(self) -> None:
        self._has_storage_trouble = False

    def report_of(self, event: WorkerEvent) -> WorkerReported | None:
        """Return the report of an event, ``None`` for what was reported and for what concerns an attempt."""
        from core.execution.events import StorageRecovered, StorageTrouble

        if isinstance(event, StorageTrouble):
            if self._has_storage_trouble:
                return None
            self._has_storage_trouble = True
        elif isinstance(event, StorageRecovered):
            self._has_storage_trouble = False
        return _report_of(event)


def _report_of(event: WorkerEvent) -> WorkerReported | None:
    """Return the report of an event that concerns the worker itself, ``None`` of any other."""
    from core.execution import events

    if isinstance(event, events.SpawningPaused):
        return WorkerReported(f"No room for more commands for {event.for_s:.0f} s: {event.reason}", "warning")
    if isinstance(event, events.RecoveryBlocked):
        return WorkerReported(event.message, "error")
    if isinstance(event, events.LockFileRemoved):
        text = f"The worker's files in {event.spool} were removed; leave that directory alone"
        return WorkerReported(text, "error")
    if isinstance(event, events.LoopFailed):
        return WorkerReported(f"The worker stumbled and goes on: {event.error}", "error")
    if isinstance(event, events.StorageTrouble):
        return WorkerReported(f"Results are kept and tried again: {event.message}", "error", is_of_storage=True)
    if isinstance(event, events.StorageRecovered):
        return WorkerReported("The database takes results again.", "information")
    return None
