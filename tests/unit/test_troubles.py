"""What ails the queue: each trouble has a label and a sentence, the worst is first, and none is told twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import DatabaseBusy, DatabaseReadOnly, DiskFull, QueueError
from core.model import Counts, State, WorkerInfo
from queuectl_tui.snapshot import Snapshot
from queuectl_tui.troubles import troubles_of
from tests.tui.scene import NOW, busy_snapshot, idle_snapshot


def labels(snapshot: Snapshot, of_worker: str | None = None) -> list[str]:
    return [trouble.label for trouble in troubles_of(snapshot, of_worker, NOW)]


def test_a_sound_queue_has_none() -> None:
    assert labels(busy_snapshot()) == []
    assert labels(idle_snapshot()) == []


def test_without_a_worker_it_counts_only_when_jobs_wait_or_run() -> None:
    busy = busy_snapshot()
    dead: tuple[WorkerInfo, ...] = ()
    nothing, running = Counts({}, {}), Counts({"default": {State.RUNNING: 2}}, {})
    assert labels(busy._replace(workers=dead))[0].startswith("no worker for ")
    assert labels(busy._replace(workers=dead, counts=running)) == ["no worker for 2 running"]
    assert labels(busy._replace(workers=dead, counts=nothing)) == []


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (DiskFull("full"), "disk full"),
        (DatabaseBusy("locked"), "database locked"),
        (DatabaseReadOnly("no"), "not writable"),
        (QueueError("odd"), "no writes"),
    ],
)
def test_what_keeps_the_database_from_being_written_has_a_label(error: QueueError, label: str) -> None:
    assert labels(busy_snapshot()._replace(write_error=error)) == [label]


def test_a_trouble_that_the_worker_has_too_is_told_once_with_the_results_that_wait() -> None:
    snapshot = busy_snapshot()._replace(write_error=DiskFull("the disk of q.db is full; make room"))
    found = troubles_of(snapshot, "the disk of q.db is full; nothing was changed; 2 results wait to be recorded", NOW)
    assert [trouble.text for trouble in found] == ["the disk of q.db is full; make room; 2 results wait to be recorded"]
    assert labels(snapshot, "no room for more commands: too many processes") == ["disk full", "worker in trouble"]


def test_old_data_is_the_worst_and_its_sentence_does_not_age() -> None:
    snapshot = busy_snapshot()._replace(error="q.db was deleted", workers=())
    first, later = (troubles_of(snapshot, None, NOW + timedelta(seconds=s)) for s in (5, 65))
    assert first[0].text == later[0].text == "what is shown is old: q.db was deleted"
    assert (first[0].label, later[0].label) == ("data 5s old", "data 1m old")
    assert len(first) == 2


def test_nothing_in_a_sentence_acts_on_the_terminal() -> None:
    found = troubles_of(busy_snapshot()._replace(write_error=QueueError("a\x1b[31mb\nc")), None, NOW)
    assert "\x1b" not in found[0].text
    assert "\n" not in found[0].text
