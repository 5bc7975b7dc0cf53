"""What a job wrote and how it ended: ``logs``, ``run``, ``wait``, and ``cancel`` of what runs."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.model import NewJob, State, View
from core.queue import Queue
from tests.cli.conftest import Cli, Terminal, drain, wait_for
from tests.cli.test_worker import is_running

pytestmark = pytest.mark.long


def test_logs_are_cleaned_and_raw_is_raw(open_queue: Queue, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """By default nothing acts on the terminal; ``--raw`` gives every byte as it was written."""
    open_queue.add(r"printf 'a\033[31mb\033]0;t\007\n50%%\r100%%\nend\377\000'")
    drain(open_queue)
    data = open_queue.output(1).read(0, 1000)
    capfdbinary.readouterr()
    from core.cli import main

    assert main(["logs", "1"]) == 0
    assert capfdbinary.readouterr().out.decode() == "ab\n100%\nend\ufffd␀\n"
    assert main(["logs", "1", "--raw"]) == 0
    assert capfdbinary.readouterr().out == data
    assert main(["logs", "1", "--color", "always"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"a\x1b[31mb")
    assert main(["logs", "1", "--json"]) == 0
    printed = json.loads(capfdbinary.readouterr().out)
    assert printed["output"].encode("utf-8", "surrogateescape") == data


def test_logs_of_an_attempt_and_of_the_last_lines(cli: Cli, open_queue: Queue) -> None:
    """The newest attempt unless one is named."""
    open_queue.add('seq 5; echo "attempt $QUEUECTL_ATTEMPT"; exit 1', max_attempts=2, backoff_base=1)
    drain(open_queue)
    open_queue.retry(1) if open_queue.job(1).state is State.PENDING and open_queue.job(1).run_at else None
    drain(open_queue)
    assert cli.ok("logs", "1", "-n", "1") == "attempt 2\n"
    assert cli.ok("logs", "1", "-n", "2", "--attempt", "1") == "5\nattempt 1\n"
    assert cli.ok("logs", "1").splitlines()[0] == "1"


def test_logs_that_are_not_there_are_exit_1(cli: Cli, open_queue: Queue) -> None:
    """Not started, or no such attempt."""
    open_queue.add("true")
    assert cli("logs", "1").code == 1
    assert "has not started" in cli("logs", "1").err
    drain(open_queue)
    assert "no attempt 5" in cli("logs", "1", "--attempt", "5").err


def test_two_attempts_are_compared(cli: Cli, open_queue: Queue) -> None:
    """Equal runs are folded; one number means the attempt before it."""
    open_queue.add('seq 9; echo "attempt $QUEUECTL_ATTEMPT"; exit $QUEUECTL_ATTEMPT', max_attempts=3)
    for _ in range(3):
        drain(open_queue)
        if open_queue.job(1).state is State.PENDING:
            open_queue.retry(1)
    assert cli.ok("logs", "1", "--diff", "1", "3").splitlines() == [
        *("--- attempt 1: exit 1", "+++ attempt 3: exit 3", "@@ 6 equal lines @@"),
        *(" 7", " 8", " 9", "-attempt 1", "+attempt 3"),
    ]
    assert cli.ok("logs", "1", "--diff", "3") == cli.ok("logs", "1", "--diff", "2", "3")
    assert cli.ok("logs", "1", "--diff", "2", "2") == "Attempts 2 and 2 printed the same.\n"
    assert "\x1b[31m-attempt 2\x1b[0m" in cli.ok("logs", "1", "--diff", "3", "--color", "always")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("1", "--diff", "1"), 1, "no attempt before the first"),
        (("1", "--diff", "7"), 1, "no attempt 7"),
        (("--diff", "1", "2", "3"), 2, "name the job before it"),
        (("1", "--diff", "1", "2", "-f"), 2, "--diff goes with none of"),
        (("1", "--diff", "1", "2", "--json"), 2, "--diff goes with none of"),
        (("1", "--diff", "0"), 2, "--diff"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(
    cli: Cli, open_queue: Queue, words: tuple[str, ...], code: int, said: str
) -> None:
    open_queue.add("true")
    drain(open_queue)
    result = cli("logs", *words)
    assert (result.code, said in result.err) == (code, True), result.err


def test_following_ends_with_the_job(terminal: Terminal, open_queue: Queue, database: Path) -> None:
    """From before its start, over a retry, to its end; lines come as they are written."""
    open_queue.add(
        'echo "try $QUEUECTL_ATTEMPT"; until test -e go$QUEUECTL_ATTEMPT; do sleep 0.02; done; echo bye; exit 1',
        max_attempts=2,
        backoff_base=1000,
    )
    follower = terminal.start("logs", "-f", "1")
    assert follower.error_line().startswith("queuectl: job 1 is not running: no worker is alive")
    terminal.worker()
    assert follower.line() == "try 1"
    assert open_queue.job(1).state is State.RUNNING
    (database.parent / "go1").touch()
    assert follower.line() == "bye"
    wait_for(lambda: open_queue.job(1).state is State.PENDING)
    open_queue.retry(1)
    assert follower.error_line() == "queuectl: attempt 2"
    assert follower.line() == "try 2"
    (database.parent / "go2").touch()
    result = follower.end()
    assert (result.code, result.out, result.err) == (0, "bye\n", "")


def test_following_one_attempt_ends_with_it(terminal: Terminal, open_queue: Queue) -> None:
    """Also when it has ended already, and with the last lines only."""
    open_queue.add("seq 3; exit 1", max_attempts=3, backoff_base=1000)
    drain(open_queue)
    assert terminal.run("logs", "-f", "1", "--attempt", "1", check=True).out == "1\n2\n3\n"
    assert terminal.run("logs", "-f", "1", "--attempt", "1", "-n", "1", check=True).out == "3\n"


def test_a_gigantic_line_does_not_stop_the_show(cli: Cli, open_queue: Queue) -> None:
    """No newline for a megabyte."""
    open_queue.add("head -c 1000000 /dev/zero | tr '\\0' x")
    drain(open_queue)
    assert cli.ok("logs", "1").replace("\n", "") == "x" * 1_000_000


def test_run_is_the_command_itself(terminal: Terminal, open_queue: Queue) -> None:
    """Its output on stdout, its exit code; without a worker it runs here, alone."""
    open_queue.add("echo somebody else's")
    result = terminal.run("run", "echo out; echo err >&2; exit 42")
    assert (result.code, result.out) == (42, "out\nerr\n")
    assert result.err == "queuectl: job 2: no worker is alive, so it runs here\n"
    assert (open_queue.job(2).state, open_queue.job(2).queue) == (State.DEAD, "run")
    assert open_queue.job(1).state is State.PENDING
    assert open_queue.workers() == []


def test_run_leaves_the_work_to_a_living_worker(terminal: Terminal, open_queue: Queue) -> None:
    """In the queue that was asked for."""
    worker = terminal.worker()
    result = terminal.run("run", "--", "printf", "%s", "a b")
    assert (result.code, result.out) == (0, "a b\n")
    assert "a worker will run it" in result.err
    worker.until("Job 1 completed")
    assert open_queue.job(1).queue == "default"


def test_run_beside_a_worker_of_other_queues_says_why_it_runs_here(terminal: Terminal) -> None:
    """A worker is alive; it is another queue's."""
    terminal.worker("--queue", "media")
    result = terminal.run("run", "--queue", "mail", "exit 4")
    assert (result.code, result.err) == (4, "queuectl: job 1: no worker takes jobs of queue mail, so it runs here\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--timeout", "200ms", "sleep 60"), 124),
        (("kill -9 $$",), 137),
        (("--cwd", "/no/such/directory", "true"), 3),
        (("no-such-command-here",), 127),
        (("--ok-exit", "5", "exit 5"), 5),
        (("",), 2),
    ],
)
def test_run_says_how_it_ended_by_its_exit_code(terminal: Terminal, arguments: tuple[str, ...], code: int) -> None:
    """As a shell would."""
    assert terminal.run("run", *arguments).code == code


