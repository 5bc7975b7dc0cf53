"""A host's lives and its fence, in one process: who ends what, and as what that counts."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from core.clock import since_boot_s
from core.errors import DatabaseError, QueueError
from core.execution.events import HostGivenUp, WorkerEvent
from core.execution.host_keeping import HostKeeping
from core.execution.lease import Fence, Lease, Renewal
from core.execution.recovery import strike_dead_workers
from core.execution.run_file import HEADING
from core.execution.sentinel import SentinelPipe
from core.model import Outcome, State
from core.queue import Queue
from core.rules.lease_terms import LeaseTerms
from core.storage.postgres.hosts import Hosts
from core.storage.values import HostLook, HostSeen
from tests.execution.at_work import UNTIL_GO, drain, output, wait_for_state, working
from tests.fakes import FakeClock
from tests.postgres import postgres_of
from tests.processes import group_of, is_alive, python, start_python, wait_for

pytestmark = pytest.mark.long

ENGINES = ("postgres",)

#: A command that a TERM ends, as if all were well.
_UNTIL_TERM = "trap 'touch asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
#: A command that no TERM ends.
_FOR_EVER = "trap 'touch asked' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(autouse=True)
def short_lease(queue: Queue) -> None:
    """Let the host's lease be the shortest there is."""
    queue.set("host-lease", "6s")


def _hosts(queue: Queue) -> Hosts:
    found = postgres_of(queue).workers.hosts
    assert isinstance(found, Hosts)
    return found


def _lives(queue: Queue, table: str) -> list[str]:
    """Return the states of the lives in which the rows of a table were written."""
    return [
        row[0]
        for row in postgres_of(queue).query(f"SELECT h.state FROM {table} AS t JOIN hosts AS h ON h.id = t.host_id")
    ]


def _no_answer(self: Hosts, life_id: int) -> bool:
    raise DatabaseError("no answer")


def _ignore(event: WorkerEvent) -> None:
    pass


def test_a_worker_of_a_host_that_came_back_claims_in_its_new_life(queue: Queue) -> None:
    """In the old one all that it claims would count as lost, and be started elsewhere beside it."""
    with working(queue) as (_, told):
        (life,) = _hosts(queue).hosts()
        _hosts(queue).forget(life.id)
        told.wait_for(HostGivenUp)
        job_id = queue.add(UNTIL_GO)
        wait_for_state(queue, job_id, State.RUNNING)
        assert _lives(queue, "running") == ["live"]
        assert _lives(queue, "workers") == ["live"]
        Path("go").touch()
        wait_for_state(queue, job_id, State.COMPLETED)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]


