"""``queuectl worker`` as people live with it: its lines, its signals, its death, and other terminals meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.context import Session
from core.cli.worker_lines import WorkerLines
from core.execution import events
from core.execution.worker import Worker
from core.model import Decision, Ending, NewJob, Outcome, State
from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Terminal, wait_for
from tests.execution.at_work import UNTIL_GO
from tests.processes import group_of, processes_of_group

pytestmark = pytest.mark.long


def is_running(queue: Queue, job_id: int) -> bool:
    """Tell whether a job runs and its command has begun to write."""
    return queue.job(job_id).state is State.RUNNING and queue.output(job_id).size() > 0


def test_the_old_tools_session_works(terminal: Terminal) -> None:
    """Enqueue, work, three attempts 2 s and 4 s apart, the DLQ, and back."""
    assert terminal.run("enqueue", "echo Hello Queue").out == "Job added successfully (ID: 1)\n"
    assert terminal.run("enqueue", "invalidcommand arg1").out == "Job added successfully (ID: 2)\n"
    worker = terminal.worker()
    assert worker.line() == "Running job 1: echo Hello Queue"
    assert worker.until("Job 1").startswith("Job 1 completed (0.")
    assert worker.until("Job 2 failed") == "Job 2 failed (attempt 1/3). Retrying in 2 seconds… (exit 127)"
    assert worker.until("Job 2 failed") == "Job 2 failed (attempt 2/3). Retrying in 4 seconds… (exit 127)"
    assert worker.until("Job 2 moved") == "Job 2 moved to DLQ (exit 127, 3 attempts)"
    assert "invalidcommand arg1" in terminal.run("dlq").out
    attempts = json.loads(terminal.run("show", "2", "--json").out)["attempt_list"]
    assert [attempt["exit_code"] for attempt in attempts] == [127, 127, 127]
    assert terminal.run("dlq", "replay", "2").out == "Job 2 will run again\n"
    assert worker.until("Job 2 failed").startswith("Job 2 failed (attempt 1/3)")
    worker.signal(signal.SIGINT)
    assert worker.end().code == 0


def test_drain_runs_everything_and_tells_of_a_death(terminal: Terminal, open_queue: Queue) -> None:
    """A line for each event; without a terminal no output of jobs and no colours."""
    open_queue.add("echo words; exit 3", max_attempts=1, name="etl")
    result = terminal.run("worker", "--drain")
    assert result.code == 3
    assert result.err == ""
    assert result.out.splitlines() == [
        "Worker started. Waiting for jobs... (Press Ctrl+C to stop)",
        "Running job 1 (etl): echo words; exit 3",
        "Job 1 (etl) moved to DLQ (exit 3, 1 attempt)",
        "Worker stopped",
    ]


def test_drain_waits_for_retries_and_once_does_not(terminal: Terminal, open_queue: Queue) -> None:
    """Exit 3 when a job that ran has died; what is not waited for is said."""
    open_queue.set("backoff-cap", "300ms")
    open_queue.add("exit 3", max_attempts=2)
    open_queue.add("true", queue="media")
    open_queue.pause("media")
    assert terminal.run("enqueue", "--delay", "1h", "true").code == 0
    once = terminal.run("worker", "--once")
    assert (once.code, open_queue.job(1).attempts) == (0, 1)
    drained = terminal.run("worker", "--drain")
    assert (drained.code, open_queue.job(1).state) == (3, State.DEAD)
    assert drained.err == "queuectl: not waited for: 1 job scheduled for later, 1 job in a paused queue\n"
    assert terminal.run("worker", "--drain").code == 0
    assert terminal.run("worker", "--drain", "--once").code == 2


def test_a_job_that_died_and_was_replayed_meanwhile_did_not_die(terminal: Terminal, open_queue: Queue) -> None:
    """How each job stands in the end counts."""
    open_queue.add("[ -e again ] || { touch again; exit 3; }", max_attempts=1)
    open_queue.add("until [ -e replayed ]; do sleep 0.02; done", max_attempts=1)
    worker = terminal.worker("--drain", "-c", "2")
    worker.until("Job 1 moved to DLQ")
    open_queue.replay(1)
    wait_for(lambda: open_queue.job(1).state is State.COMPLETED)
    Path(open_queue.job(2).cwd, "replayed").touch()
    assert worker.end().code == 0


def test_the_end_of_an_output_is_shown_when_asked_for(terminal: Terminal, open_queue: Queue) -> None:
    """The last lines, indented and inert; progress bars in their last state."""
    open_queue.add(r"seq 100; printf '50%%\r100%%\n\033[31mred\033]52;c;aGk=\007 [bold]'")
    open_queue.add("true")
    open_queue.add("yes 0123456789 | head -c 220000")
    lines = terminal.run("worker", "--drain", "--show-output").out.splitlines()
    first = lines[lines.index("    … (all of it: queuectl logs 1)") + 1 :]
    assert first[:5] == ["    98", "    99", "    100", "    100%", "    red [bold]"]
    assert lines.count("    0123456789") == 5


def test_one_interrupt_lets_commands_finish(terminal: Terminal, open_queue: Queue, database: Path) -> None:
    """It says how many and what a second one does; what waits stays; exit 0."""
    open_queue.add(f"echo begun; {UNTIL_GO}; echo done")
    open_queue.add("echo never")
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGINT)
    worker.until("Stopping: waiting for 1 running job to finish (press Ctrl+C again to stop now)")
    (database.parent / "go").touch()
    result = worker.end()
    assert result.code == 0
    assert "Job 1 completed" in result.out
    assert [open_queue.job(number).state.value for number in (1, 2)] == ["completed", "pending"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_them_at_no_cost(terminal: Terminal, open_queue: Queue, number: signal.Signals) -> None:
    """Interrupted, to be run again; exit 130."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(number)
    worker.until("Stopping: waiting")
    worker.signal(number)
    worker.until("Stopping now: ending 1 running job")
    result = worker.end()
    assert result.code == 130
    assert "Job 1 interrupted; it will run again at no cost of an attempt" in result.out
    job = open_queue.job(1)
    assert (job.state, job.attempts, job.interrupts) == (State.PENDING, 0, 1)