@pytest.mark.parametrize("has_worker", [True, False])
def test_run_says_what_holds_its_job_and_when_that_changes(
    terminal: Terminal, open_queue: Queue, has_worker: bool
) -> None:
    """Somebody else's worker or its own: a pause or a limit, each said once."""
    if has_worker:
        terminal.worker()
    open_queue.pause()
    open_queue.limit("media", 0)
    process = terminal.start("run", "--queue", "media", "echo out")
    where = "a worker will run it" if has_worker else "no worker is alive, so it runs here"
    assert process.error_line() == f"queuectl: job 1: {where}"
    assert process.error_line() == "queuectl: job 1 is not running: everything is paused"
    open_queue.resume()
    assert process.error_line() == "queuectl: job 1 is not running: queue media has a limit of 0"
    open_queue.limit("media", None)
    result = process.end()
    assert (result.code, result.out, result.err) == (0, "out\n", "")


def test_run_tries_again_when_told_to(terminal: Terminal, open_queue: Queue) -> None:
    """Once by default."""
    result = terminal.run("run", "--max-attempts", "2", "--backoff-base", "1", "echo $QUEUECTL_ATTEMPT; exit 3")
    assert (result.code, result.out) == (3, "1\n2\n")


def test_run_as_json_is_the_job_as_it_ended(terminal: Terminal) -> None:
    """Nothing else on stdout."""
    result = terminal.run("run", "--json", "echo hidden; exit 4")
    assert result.code == 4
    job = json.loads(result.out)
    assert (job["state"], job["last_exit_code"]) == ("dead", 4)


