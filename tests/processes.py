"""Other processes that tests start, and waiting for facts with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from core.queue import Queue

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")

WORKER = """
import sys
from core import Queue, Worker
from core.execution.events import LoopFailed, WorkerStarted

def tell(event):
    if isinstance(event, WorkerStarted):
        print(event.worker_id, flush=True)
    if isinstance(event, LoopFailed):
        raise SystemExit(f"the loop failed: {event.error!r}")

Worker(Queue(sys.argv[1]), slots=int(sys.argv[2]), on_event=tell).run()
"""


def wait_for(fact: Callable[[], T], what: str = "", *, timeout_s: float = 60.0) -> T:
    """Return the first true value of a fact; fail when it does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true after {timeout_s:g} s: {what or fact}")
        time.sleep(0.01)
    return value


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is not a zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_of_group(group: int) -> list[int]:
    """Return the pids of a process group that live."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in ("Z", "X"):
                found.append(int(entry.name))
    return found


def start_python(program: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a Python program that can import the product; its output is piped as text."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], text=True, env=environment, **options
    )


@contextlib.contextmanager
def python(program: str, *arguments: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program beside the test, and kill it at the end if it still runs."""
    process = start_python(program, *arguments, **options)
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()


def run_python(program: str, *arguments: object, timeout_s: float = 60.0, **options: Any) -> str:
    """Run a Python program to its end and return what it printed; fail with its errors."""
    process = start_python(program, *arguments, **options)
    with process:
        out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    return out


def group_of(queue: Queue, job_id: int) -> int:
    """Return the process group of a running job: the pid that its shim wrote."""
    path = Path(queue.storage.spool.run_file(queue.attempts(job_id)[-1].id))
    return int(wait_for(lambda: path.read_text().splitlines()[1:], "the pid is written")[0])


class WorkerProcess:
    """A worker in a process of its own, which a test may kill."""

    def __init__(self, path: str, slots: int = 1) -> None:
        self.process = start_python(WORKER, path, slots)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no worker: {self.process.communicate()[1]}")
        self.id = int(line)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker's process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the worker as a crash would, and wait until it is gone."""
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
