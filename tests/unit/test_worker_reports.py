"""What the dashboard shows of what its own worker reports."""

from __future__ import annotations

import pytest

from core.execution import events
from queuectl_tui.gateway.worker_reports import WorkerReports


@pytest.mark.parametrize(
    ("event", "severity", "words"),
    [
        (events.SpawningPaused("too many processes", 2.0), "warning", "for 2 s: too many processes"),
        (events.RecoveryBlocked("a run file is missing"), "error", "a run file is missing"),
        (events.LockFileRemoved("/a/q.db.spool", 3), "error", "files in /a/q.db.spool were removed"),
        (events.LoopFailed(ValueError("odd")), "error", "goes on: odd"),
        (events.StorageTrouble("no room"), "error", "tried again: no room"),
        (events.StorageRecovered(), "information", "takes results again"),
    ],
)
def test_a_trouble_of_the_worker_itself_is_reported(event: events.WorkerEvent, severity: str, words: str) -> None:
    report = WorkerReports().report_of(event)
    assert report is not None
    assert report.severity == severity
    assert words in report.text
    assert report.is_of_storage is isinstance(event, events.StorageTrouble)


@pytest.mark.parametrize("event", [events.WorkerStarted(1, 4), events.WorkerStopped(1, 0), events.RecoveryUnblocked()])
def test_start_and_end_are_seen_elsewhere(event: events.WorkerEvent) -> None:
    assert WorkerReports().report_of(event) is None


def test_a_trouble_with_the_database_is_reported_once_until_it_is_over() -> None:
    reports, trouble, end = WorkerReports(), events.StorageTrouble("no room"), events.StorageRecovered()
    happened = (trouble, trouble, end, trouble)
    assert [reports.report_of(event) is not None for event in happened] == [True, False, True, True]
