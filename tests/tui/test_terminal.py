"""The whole program in a real terminal: it starts, leaves the screen as it was, and lets nothing through."""

from __future__ import annotations

import os
import queue
import re
import select
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from core.execution.worker import StopMode, Worker
from core.model import NewJob, State
from core.queue import Queue
from queuectl_tui.terminal_watch import TerminalWatch
from tests.architecture.test_entry import interrupting_at_the_end, script
from tests.processes import ROOT
from tests.tui.pty_program import PtyProgram

pytestmark = pytest.mark.long

QUIT = b"\x11"
#: What ends the alternate screen and shows the cursor again.
LEFT_THE_SCREEN = (b"\x1b[?1049l", b"\x1b[?25h")
#: Every sequence that this dashboard's own drawing may use: colours, cursor moves, modes, the cursor's shape.
ALLOWED = re.compile(
    rb"\x1b\[[0-9;]*m"  # colours
    rb"|\x1b\[[0-9;]*[HABCDJK]"  # moves, erasing
    rb"|\x1b\[\?[0-9;]+(?:\$p|[hlu])"  # modes and questions about them
    rb"|\x1b\[[<>=][0-9;]*[uq]"  # keyboard protocol
    rb"|\x1b\[[0-9]*[nct]"  # questions to the terminal
    rb"|\x1b\[\?u"
    rb"|\x1b\[2[23];2t"  # the window's title kept and given back
    rb"|\x1b\[14t|\x1b\[c|\x1b\[>c"
    rb"|\x1b[78=>]"
)
HOSTILE = (
    "\x1b]52;c;cHduZWQ=\x07"  # sets the clipboard
    "\x1b]0;pwned title\x07"
    "\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\"
    "\x1b[2J\x1b[H\x1b[?1049l\x1bc\x1b[31mred\x1b[0m"
    "\x9b2J\x90qpwned\x9c\x1bPqpwned\x1b\\\x1b_pwned\x1b\\\x1b^pwned\x1b\\"
    "\x07\x08\x0e\x0f\x7f\u202egnp.exe\u202c\u2066x\u2069"
)


def start(path: Path, *options: str, rows: int = 40, columns: int = 120) -> PtyProgram:
    """Start the dashboard on a database in a terminal."""
    command = [sys.executable, "-m", "queuectl_tui", "--db", str(path), *options]
    return PtyProgram(command, columns=columns, rows=rows, env={"XDG_CONFIG_HOME": str(path.parent / "config")})