def test_a_worker_that_others_have_struck_from_the_register_works_on(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They did when its host was given up: nothing of it was running any more."""
    with working(queue) as (worker, told):
        (life,) = _hosts(queue).hosts()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
        with Queue(queue.path) as elsewhere:
            with monkeypatch.context() as patch:
                patch.setattr(Hosts, "renew", _no_answer)
                _hosts(queue).forget(life.id)
                assert strike_dead_workers(elsewhere.storage, 0) == 1
            told.wait_for(HostGivenUp)
            assert strike_dead_workers(elsewhere.storage, 0) == 0
        job_id = queue.add("true")
        wait_for_state(queue, job_id, State.COMPLETED)
        assert [found.id for found in queue.workers()] == [worker.id]


def test_commands_of_the_old_life_are_ended_before_the_new_one_begins(queue: Queue) -> None:
    """Others may start them again by now; it costs no attempt, whoever is the first to record it."""
    job_id = queue.add(_FOR_EVER, max_attempts=1)
    with working(queue) as (_, told):
        wait_for(lambda: queue.job(job_id).state is State.RUNNING and output(queue, job_id) == b"ready\n")
        (life,) = _hosts(queue).hosts()
        _hosts(queue).forget(life.id)
        told.wait_for(HostGivenUp)
        wait_for(lambda: len(queue.attempts(job_id)) > 1)
        assert queue.attempts(job_id)[0].outcome in (Outcome.LOST, Outcome.INTERRUPTED)
        assert queue.job(job_id).attempts <= 1


def test_who_notices_last_that_its_host_came_back_ends_nothing_of_the_new_life(queue: Queue) -> None:
    """One process of a host ends what is left of the old life, before anything of the new one is started."""
    with Queue(queue.path) as second, working(queue) as (_, told):
        late = HostKeeping(second.storage, lambda: 0.3, _ignore)
        late.join(second.settings())
        (life,) = _hosts(queue).hosts()
        _hosts(queue).forget(life.id)
        told.wait_for(HostGivenUp)
        job_id = queue.add(UNTIL_GO, max_attempts=1)
        wait_for_state(queue, job_id, State.RUNNING)
        wait_for(lambda: second.storage.clock.monotonic_s() >= late.next_look_s)
        while late.life_id == life.id:
            late.keep(second.settings())
        Path("go").touch()
        wait_for(lambda: queue.job(job_id).state is not State.RUNNING)
        assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
        late.leave()


def test_a_claim_of_the_old_life_is_not_started_in_the_new_one(queue: Queue) -> None:
    """The lease that another process of the host has renewed is not one for what this one had claimed before."""
    with Queue(queue.path) as second:
        early, late = (HostKeeping(opened.storage, lambda: 0.3, _ignore) for opened in (queue, second))
        early.join(queue.settings())
        late.join(second.settings())
        with late.starting() as may_start:
            assert may_start
        (life,) = _hosts(queue).hosts()
        _hosts(queue).forget(life.id)
        while early.life_id == life.id:
            early.keep(queue.settings())
        with early.starting() as may_start:
            assert may_start
        with late.starting() as may_start:
            assert not may_start
        early.leave()
        late.leave()


def test_a_host_renews_its_lease_once_for_all_its_workers(queue: Queue) -> None:
    """The second one sees that the first one has."""
    queue.set("host-lease", "300s")
    with Queue(queue.path) as second:
        keepings = [HostKeeping(opened.storage, lambda: 0.3, _ignore) for opened in (queue, second)]
        for keeping in keepings:
            keeping.join(queue.settings())
        assert postgres_of(queue).query("SELECT renewals FROM hosts") == [(1,)]
        for keeping in keepings:
            keeping.leave()


@pytest.mark.parametrize("command", [_UNTIL_TERM, _FOR_EVER], ids=["ends well", "does not end"])
def test_what_the_fence_has_asked_to_stop_is_interrupted_though_the_lease_is_renewed(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The server comes back between TERM and KILL: the command has stopped its work, and no attempt is spent for it."""
    queue.set("kill-grace", "2s")
    job_id = queue.add(command, max_attempts=1)
    renew = Hosts.renew
    pid = 0

    def has_fenced() -> bool:
        return Path("asked").exists() or not is_alive(pid)

    def away(self: Hosts, life_id: int) -> bool:
        if pid and not has_fenced():
            raise QueueError("no server")
        return renew(self, life_id)

    monkeypatch.setattr(Hosts, "renew", away)
    with working(queue):
        wait_for(lambda: queue.job(job_id).state is State.RUNNING and output(queue, job_id) == b"ready\n")
        pid = group_of(queue, job_id)
        wait_for(has_fenced)
        first = wait_for(lambda: [one for one in queue.attempts(job_id) if one.outcome is not None])[0]
        assert first.outcome is Outcome.INTERRUPTED
        assert _lives(queue, "workers") == ["live"]


def test_what_the_fence_of_another_process_has_stopped_is_interrupted(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper, say, was the first to look: the worker that owns the command finds it ended by a TERM."""
    job_id = queue.add("echo ready; while :; do sleep 0.05; done", max_attempts=1)
    monkeypatch.setattr(Fence, "look", lambda self: None)
    with working(queue):
        wait_for(lambda: queue.job(job_id).state is State.RUNNING and output(queue, job_id) == b"ready\n")
        pid = group_of(queue, job_id)
        spool = queue.storage.spool
        last = Lease(spool).last()
        assert last is not None
        monkeypatch.setattr(Lease, "last", lambda self: last._replace(sent_s=last.sent_s - last.terms.fence_s))
        os.killpg(pid, signal.SIGTERM)
        first = wait_for(lambda: [one for one in queue.attempts(job_id) if one.outcome is not None])[0]
        assert first.outcome is Outcome.INTERRUPTED


@pytest.mark.parametrize("point", ["RunningAttempts.open", "start"])
def test_a_worker_that_is_killed_after_its_claim_has_started_nothing(queue: Queue, point: str) -> None:
    """Before it has made the run file, or after: the job runs with its attempts whole, as soon as there is a worker."""
    program = f"""
import os, signal, sys
from core import Queue, Worker
from core.execution import running_attempts
running_attempts.{point} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
Worker(Queue(sys.argv[1])).run()
"""
    job_id = queue.add("echo ran", max_attempts=1)
    with start_python(program, queue.path) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert queue.job(job_id).state is State.RUNNING
    drain(queue)
    assert (queue.job(job_id).state, output(queue, job_id)) == (State.COMPLETED, b"ran\n")
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


_IN_THE_GATE = """
import os, signal, sys
from core.execution.lease import Gate
from core.spool import Spool

with Gate(Spool(sys.argv[1])).starting():
    print("in", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_that_is_stopped_in_a_start_is_killed_at_the_fence(queue: Queue) -> None:
    """When it went on it would start a command that others run again by then."""
    spool = queue.storage.spool
    with python(_IN_THE_GATE, spool.root) as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "in\n"
        lease = Lease(spool)
        lease.renewed(Renewal(since_boot_s() - 100, 1, LeaseTerms(6.0)))
        Fence(spool, lease, lambda: 1.0, set()).look()
        assert stopped.wait(60) == -signal.SIGKILL


class _SlowLooks:
    """Looks at one other host, whose answers come ``answer_s`` late and say ``renewals``; what is given up for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, other: HostSeen) -> None:
        self.answer_s = 0.0
        self.renewals = other.renewals
        self.given_up: list[int] = []

        def look(hosts: Hosts, life_id: int) -> HostLook:
            clock.advance(self.answer_s)
            return HostLook([other._replace(renewals=self.renewals)], "a server")

        monkeypatch.setattr(Hosts, "look", look)
        monkeypatch.setattr(Hosts, "renew", lambda hosts, life_id: True)
        monkeypatch.setattr(Hosts, "give_up", lambda hosts, host_id, renewals: self.given_up.append(renewals))


def test_a_host_is_not_given_up_for_an_answer_that_came_late(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counter may have moved just before the answer: its lease runs from there, not from the question."""
    clock = FakeClock()
    with Queue(queue.path, clock=clock) as watching:
        keeping = HostKeeping(watching.storage, lambda: 0.3, _ignore)
        keeping.join(watching.settings())
        slow = _SlowLooks(monkeypatch, clock, HostSeen(4711, "elsewhere", 1, 6.0, False))

        def keep_after(seconds: float) -> None:
            clock.advance(seconds)
            keeping.keep(watching.settings())

        keep_after(0.5)
        for number in range(2, 5):  # the network is cut for 4 s, and the counter moves while it is
            slow.answer_s, slow.renewals = 4.0, number
            keep_after(1.0)
        slow.answer_s = 0.0
        for _ in range(11):
            keep_after(0.5)
        assert slow.given_up == []
        keep_after(0.5)
        assert slow.given_up == [4]
        keeping.leave()


def test_the_sentinel_waits_for_a_shim_that_has_not_said_its_pid(queue: Queue, tmp_path: Path) -> None:
    """The worker that started it was killed at once, with all others: nobody else would end its command."""
    spool = queue.storage.spool
    Lease(spool).renewed(Renewal(since_boot_s(), 1, LeaseTerms(6.0)))
    run_file = Path(spool.run_file(1))
    run_file.write_text(f"{HEADING}1\n")
    pipe = SentinelPipe(spool)
    pipe.hold()
    pipe.close()
    late = f"exec 9>>{shlex.quote(str(run_file))}; sleep 1; echo $$ >&9; exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", late], start_new_session=True) as shim:
        assert shim.wait() == -signal.SIGKILL


def test_the_sentinel_is_never_late(queue: Queue) -> None:
    """It looks once a second, at whole seconds: a fence that was rounded up came a second after that of workers."""
    spool = queue.storage.spool
    renewal = Renewal(100.9, 1, LeaseTerms(6.0))
    Lease(spool).renewed(renewal)
    assert int(Path(spool.lease).read_text().split()[2]) == 103
    assert renewal.sent_s + renewal.terms.fence_s == pytest.approx(103.6)
