"""The exit codes that README promises, each caused."""

from __future__ import annotations

import re
import signal

import pytest

from core.cli.commands import COMMANDS
from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Terminal, drain

_TEXT = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())

#: What the queue of the test below refuses, and what is no command line at all.
_REFUSED = (
    "retry 2", "edit 3 --label x", "restore 1", "dlq replay 2", "dlq replay --all", "purge 2 --yes", "cancel 3"
)  # fmt: skip
_WRONG = ("list --limit x", "enqueue", "nonsense", "wait 1 --all", "edit 1", "purge 1", "queue limit media x", "logs")


def test_each_promised_exit_code_is_what_happens(cli: Cli, terminal: Terminal, open_queue: Queue) -> None:
    """README's sentence names all there are, and no other."""
    sentence = re.search(r"Exit codes: (0 done.*?130 interrupted)\.", _TEXT)
    assert sentence is not None
    promised = {int(code) for code in re.findall(r"(?:^|, )(\d+) [a-z]", sentence[1])}
    open_queue.add("exit 1", max_attempts=1)
    drain(open_queue)
    open_queue.empty_trash()
    open_queue.add("true")
    found = {
        0: cli("status").code,
        1: cli("purge", "2", "--yes").code,
        2: cli("list", "--limit", "x").code,
        3: cli("wait", "1").code,
        4: cli("show", "99").code,
        124: cli("wait", "2", "--timeout", "0.1s").code,
    }
    waiting = terminal.start("wait", "2")
    waiting.error_line()
    waiting.signal(signal.SIGINT)
    found[130] = waiting.end().code
    assert found == {code: code for code in found}
    assert set(found) == promised


def test_a_refusal_is_1_and_wrong_usage_2(cli: Cli, open_queue: Queue) -> None:
    """What the state of the queue forbids is no mistake in the command line; both are one line on stderr."""
    open_queue.add("exit 1", max_attempts=1)
    open_queue.add("true")
    open_queue.add("true")
    drain(open_queue)
    open_queue.retry(1)
    open_queue.retry(2)
    for line in _REFUSED:
        result = cli(*line.split())
        assert (line, result.code, result.err.count("\n")) == (line, 1, 1)
    for line in _WRONG:
        result = cli(*line.split())
        assert (line, result.code, result.err.count("\n")) == (line, 2, 1)


#: A line for each command that the queue below refuses; a new command is in here or below it.
REFUSED = {
    "enqueue": "enqueue --name taken true",
    "run": "run --name taken true",
    "worker stop": "worker stop",
    "service uninstall": "service uninstall",
    "logs": "logs 3 --attempt 7",
    "retry": "retry 3",
    "cancel": "cancel 2",
    "hold": "hold 2",
    "release": "release 3",
    "edit": "edit 2 --label x",
    "dlq replay": "dlq replay 3",
    "dlq purge": "dlq purge 3 --yes",
    "purge": "purge 3 --yes",
    "restore": "restore --last",
    "undo": "undo",
    "resource unset": "resource unset gpu",
    "backup": "backup /dev/null",
    "move": "move missing.db other.db",
    "hook remove": "hook remove 9",
    **{f"schedule {verb}": f"schedule {verb} nightly" for verb in ("show", "pause", "resume", "run", "remove")},
    "schedule edit": "schedule edit nightly --missed all",
    "host list": "host list",
    "host forget": "host forget 1",
    "host keep": "host keep",
}
#: These do what they are told, say how things are, or wait.
NEVER_REFUSED = {
    "worker start", "worker list", "service install", "service status", "service print", "list", "show", "wait",
    "export", "init",
    "hook add", "hook list", "schedule add", "schedule list", "dlq list", "dlq groups", "status", "metrics",
    "queue list", "queue pause", "queue resume", "queue limit", "queue on-lost-host", "resource list", "resource set",
    "config list", "config get", "config set", "config unset", "prune", "doctor", "completion", "help", "mcp",
}  # fmt: skip


def test_every_command_is_known_here() -> None:
    assert set(REFUSED) | NEVER_REFUSED == set(COMMANDS)
    assert not set(REFUSED) & NEVER_REFUSED


@pytest.mark.parametrize("name", list(COMMANDS))
def test_an_option_that_is_none_is_wrong_usage_for_every_command(name: str, cli: Cli) -> None:
    """One line on stderr that says where to read on, and nothing on stdout."""
    result = cli(*name.split(), "--no-such-option")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "--help'" in result.err


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_what_the_queue_refuses_is_1_for_every_command(line: str, cli: Cli, open_queue: Queue) -> None:
    """One line on stderr, nothing on stdout: what a script reads is never a refusal."""
    taken = open_queue.add("true", name="taken", max_attempts=1)
    open_queue.add("true")
    drain(open_queue)
    open_queue.add("true")
    assert taken == 1
    result = cli(*line.split())
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1), result


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.usage.startswith("JOB")])
def test_a_job_that_is_not_there_is_4_for_every_command(name: str, cli: Cli, open_queue: Queue) -> None:
    open_queue.add("true")
    more = {"edit": ["--label", "x"], "purge": ["--yes"], "dlq purge": ["--yes"]}.get(name, [])
    result = cli(*name.split(), "999", *more)
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)
