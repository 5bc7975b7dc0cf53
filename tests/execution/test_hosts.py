"""Hosts that share a database on a server: leases, fences, and who runs whose jobs again. Two spools act two hosts."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from core.model import Outcome, State
from core.queue import Queue
from core.rules.lease import FENCE_DELAY_S, LeaseTerms
from core.rules.settings import SHORTEST_LEASE_S
from tests.postgres import Databases

#: How long a test waits for a fact at the most, in seconds.
PATIENCE_S = 180.0
#: A command that writes when it runs, ten times a second, into a file of its own run.
LEDGER = "exec 3>>$LEDGER/$$; for i in $(seq {tenths}); do cut -d' ' -f1 /proc/uptime >&3; sleep 0.1; done"


def wait_for(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


class Proxy:
    """A TCP port of this machine in front of the server's socket; ``cut`` loses all that is sent, without a word."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._is_cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                self._start(self._copy, one, other)

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                if not self._is_cut.is_set():
                    other.sendall(data)
        except OSError:
            pass
        finally:
            if not self._is_cut.is_set():
                with contextlib.suppress(OSError):
                    other.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut(self) -> None:
        self._is_cut.set()

    def heal(self) -> None:
        """Let new connections through; those that lost something break."""
        self._is_cut.clear()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # closing alone ends no read that another thread waits in
        self._open.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.heal()
        for thread in self._threads:
            thread.join()


class Host:
    """A host that is acted by a spool of its own; its workers are processes."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "queuectl_entry", "--db", self.address, "worker", "-c", "4", *options]
        environment = {**os.environ, "XDG_STATE_HOME": str(self.directory)}
        with open(f"{self.directory}.log", "ab") as log:  # what they said is there when a test fails
            worker = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def spool_files(self, name: str) -> list[Path]:
        return list(self.directory.glob(f"queuectl/*/{name}"))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def address(databases: Databases) -> Iterator[str]:
    made = databases.new()
    yield made
    databases.drop(made)


@pytest.fixture
def queue(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """The queue as a third host sees it, with the shortest lease there is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "third"))
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    monkeypatch.setenv("LEDGER", str(ledger))
    with Queue(address) as opened:
        opened.set("host-lease", "6s")
        opened.set("kill-grace", "1s")
        yield opened


@pytest.fixture
def one(address: str, tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "one", address)
    yield host
    host.close()


@pytest.fixture
def other(address: str, tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "other", address)
    yield host
    host.close()


@pytest.fixture
def proxy(address: str) -> Iterator[Proxy]:
    directory = parse_qs(urlsplit(address).query)["host"][0]
    found = Proxy(f"{directory}/.s.PGSQL.5432")
    yield found
    found.close()


def through(address: str, proxy: Proxy) -> str:
    """Return the address of the same database by way of the proxy."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}", query="sslmode=disable"))


def runs(tmp_path: Path) -> list[list[float]]:
    """Return when each run of the ledger's command ran, in seconds since the boot, by its beginning."""
    found = [
        [float(line) for line in path.read_text().split()] for path in (tmp_path / "ledger").iterdir() if path.is_file()
    ]
    return sorted(times for times in found if times)


def overlaps(found: list[list[float]]) -> bool:
    return any(later[0] <= earlier[-1] for earlier, later in itertools.pairwise(found))


def assert_ran_again(queue: Queue, job_id: int, tmp_path: Path) -> None:
    """It was lost, then ran to its end at the cost of one attempt, never twice at once.

    On a machine so busy that a host cannot renew its lease in time its fence may have acted as well.
    """
    outcomes = [attempt.outcome for attempt in queue.attempts(job_id)]
    assert outcomes[-1] is Outcome.SUCCEEDED
    assert set(outcomes[:-1]) <= {Outcome.LOST, Outcome.INTERRUPTED}
    assert Outcome.LOST in outcomes
    assert queue.job(job_id).attempts == 1
    found = runs(tmp_path)
    assert len(found) >= 2
    assert not overlaps(found), found


