"""Who may be signalled, and who is dead: never a stranger whose number was a command's, and never two at once."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import main
from core.execution import running_attempts as running_module
from core.execution.command import adopt
from core.execution.events import AttemptAdopted, AttemptEnded, CommandOutOfReach
from core.execution.processes import processes, session_lives
from core.execution.running_attempts import RunningAttempts
from core.execution.selector import Selector
from core.execution.worker import StopMode
from core.locks import holder_pid
from core.model import NewJob, Outcome, State
from core.queue import Queue
from tests.execution.at_work import Told, wait_for_state, working
from tests.execution.test_adoption import started
from tests.processes import ROOT, WORKER, WorkerProcess, group_of, is_alive, processes_of_group, wait_for
from tests.storage.by_hand import Hand

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only /proc tells of other processes")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that leads a session of its own and has nothing to do with any job."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        yield stranger
        stranger.kill()


def run_file_with(queue: Queue, pid: int) -> int:
    """Write the run file of attempt 1, whose shim had a pid; return a descriptor that holds its lock, as a daemon's."""
    path = queue.storage.spool.run_file(1)
    Path(path).write_text(f"queuectl attempt 1\n{pid}\n")
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@needs_proc
def test_a_number_that_was_given_out_again_is_not_signalled(queue: Queue, stranger: subprocess.Popen[bytes]) -> None:
    """The lock is held, by a daemon in another session; the group with the shim's number has become a stranger's."""
    daemon = run_file_with(queue, stranger.pid)
    command = adopt(queue.storage.spool, 1, None)
    assert command.poll() is None
    command.signal(signal.SIGTERM)
    assert command.poll(is_stopping=True) is None, "it ended before its grace was over"
    command.signal(signal.SIGKILL)
    status = command.poll(is_stopping=True)
    assert status is not None, "nothing of the command's own group is left"
    assert status.exit_code is None
    assert is_alive(stranger.pid)
    os.close(daemon)


@needs_proc
def test_a_strangers_session_is_not_the_commands(queue: Queue, stranger: subprocess.Popen[bytes]) -> None:
    """The lock is free and a process has the number: it got it later, so the command is lost, not running."""
    os.close(run_file_with(queue, stranger.pid))
    status = adopt(queue.storage.spool, 1, None).poll()
    assert status is not None
    assert status.exit_code is None


@needs_proc
def test_who_has_the_run_file_open_is_signalled(queue: Queue) -> None:
    """A process of the group that holds the run file proves whose group it is."""
    os.close(run_file_with(queue, 0))
    path = queue.storage.spool.run_file(1)
    with (
        open(path) as file,
        subprocess.Popen(["sleep", "600"], start_new_session=True, pass_fds=(file.fileno(),)) as member,
    ):
        Path(path).write_text(f"queuectl attempt 1\n{member.pid}\n")
        assert session_lives(path, member.pid)
        adopt(queue.storage.spool, 1, None).signal(signal.SIGTERM)
        assert member.wait(20) == -signal.SIGTERM


# --- a command that closed all its descriptors


CLOSES_ALL = """
import os, time
os.closerange(0, 256)
os.close(os.open("/dev/null", os.O_RDONLY))
def write(name):
    with open(name, "a") as file:
        print(os.getpid(), file=file)
write("closed")
while not os.path.exists("go"):
    time.sleep(0.02)
"""


@pytest.fixture
def closed(queue: Queue, tmp_path: Path) -> Iterator[int]:
    """Add a job that closes all its descriptors, as sudo and daemons do, and succeeds when it is started again."""
    (tmp_path / "closes.py").write_text(CLOSES_ALL)
    yield queue.enqueue(f"test -e closed && exit 0; exec {shlex.quote(sys.executable)} closes.py").id
    (tmp_path / "go").touch()


def kill_all_but_it(queue: Queue, job_id: int) -> int:
    """Kill the shim and whatever else holds the lock of the job; return the pid of the command that goes on."""
    wait_for(lambda: Path("closed").exists() and Path("closed").read_text(), "it has closed all")
    pid = int(Path("closed").read_text())
    for other in processes_of_group(group_of(queue, job_id)):
        if other != pid:
            os.kill(other, signal.SIGKILL)
    return pid


