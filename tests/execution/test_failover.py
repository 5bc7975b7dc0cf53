"""A failover of the server to a standby that lacks the last transactions: what it lost must not run twice at once."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import since_boot_s
from core.model import Outcome, State
from core.queue import Queue
from tests.execution.acted_hosts import LEDGER, Host, Proxy, overlaps, runs, socket_of, through, wait_for
from tests.postgres_server import GIVEN, PostgresServer
from tests.processes import is_alive

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(GIVEN), reason="it makes a standby of a server of its own")]


class Cluster:
    """A server, the standby that takes its place, and proxies before them: each is a way from one host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._primary = PostgresServer(directory / "primary")
        self._primary.start()
        self._standby: PostgresServer | None = None
        self._current = self._primary
        self._ways: list[Proxy] = []

    def way(self) -> tuple[str, Proxy]:
        """Return the address of the database over a proxy of its own, and the proxy."""
        proxy = Proxy(socket_of(self._current.url()))
        self._ways.append(proxy)
        return through(self._current.url(), proxy), proxy

    def copy(self) -> None:
        """Make the standby: it knows what was committed by now, and nothing later."""
        self._standby = PostgresServer(self._directory / "standby", standby_of=self._primary)

    def fail_over(self, *but: Proxy) -> float:
        """Crash the server and promote the standby; return when, in seconds since the boot.

        All ways lead to it then, ``but`` those.
        """
        assert self._standby is not None
        for proxy in but:
            proxy.cut()
        self._primary.crash()
        failed_s = since_boot_s()
        self._standby.start()
        self._standby.promote()
        self._current = self._standby
        for proxy in self._ways:
            proxy.target = socket_of(self._standby.url())
            if proxy not in but:
                proxy.heal()
        return failed_s

    def close(self) -> None:
        for proxy in self._ways:
            proxy.close()
        for server in (self._standby, self._primary):
            if server is not None:
                server.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    directory = Path(f"/tmp/queuectl-test-failover-{next(_numbers)}")  # a socket's path is short, and open to "nobody"
    directory.mkdir(mode=0o755)
    made = Cluster(directory)
    yield made
    made.close()
    shutil.rmtree(directory)


_numbers = (f"{since_boot_s():.3f}-{number}" for number in itertools.count())


@pytest.fixture
def queue(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """The queue as a third host sees it, with the shortest lease there is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "third"))
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    monkeypatch.chdir(tmp_path)
    with Queue(cluster.way()[0]) as opened:
        opened.set("host-lease", "6s")
        yield opened


@pytest.fixture
def one(tmp_path: Path, cluster: Cluster) -> Iterator[Host]:
    host = Host(tmp_path / "one", "")
    yield host
    host.close()


@pytest.fixture
def other(tmp_path: Path, cluster: Cluster) -> Iterator[Host]:
    host = Host(tmp_path / "other", "")
    yield host
    host.close()


def test_nothing_is_claimed_until_lost_claims_have_run_out(
    cluster: Cluster, queue: Queue, one: Host, other: Host, tmp_path: Path
) -> None:
    """The standby does not know that the job was claimed; the host that runs it cannot be reached."""
    one.address, way = cluster.way()
    queue.pause()
    job_id = queue.add(LEDGER.format(tenths=110), max_attempts=1)
    one.start()
    wait_for(lambda: len(queue.workers()) == 1)
    cluster.copy()
    queue.resume()
    wait_for(lambda: len(runs(tmp_path)) == 1)
    failed_s = cluster.fail_over(way)
    queue.resume()
    other.address, _ = cluster.way()
    other.start()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    found = runs(tmp_path)
    assert len(found) == 2
    assert not overlaps(found)
    assert found[1][0] >= failed_s + 6
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]


def test_what_a_failover_lost_is_made_good_by_the_host_that_did_it(
    cluster: Cluster, queue: Queue, one: Host, tmp_path: Path
) -> None:
    """A command whose start is not known is killed, a result that is not known is recorded again, and work goes on."""
    queue.set("host-lease", "30s")
    one.address, _ = cluster.way()
    ended = queue.add("echo $$ > ended; until test -e go; do sleep 0.05; done")
    one.start()
    wait_for((tmp_path / "ended").exists)
    queue.pause()
    lost = queue.add(f"echo $$ >lost; {LEDGER.format(tenths=600)}")
    cluster.copy()
    (tmp_path / "go").touch()
    wait_for(lambda: queue.job(ended).state is State.COMPLETED)
    queue.resume()
    wait_for((tmp_path / "lost").exists)
    pid = int((tmp_path / "lost").read_text())
    cluster.fail_over()
    assert queue.job(ended).state is State.RUNNING
    wait_for(lambda: queue.job(ended).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(ended)] == [Outcome.SUCCEEDED]
    wait_for(lambda: not is_alive(pid))
    assert len(runs(tmp_path)[0]) < 600
    assert queue.job(lost).state is State.PENDING
    assert queue.attempts(lost) == []
