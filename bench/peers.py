"""Other queues on the same work: ``/bin/true`` jobs, first enqueue to last end, 2 slots where there are slots; one job.

``task-spooler``, ``nq`` and GNU ``parallel`` are measured where they are installed; the Python ones where
``--peers-venv`` names an environment that has them (``python -m bench.install_peers DIR`` makes one).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.lines import Line, Scale, Target, middle_ratio
from bench.place import run as run_program
from bench.place import scratch
from bench.throughput import our_rate, xargs_rate

#: Where what runs in the peers' own environment lies.
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_scripts")


@dataclass(frozen=True, slots=True)
class _Peer:
    """A contender: how to run so many jobs in a directory, which share of the usual number it is given, a remark; the
    least ratio of our rate to its own."""

    name: str
    drain: Callable[[str, int], object]
    share: float = 1.0
    note: str = ""
    at_least: float | None = None


def run(scale: Scale, venv: str | None = None) -> Iterable[Line]:
    """Yield a line for every peer that this machine has, measured in turn with ours."""
    for peer in [*_debian(), *_python(venv)]:
        jobs = max(10, int(scale.peer_jobs * peer.share))
        rounds = max(1, scale.rounds // 2)
        ours: list[float] = []
        theirs: list[float] = []
        xargs: list[float] = []
        for _ in range(rounds):
            ours.append(our_rate("/bin/true", scale.peer_jobs))
            theirs.append(_rate(peer, jobs))
            xargs.append(xargs_rate("/bin/true", scale.peer_jobs))
        note = f"{middle_ratio(theirs, xargs):.2f} of xargs" + (f"; {peer.note}" if peer.note else "")
        yield Line(
            "peers",
            f"`/bin/true` jobs beside {peer.name}",
            median(ours),
            "jobs/s",
            peer.name,
            median(theirs),
            middle_ratio(ours, theirs),
            None if peer.at_least is None else Target(True, peer.at_least),
            note,
        )


def _rate(peer: _Peer, jobs: int) -> float:
    with scratch() as directory:
        began = time.perf_counter()
        peer.drain(directory, jobs)
        return jobs / (time.perf_counter() - began)


# --- programs


def _debian() -> Iterable[_Peer]:
    if shutil.which("tsp"):
        yield _Peer("task-spooler", _task_spooler, 1.0, "one process a job to enqueue", 1.4)
    if shutil.which("nq"):
        yield _Peer("nq", _nq, 1.0, "one process a job to enqueue; runs one at a time", 1.9)
    if shutil.which("parallel"):
        yield _Peer("GNU parallel --joblog", _parallel, at_least=3.0)


def _task_spooler(directory: str, jobs: int) -> None:
    environment = {"TS_SOCKET": os.path.join(directory, "socket"), "TS_SLOTS": "2", "TMPDIR": directory}
    try:
        for _ in range(jobs):
            last = run_program(["tsp", "/bin/true"], environment=environment)
        for job_id in (int(last) - 1, int(last)):
            run_program(["tsp", "-w", str(job_id)], environment=environment)
    finally:
        run_program(["tsp", "-K"], environment=environment)


def _nq(directory: str, jobs: int) -> None:
    environment = {"NQDIR": directory}
    for _ in range(jobs):
        run_program(["nq", "/bin/true"], environment=environment)
    run_program(["nq", "-w"], environment=environment)


def _parallel(directory: str, jobs: int) -> None:
    argv = ["parallel", "--will-cite", "-j2", "--joblog", os.path.join(directory, "log")]
    run_program(argv, input_text="/bin/true\n" * jobs, environment={"TMPDIR": directory})


# --- libraries


def _python(venv: str | None) -> Iterable[_Peer]:
    if venv is None:
        return
    python = os.path.join(venv, "bin", "python")

    def script(name: str) -> Callable[[str, int], object]:
        path = os.path.join(SCRIPTS, f"{name}.py")
        return lambda directory, jobs: run_program([python, path, directory, str(jobs)])

    for module, name in (("huey", "huey"), ("litequeue", "litequeue"), ("persistqueue", "persist-queue")):
        if has_module(python, module):
            note = "a Python loop of 2 threads" if module != "huey" else "2 worker threads"
            yield _Peer(name, script(f"with_{module}"), note=f"{note}; no output kept; its start included")
    if has_module(python, "kyoo"):
        yield _Peer("kyoo", _kyoo(python), 0.05, "a lock of capacity 2 as slots; starts jobs twice a second")


def has_module(python: str, module: str) -> bool:
    """Tell whether a Python can import a module."""
    done = subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode == 0


def _kyoo(python: str) -> Callable[[str, int], object]:
    path = os.path.join(SCRIPTS, "with_kyoo.py")

    def drain(directory: str, jobs: int) -> None:
        with kyoo_daemon(python, directory) as environment:
            run_program([python, path, directory, str(jobs)], environment=environment)

    return drain


@contextlib.contextmanager
def kyoo_daemon(python: str, directory: str) -> Iterator[dict[str, str]]:
    """Keep a daemon of kyoo's alive; give the variables that lead its clients to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {"KYOO_HOME": directory, "KYOO_PORT": port}
    daemon = subprocess.Popen(
        [python, "-m", "kyoo", "serve"],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield environment
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