@needs_proc
def test_a_command_that_holds_no_lock_is_running_until_its_session_is_empty(queue: Queue, closed: int) -> None:
    """Then it is lost and started again: never two at once."""
    with working(queue) as (_, told):
        pid = kill_all_but_it(queue, closed)
        time.sleep(0.3)
        assert not told.of(AttemptEnded)
        assert is_alive(pid)
        Path("go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.LOST
        assert not is_alive(pid)
        wait_for_state(queue, closed, State.COMPLETED)


@needs_proc
def test_it_is_adopted_as_running_too(queue: Queue, closed: int) -> None:
    """By the next worker, after its own was killed as well."""
    with WorkerProcess(queue.path) as doomed:
        pid = kill_all_but_it(queue, closed)
        doomed.kill()
    assert queue.watched([queue.job(closed)])[0].unwatched is not None
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
        time.sleep(0.3)
        assert not told.of(AttemptEnded)
        assert is_alive(pid)
        Path("go").touch()
        assert told.wait_for(AttemptEnded).ending.outcome is Outcome.LOST


@needs_proc
def test_it_can_be_cancelled_by_its_own_worker(queue: Queue, closed: int) -> None:
    """Its shim stays a zombie meanwhile, so that nobody else gets the number of its group."""
    with working(queue):
        pid = kill_all_but_it(queue, closed)
        time.sleep(0.1)
        queue.cancel(closed)
        wait_for_state(queue, closed, State.CANCELLED)
        wait_for(lambda: not is_alive(pid), "it is gone")


# --- containers


@pytest.fixture
def container(queue: Queue) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker in another pid namespace, which goes on when the worker is killed."""
    script = f'{shlex.quote(sys.executable)} -c "$1" "$2" 1 & wait; sleep 600'
    command = ["unshare", "--kill-child", "-pf", "--mount-proc", "sh", "-c", script, "sh", WORKER, queue.path]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as container:
        yield container
        container.kill()


@needs_root
def test_nothing_is_signalled_in_another_pid_namespace(
    queue: Queue,
    container: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A number of there is somebody else here: the lock is watched, and who asks is told to stop it there."""
    job_id = queue.enqueue("echo begun; while ! test -e go; do sleep 0.02; done").id
    started(queue, job_id, b"begun")
    (worker,) = queue.workers()
    os.kill(holder_pid(queue.storage.spool.worker_lock(worker.id)) or 0, signal.SIGKILL)
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: signalled.append(group))
    with working(queue) as (_, told):
        told.wait_for(AttemptAdopted)
        queue.cancel(job_id, kill=True)
        assert told.wait_for(CommandOutOfReach).job.id == job_id
        assert main(["--db", queue.path, "show", str(job_id)]) == 0
        assert "runs in another container (pid namespace)" in capsys.readouterr().err
        assert main(["--db", queue.path, "cancel", "--no-wait", str(job_id)]) == 0
        assert "stop it there" in capsys.readouterr().out
        time.sleep(0.5)  # its grace is 0.3 s
        assert queue.job(job_id).state is State.RUNNING
        (tmp_path / "go").touch()
        wait_for_state(queue, job_id, State.CANCELLED, State.COMPLETED)
    assert signalled == []


@needs_root
def test_a_worker_that_must_stop_leaves_what_it_cannot_reach(
    queue: Queue, container: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """It does not wait for ever; the next worker watches it."""
    job_id = queue.enqueue("echo begun; while ! test -e go; do sleep 0.02; done").id
    started(queue, job_id, b"begun")
    (worker,) = queue.workers()
    os.kill(holder_pid(queue.storage.spool.worker_lock(worker.id)) or 0, signal.SIGKILL)
    with working(queue) as (heir, told):
        told.wait_for(AttemptAdopted)
        heir.stop(StopMode.NOW)
        assert heir.join(20)
    assert queue.job(job_id).state is State.RUNNING
    (tmp_path / "go").touch()
    with working(queue):
        wait_for_state(queue, job_id, State.COMPLETED)


@needs_root
def test_a_worker_that_is_process_1_reaps_orphans(queue: Queue, tmp_path: Path) -> None:
    """And none of its own shims, whose statuses it needs."""
    queue.enqueue_many(NewJob("(sleep 0.1; echo >> ended) & exit 3", max_attempts=1) for _ in range(8))
    command = ["unshare", "--kill-child", "-pf", "--mount-proc", sys.executable, "-m", "core", "--db", queue.path]
    with subprocess.Popen(
        [*command, "worker", "-c", "2"], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    ) as container:
        try:
            for job_id in range(1, 9):
                assert wait_for_state(queue, job_id, State.DEAD).last_exit_code == 3
            ended = tmp_path / "ended"
            wait_for(lambda: ended.exists() and ended.read_text() == "\n" * 8, "all orphans have ended")
            first = holder_pid(queue.storage.spool.worker_lock(queue.workers()[0].id))
            wait_for(lambda: not [one for one in processes(are_zombies=True) if one.parent == first], "all are reaped")
        finally:
            container.kill()


# --- files that must stay until an ending is recorded


def test_the_run_file_of_a_start_that_failed_stays_until_that_is_recorded(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed in between would else leave an attempt of which nobody knows whether it runs."""

    def start(*arguments: object) -> None:
        raise OSError(errno.E2BIG, "too long")

    monkeypatch.setattr(running_module, "start", start)
    queue.enqueue("true")
    with Hand(queue) as hand:
        running = RunningAttempts(queue.storage, hand.attempts, Selector(), Told())
        (claim,) = hand.claim()
        running.open(claim)
        assert running.start([claim]) is None
        assert [ending.outcome for _, ending in running.endings.values()] == [Outcome.SPAWN_ERROR]
        path = queue.storage.spool.run_file(claim.attempt_id)
        assert os.path.exists(path)
        endings = list(running.endings.values())
        running.forget_recorded(endings, hand.step(endings).recorded)
        assert not os.path.exists(path)