def until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for a fact, with a deadline."""
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, "it did not become true in time"
        time.sleep(0.02)


def job_state(path: Path, job_id: int) -> State:
    with Queue(path) as queue:
        return queue.job(job_id).state


def left_the_screen(program: PtyProgram) -> bool:
    return all(sequence in program.output for sequence in LEFT_THE_SCREEN)


def test_it_starts_on_nothing_and_quits_by_key(tmp_path: Path) -> None:
    """A new database is made, the empty panes say what to do, q leaves with exit code 0."""
    with start(tmp_path / "queue.db") as program:
        program.wait_for(b"Nothing queued")
        program.press(b"q")
        assert program.wait(60) == 0
        assert left_the_screen(program)
    assert (tmp_path / "queue.db").exists()


@pytest.mark.parametrize("before", [b"", b"/", b"l/"])
def test_keys_before_and_behind_the_last_one_do_not_spoil_the_end(tmp_path: Path, before: bytes) -> None:
    """Pressed as soon as there is a picture: what is still being made is left, what comes too late is not begun."""
    with start(tmp_path / "queue.db", "--no-worker") as program:
        program.wait_for(b"Nothing queued")
        program.press(before + QUIT + b"/e\x10")
        assert program.wait(60) == 0
        assert left_the_screen(program)


def test_bytes_that_are_no_text_are_replaced_and_end_nothing(tmp_path: Path) -> None:
    """A Latin-1 paste into the form: its letters come as U+FFFD, and what follows them is still part of the paste."""
    with start(tmp_path / "queue.db", "--no-worker") as program:
        program.wait_for(b"Nothing queued")
        program.press(b"e")
        program.wait_for(b"Command")
        program.settle()
        program.press(b"\x1b[200~echo gr\xfc\xdfe \xc3\x1b[201~")
        program.wait_for("gr\ufffd\ufffde \ufffd".encode())
        program.press(b"\x1b")
        program.settle()
        program.press(QUIT)
        assert program.wait(60) == 0
        assert b"Traceback" not in program.output


#: Textual reads colons in a sequence since 8.2.7; before, it took such a sequence for keys that were typed.
without_colons = pytest.mark.skipif(
    [int(part) for part in version("textual").split(".")[:3]] < [8, 2, 7], reason="this Textual types the sequence"
)


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"\x1b[113;5:3u", marks=without_colons),
        b"\x1b[99999999999999999999u",
        pytest.param(b"\x1b[:;1u", marks=without_colons),
        b"\x1b[99999999u",
    ],
)
def test_sequences_without_sense_end_nothing(noise: bytes, tmp_path: Path) -> None:
    """What is typed after them works."""
    with start(tmp_path / "queue.db", "--no-worker") as program:
        program.wait_for(b"Nothing queued")
        program.press(noise)
        program.settle()
        program.press(b"q")
        assert program.wait(60) == 0
        assert b"Traceback" not in program.output


@pytest.mark.parametrize("program", ["queuectl-tui", "-m queuectl_tui"])
def test_an_interrupt_when_all_is_closed_ends_it_quietly(program: str, tmp_path: Path) -> None:
    """A Ctrl+C behind the key that quits comes when Ctrl+C is no key any more."""
    late = interrupting_at_the_end(tmp_path)
    command = program.split() if program.startswith("-m") else [str(script(tmp_path, program))]
    env = {"XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": f"{late}:{ROOT}"}
    with PtyProgram(
        [sys.executable, *command, "--db", str(tmp_path / "queue.db"), "--no-worker"], env=env
    ) as dashboard:
        dashboard.wait_for(b"Nothing queued")
        dashboard.press(QUIT)
        assert dashboard.wait(60) == 130
        assert b"Traceback" not in dashboard.output
        assert left_the_screen(dashboard)


def test_what_is_not_a_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 100)
    with start(path) as program:
        assert program.wait(60) == 1
        assert b"queuectl-tui: error: " in program.output
        assert b"Traceback" not in program.output
    assert path.read_text().startswith("these are my notes")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_screen_and_leaves_the_job_running(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever comes next takes the job over; this one does not kill it."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        job_id = queue.add(
            NewJob(f"echo started; while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done; echo done")
        )
        with start(path, "-c", "1") as program:
            until(lambda: queue.job(job_id).state is State.RUNNING)
            program.wait_for(b"started")
            os.kill(program.pid, number)
            assert program.wait(60) == 128 + number
            assert left_the_screen(program)
        assert queue.job(job_id).state is State.RUNNING
        (tmp_path / "go").touch()
        worker = Worker(queue, slots=1)
        worker.start()
        until(lambda: queue.job(job_id).state is State.COMPLETED)
        worker.stop(StopMode.DRAIN)
        worker.join(60)
        assert [attempt.number for attempt in queue.attempts(job_id)] == [1]
        assert queue.output(job_id).read(0, 100) == b"started\ndone\n"


def test_a_job_outlives_a_killed_dashboard_and_the_next_one_takes_it_over(tmp_path: Path) -> None:
    """kill -9 costs nothing: the same attempt goes on, and its whole output is there."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        job_id = queue.add(
            NewJob(f"echo tick; while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done; echo tock")
        )
        with start(path, "-c", "1") as program:
            until(lambda: queue.job(job_id).state is State.RUNNING)
            until(lambda: queue.output(job_id).size() > 0)
            os.kill(program.pid, signal.SIGKILL)
            program.wait(60)
        (tmp_path / "go").touch()
        with start(path, "-c", "1") as program:
            until(lambda: queue.job(job_id).state is State.COMPLETED)
            program.press(QUIT)
            assert program.wait(60) == 0
        assert len(queue.attempts(job_id)) == 1
        assert queue.output(job_id).read(0, 100) == b"tick\ntock\n"


