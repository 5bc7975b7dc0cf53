"""Outputs as other hosts read them: while a command runs, and when it has ended. Another spool acts the other host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import output as outputs
from core.model import State
from core.queue import Queue
from tests.execution.at_work import UNTIL_GO, drain, output, wait_for_state, working
from tests.postgres import dump
from tests.processes import WorkerProcess, wait_for

pytestmark = pytest.mark.long

ENGINES = ("postgres",)


@pytest.fixture
def elsewhere(queue: Queue, tmp_path: Path) -> Iterator[Queue]:
    """Return the same queue as another host has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
        opened = Queue(queue.path)
    with opened:
        yield opened


def test_an_output_is_followed_from_another_host_to_its_end(queue: Queue, elsewhere: Queue) -> None:
    """The same handle reads on when it has moved into its row, and the copies are gone."""
    job_id = queue.add(f"echo one; {UNTIL_GO}; echo two")
    with working(queue):
        wait_for_state(queue, job_id, State.RUNNING)
        found = elsewhere.output(job_id)
        wait_for(lambda: found.size() == 4)
        assert (found.read(0, 10), found.path) == (b"one\n", None)
        Path("go").touch()
        wait_for_state(queue, job_id, State.COMPLETED)
        assert found.read(0, 10) == b"one\ntwo\n"
        assert found.lines(1) == b"two\n"
        wait_for(lambda: dump(queue.path)["chunks"] == [])
    assert output(elsewhere, job_id) == b"one\ntwo\n"


def test_of_a_long_output_other_hosts_have_the_start_and_the_end(queue: Queue, elsewhere: Queue) -> None:
    """What is left out is said, and where it is; its own host has all of it."""
    queue.set("output-shared", "1MiB")
    job_id = queue.add("seq -w 1000000")
    drain(queue)
    whole = "".join(f"{number:07}\n" for number in range(1, 1_000_001)).encode()
    assert output(queue, job_id) == whole
    found = elsewhere.output(job_id)
    wait_for(lambda: found.lines(1) == b"1000000\n")
    read = found.read(0, found.size())
    left_out = len(whole) - (1 << 20) - outputs.TAIL_BYTES
    start, _, rest = read.partition(b"\n[")
    note, _, end = rest.partition(b"]\n")
    assert whole.startswith(start)
    assert len(start) == 1 << 20
    assert note.startswith(f"{left_out:,} bytes are only on host ".encode())
    assert end == whole[-outputs.TAIL_BYTES :]


def test_whoever_adopts_a_command_goes_on_with_the_copy_of_its_output(queue: Queue, elsewhere: Queue) -> None:
    """No byte twice, none left out."""
    job_id = queue.add(f"echo one; {UNTIL_GO}; echo two; until [ -e further ]; do sleep 0.02; done")
    with WorkerProcess(queue.path) as doomed:
        wait_for_state(queue, job_id, State.RUNNING)
        found = elsewhere.output(job_id)
        wait_for(lambda: found.size() == 4)
        doomed.kill()
    Path("go").touch()
    with working(queue):
        wait_for(lambda: found.size() == 8)
        assert found.read(0, 10) == b"one\ntwo\n"
        Path("further").touch()
        wait_for_state(queue, job_id, State.COMPLETED)


def test_a_handle_from_before_the_start_finds_the_file(queue: Queue) -> None:
    """While nothing is written there is neither file nor copy; that may change."""
    job_id = queue.add(f"{UNTIL_GO}; echo one")
    with working(queue):
        wait_for_state(queue, job_id, State.RUNNING)
        found = queue.output(job_id)
        assert found.size() == 0
        Path("go").touch()
        wait_for(lambda: found.size() == 4)
        wait_for_state(queue, job_id, State.COMPLETED)
