"""A commit that workers wait for wakes them, at once and from any process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.execution.worker import Worker
from core.model import State
from core.queue import Queue
from core.storage.postgres.changes import Changes as ChangesOnServer
from core.storage.sqlite.changes import Changes as ChangesInFile
from core.storage.sqlite.wakeup import Wakeup, wake_all
from tests.processes import ROOT

ENGINES = ("sqlite", "postgres")

WITHIN_S = 60.0


@pytest.fixture
def asleep_until_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look by themselves only once, when they start."""
    for changes in (ChangesInFile, ChangesOnServer):
        monkeypatch.setattr(changes, "look_s", 3600.0)


def completed(queue: Queue, job_id: int) -> bool:
    """Wait until a job is completed, or the deadline has passed."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        if queue.job(job_id).state is State.COMPLETED:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.usefixtures("asleep_until_woken")
def test_a_job_of_another_process_starts_because_that_woke_the_worker(queue: Queue) -> None:
    """The worker never looks by itself here: only being woken lets it see the job, and the resumed queue."""
    worker = Worker(queue)
    worker.start()
    try:
        add = "import sys; from core import Queue; print(Queue(sys.argv[1]).add('true'))"
        done = subprocess.run(
            [sys.executable, "-c", add, queue.path], cwd=ROOT, capture_output=True, check=True, timeout=60
        )
        assert completed(queue, int(done.stdout))
        queue.pause()
        job = queue.enqueue("true")
        queue.resume()
        assert completed(queue, job.id)
    finally:
        worker.stop()
        assert worker.join(WITHIN_S)
    assert os.listdir(queue.storage.spool.workers) == []


def test_a_pipe_is_private_and_not_readable_until_its_worker_is_woken(tmp_path: Path) -> None:
    """A named pipe for its owner alone, whatever the umask; wake-ups add up and are cleared together."""
    path = tmp_path / "1.bell"
    old = os.umask(0)
    try:
        wakeup = Wakeup(str(path))
    finally:
        os.umask(old)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BlockingIOError):
        os.read(wakeup.descriptor, 1)
    wake_all(str(tmp_path))
    wake_all(str(tmp_path))
    wakeup.clear()
    with pytest.raises(BlockingIOError):
        os.read(wakeup.descriptor, 1)
    wakeup.close()
    assert not path.exists()


def test_pipes_that_no_worker_reads_do_no_harm(tmp_path: Path) -> None:
    """A dead worker's pipe, a full one, a file, a symlink and a missing directory are passed over."""
    os.mkfifo(tmp_path / "1.bell")
    wakeup = Wakeup(str(tmp_path / "2.bell"))
    os.symlink(tmp_path / "target", tmp_path / "3.bell")
    for _ in range(70_000 // 50):
        os.write(wakeup.descriptor, b"x" * 40)
    wake_all(str(tmp_path))
    wake_all(str(tmp_path / "nowhere"))
    assert not (tmp_path / "target").exists()
    wakeup.close()


def test_a_new_pipe_replaces_a_dead_workers(tmp_path: Path) -> None:
    """A leftover under the same number is removed, not written to for ever."""
    path = tmp_path / "1.bell"
    path.write_text("left over")
    wakeup = Wakeup(str(path))
    wake_all(str(tmp_path))
    assert os.read(wakeup.descriptor, 10) == b"!"
    wakeup.close()
