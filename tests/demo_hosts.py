"""``make demo-hosts``: a PostgreSQL server, three workers that act as three hosts, and the dashboard, on one machine.

All of it is thrown away at the end. A host is known by its spool, so each worker has a directory of its own for that.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core.queue import Queue
from queuectl_tui.demo import Demo
from tests.postgres_server import PostgresServer
from tests.processes import wait_for

HOSTS = ("ada", "grace", "edsger")
#: How long a host may be silent before the others run its jobs: short, so that there is something to see.
LEASE = "30s"
#: How long a worker may need to end, in seconds.
END_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until the dashboard is left; return its exit code."""
    parser = argparse.ArgumentParser(prog="demo-hosts", description=__doc__)
    parser.add_argument("-c", "--concurrency", type=int, default=2, metavar="N", help="jobs at once on each host")
    parser.add_argument("dashboard", nargs="*", help="options of queuectl-tui, after --")
    given = parser.parse_args(arguments)
    for number in (signal.SIGHUP, signal.SIGTERM):  # a closed terminal, too, leaves nothing behind
        signal.signal(number, lambda number, frame: sys.exit(128 + number))

    def look(address: str) -> int:
        return subprocess.call(
            [sys.executable, "-m", "queuectl_tui", "--no-worker", *given.dashboard],
            env={**os.environ, "QUEUECTL_DB": address},
        )

    return run(look, slots=given.concurrency)


def run(look: Callable[[str], int], *, slots: int = 2) -> int:
    """Return what ``look(address)`` returns, called while three hosts run the jobs of a queue at that address."""
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="queuectl-demo-", dir="/tmp"))  # short: a socket is in it
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)
        server = stack.enter_context(PostgresServer(directory / "server", is_synced=True))
        server.start()
        stack.enter_context(_own_spool(directory / "dashboard"))
        queue = stack.enter_context(Queue(server.url()))
        queue.set("host-lease", LEASE)
        demo = Demo()
        stack.callback(demo.close)
        demo.make()
        demo.start(queue)
        workers: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, workers, directory)
        for name in HOSTS:  # one by one: each that was started is ended
            worker = _start_host(name, directory / name, server.url(), slots)
            workers.append(worker)
        return look(server.url())


@contextlib.contextmanager
def _own_spool(directory: Path) -> Iterator[None]:
    """Have this process, and what it starts, act as a host of its own."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(directory)
    try:
        yield
    finally:
        del os.environ["XDG_STATE_HOME"]
        if before is not None:
            os.environ["XDG_STATE_HOME"] = before


def _start_host(name: str, directory: Path, address: str, slots: int) -> subprocess.Popen[bytes]:
    """Start a worker that is a host of its own, also by name where root may give one."""
    directory.mkdir()
    words = [sys.executable, "-m", "core", "worker", "--concurrency", str(slots), "--on-stop", "kill"]
    if os.geteuid() == 0 and shutil.which("unshare"):
        words = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', name, *words]
    with open(directory / "log", "wb") as log:
        return subprocess.Popen(
            words,
            env={**os.environ, "XDG_STATE_HOME": str(directory), "QUEUECTL_DB": address},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _end(workers: Sequence[subprocess.Popen[bytes]], directory: Path) -> None:
    """Stop the workers with all that they run, and the keepers of their hosts."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(END_S)
    for pid in _processes_of(directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for worker in workers:
        worker.wait()
    wait_for(lambda: not _processes_of(directory), "the end of all that acted for a host")


def _processes_of(directory: Path) -> list[int]:
    """Return the processes but this one whose spool is in a directory; none where the system cannot say."""
    mark = os.fsencode(f"XDG_STATE_HOME={directory}/")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(term.startswith(mark) for term in (entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


if __name__ == "__main__":
    sys.exit(main())
