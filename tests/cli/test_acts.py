"""What people do to jobs: retry, cancel, edit, the dead letter queue, purge, restore, undo."""

from __future__ import annotations

import io
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.model import NewJob, State
from core.queue import Queue
from tests.cli.conftest import Cli, drain

pytestmark = pytest.mark.each_engine


def dead_jobs(queue: Queue, count: int = 2) -> None:
    """Leave some jobs in the dead letter queue, numbered from 1."""
    queue.enqueue_many(NewJob("exit 1", max_attempts=1) for _ in range(count))
    drain(queue)


def state(queue: Queue, job: int | str) -> str:
    """Return the state of a job."""
    return queue.job(job).state.value


def test_retry_gives_dead_jobs_a_fresh_start(cli: Cli, open_queue: Queue) -> None:
    """One or several, each named."""
    dead_jobs(open_queue)
    assert cli.ok("retry", "1") == "Job 1 will run again\n"
    assert (state(open_queue, 1), open_queue.job(1).attempts) == ("pending", 0)
    assert cli("retry", "2", "--json").json == {"verb": "retry", "act_id": 2, "count": 1, "skipped": 0}


def test_retry_makes_a_delayed_job_due(cli: Cli, open_queue: Queue) -> None:
    """It was scheduled for later; now is better."""
    open_queue.add("true", name="later")
    cli.ok("edit", "later", "--delay", "1h")
    assert cli.ok("retry", "later") == "Job 1 (later) will run again\n"
    assert open_queue.job(1).run_at is None


def test_what_the_state_forbids_is_exit_1_and_changes_nothing(cli: Cli, open_queue: Queue) -> None:
    """The message says in which state the job is and what could be done."""
    open_queue.add("true")
    for arguments, words in (
        (("retry", "1"), "cannot retry job 1: it is pending; it is due already"),
        (("purge", "1", "--yes"), "cannot purge job 1: it is pending; cancel it first"),
        (("restore", "1"), "cannot restore job 1"),
        (("dlq", "replay", "1"), "job 1 is pending, not in the dead letter queue"),
        (("dlq", "purge", "1", "--yes"), "job 1 is pending, not in the dead letter queue"),
    ):
        result = cli(*arguments)
        assert result.code == 1
        assert words in result.err
    drain(open_queue)
    assert "it has already finished" in cli("cancel", "1").err
    assert "replay it first" in cli("edit", "1", "--label", "x").err
    assert state(open_queue, 1) == "completed"


def test_several_jobs_some_of_which_cannot(cli: Cli, open_queue: Queue) -> None:
    """The others are counted; if none could, it is a refusal."""
    dead_jobs(open_queue)
    open_queue.add("true")
    assert cli.ok("retry", "1", "3") == "1 job will run again, 1 skipped: their state does not allow it\n"
    assert cli("retry", "1", "3").code == 1


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    "arguments",
    [
        ("purge", "--older-than", "1d", "--yes"),
        ("purge", "--older-than", "1d", "--dry-run"),
        ("dlq", "replay", "--all"),
        ("dlq", "purge", "--all", "--yes"),
        ("retry", "1", "2"),
        ("cancel", "3", "4"),
        ("restore", "--last"),
        ("undo", "--act", "9"),
        ("worker", "stop"),
    ],
)
def test_an_act_without_anything_to_act_on_is_exit_1(
    cli: Cli, open_queue: Queue, arguments: tuple[str, ...], form: tuple[str, ...]
) -> None:
    """As the help and the README say; in JSON too."""
    open_queue.enqueue_many(NewJob("true") for _ in range(4))
    open_queue.cancel([3, 4])
    assert cli(*arguments, *form).code == 1


def test_one_unknown_job_among_several_changes_nothing(cli: Cli, open_queue: Queue) -> None:
    """All are looked up first."""
    dead_jobs(open_queue)
    for command in (("retry",), ("dlq", "replay"), ("purge", "--yes"), ("cancel",)):
        assert cli(*command, "1", "99").code == 4
    assert state(open_queue, 1) == "dead"


