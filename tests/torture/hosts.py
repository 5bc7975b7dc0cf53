"""Three hosts that share a server, each a spool of its own and a way to the server that is cut and healed at random.

Workers are killed, with their keeper or alone, answers of the server are lost, and the server crashes. Jobs keep a
ledger; some run for longer than the lease. Others hash files: their outputs are compared with what the files are.

Where root may make them, each host is in a network namespace of its own, and a cut is a cable that is pulled: what was
sent comes late. Elsewhere each is behind a proxy, and what was sent is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from core.model import NewJob, State, View
from core.queue import Queue
from tests.execution.acted_hosts import Host, Proxy, over_network, socket_of, through
from tests.namespaces import SERVER, Cable, Network, NoNetwork
from tests.postgres import postgres_of
from tests.postgres_server import PostgresServer
from tests.torture.ledger import Ledger
from tests.torture.results import Options, Result

TITLE = "hosts that share a server"
_LEASE_S = 6.0
#: How long jobs sleep, in seconds: the last ones longer than a lease.
_SLEEPS = (0.0, 0.0, 0.1, 0.5, 2.0, 9.0)
#: How long a host is cut off, in seconds: for less than its fence, for more, for longer than its lease.
_CUTS = (0.7, 4.0, 10.0)
#: How long the jobs may need to end after the storm, in seconds.
_END_S = 240.0
Way: TypeAlias = Proxy | Cable
_ATTEMPTS = (
    "SELECT number, outcome, host_id, worker_id, started_at, ended_at, run_ms, error FROM attempts WHERE job_id = %s"
    " ORDER BY number"
)


def run(options: Options) -> Result:
    """Storm for 25 seconds in the short form, for ten minutes in the long one; hash 100 files, or 2,000."""
    result = Result()
    with place_of_hosts() as directory, contextlib.ExitStack() as stack:
        server, hosts, ways = act(stack, directory, 3, result)
        seconds = options.length_s(25.0, 600.0)
        queue = stack.enter_context(Queue(server.url()))
        storm = stack.enter_context(_Storm(server, hosts, ways, options.random(), result))
        ledger = Ledger(str(directory)).create()
        files = _files(directory / "files", options.pick(100, 2000), options.random())
        hashes = _prepare(queue, ledger, files, seconds, options.random())
        storm.run(seconds)
        result.expect(_end(queue, result), "the queue does not come to an end")
        judge(result, queue, ledger, hashes)
    return result


@contextlib.contextmanager
def place_of_hosts() -> Iterator[Path]:
    """Yield a directory for a server and its hosts, removed in the end; this process keeps its spool there, too."""
    with tempfile.TemporaryDirectory(prefix="queuectl-torture-", dir="/tmp") as name:  # short: a socket is in it
        directory = Path(name)
        directory.chmod(0o755)
        os.environ["XDG_STATE_HOME"] = str(directory / "observer")
        yield directory


def act(
    stack: contextlib.ExitStack, directory: Path, count: int, result: Result
) -> tuple[PostgresServer, list[Host], Sequence[Way]]:
    """Return a server that runs, its hosts, and the way of each to it; the result says what they are made of."""
    places = [directory / f"host{number + 1}" for number in range(count)]
    try:
        network = stack.enter_context(Network(directory, count))
    except NoNetwork as error:
        result.numbers["each host"] = f"behind a proxy ({error})"
        server = stack.enter_context(PostgresServer(directory / "server", is_synced=True))
        server.start()
        proxies = [Proxy(socket_of(server.url())) for _ in places]
        return server, [Host(at, through(server.url(), way)) for at, way in zip(places, proxies, strict=True)], proxies
    result.numbers["each host"] = "in a network namespace"
    server = stack.enter_context(
        PostgresServer(directory / "server", is_synced=True, namespace=network.server, address=SERVER)
    )
    server.start()
    address = over_network(server.url(), SERVER)
    hosts = [Host(at, address, cable.enter) for at, cable in zip(places, network.cables, strict=True)]
    return server, hosts, network.cables


class _Storm:
    """Three hosts, and what happens to them."""

    def __init__(
        self,
        server: PostgresServer,
        hosts: Sequence[Host],
        ways: Sequence[Way],
        chance: random.Random,
        result: Result,
    ) -> None:
        self._server = server
        self._hosts = hosts
        self._ways = ways
        self._chance = chance
        self._result = result
        #: When the ways that are cut are healed.
        self._heal_at: dict[Way, float] = {}

    def __enter__(self) -> _Storm:
        return self

    def __exit__(self, *exception: object) -> None:
        for host in self._hosts:
            kill_all(host)
        for way in self._ways:
            way.close()

    def run(self, seconds: float) -> None:
        """Let it storm; afterwards each host has a worker and its way to the server."""
        for host in self._hosts:
            host.start()
        acts = (self._cut, self._cut, self._lose_answers, self._kill_worker, self._kill_all, self._crash)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self._chance.uniform(0.2, 1.5))
            self._heal(time.monotonic())
            self._chance.choice(acts)()
        self._heal(float("inf"))
        for host in self._hosts:
            if host.workers[-1].poll() is not None:
                host.start()

    def _heal(self, now: float) -> None:
        for way, at in list(self._heal_at.items()):
            if now >= at:
                way.heal()
                del self._heal_at[way]

    def _cut(self) -> None:
        self._cut_for(self._chance.choice(_CUTS), answers_only=self._chance.random() < 0.2)
        self._result.count("cuts")

    def _lose_answers(self) -> None:
        self._cut_for(0.1, answers_only=True)
        self._result.count("lost answers")

    def _cut_for(self, seconds: float, *, answers_only: bool) -> None:
        way = self._chance.choice(self._ways)
        if way not in self._heal_at:
            way.cut(answers_only=answers_only)
            self._heal_at[way] = time.monotonic() + seconds

    def _kill_worker(self) -> None:
        host = self._chance.choice(self._hosts)
        host.workers[-1].kill()
        host.workers[-1].wait()
        host.start()
        self._result.count("kills of a worker")

    def _kill_all(self) -> None:
        """Kill the worker and the keeper; what they ran is the sentinel's, or the next worker's."""
        host = self._chance.choice(self._hosts)
        kill_all(host)
        if self._chance.random() < 0.5:
            time.sleep(self._chance.choice((0.5, 4.0)))
        host.start()
        self._result.count("kills of all of a host")

    def _crash(self) -> None:
        self._server.crash()
        time.sleep(self._chance.choice((0.0, 1.0)))
        self._server.start()
        self._result.count("crashes of the server")


def kill_all(host: Host) -> None:
    """Kill the workers and the keeper of a host, not what they run."""
    for pid in _processes_of(host):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    host.close()


def _processes_of(host: Host) -> Iterator[int]:
    """Yield the workers and the keeper of a host, not what they run."""
    mark = f"XDG_STATE_HOME={host.directory}".encode()
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            is_ours = name.isdigit() and b"queuectl_entry" in Path("/proc", name, "cmdline").read_bytes()
            if is_ours and mark in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                yield int(name)


def _files(directory: Path, count: int, chance: random.Random) -> list[Path]:
    directory.mkdir()
    files = [directory / f"{number:05}" for number in range(count)]
    for file in files:
        file.write_bytes(chance.randbytes(chance.randrange(1, 20_000)))
    return files


def _prepare(queue: Queue, ledger: Ledger, files: list[Path], seconds: float, chance: random.Random) -> dict[int, str]:
    """Add the jobs; return the output that each job that hashes a file must have."""
    queue.set("host-lease", f"{_LEASE_S}s")
    queue.set("kill-grace", "1s")
    plain = [NewJob(ledger.job(chance.choice(_SLEEPS)), max_attempts=100) for _ in range(int(seconds * 3))]
    hashing = {f"sha256sum <{file}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    jobs = [*plain, *(NewJob(command, max_attempts=100) for command in hashing)]
    chance.shuffle(jobs)
    ids = queue.enqueue_many(jobs)
    ledger.note(*(f"A {job_id}" for job_id in ids))
    return {
        job_id: f"{hashing[job.command]}  -\n" for job_id, job in zip(ids, jobs, strict=True) if job.command in hashing
    }


def _end(queue: Queue, result: Result) -> bool:
    """Wait until all jobs have completed, and replay those that were interrupted too often; return whether they did."""
    until = time.monotonic() + _END_S
    while time.monotonic() < until:
        counts = queue.counts()
        if counts.of(State.DEAD):
            result.count("dead jobs that were replayed", queue.replay(View((State.DEAD,))).count)
        elif counts.of(State.PENDING) + counts.of(State.RUNNING) == 0:
            return True
        time.sleep(0.2)
    return False


def judge(result: Result, queue: Queue, ledger: Ledger, hashes: dict[int, str]) -> None:
    """Compare what the queue says with what the jobs themselves said."""
    tally = ledger.read()
    outcomes = Counter(dict(postgres_of(queue).query("SELECT outcome, count(*) FROM attempts GROUP BY 1")))
    attempts = dict(postgres_of(queue).query("SELECT job_id, count(*) FROM attempts GROUP BY 1"))
    completed = {row[0] for row in postgres_of(queue).query("SELECT id FROM jobs WHERE state = 'completed'")}
    result.numbers |= {"jobs": len(tally.acknowledged), "attempts": sum(outcomes.values())}
    result.numbers |= {"lost": outcomes["lost"], "interrupted": outcomes["interrupted"], "files": len(hashes)}
    for job_id in sorted(tally.overlapped)[:5]:
        rows = postgres_of(queue).query(_ATTEMPTS, (job_id,))
        result.problems.append(f"job {job_id} ran twice at once; {'; '.join(map(str, rows))}")
    missing = sorted(tally.acknowledged - completed)
    result.expect(not missing, f"{len(missing)} acknowledged jobs have not completed: {missing[:5]}")
    for job_id, started in tally.started.items():
        result.expect(started <= attempts.get(job_id, 0), f"job {job_id} started {started} times, on fewer attempts")
    silent = [job_id for job_id in tally.started if not tally.ended[job_id]]
    result.expect(not silent, f"jobs completed that did not come to their end: {silent[:5]}")
    for job_id, wanted in hashes.items():
        found = queue.output(job_id).read(0, 1000).decode()
        result.expect(found == wanted, f"job {job_id} printed {found!r}, not {wanted!r}")
    result.problems += [f"doctor: {finding}" for finding in queue.doctor() if finding.level == "error"]
