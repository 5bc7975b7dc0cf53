"""Each attempt has a shim of its own: nothing of one job reaches the next, and no command ends its shim by mistake."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.execution import shim
from core.execution.events import AttemptEnded, SpawningPaused
from core.execution.run_file import Status, read_status
from core.execution.worker import StopMode, Worker
from core.model import Job, NewJob, Outcome, State
from core.queue import Queue
from tests.execution.at_work import drain, output, run, wait_for_state, working
from tests.processes import is_alive, processes_of_group, wait_for
from tests.sqlite import sqlite_of

proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")

#: A program that tells its session and its group: both have the number of the shim.
_WHO = f"{shlex.quote(sys.executable)} -c 'import os; print(os.getsid(0), os.getpgid(0))'"


def _shims(queue: Queue, *jobs: int) -> list[int]:
    """Return the shim of each job, a leader of its session and its group."""
    found = []
    for job in jobs:
        session, group = map(int, output(queue, job).split())
        assert session == group
        found.append(session)
    return found


def _run(queue: Queue, *jobs: str | NewJob) -> list[int]:
    """Run jobs one after another; return their ids."""
    ids = list(queue.enqueue_many(NewJob(job) if isinstance(job, str) else job for job in jobs))
    drain(queue, slots=1)
    return ids


# --- what a command does ends with it


def test_each_attempt_has_a_shim_of_its_own(queue: Queue) -> None:
    """Also each attempt of one job."""
    seen = _shims(queue, *_run(queue, *[_WHO] * 6))
    assert len(set(seen)) == 6
    assert not any(is_alive(pid) for pid in seen)


@pytest.mark.parametrize(
    ("change", "look"),
    [
        ("prlimit --pid $PPID --nofile=77:77", "ulimit -n"),
        ("echo 500 >/proc/$PPID/oom_score_adj", "cat /proc/self/oom_score_adj"),
        ("renice -n 7 -p $PPID >/dev/null", "nice"),
        ("cd /usr; umask 0; export LEAK=1; trap '' TERM", "pwd; umask; echo $LEAK"),
    ],
)
def test_what_a_command_does_to_its_shim_does_not_reach_the_next(queue: Queue, change: str, look: str) -> None:
    """Limits set through ``$PPID``, its score, its priority; and what it does to itself."""
    if subprocess.run(["sh", "-c", f"sh -c {shlex.quote(change)}"], capture_output=True, check=False).returncode:
        pytest.skip(f"not possible here: {change}")
    look = f"{look}; :"
    before, changed, *after = _run(queue, look, f"{change}; {look}", look, look, look)
    assert queue.job(changed).state is State.COMPLETED
    assert [output(queue, job_id) for job_id in after] == [output(queue, before)] * 3


def test_a_command_finds_the_environment_that_was_captured(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """No OLDPWD that the shim made by entering the directory, and nothing else of the shim's."""
    queue.set("capture-env", "all")
    for old in (None, "/usr"):
        monkeypatch.delenv("OLDPWD", raising=False)
        if old is not None:
            monkeypatch.setenv("OLDPWD", old)
        for command in ("env", "env; :"):
            job = run(queue, command)
            found = dict(line.split("=", 1) for line in output(queue, job).decode().splitlines() if "=" in line)
            ours = {name: value for name, value in found.items() if not name.startswith("QUEUECTL_")}
            assert ours.get("OLDPWD") == old
            assert ours.keys() - {"PWD", "_", "SHLVL"} <= os.environ.keys()
            assert "QUEUECTL_SHIM_COMMAND" not in found
            assert found["PWD"] == job.cwd