def test_a_third_signal_leaves_them_running(terminal: Terminal, open_queue: Queue, database: Path) -> None:
    """A command that ignores TERM does not hold the terminal; the next worker has it."""
    open_queue.set("kill-grace", "1h")
    open_queue.add("trap '' TERM; echo begun; while ! test -e go; do sleep 0.02; done; exit 5", max_attempts=1)
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    for words in ("Stopping: waiting", "Stopping now"):
        worker.signal(signal.SIGINT)
        worker.until(words)
    worker.signal(signal.SIGINT)
    result = worker.end()
    assert result.code == 130
    assert "Worker stopped; 1 job still running, the next worker adopts them" in result.out
    assert open_queue.job(1).state is State.RUNNING
    (database.parent / "go").touch()
    adopter = terminal.run("worker", "--drain")
    assert "Adopted job 1, which a dead worker left running" in adopter.out
    assert open_queue.job(1).last_exit_code == 5


def test_a_closed_terminal_leaves_them_running(terminal: Terminal, open_queue: Queue, database: Path) -> None:
    """HUP is a detach, at once; exit 0."""
    open_queue.add(f"echo begun; {UNTIL_GO}; echo end; exit 6", max_attempts=1)
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGHUP)
    assert worker.end().code == 0
    assert open_queue.job(1).state is State.RUNNING
    (database.parent / "go").touch()
    assert terminal.run("worker", "--drain").code == 3
    assert (open_queue.job(1).last_exit_code, open_queue.output(1).read(0, 100)) == (6, b"begun\nend\n")


