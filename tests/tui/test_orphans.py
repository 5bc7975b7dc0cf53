"""A dashboard whose terminal goes away ends, whenever that is, and its jobs run on."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from core.model import NewJob, State
from core.queue import Queue
from core.worker import StopMode, Worker
from tests.tui.pty_program import PtyProgram

#: Dashboards that run at the same time.
BATCH = 5
#: The end takes 1.5 seconds at the most; this is for machines with much else to do.
DEADLINE_S = 30.0


class Terminal(PtyProgram):
    """A terminal that can be closed at any moment. Where ``is_deaf``, SIGHUP says nothing of it to the program."""

    def __init__(self, path: Path, *, is_deaf: bool) -> None:
        program = [sys.executable, "-m", "queuectl_tui", "--db", str(path), "-c", "1"]
        command = ["/bin/sh", "-c", """trap '' HUP; exec "$@" """, "sh", *program] if is_deaf else program
        super().__init__(command, env={"XDG_CONFIG_HOME": str(path.parent / "config")})

    def close(self) -> None:
        """Close the terminal under the program."""
        os.close(self.descriptor)
        self.descriptor = os.open(os.devnull, os.O_RDONLY)  # what ``__exit__`` closes

    def has_ended(self) -> bool:
        """Return whether the program has ended."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.exit_code = os.waitstatus_to_exitcode(status) if pid else None
        return self.exit_code is not None


def _play(terminal: Terminal, number: int) -> None:
    """Go on to the moment of this number, of 40: 20 spread over the start, 20 over the quitting."""
    if number < 20:
        terminal.drain(number * 0.06)
        return
    terminal.wait_for(b"queuectl", timeout_s=60)
    if number % 4 < 2:
        terminal.settle(limit_s=3)
    terminal.press(b"\x11" + b"l" * (number % 2))
    terminal.drain((number - 20) * 0.02)


@pytest.mark.parametrize("batch", range(40 // BATCH))
def test_a_closed_terminal_ends_the_dashboard_at_every_moment_and_its_jobs_run_on(batch: int, tmp_path: Path) -> None:
    """With SIGHUP and where it is ignored (``nohup``, a shell in between)."""
    terminals, paths = [], []
    for at in range(BATCH):
        number = at * (40 // BATCH) + batch
        path = tmp_path / str(number) / "queue.db"
        path.parent.mkdir()
        with Queue(path) as queue:
            queue.add(NewJob("sleep 2; echo done"))
        terminal = Terminal(path, is_deaf=number % 2 == 1)
        _play(terminal, number)
        terminal.close()
        terminals.append(terminal)
        paths.append(path)
    deadline_s = time.monotonic() + DEADLINE_S
    while not all(terminal.has_ended() for terminal in terminals) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    codes = [terminal.exit_code for terminal in terminals]
    for terminal in terminals:
        terminal.__exit__()
    # 1: there was no terminal any more when it looked for one
    assert set(codes) <= {0, 1, 128 + signal.SIGHUP, -signal.SIGHUP}, codes
    for path in paths:
        _finish(path)


def _finish(path: Path) -> None:
    """Let another worker take over: the job completes in its first attempt, whether it had been started or not."""
    with Queue(path) as queue:
        worker = Worker(queue, slots=1, drain=True)
        worker.start()
        assert worker.join(60)
        assert queue.job(1).state is State.COMPLETED
        assert [attempt.number for attempt in queue.attempts(1)] == [1]
        assert queue.output(1).read(0, 100) == b"done\n"
        worker.stop(StopMode.NOW)


def test_a_terminal_that_takes_nothing_does_not_keep_a_signal_from_ending_it(tmp_path: Path) -> None:
    """Nobody reads: what Textual writes waits in its queue, and the main thread with it."""
    terminal = Terminal(tmp_path / "queue.db", is_deaf=False)
    with terminal:
        terminal.wait_for(b"queuectl", timeout_s=60)
        for _ in range(200):
            terminal.press(b"1234?\x1b")
            time.sleep(0.005)
        os.kill(terminal.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + DEADLINE_S
        while not terminal.has_ended() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert terminal.exit_code == 128 + signal.SIGTERM
