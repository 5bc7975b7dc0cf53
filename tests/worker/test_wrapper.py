"""A wrapper runs one command after another, and no command can tell."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from core import liveness, newcomers, process, standby, wrapper
from core.events import SpawningPaused
from core.model import NewJob, Outcome, State
from core.process import read_status
from core.queue import Queue
from core.worker import StopMode, Worker
from tests.processes import is_alive, processes_of_group, wait_for
from tests.worker.at_work import drain, output, wait_for_state, working

linux = pytest.mark.skipif(not newcomers.newest(), reason="only Linux tells which processes are new")

#: A program that tells its session and its group: both have the number of the wrapper.
_WHO = f"{sys.executable} -c 'import os; print(os.getsid(0), os.getpgid(0))'"


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at all that is new, however much else is going on here, and keep what is idle, however slow this is."""
    monkeypatch.setattr(newcomers, "_MOST", 100_000)
    monkeypatch.setattr("core.worker.IDLE_TIDY_S", 60.0)
    monkeypatch.setattr("core.running.MAX_RUN_S", 60.0)


def _wrappers(queue: Queue, *jobs: int) -> list[int]:
    """Return the wrapper of each job, a leader of its session and its group."""
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


@linux
def test_commands_follow_each_other_in_two_wrappers_a_slot(queue: Queue) -> None:
    """One runs a command while the end of the other's is recorded."""
    seen = _wrappers(queue, *_run(queue, *[_WHO] * 8))
    assert len(set(seen)) == 2
    assert seen[::2] == [seen[0]] * 4
    assert not any(is_alive(pid) for pid in seen)


@linux
def test_what_a_command_does_to_itself_ends_with_it(queue: Queue, tmp_path: Path) -> None:
    """Directory, umask, limits, priority, variables, traps: the next one in the wrapper finds all as in a new one."""
    queue.set("capture-env", "none")
    look = 'echo "$PPID"; pwd; umask; ulimit -n; nice; env | grep -v QUEUECTL | grep -v ^_= | sort'
    change = "cd /usr; umask 0; ulimit -n 20; export LEAK=1; readonly LEAK; trap '' TERM; set -f; exit 3"
    ids = _run(queue, look, change, look, change, look, look)
    looks = [output(queue, ids[index]).split(b"\n", 1) for index in (0, 2, 4, 5)]
    assert len({parent for parent, _ in looks}) < len(looks), "some shared a wrapper"
    assert len({seen for _, seen in looks}) == 1
    assert [queue.job(ids[index]).last_exit_code for index in (1, 3)] == [3, 3]


@linux
def test_each_command_knows_who_it_is(queue: Queue) -> None:
    """The variables of the one before are not its own, and odd values arrive whole."""
    name = 'it\'s "a" $HOME `x` \\ *;é'
    ids = _run(
        queue, *[NewJob('echo "$QUEUECTL_JOB_ID $QUEUECTL_JOB_NAME."', name=given) for given in (None, "b", name, None)]
    )
    assert [output(queue, job_id).decode() for job_id in ids] == [
        f"{job_id} {given}.\n" for job_id, given in zip(ids, ("", "b", name, ""), strict=True)
    ]


@linux
def test_commands_with_other_variables_have_another_wrapper(queue: Queue) -> None:
    """Those of a job's own are the environment of its wrapper from the start, whatever their names."""
    look = f"{sys.executable} -c 'import os; print(os.getsid(0), os.environ.get(\"A\"))'"
    mine = {"A": "1"}
    ids = _run(queue, *[NewJob(look), NewJob(look, env=mine), NewJob(look, env=mine)] * 2, NewJob(look))
    seen = [output(queue, job_id).split() for job_id in ids]
    assert [value for _, value in seen] == [b"None", b"1", b"1"] * 2 + [b"None"]
    assert {pid for pid, value in seen if value == b"1"}.isdisjoint(pid for pid, value in seen if value != b"1")


