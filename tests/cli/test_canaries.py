"""``dlq replay --canary``."""

from __future__ import annotations

import re

import pytest

from core.model import State, View
from core.queue import Queue
from tests.cli.conftest import Cli, drain

pytestmark = pytest.mark.each_engine


@pytest.fixture
def faults(open_queue: Queue) -> Queue:
    """Return a queue with three jobs dead of one fault, and one of another."""
    for number in range(3):
        open_queue.enqueue(f"echo 'error: row {number} is bad'; exit 1", max_attempts=1)
    open_queue.enqueue("exit 3", max_attempts=1)
    drain(open_queue)
    return open_queue


def test_a_canary_goes_before_its_group(cli: Cli, faults: Queue) -> None:
    """It is named with how many follow; JSON has the act, which is undone as a whole."""
    loud = cli("dlq", "groups", "--json").json[0]["fingerprint"]
    said = cli.ok("dlq", "replay", "--group", loud, "--canary")
    assert said.startswith("Job ")
    assert said.endswith("will run again; 2 others follow once it completes\n")
    refused = cli("dlq", "replay", "--group", loud, "--canary")
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "of these jobs 2 wait for how job" in refused.err
    cli.ok("undo")
    act = cli("dlq", "replay", "--all", "--canary", "--json").json
    assert (act["verb"], act["count"], act["skipped"]) == ("replay", 1, 0)
    cli.ok("undo")
    assert cli.ok("dlq", "replay", "4", "--canary").endswith(" will run again\n")


def test_who_waits_for_a_canary_is_marked(cli: Cli, faults: Queue) -> None:
    """In lists, by ``show`` and in its JSON; nobody else is, and none once it has ended."""
    ids = faults.ids(View((State.DEAD,)))
    faults.canary(ids[:3])
    first, second, third = ids[:3]
    for command in (("dlq",), ("list", "dead"), ("list",)):
        marked = [line for line in cli.ok(*command).splitlines() if f"; canary {first}" in line]
        assert {line.split()[0] for line in marked} == {str(second), str(third)}
    assert re.search(rf"^canary +{first}; once that completes this job is replayed$", cli.ok("show", str(second)), re.M)
    assert [cli("show", str(job_id), "--json").json["canary"] for job_id in (first, second)] == [None, first]
    faults.cancel(first)
    assert f"canary {first}" not in cli.ok("list")
    assert not re.search("^canary ", cli.ok("show", str(second)), re.M)
