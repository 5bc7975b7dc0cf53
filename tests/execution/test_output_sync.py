"""Long outputs: synced before their job is recorded, and not by the loop itself."""

from __future__ import annotations

import errno
import os
import threading
from typing import Any

import pytest

from core.execution import output_sync
from core.model import State
from core.queue import Queue
from tests.execution.at_work import drain, working
from tests.processes import wait_for

_LONG = "head -c 100000 /dev/zero"


def _size(queue: Queue) -> int:
    path = queue.storage.spool.output_file(1)
    return os.path.getsize(path) if os.path.exists(path) else 0


def _wait_until_completed(queue: Queue, job_id: int) -> None:
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED, f"job {job_id} is completed")


def test_a_long_output_is_synced_before_its_job_is_recorded(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as a whole, then the directory with its name; a short one moves into the database, which is synced."""
    synced: list[tuple[str, int, State]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        if threading.current_thread().name == "queuectl-output-sync":
            path = os.path.realpath(f"/dev/fd/{descriptor}")
            synced.append((path, os.fstat(descriptor).st_size, queue.job(1).state))

    monkeypatch.setattr(os, "fsync", noted)
    queue.enqueue(_LONG)
    queue.enqueue("echo short")
    drain(queue)
    file, directory = synced
    assert file == (queue.storage.spool.output_file(1), 100_000, State.RUNNING)
    assert (directory[0], directory[2]) == (queue.storage.spool.attempts, State.RUNNING)
    assert [queue.job(number).state for number in (1, 2)] == [State.COMPLETED] * 2
    assert queue.output(1).size() == 100_000


def test_other_jobs_go_on_while_an_output_is_synced(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk holds up the one result; when the worker is told to leave, the next one records it."""
    may_sync = threading.Event()
    sync = output_sync.OutputSync._sync

    def slow(self: output_sync.OutputSync, *arguments: Any) -> None:
        may_sync.wait(60)
        sync(self, *arguments)

    monkeypatch.setattr(output_sync.OutputSync, "_sync", slow)
    queue.enqueue(_LONG)
    try:
        with working(queue, slots=2) as _:
            wait_for(lambda: _size(queue) == 100_000, "it has written")
            for _ in range(4):
                job_id = queue.add("true")
                _wait_until_completed(queue, job_id)
            assert queue.job(1).state is State.RUNNING
            may_sync.set()
            wait_for(lambda: queue.job(1).state is State.COMPLETED, "it is recorded")
    finally:
        may_sync.set()


@pytest.mark.parametrize(("exit_code", "how"), [(0, ""), (3, "exit 3; ")])
@pytest.mark.parametrize("what", ["file", "directory"])
def test_an_output_that_cannot_be_synced_is_told_with_its_true_result(
    what: str, exit_code: int, how: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of it once, so it is not tried again; how the command failed is still said."""
    fsync, tried = os.fsync, []

    def failing(descriptor: int) -> None:
        is_directory = os.path.isdir(f"/dev/fd/{descriptor}")
        if threading.current_thread().name == "queuectl-output-sync" and is_directory is (what == "directory"):
            tried.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    queue.add(f"{_LONG}; exit {exit_code}", max_attempts=1)
    drain(queue)
    (attempt,) = queue.attempts(1)
    assert (attempt.exit_code, queue.job(1).state) == (exit_code, State.DEAD if exit_code else State.COMPLETED)
    note = f"its output may be incomplete, it could not be synced to the disk: {os.strerror(errno.EIO)}"
    assert attempt.error == queue.job(1).last_error == f"{how}{note}"
    assert len(tried) == 1
