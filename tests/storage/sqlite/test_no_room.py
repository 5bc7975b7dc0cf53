"""A full disk and places that cannot be written: refused loudly, read as well as can be, nothing half done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import DatabaseReadOnly, DiskFull
from core.model import Ending, NewJob, Outcome, State, View
from core.queue import Queue
from tests.full_disk import enqueue_until_full, fill, mounted, needs_root
from tests.processes import run_python
from tests.storage.by_hand import Hand, job_in

NOBODY = 65534


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 32 MB."""
    with mounted(tmp_path / "disk", "32m") as point:
        yield point


@needs_root
def test_a_full_disk_refuses_a_job_and_adds_nothing(small_disk: Path) -> None:
    """What was acknowledged is there, the refused job is not, and the file is sound."""
    with Queue(small_disk / "queue.db") as queue:
        filler = fill(small_disk)
        acknowledged = enqueue_until_full(queue)
        with pytest.raises(DiskFull):
            queue.enqueue_many(NewJob("x" * 5000) for _ in range(1000))
        assert queue.ids(View()) == acknowledged
        filler.unlink()
        assert queue.enqueue("true").id == len(acknowledged) + 1
        assert {finding.level for finding in queue.doctor() if finding.check in ("integrity", "counters")} == {"ok"}


@needs_root
def test_purge_works_on_a_full_disk(small_disk: Path) -> None:
    """The reserve that was set aside is given back for it, and set aside again when there is room."""
    with Queue(small_disk / "queue.db") as queue, Hand(queue) as hand:
        reserve = Path(queue.storage.spool.reserve)
        assert reserve.stat().st_blocks * 512 >= 4 << 20
        for _ in range(50):
            job_in(queue, hand, State.COMPLETED)
        filler = fill(small_disk)
        enqueue_until_full(queue)
        assert queue.purge(View(states=(State.COMPLETED,))).count == 50
        assert queue.empty_trash() == 50
        filler.unlink()
    with Queue(small_disk / "queue.db"):
        assert reserve.exists()


@needs_root
def test_results_are_kept_until_there_is_room(small_disk: Path) -> None:
    """An outcome that cannot be written is not lost: the next try records it."""
    with Queue(small_disk / "queue.db") as queue, Hand(queue) as hand:
        job_id = queue.enqueue(NewJob("true")).id
        (claim,) = hand.claim()
        filler = fill(small_disk)
        enqueue_until_full(queue)
        ending = Ending(Outcome.SUCCEEDED, exit_code=0, output=bytes(60_000), output_bytes=60_000)
        with pytest.raises(DiskFull):
            hand.step([(claim, ending)])
        assert queue.job(job_id).state is State.RUNNING
        filler.unlink()
        hand.step([(claim, ending)])
        assert queue.job(job_id).state is State.COMPLETED
        assert queue.output(job_id).size() == 60_000


@needs_root
def test_a_new_queue_on_a_full_disk_is_refused(small_disk: Path) -> None:
    """In one line, and the next try with room works."""
    filler = fill(small_disk)
    with pytest.raises(DiskFull):
        Queue(small_disk / "queue.db")
    filler.unlink()
    with Queue(small_disk / "queue.db") as queue:
        assert queue.enqueue("true").id == 1


# --- places that cannot be written

_LOOK_AS_NOBODY = f"""
import json, os, sys, tempfile
from core import Queue, View
from core.errors import QueueError
seen = {{}}
def note(name, act):
    try:
        seen[name] = act()
    except QueueError as error:
        seen[name] = f"{{type(error).__name__}}: {{error}}"
def look(path):
    with Queue(path) as queue:
        note("is_read_only", lambda: queue.is_read_only)
        note("jobs", lambda: [job.command for job in queue.jobs(View())])
        note("count", lambda: queue.count(View()))
        note("workers", lambda: len(queue.workers()))
        note("waiting", lambda: str(queue.waiting(1)))
        note("doctor", lambda: len(queue.doctor()) > 5)
        note("output", lambda: queue.output(1).size())
        note("lines", lambda: queue.output(1).lines(5))
        note("metrics", lambda: queue.metrics(86400).enqueued)
        note("enqueue", lambda: queue.enqueue("true").id)
        note("batch", lambda: len(queue.enqueue_many([])))
        note("cancel", lambda: queue.cancel(1).count)
        note("prune", lambda: queue.prune())
        note("stop", lambda: queue.stop_worker(1))
with tempfile.TemporaryDirectory() as elsewhere:
    look(elsewhere + "/queue.db")  # loads everything: the other user may not be able to read the installation
seen.clear()
os.setgid({NOBODY}); os.setuid({NOBODY})
note("open", lambda: look(sys.argv[1]))
print(json.dumps(seen))
"""