def test_each_command_knows_who_it_is(queue: Queue) -> None:
    """Odd values arrive whole."""
    name = 'it\'s "a" $HOME `x` \\ *;é'
    ids = _run(
        queue, *[NewJob('echo "$QUEUECTL_JOB_ID $QUEUECTL_JOB_NAME."', name=given) for given in (None, "b", name, None)]
    )
    assert [output(queue, job_id).decode() for job_id in ids] == [
        f"{job_id} {given}.\n" for job_id, given in zip(ids, ("", "b", name, ""), strict=True)
    ]


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="about bash")
def test_exported_functions_reach_a_shell_that_knows_them(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every other variable whose name /bin/sh may not take: dash drops those."""
    value = "() {  echo \"f of $1: it's 'me'\";\n}"
    monkeypatch.setenv("BASH_FUNC_f%%", value)
    monkeypatch.setenv("odd-name.x", "kept: $x `y` é")
    queue.set("shell", "/bin/bash")
    job = run(queue, "f here; env | grep -a ^odd; env | grep SHIM")
    assert output(queue, job).decode() == "f of here: it's 'me'\nodd-name.x=kept: $x `y` é\n"


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="about bash")
@pytest.mark.parametrize(
    "env", [{"SHELLOPTS": "errexit"}, {"BASH_FUNC_echo%%": '() { builtin echo -e "$@" x; }'}, {"IFS": "0123456789"}]
)
def test_the_environment_of_a_job_does_not_change_its_shim(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    """Where /bin/sh is bash: it takes options and functions from the environment."""
    monkeypatch.setattr(shim, "_SHELL", "/bin/bash")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    ids = _run(queue, *[NewJob(f"exit {code}", max_attempts=1) for code in (3, 0, 12, 0, 1)])
    assert [queue.job(job_id).last_exit_code for job_id in ids] == [3, 0, 12, 0, 1]


def test_who_looks_for_a_command_by_its_words_finds_no_shim(queue: Queue) -> None:
    """``pkill -KILL -f`` ends the command, and the shim lives to tell: a signal, not a loss."""
    marker = f"marker-{os.getpid()}"
    job = run(queue, f"sh -c 'tr \"\\0\" \" \" </proc/'$PPID'/cmdline' {marker}")
    assert b"trap : 1 2 3" in output(queue, job)
    assert marker.encode() not in output(queue, job)


def test_stdin_is_empty_for_every_command(queue: Queue) -> None:
    """Also for a program that the shim runs itself."""
    assert output(queue, run(queue, "cat")) == b""
    assert output(queue, run(queue, "head -c 1; echo $?")) == b"0\n"


# --- what a shim outlives


def _signalled(queue: Queue, names: list[str], command: str) -> list[Job]:
    ids = list(queue.enqueue_many(NewJob(command.replace("SIG", name), max_attempts=1) for name in names))
    drain(queue, slots=4, timeout_s=60)
    return [queue.job(job_id) for job_id in ids]


def test_a_command_may_signal_its_own_group_with_what_it_ignores(queue: Queue) -> None:
    """Every signal that can be caught: the shim is a member of the group, and its record of the end survives."""
    numbers = [str(int(number)) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
    jobs = _signalled(queue, numbers, "trap '' SIG; kill -SIG 0; echo done; exit 7")
    ended = {number: (job.last_outcome, job.last_exit_code) for number, job in zip(numbers, jobs, strict=True)}
    assert {number: end for number, end in ended.items() if end != (Outcome.FAILED, 7)} == {}


def test_a_command_finds_every_signal_as_it_was(queue: Queue) -> None:
    """A trap of the shim's is none in the command: what it does not handle ends it."""
    jobs = _signalled(queue, ["HUP", "USR1", "ALRM", "XCPU", "40"], "kill -SIG $$; sleep 60; exit 0")
    assert [job.last_outcome for job in jobs] == [Outcome.SIGNALLED] * 5
    if os.path.exists("/proc/self/status"):
        for command in ("cat /proc/self/status", "cat /proc/self/status; :"):
            lines = output(queue, run(queue, command)).decode().splitlines()
            masks = {
                name: int(mask, 16)
                for name, _, mask in (line.partition(":\t") for line in lines)
                if name in ("SigIgn", "SigBlk")
            }
            # two that the C library keeps for itself are ignored in whatever it starts
            found = {
                number for number in signal.valid_signals() if (masks["SigIgn"] | masks["SigBlk"]) >> number - 1 & 1
            }
            assert found == set()


def test_a_shim_that_is_killed_is_no_refusal(queue: Queue, tmp_path: Path) -> None:
    """Its command is lost and runs again."""
    job_id = queue.add("test -e seen && exit 0; touch seen; kill -9 $PPID; exit 0")
    drain(queue, slots=1)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


@proc
def test_a_descriptor_that_is_used_again_is_another_commands(queue: Queue) -> None:
    """A shim is killed and its command lives on; the next shim gets the number of its descriptor."""
    with working(queue, slots=2):
        orphan = queue.enqueue("kill -9 $PPID; while ! test -e go; do sleep 0.02; done", max_attempts=1).id
        wait_for_state(queue, orphan, State.RUNNING)
        pid = wait_for(lambda: read_status(queue.storage.spool, 1).pid or 0)
        wait_for(lambda: not is_alive(pid), "the shim is dead")
        later = queue.add("sleep 0.2")
        wait_for_state(queue, later, State.COMPLETED)
        assert queue.job(orphan).state is State.RUNNING


@proc
def test_a_command_that_is_stopped_takes_its_group_along(queue: Queue) -> None:
    """Cancelled, killed or timed out: nothing is left in the group, and the next job has another."""
    queue.set("kill-grace", "60s")
    with working(queue, slots=1):
        for kill in (False, True):
            stopped = queue.add(f"{_WHO}; sleep 60; exit 0")
            wait_for_state(queue, stopped, State.RUNNING)
            wait_for(lambda stopped=stopped: len(output(queue, stopped).split()) == 2)  # type: ignore[misc]
            queue.cancel(stopped, kill=kill)
            assert wait_for_state(queue, stopped, State.CANCELLED)
            assert processes_of_group(*_shims(queue, stopped)) == []
        timed = queue.enqueue(f"{_WHO}; sleep 60", timeout_s=0.5, max_attempts=1).id
        assert wait_for_state(queue, timed, State.DEAD).last_outcome is Outcome.TIMED_OUT


# --- starts that fail


def test_a_shim_that_can_start_no_process_costs_the_job_nothing(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends and has recorded nothing: the job is pending again, no attempt is spent, and the worker pauses."""
    shell = tmp_path / "sh"
    one, two = (shlex.quote(str(tmp_path / name)) for name in "12")
    shell.write_text(f'#!/bin/sh\nmkdir {one} || mkdir {two} || exec /bin/sh "$@"\nexit 2\n')
    shell.chmod(0o700)
    monkeypatch.setattr(shim, "_SHELL", str(shell))
    job_id = queue.enqueue("echo hello", max_attempts=1).id
    told = drain(queue, slots=1)
    assert [event.for_s for event in told.of(SpawningPaused)] == [1.0, 2.0], "that it started does not make it 1 again"
    assert [(attempt.number, attempt.outcome) for attempt in queue.attempts(job_id)] == [(1, Outcome.SUCCEEDED)]
    assert (queue.job(job_id).interrupts, output(queue, job_id)) == (0, b"hello\n")
    assert os.listdir(queue.storage.spool.attempts) == []


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash", "/bin/busybox"])
def test_a_shell_that_may_not_fork_is_told_from_a_command_that_fails(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """How each shell ends without a process left for the command: as ``Exit.is_refusal`` says."""
    if not os.path.exists(shell):
        pytest.skip(f"no {shell} here")
    if os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"):
        pytest.skip("root is under no limit of processes")
    text = shim._text(False, is_plain=True)
    words = [shell, *(["sh"] if shell.endswith("busybox") else []), "-c", text, "sh", "/"]
    limited = ["prlimit", "--nproc=0:0", *words]
    if os.geteuid() == 0:
        limited = ["setpriv", "--reuid=12345", "--clear-groups", *limited]
    status = tmp_path / "status"
    ended = subprocess.run(
        ["sh", "-c", 'exec 9>"$0" && exec "$@" 2>/dev/null', str(status), *limited],
        env={**os.environ, "QUEUECTL_SHIM_COMMAND": "/bin/true"},
        check=False,
    )
    recorded = status.read_text().split()
    assert recorded[1:] == [] or recorded[1:] == ["0"], "it recorded an end that was none"
    if recorded[1:] == []:
        assert shim.Exit(ended.returncode).is_refusal


@pytest.mark.parametrize("shell", ["/nonexistent/shell", "nonexistent-shell", "/etc/passwd", "/usr"])
def test_a_shell_that_cannot_be_run_is_the_reason_of_a_start_that_failed(queue: Queue, shell: str) -> None:
    """Whatever the setting was when it was made; not an exit code of the command's."""
    queue.set("shell", "/bin/sh")
    with sqlite_of(queue).write() as connection:
        connection.execute("INSERT OR REPLACE INTO settings (key, value) VALUES ('shell', ?)", (shell,))
    job = run(queue, "echo hello")
    assert (job.state, job.last_outcome) == (State.DEAD, Outcome.SPAWN_ERROR)
    reason = "No such file or directory" if "nonexistent" in shell else "Permission denied"
    assert job.last_error == f"the shell {shell} of the setting 'shell' cannot be run: {reason}"


def test_a_command_with_nul_is_not_run_without_it(queue: Queue) -> None:
    """Another tool may have put it there; enqueue refuses it."""
    ids = list(queue.enqueue_many([NewJob(_WHO, max_attempts=1) for _ in range(3)]))
    with sqlite_of(queue).write() as connection:
        connection.execute("UPDATE jobs SET command = 'touch a' || char(0) || 'b; ls' WHERE id = 2")
    drain(queue, slots=1)
    assert [queue.job(job_id).last_outcome for job_id in ids] == [
        Outcome.SUCCEEDED, Outcome.SPAWN_ERROR, Outcome.SUCCEEDED,
    ]  # fmt: skip
    assert os.listdir(queue.storage.spool.attempts) == []


# --- files and descriptors


@pytest.mark.parametrize("name", ["1.out", "1.run"])
def test_a_link_in_place_of_a_file_is_not_followed(queue: Queue, tmp_path: Path, name: str) -> None:
    """Whoever may write to the spool cannot have a job write elsewhere, not between claim and start either."""
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    os.symlink(victim, os.path.join(queue.storage.spool.attempts, name))
    job = run(queue, "echo hello")
    assert (job.state, output(queue, job), victim.read_text()) == (State.COMPLETED, b"hello\n", "mine\n")


def test_an_output_file_that_was_replaced_after_the_claim_is_not_written_to(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shim is given the file that was made in the claim, not its name."""
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    spawn = os.posix_spawn

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        path = queue.storage.spool.output_file(1)
        os.unlink(path)
        os.symlink(victim, path)
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    queue.enqueue("echo hello", max_attempts=1)
    drain(queue)
    assert victim.read_text() == "mine\n"


def test_a_run_file_names_its_attempt_and_its_shim(queue: Queue) -> None:
    """The attempt, before anything else; then the pid of its shim, which leads a session."""
    with working(queue):
        job_id = queue.enqueue("while ! test -e go; do sleep 0.02; done").id
        wait_for_state(queue, job_id, State.RUNNING)
        path = Path(queue.storage.spool.run_file(1))
        heading, pid = wait_for(lambda: len(lines := path.read_text().splitlines()) == 2 and lines)  # type: ignore[misc]
        assert heading == "queuectl attempt 1"
        assert os.getsid(int(pid)) == int(pid)


def test_a_run_file_with_another_attempts_words_says_nothing(queue: Queue) -> None:
    """After a power cut the disk may hold the contents of an earlier file under a newer name."""
    spool = queue.storage.spool
    for heading in ("queuectl attempt 7", "queuectl attempt 17 1", "queuectl attemp"):
        Path(spool.run_file(1)).write_text(f"{heading}\n4711\n0\n")
        assert read_status(spool, 1) == Status()
    Path(spool.run_file(1)).write_text("queuectl attempt 1\n4711\n0\n")
    assert read_status(spool, 1)[:2] == (4711, 0)


def test_an_end_is_heard_without_pidfds(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Mac, or an old kernel: a pipe that the shim holds and its command does not."""
    monkeypatch.setattr(shim, "_HAS_PIDFD", False)
    monkeypatch.setattr("core.execution.command._HAS_PIDFD", False)
    monkeypatch.setattr("core.execution.running_attempts._POLL_S", 60.0)
    jobs = [
        "exit 3",
        "sleep 60 & echo $!",
        f"{shlex.quote(sys.executable)} -c 'import os; print(os.path.exists(\"/dev/fd/8\"))'",
    ]
    ids = list(queue.enqueue_many(NewJob(command, max_attempts=1) for command in jobs))
    with working(queue, slots=3) as (worker, told):
        wait_for(lambda: len(told.of(AttemptEnded)) == 3, "all have ended", timeout_s=20)
        assert worker._running._by_descriptor == {}
    assert queue.job(ids[0]).last_exit_code == 3
    os.kill(int(output(queue, ids[1])), signal.SIGKILL)
    assert output(queue, ids[2]) == b"False\n"


def test_no_shim_outlives_its_use(queue: Queue) -> None:
    """None is a zombie, while the worker goes on or when it ends."""
    before = _children()
    with working(queue, slots=3):
        ids = [queue.add(_WHO) for _ in range(12)]
        for job_id in ids:
            wait_for_state(queue, job_id, State.COMPLETED)
        assert _children() == before
    drain(queue, slots=3)
    assert _children() == before


@proc
def test_a_shim_that_was_left_to_run_is_reaped_by_a_later_worker(queue: Queue, tmp_path: Path) -> None:
    """A program that lives on keeps no zombie of it."""
    before = _children()
    worker = Worker(queue)
    worker.start()
    job_id = queue.enqueue("while ! test -e go; do sleep 0.02; done").id
    wait_for_state(queue, job_id, State.RUNNING)
    worker.stop(StopMode.DETACH)
    assert worker.join(5)
    (left,) = _children() - before
    with working(queue):
        (tmp_path / "go").touch()
        wait_for_state(queue, job_id, State.COMPLETED)
    wait_for(lambda: not is_alive(left), "it has ended")
    assert _children() - before == {left}, "nobody has looked since"
    with working(queue):
        assert _children() == before


def _children() -> set[int]:
    """Return this process's children, zombies too."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.add(int(name))
        except OSError:
            continue
    return found


def test_no_shim_holds_a_workers_lock_for_even_a_moment(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel closes what a program is not to inherit after its parent has gone on, and may have been killed."""
    spawn = os.posix_spawn
    closed: list[set[int]] = []

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        actions = list(options["file_actions"])
        closed.append({action[1] for action in actions if action[0] == os.POSIX_SPAWN_CLOSE})
        assert all(action[0] == os.POSIX_SPAWN_CLOSE for action in actions[: len(closed[-1])]), "before all else"
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    with working(queue) as (first, _), working(queue) as (second, _):
        locks = {first._registration._lock, second._registration._lock}
        wait_for_state(queue, queue.add("true"), State.COMPLETED)
    assert closed == [locks]
    drain(queue)
    assert shim._withheld == set()
