"""Decides which list has the focus when the dashboard starts: the one where something needs a user. Pure."""

from __future__ import annotations

from datetime import datetime

from queuectl_tui.snapshot import Pane, Snapshot


def newest_death(snapshot: Snapshot) -> datetime | None:
    """Return when the newest of the loaded dead jobs died; ``None`` without one."""
    return max((row.job.since for row in snapshot.panes[Pane.DLQ].rows), default=None)


def first_pane(snapshot: Snapshot, seen_until: datetime | None) -> Pane:
    """Return the list to start in: dead jobs that are newer than ``seen_until``, else running, else pending ones."""
    died_at = newest_death(snapshot)
    if died_at is not None and (seen_until is None or died_at > seen_until):
        return Pane.DLQ
    return Pane.RUNNING if snapshot.panes[Pane.RUNNING].total else Pane.PENDING
