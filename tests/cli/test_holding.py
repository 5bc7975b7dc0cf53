"""``queuectl hold``, ``release`` and ``enqueue --hold``: waiting jobs that are kept from being run."""

from __future__ import annotations

import re

import pytest

from core.model import Phase, State
from core.queue import Queue
from tests.cli.conftest import Cli, drain

pytestmark = pytest.mark.each_engine


def test_a_held_job_is_not_run_until_it_is_released(cli: Cli, open_queue: Queue) -> None:
    """Also by its name, and said of each job."""
    cli.ok("enqueue", "--name", "deploy", "true")
    cli.ok("enqueue", "true")
    assert cli.ok("hold", "deploy") == "Job 1 (deploy) held\n"
    drain(open_queue)
    assert [open_queue.job(number).state for number in (1, 2)] == [State.PENDING, State.COMPLETED]
    assert cli.ok("release", "1") == "Job 1 (deploy) released\n"
    drain(open_queue)
    assert open_queue.job(1).state is State.COMPLETED


def test_a_job_can_be_added_held(cli: Cli, open_queue: Queue) -> None:
    """As an option and as a key of JSON; lists and JSON show it."""
    cli.ok("enqueue", "--hold", "true")
    cli.ok("enqueue", '{"command": "true", "hold": true}')
    cli.ok("enqueue", '{"command": "true", "hold": false}')
    shown = cli("list", "--json").json
    assert [(job["is_held"], job["phase"]) for job in shown] == [(True, "held"), (True, "held"), (False, "ready")]
    assert "held" in cli.ok("list").splitlines()[1]
    assert "release" in cli.ok("show", "1")
    assert open_queue.job(1).phase(open_queue.now()) is Phase.HELD


def test_a_group_is_held_and_released_as_one_act_that_can_be_undone(cli: Cli, open_queue: Queue) -> None:
    """What is held already, or is not, is skipped and counted."""
    for label in ("a", "a", "b"):
        open_queue.add("true", label=label)
    open_queue.hold(1)
    assert cli.ok("hold", "--label", "a") == "1 job held, 1 skipped: their state does not allow it\n"
    assert cli("release", "--queue", "default", "--json").json == {
        "verb": "release", "act_id": 3, "count": 2, "skipped": 1
    }  # fmt: skip
    cli.ok("undo")
    assert [open_queue.job(number).is_held for number in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hold 1", "cannot hold job 1: it is completed; only a job that waits can be held"),
        ("hold 2", "cannot hold job 2: it is pending; it is held already"),
        ("release 3", "cannot release job 3: it is pending; it is not held"),
        ("hold --label nothing", "no job to hold matches; nothing was changed"),
    ],
)
def test_what_cannot_be_held_or_released_is_refused(line: str, words: str, cli: Cli, open_queue: Queue) -> None:
    """In one line that says why, with the exit code 1."""
    open_queue.add("true")
    drain(open_queue)
    open_queue.add("true", is_held=True)
    open_queue.add("true")
    result = cli(*line.split())
    assert (result.code, result.out, result.err) == (1, "", f"queuectl: error: {words}\n")


def test_numbers_set_apart_what_is_blocked_or_held(cli: Cli, open_queue: Queue) -> None:
    """It is not ready, in whatever form the numbers are asked for, and a drained worker says what it left."""
    open_queue.add("true", is_held=True)
    open_queue.add("true", after=[1])
    open_queue.add("true")
    open_queue.add("true", is_held=True, queue="other")
    assert re.search(r"^pending +4 \(3 blocked or held\)$", cli.ok("status"), re.M)
    assert cli("status", "--json").json["blocked"] == 3
    assert cli.ok("status", "--format", "{ready} of {pending}, {blocked}") == "1 of 4, 3\n"
    assert [queue["blocked"] for queue in cli("queue", "list", "--json").json] == [2, 1]
    shown = cli.ok("metrics", "--prometheus")
    assert 'queuectl_jobs{queue="default",state="pending"} 1\n' in shown
    assert 'queuectl_jobs{queue="default",state="blocked"} 2\n' in shown
    drained = cli("worker", "--drain", "--queue", "default")
    assert drained.err == "queuectl: not waited for: 2 jobs held or waiting for others\n"
