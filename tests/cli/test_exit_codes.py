"""The exit codes that README promises, each caused."""

from __future__ import annotations

import re
import signal

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
