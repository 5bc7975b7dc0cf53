"""A dashboard whose terminal goes away ends, whenever that is, and its jobs run on."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from core.execution.worker import StopMode, Worker
from core.model import NewJob, State
from core.queue import Queue
from tests.tui.pty_program import PtyProgram
from tests.tui.test_terminal import LEFT_THE_SCREEN, job_state, until

pytestmark = pytest.mark.long

#: Dashboards that run at the same time.
BATCH = 5
#: The end takes 1.5 seconds at the most; this is for machines with much else to do.
DEADLINE_S = 30.0


#: Writes down what the program finds when it looks for its terminal, and is ``queuectl-tui`` for the rest.
_PROGRAM = """
import os, sys
mark = sys.argv.pop(1)
from core.interrupt import end_at_once_on_interrupt
end_at_once_on_interrupt()
import queuectl_tui
look = queuectl_tui._has_terminal
def found():
    answer = look()
    with open(mark, "w") as file:
        file.write(str(answer))
    return answer
queuectl_tui._has_terminal = found
code = queuectl_tui.main()
end_at_once_on_interrupt()
sys.exit(code)
"""


class Terminal(PtyProgram):
    """A terminal that can be closed at any moment. Where ``is_deaf``, SIGHUP says nothing of it to the program."""

    def __init__(self, path: Path, *, is_deaf: bool) -> None:
        self.path = path
        self.is_deaf = is_deaf
        self.is_quitting = False
        self._mark = path.parent / "found"
        program = [sys.executable, "-c", _PROGRAM, str(self._mark), "--db", str(path), "-c", "1"]
        # inherited: a child that ignored it by itself might be hung up before it comes to that
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN if is_deaf else signal.SIG_DFL)
        try:
            super().__init__(program, env={"XDG_CONFIG_HOME": str(path.parent / "config")})
        finally:
            signal.signal(signal.SIGHUP, before)

    @property
    def found(self) -> str:
        """Return whether the program found a terminal, ``"True"`` or ``"False"``; ``""`` if it did not come to look."""
        return self._mark.read_text() if self._mark.exists() else ""

    def close(self) -> None:
        """Close the terminal under the program."""
        os.close(self.descriptor)
        self.descriptor = os.open(os.devnull, os.O_RDONLY)  # what ``__exit__`` closes

    def ends(self) -> bool:
        """Wait for the end of the program, without reading what it says; return whether it came in time."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not self.has_ended() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return self.exit_code is not None

    def has_ended(self) -> bool:
        """Return whether the program has ended."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.exit_code = os.waitstatus_to_exitcode(status) if pid else None
        return self.exit_code is not None

    def codes_without_terminal(self) -> set[int]:
        """Return the exit codes that are right after ``close``: by what the program had done before."""
        killed: set[int] = set() if self.is_deaf else {-signal.SIGHUP}
        if self.found == "":
            return {1} | killed  # Python found no terminal for its standard streams
        if self.found == "False":
            return {1}  # a terminal is needed
        if b"\x1b[?1049h" in self.output:  # the screen was taken, after the signals were caught
            # the signal itself: Python takes its handlers away when all is closed
            return {0, 128 + signal.SIGHUP} | ({-signal.SIGHUP} if self.is_quitting else set())
        return {128 + signal.SIGHUP} | killed


def _play(terminal: Terminal, number: int) -> None:
    """Go on to the moment of this number, of 40: 20 spread over the start, 20 over the quitting."""
    if number < 20:
        terminal.drain(number * 0.06)
        return
    terminal.wait_for(b"queuectl", timeout_s=60)
    if number % 4 < 2:
        terminal.settle(limit_s=3)
    terminal.press(b"\x11" + b"l" * (number % 2))
    terminal.is_quitting = True
    terminal.drain((number - 20) * 0.02)


@pytest.mark.parametrize("batch", range(40 // BATCH))
def test_a_closed_terminal_ends_the_dashboard_at_every_moment_and_its_jobs_run_on(batch: int, tmp_path: Path) -> None:
    """With SIGHUP and where it is ignored (``nohup``, a shell in between)."""
    terminals = []
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
    for terminal in terminals:
        terminal.ends()
        terminal.__exit__()
    for terminal in terminals:
        assert terminal.exit_code in terminal.codes_without_terminal(), (terminal.path, terminal.found)
        _finish(terminal.path)


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


def _form(terminal: Terminal) -> None:
    terminal.press(b"eecho some")
    terminal.wait_for(b"some")


def _question(terminal: Terminal) -> None:
    terminal.press(b"\x11")
    terminal.wait_for(b"Leave running")


def _waiting(terminal: Terminal) -> None:
    _question(terminal)
    terminal.press(b"w")
    terminal.wait_for(b"Leaving when")


def _writing(terminal: Terminal) -> None:
    terminal.press(b"p")
    terminal.settle()


#: What the program is at when it has to end; with the database locked by another program while it writes.
MOMENTS = {"the form is open": _form, "it asks": _question, "it waits for jobs": _waiting, "it writes": _writing}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGHUP, None], ids=["SIGTERM", "SIGHUP", "closed"])
def test_it_ends_whatever_it_is_at(way: signal.Signals | None, moment: str, tmp_path: Path) -> None:
    """By a signal it gives the terminal back; the job runs on."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        queue.add(NewJob(f"while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done; echo done"))
    terminal = Terminal(path, is_deaf=False)
    with terminal, contextlib.closing(sqlite3.connect(path)) as other, contextlib.ExitStack() as last:
        last.callback((tmp_path / "go").touch)  # the job ends, also if this fails
        until(lambda: job_state(path, 1) is State.RUNNING)
        terminal.wait_for(b"Pending")
        if moment == "it writes":
            other.execute("BEGIN IMMEDIATE")
        MOMENTS[moment](terminal)
        if way is None:
            terminal.close()
            assert terminal.ends()
            assert terminal.exit_code == 128 + signal.SIGHUP
        else:
            os.kill(terminal.pid, way)
            assert terminal.wait(DEADLINE_S) == 128 + way
            assert all(sequence in terminal.output for sequence in LEFT_THE_SCREEN)
            assert b"Traceback" not in terminal.output
        other.rollback()
    _finish(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
def test_a_signal_while_it_starts_ends_it_and_leaves_the_terminal_as_it_was(
    after_s: float, number: signal.Signals, tmp_path: Path
) -> None:
    """The signal itself ends it before there is anything to give back."""
    with Terminal(tmp_path / "queue.db", is_deaf=False) as terminal:
        terminal.drain(after_s)
        os.kill(terminal.pid, number)
        code = terminal.wait(DEADLINE_S)
        has_taken = b"\x1b[?1049h" in terminal.output
        assert code in ({128 + number} if has_taken else {128 + number, -number})
        assert not has_taken or all(sequence in terminal.output for sequence in LEFT_THE_SCREEN)
        assert b"Traceback" not in terminal.output


def test_a_terminal_that_takes_nothing_does_not_keep_a_signal_from_ending_it(tmp_path: Path) -> None:
    """Nobody reads: what Textual writes waits in its queue, and the main thread with it."""
    terminal = Terminal(tmp_path / "queue.db", is_deaf=False)
    with terminal:
        terminal.wait_for(b"queuectl", timeout_s=60)
        for _ in range(200):
            terminal.press(b"1234?\x1b")
            time.sleep(0.005)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ends()
        assert terminal.exit_code == 128 + signal.SIGTERM


#: Quits like ``queuectl-tui``, and is continued just after that, as a terminal does that closes.
_CONTINUED = """
import os, signal, sys
import queuectl_tui
code = queuectl_tui.main()
os.kill(os.getpid(), signal.SIGCONT)
sys.exit(code)
"""


def test_a_signal_to_continue_after_the_end_changes_nothing(tmp_path: Path) -> None:
    """A terminal that closes sends SIGCONT after SIGHUP; Textual's handler of it raises without an event loop."""
    command = [sys.executable, "-c", _CONTINUED, "--db", str(tmp_path / "queue.db"), "-c", "1"]
    with PtyProgram(command, env={"XDG_CONFIG_HOME": str(tmp_path)}) as program:
        program.wait_for(b"Pending", timeout_s=60)
        program.press(b"\x11")
        assert program.wait(DEADLINE_S) == 0
        assert b"Traceback" not in program.output


def test_a_stopped_dashboard_gives_the_terminal_back_and_takes_it_again_when_it_is_continued(tmp_path: Path) -> None:
    """SIGTSTP and SIGCONT, as a shell's job control sends them."""
    with Terminal(tmp_path / "queue.db", is_deaf=False) as terminal:
        terminal.wait_for(b"Pending", timeout_s=60)
        terminal.settle(limit_s=3)
        os.kill(terminal.pid, signal.SIGTSTP)
        terminal.wait_for(b"\x1b[?1049l")
        _, status = os.waitpid(terminal.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        terminal.output.clear()
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.wait_for(b"\x1b[?1049h", timeout_s=60)
        terminal.wait_for(b"Pending", timeout_s=60)
        terminal.press(b"\x11")
        assert terminal.wait(DEADLINE_S) == 0
