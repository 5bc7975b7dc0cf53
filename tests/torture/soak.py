"""A soak: two workers, the dashboard and a loop of command lines, for minutes: nothing grows, nothing is left.

Memory, descriptors and the WAL are measured from the moment all is warm to the end.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.sqlite import sqlite_of
from tests.torture.fleet import drain, place, processes_of
from tests.torture.forks import call
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "soak"
#: Growth of memory that is taken for noise, in bytes, on top of a tenth.
_NOISE_BYTES = 6 << 20
_WAL_BYTES = 40 << 20


def run(options: Options) -> Result:
    """Soak for 30 seconds in the short form, for ten minutes in the long one."""
    result = Result()
    seconds = options.length_s(30.0, 600.0)
    chance = options.random()
    with place() as directory:
        ledger = Ledger(directory).create()
        path = os.path.join(directory, "queue.db")
        _command(path, "enqueue", "true")
        processes = {f"worker {number}": _start(path, "-m", "core", "worker", "-c", "2") for number in range(2)}
        if importlib.util.find_spec("queuectl_tui") is not None:
            processes["dashboard"] = _start_in_a_terminal(path)
        try:
            _watch(result, processes, path, ledger, seconds, chance)
        finally:
            _end(result, processes)
        drain(path)  # the dashboard leaves its command running for the next worker
        result.problems += [f"process {pid} is left" for pid in processes_of(directory)]
        result.problems += call(lambda: _check(path))
    return result


def _watch(
    result: Result,
    processes: dict[str, subprocess.Popen[bytes]],
    path: str,
    ledger: Ledger,
    seconds: float,
    chance: random.Random,
) -> None:
    warm_at = time.monotonic() + seconds / 3
    deadline = time.monotonic() + seconds
    first: dict[str, tuple[int, int]] = {}
    while time.monotonic() < deadline:
        _one_round(result, path, ledger, chance)
        for name, process in processes.items():
            if process.poll() is not None:
                result.problems.append(f"{name} ended with {process.returncode}")
                return
        with contextlib.suppress(FileNotFoundError):
            result.numbers["largest WAL, bytes"] = max(
                int(result.numbers.get("largest WAL, bytes", 0)), os.path.getsize(path + "-wal")
            )
        if not first and time.monotonic() > warm_at:
            first = {name: _measure(process.pid) for name, process in processes.items()}
    for name, process in processes.items():
        memory, descriptors = _measure(process.pid)
        before, descriptors_before = first.get(name, (memory, descriptors))
        result.numbers[f"{name}: memory at a third and at the end, MiB"] = f"{before >> 20} {memory >> 20}"
        result.expect(memory <= before * 1.1 + _NOISE_BYTES, f"{name} grew from {before:,} to {memory:,} bytes")
        result.expect(
            descriptors <= descriptors_before + 6, f"{name} has {descriptors} descriptors, had {descriptors_before}"
        )
        result.problems += [f"{name} has a zombie, {pid}" for pid in _lasting_zombies(process.pid)]
    result.expect(int(result.numbers.get("largest WAL, bytes", 0)) <= _WAL_BYTES, "the WAL grew without bound")


def _one_round(result: Result, path: str, ledger: Ledger, chance: random.Random) -> None:
    commands: Sequence[Sequence[str]] = (
        ("enqueue", "-q", ledger.job(0.01)),
        ("enqueue", "-q", "--max-attempts", "2", ledger.job(0, 3)),
        ("list", "--json", "--limit", "20"),
        ("status", "--json"),
        ("purge", "--yes", "--state", "completed"),
        ("dlq", "replay", "--all"),
    )
    words = chance.choice(commands)
    done = _command(path, *words)
    result.count("command lines")
    # 1 says that nothing matched
    result.expect(done.returncode in (0, 1), f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-200:]!r}")


def _environment(path: str) -> dict[str, str]:
    return {**os.environ, "QUEUECTL_DB": path, "TERM": "xterm-256color"}


def _command(path: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "core", *words],
        env=_environment(path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def _start(path: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *words],
        env=_environment(path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _start_in_a_terminal(path: str) -> subprocess.Popen[bytes]:
    """Start the dashboard on a pseudo terminal that somebody reads."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "queuectl_tui"], env=_environment(path), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    reader = f"import os\ntry:\n while os.read({master}, 65536): pass\nexcept OSError: pass"
    subprocess.Popen([sys.executable, "-c", reader], pass_fds=(master,))
    os.close(master)
    return process


def _measure(pid: int) -> tuple[int, int]:
    """Return a process's resident bytes and how many descriptors it has open."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


def _lasting_zombies(pid: int) -> set[int]:
    """Return children that are zombies now and still half a second later."""
    before = _zombies(pid)
    if before:
        time.sleep(0.5)
        before &= _zombies(pid)
    return before


def _zombies(pid: int) -> set[int]:
    found = set()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for word in file.read().split():
            with contextlib.suppress(OSError), open(f"/proc/{word}/stat", encoding="ascii") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    found.add(int(word))
    return found


def _end(result: Result, processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    for name, process in processes.items():
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            result.problems.append(f"{name} did not end when told to")


def _check(path: str) -> list[str]:
    from core.queue import Queue
    from tests.torture import invariants

    with Queue(path) as queue:
        return [*invariants.of_database(sqlite_of(queue)), *invariants.of_idle_queue(sqlite_of(queue))]
