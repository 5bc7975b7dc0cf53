"""Hooks at work: their jobs run, and read what happened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from core.model import NewJob, State, View
from core.queue import Queue
from tests.execution.at_work import drain
from tests.processes import WorkerProcess, wait_for

pytestmark = pytest.mark.long

ENGINES = ("sqlite", "postgres")

_TOLD = 'cat > told; env | grep -E "^QUEUECTL_(HOOK|SUBJECT)" | sort > variables'


def test_the_job_of_a_hook_reads_what_happened(queue: Queue, tmp_path: Path) -> None:
    """JSON lines on its standard input, the newest end in its variables."""
    queue.add_hook("dead", _TOLD, every_s=0)
    died = queue.add(NewJob("echo 'disk on fire' >&2; exit 7", name="nightly", queue="media", max_attempts=1))
    drain(queue)
    (line,) = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    event = json.loads(line)
    assert (event["id"], event["exit_code"], event["last_words"]) == (died, 7, "disk on fire")
    assert (tmp_path / "variables").read_text(encoding="utf-8").splitlines() == [
        "QUEUECTL_HOOK=dead",
        "QUEUECTL_HOOK_COUNT=1",
        "QUEUECTL_SUBJECT_EXIT_CODE=7",
        f"QUEUECTL_SUBJECT_ID={died}",
        "QUEUECTL_SUBJECT_LAST_WORDS=disk on fire",
        "QUEUECTL_SUBJECT_NAME=nightly",
        "QUEUECTL_SUBJECT_QUEUE=media",
        "QUEUECTL_SUBJECT_STATE=dead",
    ]
    assert os.listdir(queue.storage.spool.attempts) == []


def test_each_attempt_of_a_hook_reads_it_from_its_beginning(queue: Queue, tmp_path: Path) -> None:
    """One that failed in the middle has lost nothing."""
    queue.add_hook("complete", "wc -l >> counts; test -e again || { touch again; exit 1; }", every_s=0)
    queue.add("true")
    drain(queue)
    queue.retry(2)
    drain(queue)
    assert (tmp_path / "counts").read_text(encoding="utf-8").split() == ["1", "1"]


def test_a_hook_that_fails_dies_after_five_attempts(queue: Queue) -> None:
    """Into the DLQ, like any job; nothing follows from that."""
    queue.add_hook("dead", "exit 3", every_s=0)
    queue.add(NewJob("exit 1", max_attempts=1))
    for _ in range(5):
        drain(queue)
        for job in queue.jobs(View((State.PENDING,))):
            queue.retry(job.id)
    states = {(job.queue, job.state, job.attempts) for job in queue.jobs(View())}
    assert states == {("default", State.DEAD, 1), ("hooks", State.DEAD, 5)}


def test_no_event_is_lost_or_double_though_workers_are_killed(queue: Queue) -> None:
    """SIGKILL in a loop: each death has its job of a hook for each, and is one line of one digest."""
    queue.add_hook("dead", "cat >> each", every_s=0)
    queue.add_hook("dead", "cat >> digests", every_s=1)
    ids = list(queue.enqueue_many([NewJob("exit 7", max_attempts=1, on_dead="cat >> own")] * 150))

    def died() -> int:
        return queue.counts().of(State.DEAD, "default")

    def is_over() -> bool:
        counts = queue.counts()
        return died() == len(ids) and not counts.of(State.PENDING) + counts.of(State.RUNNING)

    kills = 0
    while not is_over():
        enough = min(len(ids), died() + 12)
        with WorkerProcess(queue.path, slots=3) as worker:
            wait_for(partial(_is_far_enough, is_over, died, enough), "some deaths")
            worker.kill()
        kills += 1
    assert kills > 5
    of_each: list[list[int]] = []
    of_digests: list[list[int]] = []
    for job in queue.jobs(View(), limit=10_000):
        told = [json.loads(line)["id"] for line in queue.storage.hooks.lines(job.id)]
        if job.queue == "hooks":
            (of_digests if job.label == "hook 2" else of_each).append(told)
    assert sorted(told for (told,) in of_each) == sorted([*ids, *ids])
    assert sorted(number for told in of_digests for number in told) == ids
    assert len(of_digests) < len(ids)


def _is_far_enough(is_over: Callable[[], bool], died: Callable[[], int], enough: int) -> bool:
    return is_over() or (died() >= enough and enough < 150)