def test_an_interrupt_of_run_cancels_the_job(terminal: Terminal, open_queue: Queue) -> None:
    """Like any command in the foreground: exit 130, and nothing is left running."""
    process = terminal.start("run", "echo begun; sleep 60")
    assert process.line() == "begun"
    process.signal(signal.SIGINT)
    result = process.end()
    assert result.code == 130
    assert "queuectl: cancelling job 1" in result.err
    assert open_queue.job(1).state is State.CANCELLED


def test_wait_tells_whether_all_completed(cli: Cli, open_queue: Queue) -> None:
    """0 all did, 3 some did not; who did not is named."""
    open_queue.add("true")
    open_queue.add("exit 7", max_attempts=1)
    drain(open_queue)
    result = cli("wait", "1")
    assert (result.code, result.out) == (0, "1 job completed\n")
    result = cli("wait", "1", "2")
    assert (result.code, result.out) == (3, "1 job completed, 1 did not\n")
    assert result.err == "queuectl: job 2 is dead (exit 7)\n"
    assert cli("wait", "1", "2", "--json").json == {
        "completed": 1,
        "not_completed": 1,
        "unfinished": 0,
        "not_completed_ids": [2],
        "stuck_ids": [],
    }


def test_wait_gives_up_in_time(cli: Cli, open_queue: Queue) -> None:
    """124; and it says that nobody works."""
    open_queue.add("true")
    result = cli("wait", "--all", "--timeout", "300ms")
    assert (result.code, result.out) == (124, "0 jobs completed, 1 not finished in time\n")
    assert "no worker is alive" in result.err


def test_wait_says_what_holds_the_next_job(terminal: Terminal, open_queue: Queue) -> None:
    """Not what is merely delayed, nor anything while one of the jobs runs; one line, however many are held."""
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    open_queue.enqueue_many([NewJob("true", run_at=later), NewJob("true"), NewJob("true", name="w")])
    terminal.worker()
    wait_for(lambda: open_queue.job("w").state is State.COMPLETED)
    open_queue.pause()
    open_queue.enqueue_many([NewJob("echo begun; sleep 60", queue="a"), NewJob("true"), NewJob("true")])
    result = terminal.run("wait", "1", "--timeout", "200ms")
    assert (result.code, result.err) == (124, "")
    result = terminal.run("wait", "--all", "--timeout", "1.2s")
    assert (result.code, result.err) == (124, "queuectl: job 4 is not running: everything is paused\n")
    open_queue.resume()
    wait_for(lambda: is_running(open_queue, 4))
    open_queue.pause()
    result = terminal.run("wait", "4", "5", "--timeout", "200ms")
    assert (result.code, result.err) == (124, "")


def test_wait_says_both_that_nobody_works_and_that_nobody_may(cli: Cli, open_queue: Queue) -> None:
    """Either alone would be mended in vain."""
    open_queue.add("true")
    open_queue.limit("default", 0)
    assert cli("wait", "1", "--timeout", "100ms").err == (
        "queuectl: job 1 is not running: queue default has a limit of 0;"
        " also, no worker is alive; start one with 'queuectl worker'\n"
    )