@pytest.mark.parametrize(("how", "state"), [("kill", State.PENDING), ("detach", State.RUNNING)])
def test_what_the_first_signal_does_can_be_chosen(
    terminal: Terminal, open_queue: Queue, how: str, state: State
) -> None:
    """Asked for in advance it is no interruption: exit 0."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker("--on-stop", how)
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGTERM)
    assert worker.end().code == 0
    assert open_queue.job(1).state is state


def test_a_killed_worker_costs_nothing(terminal: Terminal, open_queue: Queue, database: Path) -> None:
    """kill -9 in the middle; the next worker records the true exit code and all the output; it ran once."""
    open_queue.add(f"echo begun; {UNTIL_GO}; echo survived; exit 7", max_attempts=1)
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGKILL)
    worker.end()
    assert terminal.run("worker", "list").out.splitlines()[1].split()[1] == "dead"
    (database.parent / "go").touch()
    result = terminal.run("worker", "--drain", "--show-output")
    assert "Adopted job 1, which a dead worker left running: echo begun" in result.out
    assert "    survived" in result.out
    assert "Job 1 moved to DLQ (exit 7, 1 attempt)" in result.out
    attempts = open_queue.attempts(1)
    assert [(one.number, one.outcome, one.exit_code) for one in attempts] == [(1, Outcome.FAILED, 7)]
    assert open_queue.output(1).read(0, 100) == b"begun\nsurvived\n"


def test_two_terminals_share_a_queue(terminal: Terminal, open_queue: Queue) -> None:
    """A worker in one; enqueue, list, cancel, retry, pause, resume and stop in the other."""
    worker = terminal.worker("-c", "2")
    terminal.run("enqueue", "echo begun; sleep 60", check=True)
    worker.until("Running job 1")
    wait_for(lambda: is_running(open_queue, 1))
    assert terminal.run("list", "running", check=True).out.splitlines()[1].split()[:2] == ["1", "running"]
    assert terminal.run("cancel", "1", check=True).out == "Job 1 cancelled\n"
    assert worker.until("Job 1") == "Job 1 cancelled"
    terminal.run("queue", "pause", check=True)
    terminal.run("enqueue", "true", check=True)
    assert "everything is paused" in terminal.run("show", "2", check=True).out
    terminal.run("queue", "resume", check=True)
    worker.until("Job 2 completed")
    terminal.run("enqueue", "--delay", "1h", "true", check=True)
    terminal.run("retry", "3", check=True)
    worker.until("Job 3 completed")
    stopped = terminal.run("worker", "stop", check=True)
    assert stopped.out.startswith("Worker ")
    assert stopped.out.endswith(" stopped\n")
    assert worker.end().code == 0
    assert terminal.run("worker", "list").err == "queuectl: no worker is alive; start one with 'queuectl worker'\n"


def test_worker_stop_waits_for_what_runs(terminal: Terminal, open_queue: Queue) -> None:
    """It says what for; with a timeout it gives up with 124 while the worker goes on stopping; --now ends the jobs."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker_id = str(open_queue.workers()[0].id)
    result = terminal.run("worker", "stop", worker_id, "--timeout", "200ms")
    assert (result.code, result.out) == (124, f"Worker {worker_id} is still stopping\n")
    assert (
        f"waiting for worker {worker_id} (pid {worker.pid}), which has 1 running job and waits for them" in result.err
    )
    assert terminal.run("worker", "list").out.splitlines()[1].split()[1] == "stopping"
    result = terminal.run("worker", "stop", worker_id, "--now", "--json", check=True)
    assert json.loads(result.out) == [{"id": int(worker_id), "pid": worker.pid, "is_stopped": True}]
    assert worker.end().code == 0
    assert open_queue.job(1).state is State.PENDING


def test_stopping_nobody_is_exit_1(cli: Cli, open_queue: Queue) -> None:
    """No worker, or not that one."""
    open_queue.add("true")
    assert cli("worker", "stop").err == "queuectl: error: no worker is alive\n"
    result = cli("worker", "stop", "5")
    assert (result.code, result.err) == (1, "queuectl: error: no worker 5; see 'queuectl worker list'\n")


def test_a_worker_can_be_told_which_queues_to_serve(terminal: Terminal, open_queue: Queue) -> None:
    """Others' jobs stay."""
    for lane in ("media", "mail", "other"):
        open_queue.add("true", queue=lane)
    terminal.run("worker", "--drain", "--queue", "media", "mail", check=True)
    assert [open_queue.job(number).state.value for number in (1, 2, 3)] == ["completed", "completed", "pending"]


@pytest.mark.parametrize("lane", ["a b", "", " ", "a\tb"])
def test_a_worker_refuses_a_queue_that_no_job_can_be_in(cli: Cli, open_queue: Queue, lane: str) -> None:
    """In the words of enqueue, before it starts: it would wait for ever."""
    open_queue.add("true")
    result = cli("worker", "--drain", "--queue", "media", lane)
    assert (result.code, result.out) == (2, "")
    assert result.err == cli("enqueue", "--queue", lane, "true").err


def test_a_worker_whose_lines_nobody_reads_finishes_and_stops(terminal: Terminal, open_queue: Queue) -> None:
    """``queuectl worker | head``: what runs is not killed, nothing is printed about the pipe, the rest waits."""
    open_queue.enqueue_many(NewJob(f"echo {number}; sleep 0.3") for number in range(5))
    program = f"{shlex.quote(sys.executable)} -m core worker | head -n 2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, cwd=ROOT, env=terminal.environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    states = [open_queue.job(number).state for number in range(1, 6)]
    assert set(states) <= {State.COMPLETED, State.PENDING}
    assert states[0] is State.COMPLETED
    assert states[-1] is State.PENDING


def test_events_as_json_are_a_line_each(terminal: Terminal, open_queue: Queue) -> None:
    """For programs that run a worker."""
    open_queue.add("exit 7", max_attempts=2)
    lines = [json.loads(line) for line in terminal.run("worker", "--once", "--json", check=True).out.splitlines()]
    assert [line["event"] for line in lines] == ["worker_started", "attempt_started", "attempt_ended", "worker_stopped"]
    ended = lines[2]
    assert (ended["job_id"], ended["number"], ended["outcome"], ended["exit_code"]) == (1, 1, "failed", 7)
    assert (ended["state"], ended["retry_in_s"], ended["reason"]) == ("pending", 2.0, "exit 7")


