"""A worker on a full disk: the trouble is there to see for as long as it lasts, and nothing is lost by it."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import DiskFull
from core.execution.events import AttemptEnded, SpawningPaused, StorageRecovered, StorageTrouble
from core.execution.run_file import RunFile
from core.execution.running_attempts import RunningAttempts
from core.model import State
from core.queue import Queue
from core.storage.sqlite.attempts import Attempts
from core.storage.values import Claim, ClaimCapacity, StepResult
from tests.execution.at_work import UNTIL_GO, working
from tests.full_disk import enqueue_until_full, fill, mounted, needs_root
from tests.processes import wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 32 MB."""
    with mounted(tmp_path / "disk", "32m") as point:
        yield point


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each of the worker's transactions."""
    seen: list[int] = []
    record_and_claim = Attempts.record_and_claim

    def counted(*arguments: Any) -> StepResult:
        seen.append(1)
        return record_and_claim(*arguments)

    monkeypatch.setattr(Attempts, "record_and_claim", counted)
    return seen


@needs_root
def test_results_that_cannot_be_recorded_are_a_lasting_trouble(
    small_disk: Path, tmp_path: Path, tries: list[int]
) -> None:
    """The worker says so whenever it is asked, until there is room; then it records them."""
    with Queue(small_disk / "queue.db") as queue, working(queue, slots=2) as (worker, told):
        assert (worker.trouble, worker.unrecorded_count) == (None, 0)
        ids = [queue.add(f"cd {shlex.quote(str(tmp_path))}; {UNTIL_GO}") for _ in range(2)]
        wait_for(lambda: worker.running_count == 2, "both run")
        filler = fill(small_disk)
        enqueue_until_full(queue)
        (tmp_path / "go").touch()
        told.wait_for(StorageTrouble)
        tries.clear()
        wait_for(lambda: len(tries) >= 5, "it tries again")
        assert worker.trouble is not None
        assert "is full" in worker.trouble
        assert worker.unrecorded_count == 2
        assert (len(told.of(StorageTrouble)), told.of(StorageRecovered), told.of(AttemptEnded)) == (1, [], [])
        filler.unlink()
        wait_for(lambda: {queue.job(job_id).state for job_id in ids} == {State.COMPLETED}, "both are recorded")
        wait_for(lambda: worker.trouble is None, "the trouble is over")
        assert worker.unrecorded_count == 0
        assert len(told.of(StorageRecovered)) == 1


def test_jobs_that_cannot_be_claimed_are_a_lasting_trouble(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not come and go with each look that needs no room."""
    record_and_claim, tries, has_room = Attempts.record_and_claim, [], False

    def full(self: Attempts, endings: Any, capacity: ClaimCapacity, *others: Any) -> StepResult:
        if has_room or capacity.slots == 0:
            return record_and_claim(self, endings, capacity, *others)
        tries.append(1)
        raise DiskFull("the disk is full")

    monkeypatch.setattr(Attempts, "record_and_claim", full)
    job_id = queue.add("true")
    with working(queue) as (worker, told):
        wait_for(lambda: len(tries) >= 5, "it tries again")
        assert worker.trouble == "the disk is full"
        assert (len(told.of(StorageTrouble)), told.of(StorageRecovered)) == (1, [])
        has_room = True
        wait_for(lambda: queue.job(job_id).state is State.COMPLETED, "it goes on")
        assert len(told.of(StorageRecovered)) == 1
        wait_for(lambda: worker.trouble is None, "the trouble is over")


def test_commands_that_cannot_be_started_are_a_lasting_trouble(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no room for the files of an attempt: the reason stays until a command could be started."""
    start = RunningAttempts._start
    refusals: list[int] = []

    def refuse(self: RunningAttempts, claim: Claim, run: RunFile) -> OSError | None:
        if len(refusals) < 2:
            refusals.append(1)
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return start(self, claim, run)

    monkeypatch.setattr(RunningAttempts, "_start", refuse)
    with working(queue) as (worker, told):
        job_id = queue.add("true")
        wait_for(lambda: worker.trouble, "there is trouble")
        assert worker.trouble == "no room for more commands: No space left on device"
        wait_for(lambda: queue.job(job_id).state is State.COMPLETED, "it goes on")
        wait_for(lambda: worker.trouble is None, "the trouble is over")
        assert len(told.of(SpawningPaused)) == 2