@pytest.mark.parametrize("lease_s", [SHORTEST_LEASE_S, 10, 30, 60, 300, 86400])
def test_no_command_outlives_its_lease(lease_s: float) -> None:
    """The proof's one inequality, for clocks that run one percent apart."""
    terms = LeaseTerms(lease_s)
    assert (terms.fence_s + FENCE_DELAY_S) * 1.02 < lease_s
    assert terms.renew_s * 2 < terms.start_s < terms.fence_s
    assert terms.start_s <= terms.fence_s - 0.5
    assert 0 < terms.stop_s(5.0) < terms.fence_s


def test_a_host_whose_workers_are_all_killed_is_given_up(queue: Queue, one: Host, other: Host, tmp_path: Path) -> None:
    """Its sentinel ends the command before another host starts it again; no attempt is spent."""
    job_id = queue.add(LEDGER.format(tenths=110), max_attempts=1)
    worker = one.start()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    other.start()
    worker.kill()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert_ran_again(queue, job_id, tmp_path)


def test_a_host_that_is_cut_off_ends_its_commands(
    queue: Queue, one: Host, other: Host, proxy: Proxy, tmp_path: Path
) -> None:
    """Its fence needs no server; what it reports after it is back is not believed."""
    one.address = through(queue.path, proxy)
    job_id = queue.add(LEDGER.format(tenths=110), max_attempts=1)
    one.start()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    other.start()
    wait_for(lambda: len(queue.workers()) == 2)
    proxy.cut()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    proxy.heal()
    assert_ran_again(queue, job_id, tmp_path)
    wait_for(lambda: len([host for host in queue.storage.workers.hosts.hosts() if host.is_live]) == 2)  # type: ignore[union-attr]
    again = queue.add("true")
    wait_for(lambda: queue.job(again).state is State.COMPLETED)


def test_a_short_cut_changes_nothing(queue: Queue, one: Host, other: Host, proxy: Proxy, tmp_path: Path) -> None:
    queue.set("host-lease", "60s")
    one.address = through(queue.path, proxy)
    job_id = queue.add(LEDGER.format(tenths=40), max_attempts=1)
    one.start()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    proxy.cut()
    time.sleep(1)
    proxy.heal()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
    assert len(runs(tmp_path)) == 1


def test_a_worker_that_is_killed_is_followed_by_another_of_its_host(queue: Queue, one: Host, tmp_path: Path) -> None:
    job_id = queue.add(LEDGER.format(tenths=40))
    worker = one.start()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    worker.kill()
    one.start()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
    assert len(runs(tmp_path)) == 1


def test_the_keeper_follows_the_only_worker(queue: Queue, one: Host, tmp_path: Path) -> None:
    """It adopts a command that had run for a while, renews the lease meanwhile, and records the end."""
    job_id = queue.add(LEDGER.format(tenths=140))
    worker = one.start()
    wait_for(lambda: any(worker.slots == 0 for worker in queue.workers()))
    worker.kill()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
    assert len(runs(tmp_path)) == 1
    (keeper,) = [worker for worker in queue.workers() if worker.slots == 0]
    os.kill(keeper.pid, signal.SIGTERM)
    wait_for(lambda: not queue.workers() or not queue.workers()[-1].is_alive)


def test_a_host_is_forgotten_by_hand(queue: Queue, one: Host, other: Host, tmp_path: Path) -> None:
    """For a lease that is long, and a host that is gone for good."""
    queue.set("host-lease", "300s")
    job_id = queue.add(LEDGER.format(tenths=5))
    queue.pause()
    queue.resume()
    worker = one.start()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    worker.kill()
    (host,) = queue.storage.workers.hosts.hosts()  # type: ignore[union-attr]
    queue.storage.workers.hosts.forget(host.id)  # type: ignore[union-attr]
    other.start()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert queue.job(job_id).attempts == 1
