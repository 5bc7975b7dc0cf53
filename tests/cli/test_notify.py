"""``wait --notify`` and ``run --notify``: what a terminal is sent, on a real one and without."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.queue import Queue
from tests.cli.conftest import ROOT, Terminal, drain
from tests.tui.pty_program import PtyProgram


def on_terminal(terminal: Terminal, *arguments: str, term: str = "xterm-256color") -> tuple[bytes, int | None]:
    """Run a command on a terminal whose stdout and stderr are files; return what the terminal got and the exit code."""
    script = 'exec "$0" -m core "$@" >"$QUEUECTL_DB.out" 2>&1'
    environment = {**terminal.environment, "PYTHONPATH": str(ROOT), "TERM": term}
    with PtyProgram(["sh", "-c", script, sys.executable, *arguments], env=environment) as program:
        code = program.wait(60)
        program.settle()
        return bytes(program.output), code


def test_wait_notifies_the_terminal_when_it_ends(terminal: Terminal, open_queue: Queue) -> None:
    """OSC 9 with what it says on stdout, and the bell: on the terminal, wherever stdout goes."""
    open_queue.enqueue_many(["true", "true"])
    open_queue.enqueue("exit 1", max_attempts=1)
    drain(open_queue)
    sent, code = on_terminal(terminal, "wait", "1", "2", "3", "--notify")
    assert sent == b"\x1b]9;queuectl: 2 jobs completed, 1 did not\x1b\\\a"
    assert code == 3


def test_wait_that_gives_up_notifies_too(terminal: Terminal, open_queue: Queue) -> None:
    """The time was up: somebody who went away wants to know."""
    open_queue.enqueue("true")
    sent, code = on_terminal(terminal, "wait", "1", "--timeout", "0", "--notify")
    assert b"9;queuectl: 0 jobs completed, 1 not finished in time" in sent
    assert code == 124


def test_run_notifies_of_its_job(terminal: Terminal, database: Path) -> None:
    """How it ended, and the command, inert and cut: its exit code stays the job's."""
    sent, code = on_terminal(terminal, "run", "--notify", "printf '\x1b]0;x\x07'; exit 7 #" + "x" * 300)
    assert sent.startswith(b"\x1b]9;queuectl: job 1 is dead (exit 7): printf ''; exit 7 #xxx")
    assert sent.endswith(b"x\x1b\\\a")
    assert len(sent) < 160
    assert code == 7


@pytest.mark.parametrize("term", ["linux", "dumb"])
def test_a_terminal_that_would_show_the_text_is_only_rung(terminal: Terminal, open_queue: Queue, term: str) -> None:
    """The console of Linux prints what it does not know."""
    open_queue.enqueue("true")
    drain(open_queue)
    assert on_terminal(terminal, "wait", "1", "--notify", term=term)[0] == b"\a"


def test_without_a_terminal_a_line_says_so(terminal: Terminal, open_queue: Queue) -> None:
    """From cron, say: the exit code is what it is without the option."""
    open_queue.enqueue("true")
    drain(open_queue)
    ended = terminal.start("wait", "1", "--notify").end()
    assert (ended.code, ended.out) == (0, "1 job completed\n")
    assert ended.err == "queuectl: note: there is no terminal to notify\n"


def test_nothing_is_sent_unless_it_is_asked_for(terminal: Terminal, open_queue: Queue) -> None:
    """No bell without the option."""
    open_queue.enqueue("true")
    drain(open_queue)
    assert on_terminal(terminal, "wait", "1") == (b"", 0)