def test_the_dead_letter_queue_is_replayed(cli: Cli, open_queue: Queue) -> None:
    """One, all, by either word; empty is exit 1."""
    dead_jobs(open_queue, 3)
    assert cli.ok("dlq", "replay", "2") == "Job 2 will run again\n"
    assert cli.ok("dlq", "retry", "--all") == "2 jobs will run again\n"
    result = cli("dlq", "replay", "--all")
    assert (result.code, result.err) == (1, "queuectl: error: the dead letter queue is empty\n")
    assert {state(open_queue, number) for number in (1, 2, 3)} == {"pending"}


def test_the_dead_letter_queue_is_purged(cli: Cli, open_queue: Queue) -> None:
    """Not without consent; completed jobs stay."""
    open_queue.add("true")
    dead_jobs(open_queue, 2)
    assert cli("dlq", "purge", "--all").code == 2
    assert cli.ok("dlq", "purge", "--all", "--yes") == "2 jobs purged; 'queuectl restore --last' brings them back\n"
    assert [state(open_queue, number) for number in (1, 2, 3)] == ["completed", "purged", "purged"]


def test_cancel_takes_a_waiting_job_out(cli: Cli, open_queue: Queue) -> None:
    """At once."""
    open_queue.add("true", name="a")
    open_queue.add("true")
    assert cli.ok("cancel", "a", "2") == "Job 1 (a) cancelled\nJob 2 cancelled\n"
    assert cli("cancel", "2", "1").code == 1
    open_queue.add("true")
    assert [job["state"] for job in cli("cancel", "3", "--json").json] == ["cancelled"]


def test_edit_changes_what_is_given_and_nothing_else(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """Options as for enqueue; --clear takes away."""
    open_queue.add("false", name="a", label="l", timeout_s=5.0, priority=3)
    assert cli.ok("edit", "a", "--command", "true", "--max-attempts", "9", "--clear", "label") == "Job 1 (a) changed\n"
    job = open_queue.job("a")
    assert (job.command, job.max_attempts, job.label, job.timeout_s, job.priority) == ("true", 9, None, 5.0, 3)
    assert cli("edit", "a", "--clear", "timeout", "--json").json["timeout_s"] is None
    assert cli.ok("edit", "a", "--max-attempts", "9") == "Job 1 (a) is like that already\n"
    assert cli.ok("edit", "a", "--name", "b") == "Job 1 (b) changed\n"


def test_edit_takes_away_the_name_it_was_called_by(cli: Cli, open_queue: Queue) -> None:
    """The job is told by its number then."""
    open_queue.add("true", name="a")
    open_queue.add("true", name="b", run_at=datetime.now(timezone.utc) + timedelta(hours=1))
    assert cli.ok("edit", "a", "--clear", "name") == "Job 1 changed\n"
    assert cli.ok("edit", "b", "--clear", "name", "--retry") == "Job 2 changed and will run again\n"
    assert [open_queue.job(number).name for number in (1, 2)] == [None, None]


def test_edit_can_retry_in_the_same_breath(cli: Cli, open_queue: Queue) -> None:
    """A dead job is mended and runs again."""
    dead_jobs(open_queue, 1)
    assert cli.ok("edit", "1", "--command", "true", "--retry") == "Job 1 changed and will run again\n"
    drain(open_queue)
    assert state(open_queue, 1) == "completed"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--max-attempts", "0"], 2),
        (["--command", ""], 2),
        (["--timeout", "x"], 2),
        (["--name", "taken"], 1),
        (["--name", "7"], 2),
        (["--clear", "priority"], 2),
    ],
)
def test_a_bad_edit_changes_nothing(cli: Cli, open_queue: Queue, arguments: list[str], code: int) -> None:
    """Refused like a bad enqueue."""
    open_queue.add("true", name="a")
    open_queue.add("true", name="taken")
    before = open_queue.job("a")
    result = cli("edit", "a", *arguments)
    assert (result.code, result.err.count("\n")) == (code, 1)
    assert open_queue.job("a") == before


