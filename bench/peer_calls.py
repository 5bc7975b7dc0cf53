"""One job beside other queues: what adding it costs, and how soon its command starts.

Programs are called as a script calls them, one process a job; libraries are called in a loop. All add the same command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.latency import serving
from bench.lines import Line, Scale, middle_ratio
from bench.peers import SCRIPTS, has_module, kyoo_daemon
from bench.place import queuectl, scratch
from bench.place import run as run_program
from core.queue import Queue


@dataclass(frozen=True, slots=True)
class _Program:
    """A contender that is called: the arguments that add a shell command, and what has to run meanwhile."""

    name: str
    add: Callable[[str], list[str]]
    running: Callable[[str], contextlib.AbstractContextManager[dict[str, str]]]
    note: str = ""


def run(scale: Scale, venv: str | None = None) -> Iterable[Line]:
    """Yield the lines of every peer that this machine has, measured in turn with ours."""
    for peer in _programs(venv):
        yield from _beside(peer, max(3, scale.starts // 2))
    if venv is not None:
        yield from _put(scale, os.path.join(venv, "bin", "python"))


# --- programs


def _programs(venv: str | None) -> Iterable[_Program]:
    if shutil.which("tsp"):
        yield _Program("task-spooler", lambda command: ["tsp", "sh", "-c", command], _task_spooler, "kept in memory")
    if shutil.which("nq"):
        note = "it starts the command itself"
        yield _Program("nq", lambda command: ["nq", "sh", "-c", command], _nq, note)
    if venv is not None:
        python = os.path.join(venv, "bin", "python")
        if has_module(python, "kyoo"):
            yield _Program("kyoo", lambda command: [python, "-m", "kyoo", "add", command], _kyoo(python))


@contextlib.contextmanager
def _ours(directory: str) -> Iterator[dict[str, str]]:
    database = os.path.join(directory, "queue.db")
    Queue(database).close()
    with serving(database):
        yield {"QUEUECTL_DB": database}


@contextlib.contextmanager
def _task_spooler(directory: str) -> Iterator[dict[str, str]]:
    environment = {"TS_SOCKET": os.path.join(directory, "socket"), "TMPDIR": directory}
    run_program(["tsp", "true"], environment=environment)  # starts its server
    try:
        yield environment
    finally:
        run_program(["tsp", "-K"], environment=environment)


@contextlib.contextmanager
def _nq(directory: str) -> Iterator[dict[str, str]]:
    yield {"NQDIR": directory}


def _kyoo(python: str) -> Callable[[str], contextlib.AbstractContextManager[dict[str, str]]]:
    @contextlib.contextmanager
    def running(directory: str) -> Iterator[dict[str, str]]:
        with kyoo_daemon(python, directory) as environment:
            _until(lambda: _answers([python, "-m", "kyoo", "ls"], environment))
            yield environment

    return running


def _answers(argv: list[str], environment: dict[str, str]) -> bool:
    try:
        run_program(argv, environment=environment)
    except subprocess.CalledProcessError:
        return False
    return True


def _beside(peer: _Program, samples: int) -> Iterable[Line]:
    ours, theirs = _Times(), _Times()
    with contextlib.ExitStack() as stack:
        directories = [stack.enter_context(scratch()) for _ in range(2)]
        our_environment = {
            **stack.enter_context(_ours(directories[0])),
            "PYTHONPYCACHEPREFIX": directories[0],  # bytecode, as an installation has it
            "PYTHONDONTWRITEBYTECODE": "",
        }
        their_environment = stack.enter_context(peer.running(directories[1]))
        for number in range(samples + 1):
            for times, add, directory, environment in (
                (ours, lambda command: queuectl("enqueue", command), directories[0], our_environment),
                (theirs, peer.add, directories[1], their_environment),
            ):
                times.measure(add, os.path.join(directory, f"{number}.told"), environment)
    yield _line(f"enqueue one, whole process, beside {peer.name}", peer, ours.calls_ms, theirs.calls_ms, peer.note)
    what = f"from that call to the command's start, beside {peer.name}"
    yield _line(what, peer, ours.starts_ms, theirs.starts_ms, "")


class _Times:
    """How long each call took, and how long after its beginning the command read the clock; in milliseconds."""

    def __init__(self) -> None:
        self._calls: list[float] = []
        self._starts: list[float] = []

    def measure(self, add: Callable[[str], list[str]], path: str, environment: dict[str, str]) -> None:
        argv = add(f"date +%s%N >{path}.new && mv {path}.new {path}")
        began_ns = time.time_ns()
        run_program(argv, environment=environment)
        self._calls.append((time.time_ns() - began_ns) / 1e6)
        _until(lambda: os.path.exists(path))
        with open(path, encoding="ascii") as file:
            self._starts.append((int(file.read()) - began_ns) / 1e6)

    # the first one compiles our modules, fills the caches

    @property
    def calls_ms(self) -> list[float]:
        return self._calls[1:]

    @property
    def starts_ms(self) -> list[float]:
        return self._starts[1:]


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not is_so():
        if time.monotonic() > deadline_s:
            raise TimeoutError("a queue did not do what it was asked for")
        time.sleep(0.005)


def _line(what: str, peer: _Program, ours: list[float], theirs: list[float], note: str) -> Line:
    return Line("peers", what, median(ours), "ms", peer.name, median(theirs), middle_ratio(ours, theirs), note=note)


# --- libraries


def _put(scale: Scale, python: str) -> Iterable[Line]:
    """Measure adding jobs one by one; ours are synced to the disk before the call returns."""
    script = os.path.join(SCRIPTS, "put.py")
    for module, name in (("huey", "huey"), ("litequeue", "litequeue"), ("persistqueue", "persist-queue")):
        if not has_module(python, module):
            continue
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(max(1, scale.rounds // 2)):
            with scratch() as directory:
                ours.append(_add_us(directory, scale.peer_jobs))
                theirs.append(float(run_program([python, script, module, directory, str(scale.peer_jobs)])))
        yield Line(
            "peers",
            f"enqueue one, library call, beside {name}",
            median(ours),
            "µs",
            name,
            median(theirs),
            middle_ratio(ours, theirs),
            note="each of ours is synced to the disk before the call returns",
        )


def _add_us(directory: str, jobs: int) -> float:
    with Queue(os.path.join(directory, "queue.db")) as queue:
        began = time.perf_counter()
        for _ in range(jobs):
            queue.add("true")
        return (time.perf_counter() - began) / jobs * 1e6
