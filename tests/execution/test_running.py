"""One command from its start to its end: how it is run, and what is recorded of it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import to_datetime
from core.execution.events import AttemptEnded, AttemptStarted, WorkerStarted, WorkerStopped
from core.model import NewJob, Outcome, State, View
from core.queue import Queue
from tests.execution.at_work import drain, endings, output, run
from tests.fakes import FakeClock
from tests.processes import is_alive
from tests.storage.by_hand import Hand

ENGINES = ("sqlite", "postgres")

# --- outcomes


def test_a_command_that_succeeds_is_completed_with_its_output(queue: Queue) -> None:
    """Exit 0, stdout and stderr in the order they were written, times that make sense, files gone."""
    job = run(queue, "echo out; echo err >&2; echo again")
    assert (job.state, job.last_outcome, job.last_exit_code, job.attempts) == (
        State.COMPLETED, Outcome.SUCCEEDED, 0, 1
    )  # fmt: skip
    assert output(queue, job) == b"out\nerr\nagain\n"
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.run_s is not None
    assert job.enqueued_at <= job.started_at <= job.finished_at
    assert 0 <= job.run_s < 10
    assert os.listdir(queue.storage.spool.attempts) == []


def test_the_worker_tells_what_it_did(queue: Queue) -> None:
    """Started, ended with what follows, stopped; and it leaves the register."""
    queue.enqueue("exit 7", max_attempts=1)
    told = drain(queue)
    kinds = [type(event) for event in told.events]
    assert kinds == [WorkerStarted, AttemptStarted, AttemptEnded, WorkerStopped]
    (ended,) = told.of(AttemptEnded)
    assert (ended.ending.exit_code, ended.decision.state, ended.number, ended.job.attempts) == (7, State.DEAD, 1, 1)
    assert queue.workers() == []
    assert os.listdir(queue.storage.spool.workers) == []


def test_back_off_is_exact(tmp_path: Path, clock: FakeClock) -> None:
    """2 s, then 4 s, then the DLQ; not a millisecond early."""
    with Queue(tmp_path / "exact.db", clock=clock) as queue:
        job_id = queue.enqueue("invalidcommand arg1").id
        for wait_s in (2, 4):
            drain(queue)
            job = queue.job(job_id)
            assert (job.state, job.last_exit_code) == (State.PENDING, 127)
            assert job.run_at == to_datetime(clock.now_ms() + wait_s * 1000)
            clock.advance(wait_s - 0.001)
            assert drain(queue).of(AttemptStarted) == []
            clock.advance(0.001)
        drain(queue)
        job = queue.job(job_id)
        assert (job.state, job.attempts, job.last_error) == (State.DEAD, 3, "exit 127")
        assert [attempt.outcome for attempt in queue.attempts(job_id)] == [Outcome.FAILED] * 3


def test_a_retry_comes_by_itself_when_its_time_has_come(queue: Queue, tmp_path: Path) -> None:
    """A worker that waits for nothing else wakes up for it."""
    queue.set("backoff-cap", "200ms")
    flag = shlex.quote(str(tmp_path / "flag"))
    job_id = queue.enqueue(f"test -e {flag} || {{ touch {flag}; exit 1; }}").id
    from tests.execution.at_work import wait_for_state, working

    with working(queue):
        job = wait_for_state(queue, job_id, State.COMPLETED)
    assert job.attempts == 2
    first, second = queue.attempts(job_id)
    assert first.ended_at is not None
    assert (second.started_at - first.ended_at).total_seconds() >= 0.19


@pytest.mark.parametrize(
    ("command", "fields", "state"),
    [
        ("exit 24", {"ok_exit": "0,24"}, State.COMPLETED),
        ("exit 0", {"ok_exit": "24"}, State.COMPLETED),
        ("exit 25", {"ok_exit": "24"}, State.PENDING),
        ("exit 70", {"dead_exit": "64-78"}, State.DEAD),
        ("exit 79", {"dead_exit": "64-78"}, State.PENDING),
        ("kill -9 $$", {"dead_exit": "137"}, State.DEAD),
        ("kill -9 $$", {"ok_exit": "137"}, State.COMPLETED),
    ],
)
def test_exit_codes_mean_what_the_job_says(queue: Queue, command: str, fields: dict[str, str], state: State) -> None:
    """``--ok-exit`` widens success, ``--dead-exit`` ends the retries at once."""
    assert run(queue, command, max_attempts=3, **fields).state is state


@pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 13, 14, 15, 10])
@pytest.mark.parametrize("style", ["shell", "plain"])
def test_a_signal_is_recorded(queue: Queue, tmp_path: Path, style: str, number: int) -> None:
    """The job killed itself; the shell reports 128 + n, the number is kept apart, and the output is the job's alone."""
    script = tmp_path / "die.py"
    script.write_text(
        "import os, signal, sys; n = int(sys.argv[1]); print('dying', flush=True);"
        " n == 9 or signal.signal(n, signal.SIG_DFL); os.kill(os.getpid(), n)"
    )
    plain = f"{sys.executable} {script.name} {number}"  # a path that needs quotes would be the shell's to run
    job = run(queue, plain if style == "plain" else f"echo dying; kill -{number} $$", cwd=str(tmp_path))
    assert output(queue, job) == b"dying\n"
    assert (job.last_outcome, job.last_signal, job.last_exit_code, job.last_error) == (
        Outcome.SIGNALLED, number, 128 + number, f"signal {number}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("no-such-program-here", 127, b"not found"),
        ("no-such-program-here; exit 3", 3, b"not found"),
        ("/etc/hostname-is-no-directory/x", 127, b"not found"),
        ("./not-executable", 126, b"ermission denied"),
        ("'./not-executable'", 126, b"ermission denied"),
    ],
)
def test_a_command_that_cannot_be_run_says_why(
    queue: Queue, tmp_path: Path, command: str, code: int, text: bytes
) -> None:
    """127 and 126 are ordinary failures, with the shell's own words as output."""
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    job = run(queue, command, cwd=str(tmp_path))
    assert (job.last_outcome, job.last_exit_code) == (Outcome.FAILED if code != 0 else Outcome.SUCCEEDED, code)
    assert text in output(queue, job)