@linux
@pytest.mark.parametrize("how", ["plain", "silent", "closed", "session", "deep"])
def test_a_command_that_left_something_behind_is_the_last_of_its_wrapper(
    queue: Queue, tmp_path: Path, how: str
) -> None:
    """So that nobody who stops a later command stops what an earlier one left, and no lock is held by the wrong one."""
    left = tmp_path / "left"
    sleep = f"sh -c 'echo $$ >{left}.new; mv {left}.new {left}; exec sleep 60' >/dev/null 2>&1"
    popen = f"import subprocess; subprocess.Popen({sleep!r}, shell=True, close_fds=True)"
    command = {
        "plain": f"{sleep.removesuffix(' >/dev/null 2>&1')} &",
        "silent": f"{sleep} &",
        "closed": f"{sys.executable} -c {shlex.quote(popen)};",
        "session": f"setsid {sleep} &",
        "deep": f"( ( ( {sleep} & ) & ) & );",
    }[how]
    command += f" while [ ! -s {left} ]; do sleep 0.01; done; {_WHO}"
    ids = _run(queue, _WHO, _WHO, command, _WHO, _WHO, _WHO)
    seen = _wrappers(queue, *ids)
    pid = int(left.read_text())
    try:
        assert is_alive(pid)
        assert len(set(seen)) == 3
        assert seen[2] not in seen[3:]
    finally:
        os.kill(pid, signal.SIGKILL)


@linux
def test_a_command_that_is_stopped_takes_its_wrapper_along(queue: Queue) -> None:
    """Cancelled, killed or timed out: what comes next has another wrapper, and nothing is left in the group."""
    queue.set("kill-grace", "60s")
    first = queue.add(_WHO)
    with working(queue, slots=1):
        wait_for_state(queue, first, State.COMPLETED)
        for kill in (False, True):
            stopped = queue.add(f"{_WHO}; sleep 60; exit 0")
            wait_for_state(queue, stopped, State.RUNNING)
            wait_for(lambda stopped=stopped: len(output(queue, stopped).split()) == 2)  # type: ignore[misc]
            queue.cancel(stopped, kill=kill)
            assert wait_for_state(queue, stopped, State.CANCELLED)
            (pid,) = _wrappers(queue, stopped)
            assert processes_of_group(pid) == []
        timed = queue.enqueue(f"{_WHO}; sleep 60", timeout_s=0.3, max_attempts=1).id
        assert wait_for_state(queue, timed, State.DEAD).last_outcome is Outcome.TIMED_OUT
        later = [queue.add(_WHO) for _ in range(2)]
        for job_id in later:
            wait_for_state(queue, job_id, State.COMPLETED)
        assert set(_wrappers(queue, *later)).isdisjoint(_wrappers(queue, stopped, timed))