def test_purge_selects_by_state_age_queue_and_words(cli: Cli, open_queue: Queue) -> None:
    """What does not match stays."""
    open_queue.add("true", queue="media")
    open_queue.add("true")
    dead_jobs(open_queue, 1)
    assert cli("purge", "--older-than", "1h", "--yes").code == 1
    assert cli.ok("purge", "--queue", "media", "--yes").startswith("1 job purged")
    assert cli.ok("purge", "--state", "dead", "--grep", "exit", "--yes").startswith("1 job purged")
    assert cli("purge", "--all", "--yes", "--json").json["count"] == 1
    assert open_queue.counts().of(State.PURGED) == 3


@pytest.mark.parametrize("text", ["", " ", "!", '"', '""', '! ""'])
@pytest.mark.parametrize("others", [(), ("--all",), ("--state", "dead"), ("--dry-run",)])
def test_a_filter_that_leaves_nothing_out_purges_nothing(
    cli: Cli, open_queue: Queue, text: str, others: tuple[str, ...]
) -> None:
    """It may be a script's empty variable; who means all says so. A list takes it for no filter."""
    dead_jobs(open_queue)
    result = cli("purge", "--grep", text, "--yes", *others)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "pass --all to mean all" in result.err
    assert open_queue.counts().of(State.DEAD) == 2
    assert len(cli("list", "--grep", text, "--json").json) == 2


def test_a_dry_run_says_what_would_go_and_changes_nothing(cli: Cli, open_queue: Queue) -> None:
    """With the same options."""
    dead_jobs(open_queue, 25)
    result = cli("purge", "--state", "dead", "--dry-run")
    lines = result.out.splitlines()
    assert result.code == 0
    assert re.fullmatch(r"would purge job \d+ \(dead\): exit 1", lines[0])  # two ran at once: any may be the newest
    assert lines[-1] == "… and 5 more"
    assert "25 jobs would be purged; nothing was changed" in result.err
    assert len(cli("purge", "--all", "--dry-run", "--json").json) == 25
    assert cli("purge", "--older-than", "1d", "--dry-run").code == 1
    assert open_queue.counts().of(State.DEAD) == 25


