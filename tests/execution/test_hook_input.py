"""What the command of a hook's job reads from its standard input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.execution.hook_input import opened_input
from core.queue import Queue
from tests.execution.at_work import output, run

ENGINES = ("sqlite", "postgres")


def test_any_other_job_reads_nothing(queue: Queue) -> None:
    """Its standard input is at its end at once; a variable that a user gave its job makes it no hook's."""
    assert output(queue, run(queue, "cat; echo end")) == b"end\n"
    job = run(queue, "cat; echo $QUEUECTL_HOOK $QUEUECTL_HOOK_COUNT", env={"QUEUECTL_HOOK": "dead"})
    assert output(queue, job) == b"dead 0\n"


def test_many_lines_are_read_whole_and_leave_no_file(tmp_path: Path) -> None:
    """More than fits in a pipe; the file has no name while it is read."""
    lines = [f"line {number}" for number in range(100_000)]
    with opened_input(lines, str(tmp_path)) as descriptor:
        assert descriptor not in (0, 1, 2, 8, 9, 99)
        assert os.listdir(tmp_path) == []
        with os.fdopen(os.dup(descriptor), "rb") as file:
            assert file.read().decode().splitlines() == lines
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
