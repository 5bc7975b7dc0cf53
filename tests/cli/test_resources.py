"""``queuectl resource``, ``--needs``, and what ``show`` says of them."""

from __future__ import annotations

import json

from core.queue import Queue
from tests.cli.conftest import Cli, drain
from tests.storage.by_hand import Hand


def test_resources_are_set_listed_and_unset(cli: Cli, open_queue: Queue) -> None:
    """One line each, or JSON."""
    assert cli.ok("resource", "list") == ""
    assert cli.ok("resource", "set", "gpu", "4") == "Resource gpu: 4\n"
    assert cli.ok("resource", "set", "disk", "2", "--per-host") == "Resource disk: 2 on each host\n"
    assert cli.ok("resource", "set", "tape", "0") == "Resource tape: closed\n"
    open_queue.add("true", needs="gpu=3")
    open_queue.add("true", needs="gpu=2,db")
    with Hand(open_queue) as hand:
        hand.claim(1)
        lines = [line.split() for line in cli.ok("resource").splitlines()]
        assert lines[1:] == [
            ["db", "1", "0", "1", "-"],
            ["disk", "2", "a", "host", "0", "0", "-"],
            ["gpu", "4", "3", "1", "1", "(3)"],
            ["tape", "0", "0", "0", "-"],
        ]
        found = {one["name"]: one for one in json.loads(cli.ok("resource", "list", "--json"))}
        assert found["gpu"] == {
            "name": "gpu",
            "capacity": 4,
            "is_per_host": False,
            "is_set": True,
            "in_use": 3,
            "waiting": 1,
            "next_job": 2,
            "holders": {"1": 3},
        }
        assert (
            cli("resource", "set", "gpu", "2").err
            == "queuectl: running jobs have 3 of it; none starts until there is room\n"
        )
    assert cli.ok("resource", "unset", "gpu") == "Resource gpu: not set; there is 1\n"
    assert json.loads(cli.ok("resource", "unset", "disk", "--json"))[0]["is_set"] is False


def test_what_is_wrong_with_a_resource_is_said_in_one_line(cli: Cli, open_queue: Queue) -> None:
    """2 for what can be no resource or number, 1 for what the queue refuses."""
    open_queue.set_resource("gpu", 4)
    for line, code, said in (
        ("resource set GPU 4", 2, "a resource is a word of a-z, 0-9 and -"),
        ("resource set gpu many", 2, "a capacity is a whole number such as 4"),
        ("resource set gpu 10001", 2, "from 0 to 10,000"),
        ("resource unset disk", 1, "the resource disk is not set; see 'queuectl resource list'"),
        ("enqueue --needs gpu=5 true", 1, "the job needs gpu=5; there are 4; 'queuectl resource set gpu 5'"),
        ("enqueue --needs gpu= true", 2, "write gpu=2,license"),
    ):
        result = cli(*line.split())
        assert (line, result.code, result.out, result.err.count("\n")) == (line, code, "", 1)
        assert said in result.err
    assert open_queue.counts().by_queue == {}


def test_needs_are_given_in_every_way_that_a_job_is(cli: Cli, open_queue: Queue) -> None:
    """As an option, in JSON as a text or an object, and in an edit; ``show`` and JSON have them, and the units."""
    open_queue.set_resource("gpu", 4)
    cli.ok("enqueue", "--needs", "license,gpu=2", "true")
    cli.ok("enqueue", '{"command": "true", "needs": {"gpu": 2}}')
    cli.ok("enqueue", '{"command": "true", "needs": "gpu"}')
    assert [open_queue.job(number).needs for number in (1, 2, 3)] == [{"gpu": 2, "license": 1}, {"gpu": 2}, {"gpu": 1}]
    cli.ok("edit", "3", "--needs", "license")
    cli.ok("edit", "2", "--clear", "needs")
    assert [open_queue.job(number).needs for number in (2, 3)] == [None, {"license": 1}]
    assert "needs        gpu=2,license\n" in cli.ok("show", "1")
    drain(open_queue)
    assert "gpu 0-1, license 0" in cli.ok("show", "1")
    shown = json.loads(cli.ok("show", "1", "--json"))
    assert (shown["needs"], shown["attempt_list"][0]["units"]) == (
        {"gpu": 2, "license": 1},
        {"gpu": [0, 1], "license": [0]},
    )


def test_a_drain_says_what_needs_more_than_there_is(cli: Cli, open_queue: Queue) -> None:
    """It does not wait for that: a user may set more."""
    open_queue.set_resource("gpu", 2)
    for _ in range(2):
        open_queue.add("true", needs={"gpu": 2})
    open_queue.add("true", needs={"gpu": 2}, queue="other")
    open_queue.pause("other")
    open_queue.set_resource("gpu", 1)
    drained = cli("worker", "--drain")
    assert drained.code == 0
    assert drained.err == (
        "queuectl: not waited for: 1 job in a paused queue,"
        " what needs more of a resource than there is (first: job 1)\n"
    )