def test_who_waits_is_told_that_no_worker_takes_the_job(terminal: Terminal, open_queue: Queue) -> None:
    """The only worker serves another queue: show, wait, run and logs -f say so, in the same words."""
    terminal.worker("--queue", "media")
    open_queue.add("true")
    why = "no worker takes jobs of queue default: worker 1 serves media; start one with 'queuectl worker'"
    assert why in " ".join(terminal.run("show", "1").out.split())
    assert terminal.run("show", "1", "--json").json["waiting_for"] == why
    assert terminal.run("wait", "1", "--timeout", "300ms").err == f"queuectl: job 1 is not running: {why}\n"
    follower = terminal.start("logs", "-f", "1")
    assert follower.error_line() == f"queuectl: job 1 is not running: {why}"
    follower.signal(signal.SIGINT)
    assert follower.end().code == 130


def test_a_worker_that_is_stopping_takes_nothing(terminal: Terminal, open_queue: Queue) -> None:
    """Whether another terminal asked it to stop or a signal."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker("-c", "2")
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGTERM)
    worker.until("Stopping")
    open_queue.add("true")
    why = "no worker takes jobs of queue default: worker 1 is stopping"
    wait_for(lambda: why in str(open_queue.waiting(2)), "the worker is known to be stopping")
    process = terminal.start("wait", "2")
    assert why in process.error_line()
    process.signal(signal.SIGINT)
    process.end()


def test_run_says_that_its_job_is_left_without_a_worker(terminal: Terminal, open_queue: Queue) -> None:
    """The worker that was to run it has stopped before it did."""
    worker = terminal.worker()
    open_queue.pause()
    process = terminal.start("run", "true")
    process.error_line()
    assert "everything is paused" in process.error_line()
    worker.signal(signal.SIGTERM)
    worker.end()
    open_queue.resume()
    while "no worker is alive" not in (line := process.error_line()):
        assert line
    process.signal(signal.SIGINT)
    assert process.end().code == 130


def test_wait_for_all_ends_when_all_have(terminal: Terminal, open_queue: Queue) -> None:
    """Through retries."""
    waiting = [open_queue.add("sleep 0.2; exit 1", max_attempts=2, backoff_base=1), open_queue.add("sleep 3")]
    terminal.worker("-c", "2")
    assert terminal.run("wait", "--all").code == 3
    assert [open_queue.job(number).state for number in waiting] == [State.DEAD, State.COMPLETED]
    assert terminal.run("wait", "--all").out == "0 jobs completed\n"


def test_an_interrupted_wait_is_exit_130(terminal: Terminal, open_queue: Queue) -> None:
    """Quietly."""
    open_queue.add("true")
    process = terminal.start("wait", "1")
    assert "no worker is alive" in process.error_line()
    process.signal(signal.SIGINT)
    result = process.end()
    assert (result.code, result.out, result.err) == (130, "", "")


def test_cancel_waits_until_the_command_has_ended(terminal: Terminal, open_queue: Queue) -> None:
    """Asked to by its worker, and killed after the grace if it will not."""
    open_queue.set("kill-grace", "300ms")
    open_queue.add("trap '' TERM; echo begun; sleep 60 & wait; sleep 60")
    terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    result = terminal.run("cancel", "1", check=True)
    assert result.out == "Job 1 cancelled\n"
    assert result.err == "queuectl: waiting for 1 running job to end (KILL follows after 0.3 seconds)\n"


def test_cancel_need_not_wait(terminal: Terminal, open_queue: Queue) -> None:
    """Then it says that it asked."""
    open_queue.add("trap '' TERM; echo begun; sleep 60")
    terminal.worker()
    # it ignores the signal from then on
    wait_for(lambda: is_running(open_queue, 1) and open_queue.output(1).size() > 0)
    assert terminal.run("cancel", "1", "--no-wait", check=True).out == "Job 1 is asked to stop\n"
    assert terminal.run("cancel", "1", "--kill", check=True).out == "Job 1 cancelled\n"


def test_cancel_of_many_counts_what_became_of_them(terminal: Terminal, open_queue: Queue) -> None:
    """Those that run are only asked to stop: it said that all were cancelled."""
    open_queue.set("kill-grace", "10m")
    for _ in range(2):
        open_queue.add("trap '' TERM; echo begun; sleep 60 & wait; sleep 60", label="all")
    terminal.worker("-c", "2")
    wait_for(lambda: all(is_running(open_queue, job) and open_queue.output(job).size() for job in (1, 2)))
    open_queue.enqueue_many([NewJob("true", label="all")] * 30)
    result = terminal.run("cancel", "--label", "all", "--no-wait")
    assert (result.code, result.out) == (0, "30 jobs cancelled, 2 asked to stop\n")
    ids = [str(number) for number in range(1, 33)]
    killed = terminal.run("cancel", "--kill", *ids)
    assert (killed.code, killed.out) == (0, "2 jobs cancelled, 30 cancelled already\n")
    refused = terminal.run("cancel", *ids)
    assert (refused.code, refused.err) == (1, "queuectl: error: nothing was changed: 32 jobs cancelled already\n")


def test_cancel_does_the_part_of_a_dead_worker(terminal: Terminal, open_queue: Queue) -> None:
    """Nobody else would: the command is stopped and recorded, no worker is left in the register."""
    open_queue.add("echo begun; sleep 60")
    worker = terminal.worker()
    wait_for(lambda: is_running(open_queue, 1))
    worker.signal(signal.SIGKILL)
    worker.end()
    assert terminal.run("cancel", "1", check=True).out == "Job 1 cancelled\n"
    assert open_queue.attempts(1)[0].output_bytes
    assert open_queue.workers() == []


def test_a_job_that_completed_and_was_purged_has_completed(cli: Cli, open_queue: Queue) -> None:
    """Purging is about seeing it; one that died has died."""
    open_queue.add("true")
    open_queue.add("exit 3", max_attempts=1)
    drain(open_queue)
    open_queue.purge([1, 2])
    assert cli("wait", "1").code == 0
    assert cli("wait", "1", "2").code == 3


def test_a_job_that_was_removed_does_not_complete(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody pruned it while it was waited for."""
    from core.cli.verbs.wait import AwaitedJobs

    waited = AwaitedJobs([1, 2], is_patient=False)
    open_queue.add("true")
    drain(open_queue)
    assert waited.look(open_queue)
    assert (waited.completed, waited.failed, list(waited.open)) == (1, [2], [])