def test_a_directory_that_is_gone_is_a_start_that_failed(queue: Queue, tmp_path: Path) -> None:
    """The error names it, and normal retry rules apply."""
    gone = tmp_path / "gone"
    job = run(queue, "echo hello", cwd=str(gone))
    assert (job.last_outcome, job.last_exit_code) == (Outcome.SPAWN_ERROR, None)
    assert job.last_error == f"working directory {gone} does not exist"
    assert output(queue, job) == b""
    assert (run(queue, "true", cwd=str(gone), max_attempts=2).state) is State.PENDING


def test_a_start_that_can_never_work_is_recorded(queue: Queue) -> None:
    """An environment that is too big for the system ends the attempt with the reason; other jobs go on."""
    many = {f"BIG_{number}": "x" * 100_000 for number in range(30)}
    doomed = queue.enqueue("true", env=many, max_attempts=1).id
    fine = queue.enqueue("true").id
    told = drain(queue, slots=2)
    assert sorted(endings(told)) == [(doomed, "spawn_error"), (fine, "succeeded")]
    job = queue.job(doomed)
    assert (job.state, job.last_error) == (State.DEAD, "could not be started: Argument list too long")
    assert os.listdir(queue.storage.spool.attempts) == []


# --- surroundings


_LOOK = (
    "import json,os,signal,sys; print(json.dumps({'fds': sorted(int(n) for n in os.listdir('/proc/self/fd')),"
    " 'ignored': [int(s) for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN],"
    " 'blocked': [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])],"
    " 'sid': os.getsid(0), 'pgid': os.getpgid(0), 'ppid': os.getppid(), 'pid': os.getpid(),"
    " 'tty': [os.isatty(n) for n in (0, 1, 2)], 'stdin': sys.stdin.read(), 'umask': os.umask(0),"
    " 'null': os.path.samestat(os.fstat(0), os.stat('/dev/null')),"
    " 'lock': os.readlink('/proc/self/fd/99'), 'cwd': os.getcwd()}))"
)


