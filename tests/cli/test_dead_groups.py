"""``dlq groups``, ``--group``, and last words wherever the command line shows a dead job."""

from __future__ import annotations

import pytest

from core.queue import Queue
from tests.cli.conftest import Cli, drain

pytestmark = pytest.mark.each_engine


@pytest.fixture
def faults(open_queue: Queue) -> Queue:
    """Return a queue with three jobs dead of one fault, and one of another that says nothing."""
    for number in range(3):
        open_queue.enqueue(f"echo 'error: row {number} is bad'; exit 1", max_attempts=1)
    open_queue.enqueue("exit 3", max_attempts=1, queue="media")
    drain(open_queue)
    return open_queue


def test_groups_for_people(cli: Cli, faults: Queue) -> None:
    header, first, second = cli.ok("dlq", "groups").splitlines()
    assert header.split() == ["GROUP", "JOBS", "FIRST", "LAST", "QUEUES", "RESULT", "LAST", "WORDS"]
    assert first.split()[1] == "3"
    assert first.endswith(" is bad")
    assert "media" in second
    assert "exit 3" in second
    assert len(cli.ok("dlq", "groups", "--limit", "1").splitlines()) == 2


def test_groups_for_programs(cli: Cli, faults: Queue) -> None:
    first, second = cli("dlq", "groups", "--json").json
    assert set(first) == {
        *("fingerprint", "count", "first_at", "last_at", "queues", "by_hour", "outcome", "exit_code", "signal"),
        *("last_line", "sample_id", "sample_command"),
    }
    assert (first["count"], first["exit_code"], first["queues"]) == (3, 1, ["default"])
    assert (second["count"], second["last_line"], second["queues"]) == (1, None, ["media"])
    job = cli("show", "1", "--json").json
    assert job["fingerprint"] == first["fingerprint"] == job["attempt_list"][0]["fingerprint"]
    assert job["last_line"] == "error: row 0 is bad" == job["attempt_list"][0]["last_line"]


def test_a_group_is_replayed_or_purged_by_its_first_digits(cli: Cli, faults: Queue) -> None:
    loud, silent = (group["fingerprint"] for group in cli("dlq", "groups", "--json").json)
    assert cli.ok("dlq", "replay", "--group", loud[:8].upper()) == "3 jobs will run again\n"
    assert cli.ok("dlq", "purge", "--group", silent, "--yes").startswith("1 job purged")
    assert cli("dlq", "groups", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--group", "0000"), 1, "no dead job is in group 0000; see 'queuectl dlq groups'"),
        (("--group", "abc"), 2, "--group takes 4 to 16 digits"),
        (("--group", "wxyz"), 2, "--group takes 4 to 16 digits"),
        (("--group", "0000", "--all"), 2, "dlq replay which job?"),
        (("--group", "0000", "1"), 2, "dlq replay which job?"),
    ],
)
def test_a_group_that_is_none_is_refused(
    arguments: tuple[str, ...], code: int, said: str, cli: Cli, faults: Queue
) -> None:
    result = cli("dlq", "replay", *arguments)
    assert result.code == code
    assert said in result.err
    assert len(cli("dlq", "--json").json) == 4


def test_last_words_stand_in_lists_and_in_show(cli: Cli, faults: Queue) -> None:
    assert "LAST WORDS" in cli.ok("dlq")
    assert "error: row 1 is bad" in cli.ok("list", "dead")
    shown = cli.ok("show", "1")
    assert "last words" in shown
    assert "error: row 0 is bad" in shown


def test_an_empty_queue_says_so(cli: Cli, open_queue: Queue) -> None:
    result = cli("dlq", "groups")
    assert (result.code, result.out) == (0, "")
    assert "the dead letter queue is empty" in result.err