def look_as_nobody(path: Path) -> dict[str, object]:
    """Return what another user sees of a database."""
    seen = json.loads(run_python(_LOOK_AS_NOBODY, path, cwd="/"))
    assert isinstance(seen, dict)
    return seen


@needs_root
@pytest.mark.parametrize("is_in_use", [False, True])
def test_another_users_queue_can_be_looked_at(open_directory: Path, is_in_use: bool) -> None:
    """When its owner lets others read the files, every read works and every write is refused in one line."""
    path = open_directory / "queue.db"
    queue = Queue(path)
    os.chmod(path, 0o644)
    queue.close()
    with Queue(path) as queue, Hand(queue) as hand:
        queue.enqueue("echo hello")
        hand.claim()
        Path(queue.storage.spool.output_file(1)).write_bytes(b"hello\n")
        if not is_in_use:
            hand.die()
            queue.close()
        seen = look_as_nobody(path)
    assert (seen["is_read_only"], seen["jobs"], seen["count"]) == (True, ["echo hello"], 1)
    assert (seen["workers"], seen["doctor"], seen["metrics"]) == (1, True, 1)
    assert "belongs to another user" in str(seen["output"])
    assert "belongs to another user" in str(seen["lines"])
    for verb in ("enqueue", "batch", "cancel", "prune", "stop"):
        assert verb == "prune" or "read-only" in str(seen[verb]), (verb, seen[verb])


@needs_root
def test_a_private_queue_is_closed_to_others(open_directory: Path) -> None:
    """One line that says why, and nothing is put beside it."""
    path = open_directory / "queue.db"
    Queue(path).close()
    seen = look_as_nobody(path)
    assert list(seen) == ["open"]
    assert "permission denied" in str(seen["open"])


@needs_root
def test_ones_own_queue_in_a_directory_that_cannot_be_written(open_directory: Path) -> None:
    """It is read; writing would need room for the log beside it."""
    place = open_directory
    path = place / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("echo hello")
    for found in (path, *place.rglob("*")):
        os.chown(found, NOBODY, NOBODY)
    seen = look_as_nobody(path)
    assert (seen["is_read_only"], seen["jobs"]) == (True, ["echo hello"])
    assert str(seen["enqueue"]).startswith("DatabaseReadOnly")
    assert sorted(found.name for found in place.iterdir()) == ["queue.db", "queue.db.spool"]


@needs_root
def test_a_new_queue_where_nothing_can_be_written_is_refused(open_directory: Path) -> None:
    """One line that names the place."""
    seen = look_as_nobody(open_directory / "queue.db")
    assert "permission denied" in str(seen["open"])


def test_a_reader_never_writes(queue: Queue) -> None:
    """Also where it could: every write is refused before it begins."""
    queue.enqueue("true")
    with Queue(queue.path, is_read_only=True) as reader:
        assert reader.count(View()) == 1
        verbs = (
            lambda: reader.enqueue("true"),
            lambda: reader.enqueue_many([]),
            lambda: reader.cancel(1),
            lambda: reader.pause(),
            lambda: reader.set("jitter", "0"),
            lambda: reader.undo(1),
        )
        for verb in verbs[:-1]:
            with pytest.raises(DatabaseReadOnly, match="read-only"):
                verb()
    assert queue.job(1).state is State.PENDING


@needs_root
@pytest.mark.parametrize("size", ["8m", "32m"])
def test_the_advice_for_a_full_disk_makes_room(tmp_path: Path, size: str) -> None:
    """As given: on a disk with no room at all, by programs that open the database only then."""
    with mounted(tmp_path / "disk", size) as disk:
        path = disk / "queue.db"
        with Queue(path) as queue, Hand(queue) as hand:
            assert Path(queue.storage.spool.reserve).exists()
            for _ in range(50):
                job_in(queue, hand, State.COMPLETED, "echo " + "x" * 5000)
            fill(disk)
            enqueue_until_full(queue)
            (said,) = [finding for finding in queue.doctor() if finding.check == "disk"]
            assert (said.level, "prune --trash" in said.advice) == ("warning", True)
        fill(disk)
        for words in (["purge", "--all", "--yes"], ["prune", "--trash", "--yes"], ["enqueue", "true"]):
            done = subprocess.run(
                [sys.executable, "-m", "core", "--db", str(path), *words], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (words, done.stderr)