@pytest.mark.parametrize(("answer", "code", "purged"), [("y\n", 0, 1), ("yes\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
def test_a_person_is_asked(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, purged: int
) -> None:
    """On a terminal purge asks; only a yes is a yes."""
    dead_jobs(open_queue, 1)
    monkeypatch.setattr("core.cli.context.Session.can_ask", property(lambda _: True))
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    result = cli("purge", "--all")
    assert result.code == code
    assert "Purge 1 job? [y/N]" in result.err
    assert open_queue.counts().of(State.PURGED) == purged


def test_restore_brings_back_what_was_purged(cli: Cli, open_queue: Queue) -> None:
    """Single jobs, or the last purge; to the state they came from."""
    dead_jobs(open_queue, 3)
    cli.ok("purge", "1", "--yes")
    cli.ok("purge", "2", "3", "--yes")
    assert cli.ok("restore", "--last") == "2 jobs restored\n"
    assert cli.ok("restore", "1") == "Job 1 restored\n"
    assert open_queue.counts().of(State.DEAD) == 3


def test_a_name_that_was_taken_meanwhile_is_said(cli: Cli, open_queue: Queue) -> None:
    """After a purge the name is free; the restored job comes without it."""
    open_queue.add("true", name="nightly")
    open_queue.cancel(1)
    cli.ok("purge", "nightly", "--yes")
    cli.ok("enqueue", "--name", "nightly", "true")
    result = cli("restore", "1")
    assert (result.code, result.out) == (0, "Job 1 restored\n")
    assert result.err == "queuectl: 1 job restored without the name, which another job has by now\n"


def test_nothing_to_restore_or_undo_is_exit_1(cli: Cli, open_queue: Queue) -> None:
    """The words were right."""
    open_queue.add("true")
    assert cli("restore", "--last").code == 1
    assert cli("undo").code == 1
    assert cli("undo", "--act", "5").code == 1


def test_undo_refuses_to_reach_past_an_act_that_cannot_be_undone(cli: Cli, open_queue: Queue) -> None:
    """It names the act and says how to undo an older one."""
    dead_jobs(open_queue, 2)
    first, second = 1, 2
    act = open_queue.purge([first])
    open_queue.purge([second])
    open_queue.restore([second])
    refused = cli("undo")
    assert refused.code == 1
    assert "the last act, restore of 1 job, cannot be undone: purge those jobs again; " in refused.err
    assert "undo --act N" in refused.err
    assert state(open_queue, first) == "purged"
    cli.ok("undo", "--act", str(act.id))
    assert state(open_queue, first) == "dead"


def test_undo_takes_back_the_last_act(cli: Cli, open_queue: Queue) -> None:
    """A purge, a replay, a cancel."""
    dead_jobs(open_queue, 2)
    cli.ok("dlq", "replay", "--all")
    assert cli.ok("undo") == "2 jobs put back as before the replay\n"
    assert open_queue.counts().of(State.DEAD) == 2
    cli.ok("purge", "--all", "--yes")
    assert cli("undo", "--json").json["verb"] == "undo purge"
    assert open_queue.counts().of(State.DEAD) == 2


def test_an_edit_leaves_the_variables_that_it_does_not_name(cli: Cli, open_queue: Queue) -> None:
    """Also one whose value is never shown; ``--unset-env`` takes one out, an undo brings all back."""
    cli.ok("enqueue", "--env", "A=1", "--env", "B=1", "--env", "DB_PASS=hush", "true")
    cli.ok("edit", "1", "--env", "B=2")
    assert open_queue.job(1).env == {"A": "1", "B": "2", "DB_PASS": "hush"}
    cli.ok("edit", "1", "--unset-env", "B", "--env", "C=3")
    assert open_queue.job(1).env == {"A": "1", "C": "3", "DB_PASS": "hush"}
    refused = cli("edit", "1", "--unset-env", "NOPE")
    assert (refused.code, "no variable 'NOPE'" in refused.err) == (1, True)
    assert cli("edit", "1", "--env", "A=2", "--unset-env", "A").code == 2
    cli.ok("undo")
    assert open_queue.job(1).env == {"A": "1", "B": "2", "DB_PASS": "hush"}


def test_a_group_is_retried_or_cancelled_by_what_its_jobs_share(cli: Cli, open_queue: Queue) -> None:
    """By queue, label or filter, as they are at that moment; ``retry`` takes what is dead or waits."""
    open_queue.enqueue_many(NewJob("exit 1", queue="media", max_attempts=1) for _ in range(3))
    open_queue.enqueue_many(NewJob("true", queue="media", label="nightly") for _ in range(2))
    drain(open_queue)
    assert cli.ok("retry", "--queue", "media", "--grep", "exit:1") == "3 jobs will run again\n"
    assert [state(open_queue, job) for job in range(1, 6)] == ["pending"] * 3 + ["completed"] * 2
    assert cli.ok("retry", "--label", "nightly", "--state", "completed") == "2 jobs will run again\n"
    assert "Job 4 cancelled" in cli.ok("cancel", "--label", "nightly")
    assert [state(open_queue, job) for job in range(1, 6)] == ["pending"] * 3 + ["cancelled"] * 2
    for verb in ("retry", "cancel", "wait"):
        nothing = cli(verb, "--queue", "nowhere")
        assert (nothing.code, "matches" in nothing.err) == (1, True)
        assert cli(verb, "1", "--queue", "media").code == 2
        assert cli(verb).code == 2
        assert "nothing to look for" in cli(verb, "--grep", "").err


@pytest.mark.parametrize("line", ["restore --last", "undo --act 1", "undo"])
def test_an_act_without_anything_to_act_on_is_refused_on_stderr(cli: Cli, open_queue: Queue, line: str) -> None:
    """Stdout, which a script reads, says nothing of it."""
    open_queue.add("true")
    result = cli(*line.split())
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)


def test_an_undo_that_can_change_no_job_any_more_is_refused_on_stderr(cli: Cli, open_queue: Queue) -> None:
    """The jobs of that act have moved on since."""
    dead_jobs(open_queue)
    act = open_queue.replay([1, 2])
    drain(open_queue)
    open_queue.empty_trash()
    result = cli("undo", "--act", str(act.id))
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