def test_quitting_asks_and_can_leave_a_job_running(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        job_id = queue.add(NewJob("sleep 30"))
        with start(path, "-c", "1") as program:
            until(lambda: queue.job(job_id).state is State.RUNNING)
            program.wait_for(b"sleep 30")
            program.settle()
            program.press(QUIT)
            program.wait_for(b"Leave running")
            program.press(b"l")
            assert program.wait(60) == 0
        assert queue.job(job_id).state is State.RUNNING
        queue.cancel([job_id], kill=True)
        worker = Worker(queue, slots=1)
        worker.start()
        until(lambda: queue.job(job_id).state is State.CANCELLED)
        worker.stop(StopMode.NOW)
        worker.join(60)


def test_new_dead_jobs_are_told_in_the_windows_title_until_the_person_looks(tmp_path: Path) -> None:
    """The title is kept before it is changed, and given back when the DLQ is looked at and at the end."""
    path = tmp_path / "queue.db"
    with Queue(path) as queue, start(path, "-c", "1") as program:
        program.wait_for(b"Nothing queued")
        program.settle()
        queue.add(NewJob("exit 3", max_attempts=1))
        program.wait_for(b"\x1b[22;2t\x1b]2;queuectl: 1 new dead job\x07")
        program.press(b"4")
        program.wait_for(b"\x1b[23;2t")
        program.press(b"1")
        program.settle()
        seen = len(program.output)
        queue.add(NewJob("exit 3", max_attempts=1))
        program.wait_for(b"\x1b[22;2t\x1b]2;queuectl: 1 new dead job\x07", start=seen)
        seen = len(program.output)
        program.press(QUIT)
        assert program.wait(60) == 0
        assert b"\x1b[23;2t" in program.output[seen:]


def test_nothing_that_a_job_says_reaches_the_terminal(tmp_path: Path) -> None:
    """Command, name, label and output are full of escapes and markup; the terminal gets none, wherever they show."""
    path = tmp_path / "queue.db"
    payload = tmp_path / "payload"
    payload.write_bytes(HOSTILE.encode("utf-8", "surrogateescape") + b"\xff\xfe\x1b]52;c;cHduZWQ=\x07\n\x9b31m\n")
    markup = "[@click=app.quit]x[/] [red]y[/red] [/"
    with Queue(path) as queue:
        command = f"cat {payload}; exit 3 # {HOSTILE}{markup}"
        queue.enqueue(NewJob(command, name="x", label="y", max_attempts=1))
        worker = Worker(queue, slots=1, once=True)
        worker.run()
        queue.enqueue(NewJob(command, queue="other"))
        queue.pause()
    with sqlite3.connect(path) as connection:  # what the queue refuses, another tool may have put there
        connection.execute("UPDATE jobs SET name = 'x' || ? || id, label = ?", (markup + HOSTILE, markup + HOSTILE))
    connection.close()
    with start(path, "--no-worker") as program:
        program.wait_for(b"cat ")
        program.settle()
        # dead job, its output, its detail with all tabs, its copy menu, the question before it is purged, the form
        for key in (
            b"4",
            b"l",
            b"w",
            b"6",
            b"]",
            b"]",
            b"]",
            b"4",
            b"y",
            b"\x1b",
            b"d",
            b"n",
            b"E",
        ):
            program.press(key)
            program.settle(0.15, 2)
        for _ in range(60):  # a program under load takes keys that come close together for one
            if program.wait(1) is not None:
                break
            for key in (b"\x1b", b"q"):
                program.press(key)
                program.settle(0.15, 2)
        assert program.exit_code == 0
        output = bytes(program.output)
    assert b"<U+202E>gnp.exe" in output  # what is harmless is shown, and what is not is named
    ours = re.sub(rb"\x1b\]22;default\x07", b"", output)  # the shape of the mouse pointer, set by Textual
    ours = re.sub(rb"\x1b\]2;queuectl: \d+ new dead jobs?\x07", b"", ours)  # in its own words and numbers alone
    assert b"\x1b]" not in ours
    left = ALLOWED.sub(b"", ours)
    assert b"\x1b" not in left, left[max(0, left.find(b"\x1b") - 40) : left.find(b"\x1b") + 40]
    text = left.decode("utf-8", "strict")
    assert not re.search("[\x00-\x06\x0b\x0c\x0e-\x1a\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_the_demo_is_alive_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """A newcomer sees something run; quitting takes the throw-away database along."""
    command = [sys.executable, "-m", "queuectl_tui", "--demo"]
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with PtyProgram(command, env=env) as program:
        program.wait_for(b"demo.db")
        program.wait_for("●".encode())
        program.drain(1.5)
        program.press(b"q")
        assert program.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir() if path.name != "config"] == []


def test_a_demo_whose_terminal_is_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its jobs are stopped, not left to whoever comes next: nobody will."""
    command = [sys.executable, "-m", "queuectl_tui", "--demo"]
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with PtyProgram(command, env=env) as program:
        program.wait_for("●".encode())
        program.drain(1.0)
        os.kill(program.pid, signal.SIGHUP)
        assert program.wait(60) == 128 + signal.SIGHUP
    assert [path.name for path in tmp_path.iterdir() if path.name != "config"] == []


def test_a_demo_that_is_told_to_end_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "queuectl_tui", "--demo"]
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with PtyProgram(command, env=env) as program:
        deadline_s = time.monotonic() + 60
        while not list(tmp_path.glob("queuectl-demo-*")):
            assert time.monotonic() < deadline_s, "the demo did not start"
            time.sleep(0.001)
        os.kill(program.pid, signal.SIGHUP)
        assert program.wait(60) == 128 + signal.SIGHUP
    assert [path.name for path in tmp_path.iterdir() if path.name != "config"] == []


@pytest.mark.parametrize("after_s", [0.2, 0.3, 0.4, 0.5, 0.6, 0.8])
def test_a_demo_ends_by_a_signal_at_every_moment_of_its_start(tmp_path: Path, after_s: float) -> None:
    """While modules are loaded, and before the first screen is composed: without a traceback, with its own code."""
    command = [sys.executable, "-m", "queuectl_tui", "--demo"]
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with PtyProgram(command, env=env) as program:
        until(lambda: bool(list(tmp_path.glob("queuectl-demo-*"))))
        program.drain(after_s)
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait(60) == 128 + signal.SIGTERM
        assert b"Traceback" not in program.output
    assert [path.name for path in tmp_path.iterdir() if path.name != "config"] == []


#: Starts the dashboard; it stops for good right after a demo's directory was made, or after its first file was.
STUCK_DEMO = """
import builtins, os, sys, time
from queuectl_tui import main

def stuck(name, make):
    def made(path, *arguments, **options):
        result = make(path, *arguments, **options)
        while "queuectl-demo-" in str(path):
            time.sleep(1)
        return result
    return made

module, name = {"mkdir": (os, "mkdir"), "open": (builtins, "open")}[sys.argv[1]]
setattr(module, name, stuck(name, getattr(module, name)))
main(["--demo"])
"""


@pytest.mark.parametrize("call", ["mkdir", "open"])
def test_a_demo_whose_terminal_is_closed_while_its_files_are_made_leaves_nothing_behind(
    tmp_path: Path, call: str
) -> None:
    """The process is ended at once, by a thread that waits for nothing but the terminal."""
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": str(ROOT)}
    with PtyProgram([sys.executable, "-c", STUCK_DEMO, call], env=env) as program:
        until(lambda: bool(list(tmp_path.glob("queuectl-demo-*"))))
        program.hang_up()
        assert program.wait(60) == 128 + signal.SIGHUP
    assert [path.name for path in tmp_path.iterdir() if path.name != "config"] == []


def test_the_watch_takes_no_signal_that_the_main_thread_blocks() -> None:
    """Else Python runs its handler in the main thread in the middle of what was to be whole."""
    masks: queue.SimpleQueue[set[int]] = queue.SimpleQueue()

    class Watch(TerminalWatch):
        def _run(self) -> None:
            masks.put({int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())})

    Watch(0).start()
    assert masks.get(timeout=60) >= {signal.SIGTERM, signal.SIGHUP}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGHUP}


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03])
def test_a_signal_just_after_the_screen_was_taken_gives_it_back(tmp_path: Path, delay_s: float) -> None:
    with start(tmp_path / "queue.db") as program:
        program.wait_for(b"\x1b[?1049h")
        time.sleep(delay_s)
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait(60) == 128 + signal.SIGTERM
        assert left_the_screen(program)
        assert b"Traceback" not in program.output


def test_a_pipe_is_no_terminal_that_was_lost() -> None:
    """As long as it has a writer."""
    reader, writer = os.pipe()
    try:
        assert not TerminalWatch(reader).is_lost
    finally:
        os.close(reader)
        os.close(writer)


def test_another_driver_of_textual_needs_no_terminal(tmp_path: Path) -> None:
    """One that the environment names draws elsewhere, as for a browser; when whoever asked for it is gone, it ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "queuectl_tui", "--db", str(tmp_path / "queue.db"), "--no-worker"],
        env={**os.environ, "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver", "COLUMNS": "80", "ROWS": "24"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            drawn = b""
            while b"Pending" not in drawn:
                assert select.select([process.stdout], [], [], 60)[0], drawn
                more = os.read(process.stdout.fileno(), 65536)
                assert more, drawn
                drawn += more
            process.stdin.close()
            assert process.wait(60) == 128 + signal.SIGHUP
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:

    done = subprocess.run(
        [sys.executable, "-m", "queuectl_tui", "--db", str(tmp_path / "queue.db")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "queuectl-tui: error: a terminal is needed; scripts use queuectl\n"