def test_a_worker_on_a_terminal_shows_colours_and_output(terminal: Terminal, open_queue: Queue) -> None:
    """And with --no-output only its own lines."""
    open_queue.add("echo words")
    for options, is_shown in (((), True), (("--no-output",), False)):
        command = [sys.executable, "-m", "core", "worker", "--drain", *options]
        shown = subprocess.run(
            ["script", "-qec", " ".join(command), "/dev/null"],
            capture_output=True,
            cwd=ROOT,
            env={**terminal.environment, "TERM": "xterm"},
            timeout=60,
        ).stdout.decode()
        assert "\x1b[36mRunning\x1b[0m job 1: echo words" in shown
        assert ("    words" in shown) is is_shown
        open_queue.replay(1)


def test_what_a_worker_cannot_help_is_told(cli: Cli, open_queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    """Spawning refused, storage trouble and its end, an error of ours, a lost command: one clean line each."""
    open_queue.add("true")
    job = open_queue.job(1)
    lines = WorkerLines(
        Session(None, is_json=False, color="never"),
        open_queue,
        has_output=True,
        first_line="",
        on_silence=lambda: None,
    )
    lost = events.AttemptEnded(job, 1, 1, Ending(Outcome.LOST), Decision(State.PENDING, 0, 1))
    for event in (
        events.SpawningPaused("Resource temporarily unavailable", 1.0),
        events.StorageTrouble("the disk of \x1b[31mx is full; try again"),
        events.StorageRecovered(),
        events.LoopFailed(ValueError("oops")),
        lost,
    ):
        lines(event)
    assert capsys.readouterr().out.splitlines() == [
        "No room for more commands (Resource temporarily unavailable); trying again in 1 second",
        "the disk of x is full; trying again",
        "The database takes writes again",
        "Internal error: ValueError('oops'); going on",
        "Job 1 lost; it will run again at no cost of an attempt",
    ]


def test_a_worker_that_has_to_give_up_says_so(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the end, exit 1: no traceback of ours on stdout or as the last word."""

    def break_down(worker: Worker) -> None:
        worker.error = ValueError("oops")
        raise worker.error

    monkeypatch.setattr(Worker, "run", break_down)
    open_queue.add("true")
    result = cli("worker")
    assert result.code == 1
    assert result.err.startswith("queuectl: error: the worker gave up: ValueError('oops'); its commands go on")
    monkeypatch.setattr(Queue, "network_filesystem", lambda _: "nfs4")
    assert "nfs4 is a network filesystem" in cli("worker").err


def test_a_stopped_process_is_still_alive(terminal: Terminal, open_queue: Queue) -> None:
    """Ctrl+Z: its jobs stay its own, nobody adopts them."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGSTOP)
    try:
        assert terminal.run("worker", "list", check=True).out.splitlines()[1].split()[1] == "alive"
        assert terminal.run("worker", "--once", check=True).out.count("\n") == 2
    finally:
        worker.signal(signal.SIGCONT)


def test_files_are_private_whatever_the_umask(terminal: Terminal, database: Path) -> None:
    """Commands and outputs are nobody else's business."""
    before = os.umask(0)
    try:
        terminal.run("enqueue", "echo secret", check=True)
        terminal.run("worker", "--drain", check=True)
    finally:
        os.umask(before)
    paths = [database, *Path(f"{database}.spool").rglob("*"), Path(f"{database}.spool")]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("on_stop", ["wait", "detach", "kill"])
def test_a_service_managers_stop_costs_no_attempt(terminal: Terminal, open_queue: Queue, on_stop: str) -> None:
    """It signals the worker and every process of its commands, in no order that anyone promises."""
    open_queue.add("echo begun; sleep 600; true", max_attempts=1)
    worker = terminal.worker("--on-stop", on_stop)
    wait_for(lambda: is_running(open_queue, 1))
    group = group_of(open_queue, 1)
    for pid in (*processes_of_group(group), worker.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert worker.end().code == 0
    wait_for(lambda: not processes_of_group(group))
    open_queue.pause()
    terminal.run("worker", "--drain", check=True)
    job = open_queue.job(1)
    assert (job.state, job.attempts, job.last_outcome) == (State.PENDING, 0, Outcome.INTERRUPTED)


def test_a_worker_in_a_locale_without_utf8_runs_what_needs_it(terminal: Terminal, open_queue: Queue) -> None:
    """Command, name, variables and directory reach the job as they were added."""
    directory = Path(open_queue.path).parent / "caf\u00e9"
    directory.mkdir()
    open_queue.add(
        'printf "%s " \u00e9 "$WORD" "$QUEUECTL_JOB_NAME"; basename "$PWD"',
        name="na\u00efve",
        env={"WORD": "\u00fc"},
        cwd=str(directory),
    )
    terminal.environment.update(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    terminal.run("worker", "--once", check=True)
    assert open_queue.output(1).read(0, 100).decode() == "\u00e9 \u00fc na\u00efve caf\u00e9\n"
