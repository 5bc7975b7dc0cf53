"""``dlq replay --canary``."""

from __future__ import annotations

import pytest

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
