"""``queuectl hook``."""

from __future__ import annotations

import os
from typing import Any

import pytest

from core.queue import Queue
from tests.cli.conftest import Cli

pytestmark = pytest.mark.each_engine


def hooks_of(cli: Cli) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli("hook", "list", "--json").json
    return found


def test_a_hook_is_added_listed_and_removed(cli: Cli) -> None:
    """The words behind ``--`` are a program and its arguments, whatever they look like."""
    added = cli("hook", "add", "dead", "--queue", "media", "--every", "5m", "--", "mail", "-s", "2 died", "--json")
    assert (added.code, added.out) == (0, "Hook added (ID: 1)\n")
    (hook,) = hooks_of(cli)
    del hook["added_at"]
    assert hook == {
        "id": 1,
        "event": "dead",
        "queue": "media",
        "command": "mail -s '2 died' --json",
        "every_s": 300.0,
        "cwd": os.getcwd(),
        "gathering": None,
    }
    shown = cli.ok("hook").splitlines()
    assert shown[1].split(maxsplit=4)[:4] == ["1", "dead", "media", "5m"]
    assert shown[1].endswith("mail -s '2 died' --json")
    assert cli.ok("hook", "remove", "1") == "Hook 1 removed; what it has gathered still runs\n"
    empty = cli("hook", "list")
    assert (empty.code, empty.out, empty.err.count("\n")) == (0, "", 1)


def test_one_word_is_a_line_for_the_shell(cli: Cli) -> None:
    """And JSON prints the hook that was added."""
    (hook,) = cli("hook", "add", "drained", "--every", "0", "--cwd", "/", "--json", "--", "echo $HOME | cat").json
    assert (hook["command"], hook["every_s"], hook["cwd"], hook["queue"]) == ("echo $HOME | cat", 0.0, "/", None)
    assert cli.ok("hook").splitlines()[1].split()[:4] == ["1", "drained", "all", "each"]
    assert cli("hook", "remove", "1", "--json").json == []


@pytest.mark.parametrize(
    "line", ["hook add", "hook add dead", "hook add died -- x", "hook add dead --every soon -- x", "hook remove x"]
)
def test_what_is_no_hook_is_wrong_usage(cli: Cli, open_queue: Queue, line: str) -> None:
    """One line on stderr."""
    result = cli(*line.split())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