def test_nothing_is_left_running(open_queue: Queue, database: Path) -> None:
    """The fixtures promise it; so does an empty queue."""
    assert open_queue.count(View((State.RUNNING,))) == 0


def test_wait_is_for_a_group_and_has_the_exit_code_of_one_job(cli: Cli, open_queue: Queue) -> None:
    """Of a job that was ended by a signal as a shell gives it; several jobs have no one code."""
    for command in ("true", "exit 7", "kill -9 $$"):
        open_queue.add(command, max_attempts=1, label="some")
    assert (cli("wait", "--label", "some", "--timeout", "0.1s").code, cli("wait", "--queue", "other").code) == (124, 1)
    drain(open_queue)
    assert [cli("wait", str(job), "--exit-code").code for job in (1, 2, 3)] == [0, 7, 137]
    assert cli("wait", "1", "2", "--exit-code").code == 2


def test_several_jobs_are_followed_at_once(terminal: Terminal, open_queue: Queue) -> None:
    """Each line begins with the number of its job; it ends when all have."""
    for number in (1, 2):
        open_queue.add(f"echo from {number}; sleep 0.2; echo again {number}", label="some")
    following = terminal.start("logs", "-f", "--label", "some")
    assert "following 2 jobs" in following.error_line()
    terminal.worker("-c", "2")
    result = following.end()
    assert result.code == 0
    assert sorted(result.out.splitlines()) == ["1 | again 1", "1 | from 1", "2 | again 2", "2 | from 2"]
    assert terminal.run("logs", "1", "2").code == 2


def test_run_goes_on_by_itself_when_the_worker_of_its_job_dies(terminal: Terminal, database: Path) -> None:
    """It adopts the command, and ends with its exit code."""
    worker = terminal.worker()
    process = terminal.start("run", f"echo begun; until test -e {database.parent}/go; do sleep 0.02; done; exit 7")
    assert process.error_line() == "queuectl: job 1: a worker will run it"
    assert process.line() == "begun"
    worker.popen.kill()
    assert process.error_line() == "queuectl: job 1: no worker is alive any more, so it goes on here"
    (database.parent / "go").touch()
    assert process.end().code == 7