@linux
def test_an_idle_wrapper_that_is_killed_costs_nobody_anything(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it dies before it is chosen, or between that and its next command."""
    victims: list[int] = []
    is_free = wrapper.Wrapper.is_free

    def is_free_and_dies(self: wrapper.Wrapper) -> bool:
        is_it = is_free(self)
        if is_it and len(victims) < 3:
            victims.append(self.pid)
            os.kill(self.pid, signal.SIGKILL)
            wait_for(lambda: not is_alive(self.pid), "it is dead")
        return is_it

    monkeypatch.setattr(wrapper.Wrapper, "is_free", is_free_and_dies)
    with working(queue, slots=1):
        for number in range(8):
            job_id = queue.add(_WHO)
            wait_for_state(queue, job_id, State.COMPLETED)
            assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
            if number == 6:
                (pid,) = _wrappers(queue, job_id)
                os.kill(pid, signal.SIGKILL)
    assert len(victims) == 3
    assert os.listdir(queue.database.spool.attempts) == []


@linux
def test_an_idle_wrappers_run_file_may_be_removed(queue: Queue) -> None:
    """By somebody who tidies up the spool: the next command has another wrapper, at once."""
    with working(queue, slots=1) as (_, told):
        for number in range(6):
            job_id = queue.add(_WHO)
            wait_for_state(queue, job_id, State.COMPLETED)
            assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.SUCCEEDED]
            if number == 3:
                for name in os.listdir(queue.database.spool.attempts):
                    os.unlink(os.path.join(queue.database.spool.attempts, name))
        assert told.of(SpawningPaused) == []


@linux
def test_a_wrapper_that_is_killed_at_work_is_not_given_another_command(queue: Queue) -> None:
    """Its command is lost and runs again, in another one."""
    marker = f"{queue.path}.seen"
    first = queue.add(_WHO)
    again = queue.add(f"if [ -e {marker} ]; then {_WHO}; else : >{marker}; kill -9 $PPID; exit 0; fi")
    last = queue.add(_WHO)
    drain(queue, slots=1)
    assert [attempt.outcome for attempt in queue.attempts(again)] == [Outcome.LOST, Outcome.SUCCEEDED]
    assert all(queue.job(job_id).state is State.COMPLETED for job_id in (first, again, last))


@linux
def test_a_descriptor_that_is_used_again_is_another_commands(queue: Queue) -> None:
    """A wrapper is killed and its command lives on; the next wrapper gets the number of its descriptor."""
    with working(queue, slots=2):
        orphan = queue.enqueue("kill -9 $PPID; sleep 1", max_attempts=1).id
        wait_for_state(queue, orphan, State.RUNNING)
        wait_for(lambda: not is_alive(_pid_in_run_file(queue, 1)), "the wrapper is dead")
        later = queue.add("sleep 1.5")
        wait_for_state(queue, later, State.COMPLETED, timeout_s=10)


def _pid_in_run_file(queue: Queue, attempt_id: int) -> int:
    return wait_for(lambda: read_status(queue.database.spool, attempt_id).pid or 0)


def test_a_shell_that_can_start_no_process_costs_the_job_nothing(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends and tells nothing: the job is pending again, no attempt is spent, and the worker pauses."""
    shell = tmp_path / "sh"
    shell.write_text(f"#!/bin/sh\nmkdir {tmp_path}/1 || mkdir {tmp_path}/2 || exec /bin/sh -s\nexit 2\n")
    shell.chmod(0o700)
    monkeypatch.setattr(wrapper, "_SHELL", str(shell))
    job_id = queue.enqueue("echo hello", max_attempts=1).id
    told = drain(queue, slots=1)
    assert [event.for_s for event in told.of(SpawningPaused)] == [1.0, 2.0], (
        "that it took the command does not make it 1 again"
    )
    assert [(attempt.number, attempt.outcome) for attempt in queue.attempts(job_id)] == [(1, Outcome.SUCCEEDED)]
    assert (queue.job(job_id).interrupts, output(queue, job_id)) == (0, b"hello\n")
    assert os.listdir(queue.database.spool.attempts) == []


@linux
@pytest.mark.parametrize("change", ["setpriority(os.PRIO_PGRP, 0, 5)", "sched_setaffinity(os.getppid(), {0})"])
def test_a_wrapper_that_was_changed_by_its_command_takes_no_other(queue: Queue, change: str) -> None:
    """Not only the command itself was made nice: what it did to its group, or its parent, ends with it."""
    if change.startswith("sched") and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor only")
    command = f"exec {sys.executable} -c 'import os; os.{change}; print(os.getsid(0), os.getpgid(0))'"
    ids = _run(queue, _WHO, _WHO, command, *[_WHO] * 3, "nice; nproc; :")
    seen = _wrappers(queue, *ids[:-1])
    assert seen[2] in seen[:2]
    assert seen[2] not in seen[3:]
    assert output(queue, ids[-1]).split() == [b"%d" % os.nice(0), b"%d" % len(os.sched_getaffinity(0))]


@linux
def test_a_command_that_took_long_is_the_last_of_its_wrapper(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of processes may have come round meanwhile."""
    monkeypatch.setattr("core.running.MAX_RUN_S", 0.0)
    assert len(set(_wrappers(queue, *_run(queue, *[_WHO] * 5)))) == 5


@linux
def test_a_stopped_wrapper_is_given_nothing(queue: Queue) -> None:
    """A command that waited in it would hang as long as it is stopped."""
    with working(queue, slots=1):
        for number in range(4):
            job_id = queue.add(_WHO)
            wait_for_state(queue, job_id, State.COMPLETED)
            if number == 1:
                (victim,) = _wrappers(queue, job_id)
                os.kill(victim, signal.SIGSTOP)
    assert victim not in _wrappers(queue, 3, 4)
    os.kill(victim, signal.SIGCONT)
    os.waitpid(victim, 0)


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="about bash")
@pytest.mark.parametrize(
    "env", [{"SHELLOPTS": "errexit"}, {"BASH_FUNC_echo%%": '() { builtin echo -e "$@" x; }'}, {"IFS": "0123456789"}]
)
def test_the_environment_of_a_job_does_not_change_its_shell(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    """Bash takes options and functions from it."""
    monkeypatch.setattr(wrapper, "_SHELL", "/bin/bash")
    fields = {"env": env, "max_attempts": 1}
    ids = _run(queue, *[NewJob(f"exit {code}", **fields) for code in (3, 0, 12, 0, 1)])  # type: ignore[arg-type]
    assert [queue.job(job_id).last_exit_code for job_id in ids] == [3, 0, 12, 0, 1]


def test_a_wrapper_that_tells_nonsense_ends(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands behind /bin/sh: its command is lost, and the worker goes on."""
    shell = tmp_path / "sh"
    shell.write_text(
        f"#!/bin/sh\nmkdir {tmp_path}/1 || exec /bin/sh -s\necho what >&8; read line; while read line; do :; done\n"
    )
    shell.chmod(0o700)
    monkeypatch.setattr(wrapper, "_SHELL", str(shell))
    job_id = queue.enqueue("echo hello", max_attempts=1).id
    drain(queue, slots=1)
    assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.LOST, Outcome.SUCCEEDED]


@linux
def test_a_command_with_nul_is_not_run_without_it(queue: Queue) -> None:
    """Another tool may have put it there; enqueue refuses it."""
    ids = list(queue.enqueue_many([NewJob(_WHO, max_attempts=1) for _ in range(5)]))
    with queue.database.write() as connection:
        connection.execute("UPDATE jobs SET command = 'touch a' || char(0) || 'b; ls' WHERE id IN (1, 4)")
    drain(queue, slots=1)
    assert [queue.job(job_id).last_outcome for job_id in ids] == [
        Outcome.SPAWN_ERROR, Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.SPAWN_ERROR, Outcome.SUCCEEDED,
    ]  # fmt: skip
    assert os.listdir(queue.database.spool.attempts) == []


def test_where_nobody_tells_what_is_new_each_command_has_a_wrapper_of_its_own(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Mac."""
    monkeypatch.setattr("core.wrapper.newest", lambda: 0)
    monkeypatch.setattr("core.newcomers.newest", lambda: 0)
    assert len(set(_wrappers(queue, *_run(queue, *[_WHO] * 5)))) == 5


@linux
def test_a_wrapper_ends_after_so_many_commands(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a shell may pile up."""
    monkeypatch.setattr(wrapper, "_MAX_COMMANDS", 2)
    seen = _wrappers(queue, *_run(queue, *[_WHO] * 8))
    assert [seen.count(pid) for pid in seen] == [2] * 8


def test_a_long_command_has_a_wrapper_of_its_own(queue: Queue) -> None:
    """It is an argument there: no order is longer than what a socket takes at once."""
    long = f"{_WHO}; : {'x' * (wrapper.MAX_COMMAND + 1)}"
    seen = _wrappers(queue, *_run(queue, _WHO, _WHO, long, long, _WHO))
    assert seen[2] not in seen[:2]
    assert seen[2] != seen[3]


def test_an_order_of_the_worst_letters_fits(queue: Queue) -> None:
    """Quotes take five letters each."""
    quotes = "'" * ((wrapper.MAX_COMMAND - 60) // 2 * 2)
    ids = _run(queue, _WHO, _WHO, f"echo a{quotes}b; {_WHO}", f"echo {quotes}; {_WHO}", _WHO)
    assert [queue.job(job_id).state for job_id in ids] == [State.COMPLETED] * 5
    assert output(queue, ids[2]).startswith(b"ab\n")


def test_the_argument_list_of_a_shell_names_no_command_but_one_that_is_its_own(queue: Queue) -> None:
    """Who looks for a command by its words finds the command, not a shell that ran it an hour ago."""
    look = "tr '\\0' ' ' </proc/$PPID/cmdline"
    long = f"{look} | cut -c -400; : {'x' * wrapper.MAX_COMMAND}"
    ids = _run(queue, look, f"{look}; : marker", long, look)
    assert [output(queue, job_id).strip() for job_id in (ids[0], ids[1], ids[3])] == [b"/bin/sh -s"] * 3
    assert b"cut -c" in output(queue, ids[2])


@linux
def test_an_order_that_does_not_fit_is_not_acted_on(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command goes to a new wrapper, whole; the old one ends without having run the part that it got."""
    is_free = wrapper.Wrapper.is_free

    def is_free_and_narrow(self: wrapper.Wrapper) -> bool:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return is_free(self)

    monkeypatch.setattr(wrapper.Wrapper, "is_free", is_free_and_narrow)
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho $# >>{tmp_path}/seen\n")
    script.chmod(0o700)
    words = (wrapper.MAX_COMMAND - len(str(script))) // 2
    ids = _run(queue, _WHO, _WHO, *[f"{script}{' x' * words}"] * 3)
    assert [[attempt.outcome for attempt in queue.attempts(job_id)] for job_id in ids] == [[Outcome.SUCCEEDED]] * 5
    assert (tmp_path / "seen").read_text() == f"{words}\n" * 3


def test_no_wrapper_outlives_its_use(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the last end none waits, and none is a zombie; nor when the worker ends at once."""
    monkeypatch.setattr("core.worker.IDLE_TIDY_S", 0.05)
    before = _children()
    with working(queue, slots=3):
        ids = [queue.add(_WHO) for _ in range(12)]
        for job_id in ids:
            wait_for_state(queue, job_id, State.COMPLETED)
        wait_for(lambda: _children() == before, "all are gone")
    drain(queue, slots=3)
    assert _children() == before


@linux
def test_a_wrapper_that_was_left_to_run_is_collected_by_a_later_worker(queue: Queue, tmp_path: Path) -> None:
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


def test_no_shell_holds_a_workers_lock_for_even_a_moment(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
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
        locks = {first._lock_descriptor, second._lock_descriptor}
        wait_for_state(queue, queue.add("true"), State.COMPLETED)
    assert closed == [locks]
    drain(queue)
    assert wrapper._withheld == set()


@linux
@pytest.mark.parametrize("slots", [1, 24])
def test_as_many_wrappers_and_files_are_kept_as_commands_may_run(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    """What one turn ends the next one starts: beyond the first rounds, no shell is started and no file is made."""
    spawn, create = os.posix_spawn, liveness.create_afresh
    shells: list[object] = []
    files: list[str] = []

    def posix_spawn(*arguments: Any, **options: Any) -> int:
        shells.append(arguments)
        return spawn(*arguments, **options)

    def create_afresh(path: str, flags: int) -> int:
        files.append(path)
        return create(path, flags)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    monkeypatch.setattr(process, "create_afresh", create_afresh)
    queue.enqueue_many(NewJob("true") for _ in range(slots * 10))
    drain(queue, slots=slots)
    assert queue.counts().of(State.COMPLETED) == slots * 10
    assert len(shells) <= 2 * slots
    assert len([path for path in files if path.endswith(".out")]) <= 2 * slots


@linux
def test_not_more_wrappers_wait_than_are_of_use() -> None:
    """Of those beyond the number the oldest ends first, with its run file."""

    class Idle:
        def __init__(self, pid: int) -> None:
            self.kind, self.pid, self.run_path, self.is_retired = "a", pid, f"/nonexistent/{pid}", False

        def is_free(self) -> bool:
            return True

        def retire(self) -> None:
            self.is_retired = True

    waiting = standby.Standby(5)
    idle = [Idle(pid) for pid in range(8)]
    for one in idle:
        waiting.keep(one)  # type: ignore[arg-type]
    assert [one.pid for one in idle if one.is_retired] == [0, 1, 2]
    assert waiting.take("b") is None
    assert idle[-1:] == [waiting.take("a")]  # type: ignore[comparison-overlap]


@linux
def test_a_process_that_proc_hides_may_be_one_that_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted with hidepid, /proc does not show those of other users."""
    pid = os.posix_spawn("/bin/sleep", ("sleep", "60"), os.environ)
    try:
        assert newcomers._is_hidden(pid) is False, "it is in sight"
        monkeypatch.setattr(os.path, "exists", lambda path: False)
        assert newcomers._is_hidden(pid) is True
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert newcomers._is_hidden(pid) is False, "it is gone"


@linux
def test_a_proc_that_speaks_of_other_numbers_tells_nothing() -> None:
    """That of another process namespace, or one that a container puts in the place of the kernel's."""
    assert newcomers._tells(os.getpid())
    assert not newcomers._tells(os.getpid() + 1)


@linux
def test_who_is_new_and_alive_is_told_by_group_and_by_lock(tmp_path: Path) -> None:
    """Neither a process that is gone, nor a stranger, nor the leader itself counts."""
    run = tmp_path / "1.run"
    run.write_text("")

    def is_left(since: int, leader: int, *, has_forked: bool = True) -> bool:
        return newcomers.has_left_any(since, leader=leader, run_path=str(run), descriptor=99, has_forked=has_forked)

    since = newcomers.newest()
    pid = os.posix_spawn("/bin/sleep", ("sleep", "60"), os.environ, setpgroup=0)
    try:
        assert is_left(since, os.getpgid(0)) is False, "a stranger"
        assert is_left(since, pid) is False, "the leader"
        child = os.posix_spawn("/bin/sleep", ("sleep", "60"), os.environ, setpgroup=pid)
        assert is_left(since, pid) is True
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert is_left(since, pid) is False, "gone"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with run.open() as lock:
        held = os.posix_spawn(
            "/bin/sleep",
            ("sleep", "60"),
            os.environ,
            setpgroup=0,
            file_actions=((os.POSIX_SPAWN_DUP2, lock.fileno(), 99),),
        )
        try:
            assert is_left(since, pid) is True, "the lock"
        finally:
            os.kill(held, signal.SIGKILL)
            os.waitpid(held, 0)
    assert is_left(newcomers.newest(), pid) is True, "nobody forked: the system does not count"
    assert is_left(newcomers.newest(), pid, has_forked=False) is False
    assert is_left(newcomers.newest() + 1000, pid) is True, "the numbers began again"
    assert is_left(0, pid) is True


def test_stdin_is_empty_for_every_command_of_a_wrapper(queue: Queue) -> None:
    """None reads the orders to those that follow."""
    ids = _run(queue, *["cat; echo $?", "head -c 1; echo $?"] * 3)
    assert [output(queue, job_id) for job_id in ids] == [b"0\n"] * 6
