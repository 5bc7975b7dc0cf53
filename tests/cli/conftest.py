"""How the tests of the CLI run it: inside this process for its words, as a process of its own where that matters."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from core.addresses import is_on_server
from core.cli import main
from core.execution.worker import StopMode, Worker
from core.model import State, View
from core.queue import Queue
from tests.postgres import Databases
from tests.sqlite import new_database

ROOT = Path(__file__).resolve().parents[2]
#: The longest that a test waits for a fact, in seconds.
DEADLINE_S = 60.0


def wait_for(fact: Callable[[], object], what: str = "") -> None:
    """Wait until something is true; fail when it does not become so."""
    until = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < until, f"this did not come true: {what or fact}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Result:
    """What one run of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what was printed, read as JSON."""
        return json.loads(self.out)


class Cli:
    """The program, run inside this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Result:
        self._capsys.readouterr()
        code = main(arguments)
        out, err = self._capsys.readouterr()
        return Result(code, out, err)

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed and say nothing on stderr but notes; return what it printed."""
        result = self(*arguments)
        assert result.code == 0, result
        assert "error:" not in result.err
        return result.out


class Terminal:
    """The program as processes of their own; ``start`` ones are ended when the test is over."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.started: list[Process] = []

    def run(self, *arguments: str, stdin: bytes = b"", check: bool = False) -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "core", *arguments],
            input=stdin,
            capture_output=True,
            cwd=ROOT,
            env=self.environment,
            timeout=60,
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not check or result.code == 0, result
        return result

    def start(self, *arguments: str) -> Process:
        """Start a command and return it running."""
        process = Process(
            subprocess.Popen(
                [sys.executable, "-m", "core", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )
        )
        self.started.append(process)
        return process

    def worker(self, *arguments: str) -> Process:
        """Start a worker and return it once it looks for jobs."""
        process = self.start("worker", *arguments)
        assert process.line().startswith("Worker started. Waiting for jobs... (Press Ctrl+C to stop)")
        return process


class Process:
    """A running command and the lines that it has printed."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        self.lines: list[str] = []
        self._read = bytearray()
        self._read_errors = bytearray()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.popen.pid

    def line(self) -> str:
        """Wait for the next line on stdout; empty at its end."""
        self.lines.append(self._next_line(self.popen.stdout, self._read))
        return self.lines[-1]

    def error_line(self) -> str:
        """Wait for the next line on stderr; empty at its end."""
        return self._next_line(self.popen.stderr, self._read_errors)

    def _next_line(self, stream: IO[bytes] | None, read: bytearray) -> str:
        assert stream is not None
        until = time.monotonic() + DEADLINE_S
        while b"\n" not in read:
            ready, _, _ = select.select([stream], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"no further line came: {self.lines}, {bytes(read)!r}"
            block = os.read(stream.fileno(), 65536)
            if not block:
                break
            read += block
        line, _, read[:] = read.partition(b"\n")
        return line.decode()

    def until(self, words: str) -> str:
        """Read lines until one has these words; fail at the end of the output."""
        while True:
            line = self.line()
            if words in line:
                return line
            assert line, f"{words!r} never came: {self.lines}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        os.kill(self.pid, number)

    def end(self) -> Result:
        """Wait for its end; return what it printed since the last lines that were read."""
        out, err = self.popen.communicate(timeout=DEADLINE_S)
        return Result(self.popen.returncode, _joined(self._read, out), _joined(self._read_errors, err))


def _joined(read: bytearray, rest: bytes) -> str:
    """Return what was read but not asked for yet, and the rest; the former is forgotten."""
    text = (bytes(read) + rest).decode()
    read.clear()
    return text


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked ``each_engine`` on each, but for those that ask for the path of the file."""
    is_for_files = "address" not in metafunc.fixturenames or "database" in metafunc.fixturenames
    if metafunc.definition.get_closest_marker("each_engine") and not is_for_files:
        params = [pytest.param("sqlite", id=pytest.HIDDEN_PARAM), "postgres"]
        metafunc.parametrize("address", params, indirect=True)


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point ``$QUEUECTL_DB`` at a new database, and stand in a directory of this test, where a file would be."""
    databases: Databases | None = None
    if getattr(request, "param", "sqlite") == "postgres":
        databases = request.getfixturevalue("databases")
        assert databases is not None
        made = databases.new()
    else:
        made = new_database(tmp_path / "queue.db")
    monkeypatch.setenv("QUEUECTL_DB", made)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    yield made
    if databases is not None:
        databases.drop(made)


@pytest.fixture
def database(address: str) -> Path:
    """Return the path of the database of this test, which is a file."""
    return Path(address)


@pytest.fixture
def missing(database: Path) -> Path:
    """Return the path of the database of this test, where there is no file."""
    database.unlink()
    return database


@pytest.fixture
def cli(address: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return the program, run inside this process on a database of this test."""
    return Cli(capsys)


@pytest.fixture
def open_queue(address: str) -> Iterator[Queue]:
    """Open the database of this test as a program would."""
    with Queue(address) as queue:
        yield queue


@pytest.fixture
def terminal(address: str) -> Iterator[Terminal]:
    """Return the program as processes; all of them, and what they left running, are gone after the test."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    opened = Terminal({**environment, "QUEUECTL_DB": address})
    try:
        yield opened
    finally:
        for process in opened.started:
            if process.popen.poll() is None:
                process.popen.kill()
            process.popen.communicate(timeout=DEADLINE_S)
        if is_on_server(address) or os.path.exists(address):
            _end_running(address)


def _end_running(address: str) -> None:
    """Stop the commands that a test left running without a worker."""
    with Queue(address) as queue:
        running = queue.ids(View((State.RUNNING,)))
        if running:
            queue.cancel(running, kill=True)
            worker = Worker(queue, slots=0)
            worker.start()
            wait_for(lambda: not queue.ids(View((State.RUNNING,))), "the end of what was left running")
            worker.stop(StopMode.NOW)
            assert worker.join(DEADLINE_S)


def drain(queue: Queue, *, slots: int = 2) -> None:
    """Run all that is due, in this process."""
    Worker(queue, slots=slots, once=True).run()
