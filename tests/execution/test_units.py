"""Several worker processes: a lock is never shared and no unit is given twice, also when workers are killed."""

from __future__ import annotations

import contextlib
import random
from functools import partial
from pathlib import Path

import pytest

from core.model import NewJob, Outcome, State
from core.queue import Queue
from tests.execution.at_work import drain, wait_for_state, working
from tests.processes import WorkerProcess, wait_for

pytestmark = pytest.mark.long

ENGINES = ("sqlite", "postgres")

#: Hold each unit as a directory, which only one can make, for a moment; what was held already is written down.
USE = """
hold() { for unit in $(echo "$2" | tr , ' '); do "$3" "held/$1-$unit" || echo "$1-$unit" >> shared; done; }
hold gpu "$QUEUECTL_RESOURCE_GPU" mkdir
hold db "$QUEUECTL_RESOURCE_DB" mkdir
sleep 0.0$((QUEUECTL_JOB_ID % 7))
hold db "$QUEUECTL_RESOURCE_DB" rmdir
hold gpu "$QUEUECTL_RESOURCE_GPU" rmdir
echo "$QUEUECTL_JOB_ID" >> ran
"""
KINDS = ("gpu", "gpu=2", "db", "db,gpu", "gpu=3", "")


def test_a_command_finds_its_units_in_its_environment(queue: Queue, tmp_path: Path) -> None:
    """A variable a resource; one that it does not need has none, whatever is in the worker's own environment."""
    queue.set_resource("gpu", 4)
    queue.add("echo $QUEUECTL_RESOURCE_GPU/$QUEUECTL_RESOURCE_DB_LOCK > first", needs="gpu=3,db-lock")
    queue.add("echo ${QUEUECTL_RESOURCE_GPU-none} > second")
    drain(queue)
    assert (tmp_path / "first").read_text() == "0,1,2/0\n"
    assert (tmp_path / "second").read_text() == "none\n"


def test_no_unit_is_given_twice_though_workers_are_killed(queue: Queue, tmp_path: Path) -> None:
    """Each job runs once; a killed worker's commands keep what they were given until they have ended."""
    (tmp_path / "held").mkdir()
    (tmp_path / "use").write_text(USE)
    queue.set_resource("gpu", 4)
    randomness = random.Random(17)
    ids = queue.enqueue_many(
        NewJob("sh use", needs=randomness.choice(KINDS), priority=randomness.randint(0, 2), max_attempts=1)
        for _ in range(90)
    )
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(WorkerProcess(queue.path, slots=4)) for _ in range(3)]
        for left in (70, 45, 20):
            wait_for(partial(_has_come_to, queue, left), f"{left} are left")
            workers.pop(0).kill()
            workers.append(stack.enter_context(WorkerProcess(queue.path, slots=4)))
        wait_for(lambda: queue.counts().of(State.COMPLETED) == len(ids), "all have run", timeout_s=120)
    assert not (tmp_path / "shared").exists()
    assert list((tmp_path / "held").iterdir()) == []
    assert sorted(map(int, (tmp_path / "ran").read_text().split())) == list(ids)
    # of a worker on a server that is killed before it has made the run file the claim is lost, and nothing has started
    outcomes = [[attempt.outcome for attempt in queue.attempts(job_id)] for job_id in ids]
    assert all(found[:-1] in ([], [Outcome.LOST]) and found[-1] is Outcome.SUCCEEDED for found in outcomes)
    assert [info.in_use for info in queue.resources()] == [0]


def _has_come_to(queue: Queue, left: int) -> bool:
    return queue.counts().of(State.PENDING) <= left


def test_the_lock_of_a_killed_workers_command_is_not_free(queue: Queue, tmp_path: Path) -> None:
    """Not before it has ended, though no living worker watches it."""
    first = queue.add("while ! test -e go; do sleep 0.02; done", needs="db")
    with WorkerProcess(queue.path) as doomed:
        wait_for_state(queue, first, State.RUNNING)
        doomed.kill()
    second, free = queue.add("true", needs="db"), queue.add("true")
    with working(queue, slots=3):
        wait_for_state(queue, free, State.COMPLETED)
        assert queue.job(second).state is State.PENDING
        assert [(info.name, info.in_use, dict(info.holders)) for info in queue.resources()] == [("db", 1, {first: 1})]
        (tmp_path / "go").touch()
        wait_for_state(queue, second, State.COMPLETED)
    assert queue.job(first).state is State.COMPLETED
