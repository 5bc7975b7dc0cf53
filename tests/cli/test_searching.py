"""``--grep output:TEXT`` on a terminal: how far the search is, the same answer, and Ctrl-C."""

from __future__ import annotations

import sys

import pytest

from core.cli import job_selection
from core.queue import Queue
from tests.cli.conftest import Cli, Terminal, drain


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a person look at stderr who wants to see everything at once."""
    monkeypatch.setattr("core.cli.progress.PATIENCE_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(job_selection, "_SEARCHED", 2)


@pytest.fixture
def printed(open_queue: Queue) -> Queue:
    """Return a queue with seven jobs, of which the third and the sixth printed ``needle``, the sixth as it died."""
    for number in range(1, 8):
        word = "needle" if number in (3, 6) else "hay"
        open_queue.enqueue(f"echo {word[0]}''{word[1:]}; exit {int(number == 6)}", max_attempts=1)
    drain(open_queue)
    return open_queue


SEARCHES = [
    ("list", "--grep", "output:needle"),
    ("list", "--grep", "!output:needle", "--sort", "id", "--reverse"),
    ("list", "dead", "--grep", "output:needle exit:1"),
    ("list", "--grep", "output:needle output:hay"),
    ("export", "--grep", "output:/n.*e/", "--csv"),
]


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("arguments", SEARCHES, ids=" ".join)
def test_a_search_that_is_watched_finds_the_same(
    cli: Cli, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    unwatched = cli(*arguments)
    assert "searching outputs" not in unwatched.err
    watch(monkeypatch)
    result = cli(*arguments)
    assert "searching outputs" in result.err
    assert (result.code, result.out) == (unwatched.code, unwatched.out)


def test_a_verb_acts_on_what_the_search_found(cli: Cli, printed: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch)
    result = cli("retry", "--state", "dead,completed", "--grep", "output:needle")
    assert "searching outputs" in result.err
    assert [job.id for job in map(printed.job, range(1, 8)) if job.state.value == "pending"] == [3, 6]
    assert "searching outputs" not in cli("list", "--grep", "output:needle", "--json").err
    assert "searching outputs" not in cli("list", "--grep", "echo").err


@pytest.mark.usefixtures("printed")
def test_ctrl_c_ends_a_search_and_prints_nothing_that_was_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch)
    searched = 0
    ids = Queue.ids

    def interrupted(queue: Queue, view: object) -> list[int]:
        nonlocal searched
        searched += 1
        if searched == 3:
            raise KeyboardInterrupt
        return ids(queue, view)  # type: ignore[arg-type]

    monkeypatch.setattr(Queue, "ids", interrupted)
    result = cli("list", "--grep", "output:needle")
    assert (result.code, result.out) == (130, "")
    assert "Traceback" not in result.err


def test_what_python_warns_of_in_a_regex_reaches_no_terminal(terminal: Terminal) -> None:
    """It is taken; another that Python cannot read is refused in one line."""
    terminal.run("enqueue", "true", check=True)
    for arguments in (("list",), ("cancel", "--all"), ("export",)):
        result = terminal.run(*arguments, "--grep", "output:/[[a]/")
        assert "Warning" not in result.err
    refused = terminal.run("list", "--grep", "output:/(?u)a/")
    assert refused.code == 2
    assert refused.err.startswith("queuectl: error: output:/(?u)a/ is no regular expression: ")
    assert refused.err.count("\n") == 1
