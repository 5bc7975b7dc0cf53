"""The main job on real input: 2,000 files of the Python installation, hashed by three hosts that share a server.

Meanwhile one host is cut off for longer than its lease and healed, a worker is killed, and the server crashes. The
files of some jobs are not there at first: these die, and are replayed by key, once mended, in a dashboard on a fourth
host. No job may run twice at once; in the end each output is what ``sha256sum`` says of the file.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.model import NewJob, State
from core.queue import Queue
from tests.execution.acted_hosts import Host
from tests.postgres import postgres_of
from tests.postgres_server import PostgresServer
from tests.torture.hosts import Way, act, judge, kill_all, place_of_hosts
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result
from tests.tui.pty_program import PtyProgram
from tests.tui.pty_screen import PtyScreen

TITLE = "files hashed by three hosts"
_LEASE_S = 6.0
#: How long jobs sleep before they hash, in seconds, and how often.
_SLEEPS = {0.0: 50, 0.2: 30, 0.5: 15, 2.0: 5}
#: The first ones sleep for longer than a lease: as many as the first host, which starts alone, has slots.
_LONG_S, _LONG = 16.0, 4
#: The share of the jobs whose file is not there at first.
_DYING = 0.02
#: How long any step may need, in seconds.
_PATIENCE_S = 300.0
_COLUMNS, _ROWS = 160, 45


class _TooLong(Exception):
    """Something did not come to pass; the message says what."""


def run(options: Options) -> Result:
    """Hash 200 files in the short form, 2,000 in the long one."""
    result = Result()
    with place_of_hosts() as directory, contextlib.ExitStack() as stack:
        server, hosts, ways = act(stack, directory, 4, result)
        for way in ways:
            stack.callback(way.close)
        queue = stack.enter_context(Queue(server.url()))
        ledger = Ledger(str(directory)).create()
        files = _files(options.pick(200, 2000), options.random())
        later = directory / "later"
        wanted = _enqueue(queue, ledger, files, later, options.random())
        for host in hosts[:3]:
            stack.callback(kill_all, host)
        dashboard = stack.enter_context(_Dashboard(hosts[3]))
        day = _Day(queue, server, dashboard, result)
        try:
            day.disturb(len(wanted), hosts[:3], ways[0])
            day.replay(len(wanted), files[: _dying(files)], later)
            day.see_hosts()
        except _TooLong as error:
            result.problems += [str(error), *filter(None, dashboard.text().splitlines())]
        judge(result, queue, ledger, wanted)
    return result


def _files(count: int, chance: random.Random) -> list[Path]:
    """Return files of the Python installation."""
    found = sorted(
        path
        for place in ("stdlib", "purelib")
        for path in Path(sysconfig.get_path(place)).rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts  # others may write these
    )
    return chance.sample(found, min(count, len(found)))


def _dying(files: Sequence[Path]) -> int:
    """Return how many of the files, the first ones, are not there at first."""
    return max(1, round(len(files) * _DYING))


def _digests(files: Sequence[Path]) -> Mapping[Path, str]:
    """Return what ``sha256sum`` says of each file."""
    done = subprocess.run(["sha256sum", "-z", "--", *map(str, files)], check=True, capture_output=True, text=True)
    return {Path(line[66:]): line[:64] for line in done.stdout.split("\0") if line}


def _enqueue(queue: Queue, ledger: Ledger, files: Sequence[Path], later: Path, chance: random.Random) -> dict[int, str]:
    """Add a job for each file; return what each is to print."""
    queue.set("host-lease", f"{_LEASE_S}s")
    queue.set("kill-grace", "1s")
    digests = _digests(files)
    jobs = []
    for number, file in enumerate(files):
        if number < _dying(files):
            jobs.append(NewJob(ledger.job(hashed=str(later / str(number))), max_attempts=1))
        elif number < _dying(files) + _LONG:
            jobs.append(NewJob(ledger.job(_LONG_S, hashed=str(file)), max_attempts=100, priority=1))
        else:
            (sleep_s,) = chance.choices(list(_SLEEPS), list(_SLEEPS.values()))
            jobs.append(NewJob(ledger.job(sleep_s, hashed=str(file)), max_attempts=100))
    order = chance.sample(range(len(jobs)), len(jobs))
    ids = queue.enqueue_many([jobs[number] for number in order])
    ledger.note(*(f"A {job_id}" for job_id in ids))
    return {job_id: f"{digests[files[number]]}  -\n" for job_id, number in zip(ids, order, strict=True)}


class _Day:
    """What happens while the files are hashed, each step once a part of them is."""

    def __init__(self, queue: Queue, server: PostgresServer, dashboard: _Dashboard, result: Result) -> None:
        self._queue = queue
        self._server = server
        self._dashboard = dashboard
        self._result = result

    def disturb(self, count: int, hosts: Sequence[Host], way: Way) -> None:
        """Cut the first host off for longer than its lease, kill the second's worker, crash the server."""
        hosts[0].start()
        self.wait(lambda: self._runs_long(hosts[0]) == _LONG, "the first host runs the long jobs")
        for host in hosts[1:]:
            host.start()
        self.wait(lambda: self._count(State.COMPLETED) >= count * 0.01, "the others are at work")
        way.cut()
        cut_at = time.monotonic()
        self.wait(lambda: bool(self._hosts("given_up")), "the host that is cut off is given up")
        self.wait(lambda: self._count(State.COMPLETED) >= count * 0.1, "a tenth has completed")
        hosts[1].workers[-1].kill()
        hosts[1].workers[-1].wait()
        hosts[1].start()
        self.wait(lambda: self._is_there(hosts[1]), "the second host's new worker is there")
        self.wait(lambda: self._count(State.COMPLETED) >= count * 0.2, "a fifth has completed")
        self._server.crash()
        self._server.start()
        self.wait(lambda: time.monotonic() > cut_at + 1.5 * _LEASE_S, "the lease is over")
        way.heal()
        self._result.numbers["cut off for, s"] = round(time.monotonic() - cut_at)
        self.wait(lambda: len(self._hosts("live")) == 3, "the host is back")

    def replay(self, count: int, files: Sequence[Path], later: Path) -> None:
        """Once all else is done give the dead what they miss, and replay them by key."""
        self.wait(lambda: self._count(State.PENDING) + self._count(State.RUNNING) == 0, "all jobs have ended")
        dead = self._count(State.DEAD)
        self._result.numbers["dead before they were mended"] = dead
        self._result.expect(dead >= len(files), f"{dead} jobs are dead, not the {len(files)} whose file is missing")
        self.see("Completed", count - dead)
        self.see("DLQ", dead)
        later.mkdir()
        for number, file in enumerate(files):
            shutil.copyfile(file, later / str(number))
        self._dashboard.press(b"4R")
        self._dashboard.press(b"y")
        self.wait(lambda: self._count(State.COMPLETED) == count, "all jobs have completed")
        self.see("Completed", count)

    def see(self, title: str, number: int) -> None:
        """Wait until the dashboard shows a number in the title of a pane."""
        shown = re.compile(rf"{title}\D{{0,9}}{number:,}\b")
        self.wait(lambda: bool(shown.search(self._dashboard.text())), f"the dashboard shows {title} {number}")

    def see_hosts(self) -> None:
        """Wait until the dashboard shows the workers of all hosts."""
        names = self._hosts("live")
        self._result.numbers["hosts at the end"] = len(names)
        self._dashboard.press(b"8")
        self._result.expect(len(names) == 3, f"the hosts at the end are {names}")
        self.wait(lambda: all(name in self._dashboard.text() for name in names), f"the dashboard shows {names}")

    def wait(self, fact: Callable[[], bool], what: str) -> None:
        """Wait for a fact, and read what the dashboard draws meanwhile; raise ``_TooLong`` if it does not come."""
        until = time.monotonic() + _PATIENCE_S
        while not fact():
            if time.monotonic() > until:
                raise _TooLong(f"not so after {_PATIENCE_S:g} s: {what}")
            self._dashboard.read(0.1)

    def _runs_long(self, host: Host) -> int:
        statement = (
            "SELECT count(*) FROM running JOIN workers ON workers.id = worker_id WHERE pid = %s AND priority = 1"
        )
        return int(postgres_of(self._queue).query(statement, (host.workers[-1].pid,))[0][0])

    def _is_there(self, host: Host) -> bool:
        return any(worker.pid == host.workers[-1].pid for worker in self._queue.workers())

    def _count(self, state: State) -> int:
        return self._queue.counts().of(state)

    def _hosts(self, state: str) -> list[str]:
        return [name for (name,) in postgres_of(self._queue).query("SELECT name FROM hosts WHERE state = %s", (state,))]


class _Dashboard:
    """The dashboard in a terminal on a host of its own, which runs no jobs."""

    def __init__(self, host: Host) -> None:
        variables = {"QUEUECTL_DB": host.address, "XDG_CONFIG_HOME": str(host.directory / "config")}
        self._program = PtyProgram(
            host.command("queuectl_tui", "--no-worker"),
            columns=_COLUMNS,
            rows=_ROWS,
            env={**host.environment, **variables},
        )
        self._screen = PtyScreen(columns=_COLUMNS, rows=_ROWS)

    def __enter__(self) -> _Dashboard:
        return self

    def __exit__(self, *exception: object) -> None:
        self._program.__exit__(*exception)

    def read(self, seconds: float) -> None:
        """Read what it draws within this time."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self._screen.feed(self._program.read(left_s))

    def press(self, keys: bytes) -> None:
        """Press keys, one after the other, as a person does."""
        for key in keys:
            self._program.press(bytes([key]))
            self.read(1.0)

    def text(self) -> str:
        """Return what it shows."""
        return self._screen.text()