@pytest.mark.parametrize("style", ["shell", "plain"])
def test_nothing_of_ours_leaks_into_a_job(queue: Queue, tmp_path: Path, style: str) -> None:
    """Its descriptors are 0, 1, 2 and the lock; stdin is empty; signals are as the system has them; a session alone."""
    script = tmp_path / "look.py"
    script.write_text(_LOOK)
    command = f"{sys.executable} {script.name}" + (" ; exit $?" if style == "shell" else "")
    extra = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(extra, True)
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        job = run(queue, command, cwd=str(tmp_path))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGPIPE, before)
        os.close(extra)
    assert job.state is State.COMPLETED, output(queue, job)
    seen = json.loads(output(queue, job))
    # 3 is the directory that the look itself has open; Python ignores SIGPIPE and SIGXFSZ of its own accord
    assert [number for number in seen["fds"] if number != 3] == [0, 1, 2, 99]
    assert seen["lock"].endswith("/attempts/1.run")
    assert set(seen["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}
    assert seen["blocked"] == []
    assert (seen["stdin"], seen["null"], seen["tty"], seen["cwd"]) == ("", True, [False] * 3, str(tmp_path))
    assert seen["sid"] == seen["pgid"] != os.getsid(0)


def test_ignored_signals_are_not_inherited(queue: Queue) -> None:
    """A job started by a worker under ``nohup`` still dies of what it sends itself."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        job = run(queue, "kill -HUP $$; echo survived")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (job.last_signal, output(queue, job)) == (signal.SIGHUP, b"")


def test_a_terminal_is_not_there(queue: Queue) -> None:
    """A program that insists on one fails, and never hangs."""
    job = run(queue, 'read answer </dev/tty; echo $?; tty; read line; echo "$?"')
    assert b"not a tty" in output(queue, job)
    assert output(queue, job).endswith(b"1\n")


def test_a_job_knows_who_it_is(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number, name, attempt, budget, lane and database; what was captured; and what ``--env`` added."""
    monkeypatch.setenv("COLOUR", "captured")
    monkeypatch.setenv("SHAPE", "round")
    monkeypatch.setenv("API_TOKEN", "at enqueue")
    job_id = queue.enqueue(
        "env",
        name="etl",
        queue="media",
        max_attempts=5,
        env={"SHAPE": "square", "QUEUECTL_JOB_ID": "no", "QUEUECTL_DB": "no"},
    ).id
    monkeypatch.setenv("COLOUR", "of the worker")
    monkeypatch.setenv("API_TOKEN", "of the worker")
    monkeypatch.setenv("NEW", "of the worker")
    drain(queue)
    seen = dict(line.split("=", 1) for line in output(queue, job_id).decode().splitlines() if "=" in line)
    ours = {name: value for name, value in seen.items() if name.startswith("QUEUECTL_")}
    assert ours == {
        "QUEUECTL_JOB_ID": str(job_id),
        "QUEUECTL_JOB_NAME": "etl",
        "QUEUECTL_ATTEMPT": "1",
        "QUEUECTL_MAX_ATTEMPTS": "5",
        "QUEUECTL_QUEUE": "media",
        "QUEUECTL_DB": queue.path,
    }
    assert (seen["COLOUR"], seen["SHAPE"], seen.get("NEW")) == ("captured", "square", None)
    assert seen["API_TOKEN"] == "of the worker", "secrets are not stored, they come from the worker"


def test_a_variable_left_out_for_its_value_comes_from_the_worker_whatever_that_holds(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's address needs no password, and no look at it says that the one at enqueue had one."""
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@h/db")
    job_id = queue.enqueue('echo "$DATABASE_URL"').id
    monkeypatch.setenv("DATABASE_URL", "postgres:///db")
    drain(queue)
    assert output(queue, job_id) == b"postgres:///db\n"


@pytest.mark.parametrize(("mode", "token", "new"), [("all", "at enqueue", None), ("none", "of the worker", "1")])
def test_other_modes_of_capture(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, mode: str, token: str, new: str | None
) -> None:
    """``all`` stores everything, ``none`` leaves everything to the worker."""
    queue.set("capture-env", mode)
    monkeypatch.setenv("API_TOKEN", "at enqueue")
    job_id = queue.enqueue("env").id
    monkeypatch.setenv("API_TOKEN", "of the worker")
    monkeypatch.setenv("NEW", "1")
    drain(queue)
    seen = dict(line.split("=", 1) for line in output(queue, job_id).decode().splitlines() if "=" in line)
    assert (seen["API_TOKEN"], seen.get("NEW")) == (token, new)


def test_an_environment_of_bytes_arrives_as_it_was(queue: Queue) -> None:
    """Values that are not UTF-8 and values of several lines reach the job unchanged."""
    os.environb[b"STRANGE"] = b"caf\xe9\nsecond"
    try:
        job_id = queue.enqueue('printf %s "$STRANGE"').id
    finally:
        del os.environb[b"STRANGE"]
    drain(queue)
    assert output(queue, job_id) == b"caf\xe9\nsecond"


def test_the_shell_of_the_setting_runs_the_command(queue: Queue) -> None:
    """Another shell than ``/bin/sh``, with its own language."""
    bash = next((path for path in ("/bin/bash", "/usr/bin/bash") if os.path.exists(path)), None)
    if bash is None:
        pytest.skip("no bash here")
    queue.set("shell", bash)
    assert output(queue, run(queue, "a=(x y z); echo ${a[1]} $BASH_VERSION")).startswith(b"y ")
    assert output(queue, run(queue, "echo $0 plain words")) != b""
    queue.unset("shell")
    assert output(queue, run(queue, 'echo "[$BASH_VERSION]"')) == b"[]\n"


# --- output


@pytest.mark.parametrize(("size", "is_file"), [(0, False), (65_536, False), (65_537, True), (3_000_000, True)])
def test_small_output_moves_into_the_database_and_long_output_stays_in_its_file(
    queue: Queue, size: int, is_file: bool
) -> None:
    """64 KiB is the border; every byte can be read back from either place."""
    job = run(queue, f"head -c {size} /dev/urandom | tee copy")
    found = queue.output(job.id)
    assert found.size() == size == queue.attempts(job.id)[0].output_bytes
    assert (found.path is not None) is is_file
    assert found.read(0, size + 1) == Path("copy").read_bytes()
    assert found.read(size, 10) == b""
    assert os.listdir(queue.storage.spool.attempts) == (["1.out"] if is_file else [])


def test_bytes_are_kept_as_they_are(queue: Queue) -> None:
    """NUL, invalid UTF-8, carriage returns, escape sequences and no newline at the end."""
    data = bytes(range(256)) + b"\r50%\r100%\x1b[31m\x00\xff\xfe end"
    script = Path("data").resolve()
    script.write_bytes(data)
    assert output(queue, run(queue, f"cat {shlex.quote(str(script))}")) == data


def test_output_can_be_followed_while_it_grows(queue: Queue, tmp_path: Path) -> None:
    """The same handle reads on when the bytes move from the file into the database."""
    from tests.execution.at_work import wait_for_state, working
    from tests.processes import wait_for

    job_id = queue.enqueue(
        f"echo one; while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done; echo two"
    ).id
    with working(queue):
        wait_for_state(queue, job_id, State.RUNNING)
        found = queue.output(job_id)
        wait_for(lambda: found.size() == 4, "the first line is there")
        assert found.read(0, 100) == b"one\n"
        assert found.path is not None
        (tmp_path / "go").touch()
        wait_for_state(queue, job_id, State.COMPLETED)
        assert (found.read(4, 100), found.size(), found.lines(1)) == (b"two\n", 8, b"two\n")
        wait_for(lambda: not found.path, "the file goes once its bytes are committed")


def test_a_child_that_holds_stdout_delays_nobody(queue: Queue) -> None:
    """The attempt ends when its shell ends; the child lives on."""
    job = run(queue, "sleep 600 & echo $!")
    child = int(output(queue, job))
    assert (job.state, is_alive(child)) == (State.COMPLETED, True)
    os.kill(child, signal.SIGKILL)


def test_each_attempt_keeps_its_own_output(queue: Queue, tmp_path: Path) -> None:
    """Retries do not mix what they wrote."""
    queue.set("backoff-cap", "1ms")
    job_id = queue.enqueue("echo attempt $QUEUECTL_ATTEMPT; exit 1", max_attempts=3).id
    from tests.execution.at_work import wait_for_state, working

    with working(queue):
        wait_for_state(queue, job_id, State.DEAD)
    assert [queue.output(job_id, number).read(0, 99) for number in (1, 2, 3)] == [
        b"attempt 1\n", b"attempt 2\n", b"attempt 3\n"
    ]  # fmt: skip


def test_planted_links_in_the_spool_are_not_followed(queue: Queue, tmp_path: Path) -> None:
    """Where the run file or the output is to be, somebody put a link: it is taken away, its target left alone."""
    target = tmp_path / "target"
    target.write_text("mine")
    for kind in ("run", "out"):
        for number in (1, 2):
            os.symlink(target, f"{queue.storage.spool.attempts}/{number}.{kind}")
    assert output(queue, run(queue, "echo hello")) == b"hello\n"
    assert run(queue, "head -c 100000 /dev/zero").state is State.COMPLETED
    assert target.read_text() == "mine"


# --- with and without a second shell

COMMANDS = [
    "true", "false", "echo a  b", "echo -n x", "echo -e a", "echo", "  echo led", "echo trailed  ", "echo a;echo b",
    "no-such-program a b", "no-such-program", "/etc", "/etc/passwd", "./nope", "./nope x", "/nope/x",
    "A=1 env -u X true", "A=1 sh -c true", "A=1", "A=1 no-such-program", "echo A=1", "a=b=c echo x",
    "exit 3", "exit", "exit x", "exit 300", "return 3", "cd /nonexistent", "cd /", "pwd", "pwd -P", "umask",
    "kill -9 $$", "kill -l 9", "exec true", "exec no-such-program", "exec echo a", "eval echo a", "eval", ": a", ":",
    ". ./nope", ".", "set -e", "set --", "shift", "shift 1", "wait", "type echo", "command -v ls", "command echo a",
    "read x", "test -f /etc/passwd", "test -f /nope", "test", "printf a,b", "printf %s-%s a b",
    "if", "then", "fi", "do", "done", "case", "in", "in x", "for", "while", "until true", "function", "function x",
    "select", "select x", "!", "! true", "{", "}", "[", "[ a = a ]", "[[ a ]]", "-x", "--", "-", "%", "%1", "@", "+x",
    ",", "123", "0", "a.b", "a:b", "a/b", "1>x", "hash", "alias", "jobs", "bg", "fg", "getopts a b", "local x", "break",
    "continue", "trap", "trap -", "unset X", "readonly", "ulimit -c", "times x", "export A=1", "unalias x",
    "builtin echo", "source ./nope", "let 1", "declare x", "coproc true", "echo $0", "echo $#", "echo $@", "sh",
    "sh -c exit", "echo 'a b'", 'echo "a b"', "echo *", "echo ?", "echo ~", "echo {a,b}", "echo `echo x`",
    "echo $(echo x)", "echo #c", "echo a#c", "echo a\\ b", "echo a | cat", "echo a && echo b",
    "false || echo b", "echo a > /dev/null",
    "true &", "(exit 4)", "echo\ta", "echo a\necho b", "\necho a", "echo a\n", "echo a:b@c,d%e+f=g-h", "echo é",
    "basename a/b.c .c", "env -i true", "dirname /a/b", "ls -d /etc /usr", "cat /nope", "cat /etc", "sleep 0",
    "nohup true", "nice true", "xargs -a /dev/null", "awk", "test 1 -eq 2", "expr 1 + 1", "seq 3", "seq 1 3",
]  # fmt: skip


def test_plain_words_behave_as_in_a_shell(queue: Queue, tmp_path: Path) -> None:
    """Exit code, output and error messages of 150 commands are those of ``sh -c``, whichever way each was run."""
    ids = queue.enqueue_many(NewJob(command, max_attempts=1, cwd=str(tmp_path)) for command in COMMANDS)
    drain(queue, slots=4)
    differences = []
    for job_id, command in zip(ids, COMMANDS, strict=True):
        direct = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path, check=False,
        )  # fmt: skip
        code = direct.returncode if direct.returncode >= 0 else 128 - direct.returncode
        ours = (queue.job(job_id).last_exit_code, output(queue, job_id))
        if ours != (code, direct.stdout):
            differences.append((command, ours, (code, direct.stdout)))
    assert not differences, "\n".join(map(str, differences))


def test_words_reach_a_program_unchanged(queue: Queue, tmp_path: Path) -> None:
    """An argument list quoted by ``shlex`` arrives word by word, with and without special characters."""
    words = ["a b", "", "'", '"', "$HOME", "*", "-n", "a\\b", "x=y", "ünï", "a\nb", "%", "#", "~"]
    show = tmp_path / "show.py"
    show.write_text("import json, sys; print(json.dumps(sys.argv[1:]))")
    for some in (words, ["plain", "words", "x=y", "-v", "a/b:c@d,e%f+g"]):
        job = run(queue, shlex.join([sys.executable, str(show), *some]))
        assert json.loads(output(queue, job)) == some


def test_a_long_command_line_is_run(queue: Queue) -> None:
    """Up to the limit of the system for one argument, through either way of starting."""
    for command in ("echo " + "x" * 100_000, "echo '" + "x" * 131_000 + "'"):
        job = run(queue, command)
        assert job.state is State.COMPLETED, job.last_error
        assert queue.output(job.id).size() == len(command.replace("'", "")) - len("echo ") + 1


def test_many_short_jobs_each_run_once(queue: Queue, tmp_path: Path) -> None:
    """Two hundred through four slots: each wrote its line once."""
    ledger = tmp_path / "ledger"
    queue.enqueue_many(NewJob(f"echo $QUEUECTL_JOB_ID >> {shlex.quote(str(ledger))}") for _ in range(200))
    told = drain(queue, slots=4)
    assert sorted(map(int, ledger.read_text().split())) == list(range(1, 201))
    assert len(told.of(AttemptStarted)) == len(told.of(AttemptEnded)) == 200
    assert queue.counts().of(State.COMPLETED) == queue.count(View()) == 200


def test_output_of_an_attempt_that_was_only_claimed_is_empty_for_now(queue: Queue) -> None:
    """Between the claim and the start there is no file; who looked that early sees the output all the same."""
    job_id = queue.enqueue("echo hello").id
    with Hand(queue) as hand:
        hand.claim()
    found = queue.output(job_id)
    assert (found.size(), found.read(0, 10), found.path, found.lines(3)) == (0, b"", None, b"")
    with open(queue.storage.spool.output_file(found.attempt.id), "wb") as file:
        file.write(b"hello\n")
    assert (found.size(), found.read(0, 10), found.lines(3)) == (6, b"hello\n", b"hello\n")


def test_the_last_words_of_a_long_output_are_kept_with_the_attempt(queue: Queue) -> None:
    """It stays in its file; its end is read from there."""
    job_id = queue.enqueue("seq 20000; echo 'error: no space'; exit 1", max_attempts=1).id
    drain(queue)
    job = queue.job(job_id)
    assert (job.last_line, job.fingerprint is None) == ("error: no space", False)
