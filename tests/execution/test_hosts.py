"""Hosts that share a database on a server: leases, fences, and who runs whose jobs again. Two spools act two hosts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.model import Outcome, State
from core.queue import Queue
from core.rules.lease_terms import FENCE_DELAY_S, LeaseTerms
from core.rules.settings import SHORTEST_LEASE_S
from tests.execution.acted_hosts import LEDGER, Host, Proxy, overlaps, runs, socket_of, through, wait_for
from tests.postgres import Databases, postgres_of

pytestmark = pytest.mark.long


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
    monkeypatch.chdir(tmp_path)
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
    found = Proxy(socket_of(address))
    yield found
    found.close()


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


def test_a_host_is_watched_after_a_worker_that_started_nothing_was_killed_as_well(
    queue: Queue, one: Host, other: Host, tmp_path: Path
) -> None:
    """It took the command over, for which it had room, and renewed the lease: the sentinel must not rely on it."""
    job_id = queue.add(LEDGER.format(tenths=130), max_attempts=1)
    worker = one.start("-c", "1")
    wait_for(lambda: len(runs(tmp_path)) == 1)
    (first,) = queue.workers()
    worker.kill()
    worker.wait()
    next_one = one.start("-c", "1")
    wait_for(lambda: [worker.running for worker in queue.workers() if worker.id != first.id] == [1])
    next_one.kill()
    other.start()
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


def _give_up(queue: Queue) -> None:
    """Give the one host up, as another that has waited for its lease does."""
    (host,) = queue.storage.workers.hosts.hosts()  # type: ignore[union-attr]
    renewals = postgres_of(queue).query("SELECT renewals FROM hosts WHERE id = %s", (host.id,))[0][0]
    assert queue.storage.workers.hosts.give_up(host.id, renewals)  # type: ignore[union-attr]


def _held(queue: Queue, held: str) -> dict[str, Any]:
    """Return the options of a job that waits for its lost host: it says so itself, or its queue does."""
    if held == "queue":
        queue.set_on_lost_host("default", "hold")
    return {"on_lost_host": "hold"} if held == "job" else {}


@pytest.mark.parametrize("held", ["job", "queue"])
def test_a_job_that_is_held_waits_for_its_host(
    queue: Queue, one: Host, proxy: Proxy, tmp_path: Path, held: str
) -> None:
    """The command ended while the host was cut off: what came of it is known once the host is back."""
    queue.set("host-lease", "300s")
    one.address = through(queue.path, proxy)
    job_id = queue.add("echo x >>ran; until test -e go; do sleep 0.05; done; touch ended", **_held(queue, held))
    one.start()
    wait_for((tmp_path / "ran").exists)
    proxy.cut()
    (tmp_path / "go").touch()
    wait_for((tmp_path / "ended").exists)
    _give_up(queue)
    assert queue.storage.workers.hosts.abandoned(10) == []  # type: ignore[union-attr]
    assert queue.job(job_id).state is State.RUNNING
    proxy.heal()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
    assert (tmp_path / "ran").read_text() == "x\n"


@pytest.mark.parametrize("held", ["job", "queue"])
def test_a_job_that_is_held_waits_for_a_word(queue: Queue, one: Host, other: Host, tmp_path: Path, held: str) -> None:
    queue.set("host-lease", "300s")
    job_id = queue.add("echo $$ >>ran; until test -e go; do sleep 0.05; done", max_attempts=1, **_held(queue, held))
    worker = one.start()
    wait_for((tmp_path / "ran").exists)
    worker.kill()
    worker.wait()
    _give_up(queue)
    other.start()
    looked = queue.add("true")
    wait_for(lambda: queue.job(looked).state is State.COMPLETED)
    assert queue.job(job_id).state is State.RUNNING
    os.killpg(os.getpgid(int((tmp_path / "ran").read_text())), signal.SIGKILL)
    (host,) = [host for host in queue.storage.workers.hosts.hosts() if not host.is_live]  # type: ignore[union-attr]
    queue.storage.workers.hosts.forget(host.id)  # type: ignore[union-attr]
    (tmp_path / "go").touch()
    wait_for(lambda: queue.job(job_id).state is State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]
