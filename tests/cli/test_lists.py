"""What the CLI shows of jobs: ``list``, ``show``, ``dlq list``; for people, for pipes, as JSON; hostile texts inert."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.clock import to_datetime
from core.model import NewJob
from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Terminal, drain
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of

pytestmark = pytest.mark.each_engine

#: A text with everything in it that a terminal could act on, and what rich would take for markup.
HOSTILE = "[red]x[/red] [/] [@click=app.bell]y[/] \x1b[31m\x1b]52;c;aGk=\x07 \x9b2J \u202eabc\u2069 \t\x7f \r\nz"
#: What must never reach a terminal: controls but the line feed, C1, direction overrides.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def some_jobs(queue: Queue) -> None:
    """Add one job of each kind: completed, dead, retrying, delayed, ready, cancelled."""
    queue.enqueue("echo done")
    queue.enqueue("echo no; exit 7", max_attempts=1, name="bad", queue="media", label="x")
    queue.enqueue("exit 9", max_attempts=3, backoff_base=1000)
    drain(queue)
    queue.enqueue("echo waits")
    queue.enqueue("echo cancelled")
    queue.cancel(5)


def test_a_list_has_the_newest_at_the_end(cli: Cli, open_queue: Queue) -> None:
    """Without a state, all jobs by number."""
    some_jobs(open_queue)
    lines = cli.ok("list").splitlines()
    assert lines[0].split() == [
        "ID",
        "STATE",
        "NAME",
        "QUEUE",
        "LABEL",
        "PRIO",
        "TRIES",
        "SINCE",
        "RESULT",
        "COMMAND",
        *"LAST WORDS".split(),
    ]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["1", "completed", "-", "default"],
        ["2", "dead", "bad", "media"],
        ["3", "retrying", "-", "default"],
        ["4", "ready", "-", "default"],
        ["5", "cancelled", "-", "default"],
    ]
    assert "exit 7" in lines[2]
    assert lines[2].endswith("echo no; exit 7  no")


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ("list", [1, 2, 3, 4, 5]),
        ("list pending", [4, 3]),
        ("list dead", [2]),
        ("list dlq", [2]),
        ("list processing", []),
        ("list --state dead,completed", [1, 2]),
        ("list --state DEAD,dlq", [2]),
        ("list --queue media", [2]),
        ("list --queue nowhere", []),
        ("list --grep echo", [1, 2, 4, 5]),
        ("list --grep exit:7", [2]),
        ("list --grep !echo", [3]),
        ("list --after 3", [4, 5]),
        ("list --after bad --limit 1", [3]),
        ("list --limit 2", [1, 2]),
        ("list --limit 0", [1, 2, 3, 4, 5]),
        ("list --sort id --reverse", [5, 4, 3, 2, 1]),
        ("list --reverse", [5, 4, 3, 2, 1]),
        ("dlq", [2]),
        ("dlq list --limit 1", [2]),
    ],
)
def test_json_lists_what_was_asked_for(cli: Cli, open_queue: Queue, arguments: str, ids: list[int]) -> None:
    """States, queue, filter, paging, order."""
    some_jobs(open_queue)
    assert [job["id"] for job in cli(*arguments.split(), "--json").json] == ids


def test_a_long_list_shows_the_end_and_says_so(cli: Cli, open_queue: Queue) -> None:
    """People see the newest hundred; JSON has them all."""
    open_queue.enqueue_many(NewJob(f"echo {number}") for number in range(1234))
    result = cli("list")
    lines = result.out.splitlines()
    assert (len(lines), lines[-1].split()[0]) == (101, "1234")
    assert result.err == "queuectl: 100 of 1,234 jobs; --limit 0 shows all\n"
    assert len(cli.ok("list", "--limit", "0").splitlines()) == 1235
    assert len(cli("list", "--json").json) == 1234
    # of the waiting ones those that are next matter
    assert cli.ok("list", "pending", "--limit", "2").splitlines()[1].split()[0] == "1"


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("arguments", ["list", "list dead", "list --grep nothing", "dlq", "worker list", "queue list"])
def test_an_empty_list_is_exit_0(cli: Cli, open_queue: Queue, arguments: str, form: tuple[str, ...]) -> None:
    """As the help and the README say: 1 is for acts."""
    assert open_queue.count is not None
    assert cli(*arguments.split(), *form).code == 0
    words = "nothing there to act on (a list may be empty: 0)"
    for text in (cli.ok("--help"), (ROOT / "README.md").read_text()):
        assert words in " ".join(text.split())
    assert "the exit code is 0" in " ".join(cli.ok("help", "list").split())


def test_an_empty_list_is_no_error(cli: Cli, open_queue: Queue) -> None:
    """Nothing on stdout, a word on stderr, an empty array as JSON."""
    assert open_queue.count is not None
    result = cli("list")
    assert (result.code, result.out, result.err) == (0, "", "queuectl: no jobs yet\n")
    assert cli("list", "--json").json == []
    assert cli("dlq").err == "queuectl: the dead letter queue is empty\n"
    assert cli("list", "dead").err == "queuectl: no such jobs\n"


def test_json_of_a_job_is_flat_and_in_units(cli: Cli, open_queue: Queue) -> None:
    """Its keys are a promise."""
    some_jobs(open_queue)
    job = cli("list", "dead", "--json").json[0]
    assert set(job) == {
        *("id", "name", "command", "queue", "priority", "label", "cwd", "env", "max_attempts", "timeout_s"),
        *("backoff_base", "ok_exit", "dead_exit", "state", "phase", "run_at", "attempts", "interrupts"),
        *("enqueued_at", "since", "started_at", "finished_at", "run_s", "cpu_s", "max_rss_bytes"),
        *("last_line", "fingerprint", "is_held", "blocks", "on_dead", "on_complete", "needs", "on_lost_host"),
        *("last_outcome", "last_exit_code", "last_signal", "last_error"),
        *("max_retries", "created_at", "updated_at"),  # what other queues call them
    }
    assert (job["max_retries"], job["created_at"]) == (job["max_attempts"], job["enqueued_at"])
    assert (job["state"], job["last_outcome"], job["last_exit_code"], job["phase"]) == ("dead", "failed", 7, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["finished_at"])


def test_show_tells_everything(cli: Cli, open_queue: Queue) -> None:
    """Settings, attempts, acts, and why it is not running."""
    some_jobs(open_queue)
    text = cli.ok("show", "3")
    assert "pending, retrying" in text
    assert "it waits for its next attempt" in text
    assert re.search(r"next run +\d{4}-", text)
    assert re.search(r"1 +\d{4}-\S+ \S+ +[\d.]+m?s +[\d.]+m?s.* failed +9", text)
    open_queue.retry("bad")
    text = cli.ok("show", "bad")
    assert "no worker is alive; start one with 'queuectl worker'" in text
    assert re.search(r"retry +state=dead attempts=1", text)


def test_show_as_json_holds_attempts_and_history(cli: Cli, open_queue: Queue) -> None:
    """One object."""
    some_jobs(open_queue)
    open_queue.replay("bad")
    job = cli("show", "bad", "--json", "--environment").json
    assert (job["id"], job["phase"]) == (2, "ready")
    assert "no worker" in job["waiting_for"]
    assert [attempt["outcome"] for attempt in job["attempt_list"]] == ["failed"]
    assert [event["verb"] for event in job["history"]] == ["replay"]
    assert job["environment"]["PATH"]


def test_the_history_as_json_has_instants_as_text_and_durations_in_seconds(cli: Cli, open_queue: Queue) -> None:
    """As everything else in JSON has them: whatever the act kept of the row."""
    open_queue.add("true", run_at=datetime.now(timezone.utc) + timedelta(hours=1), timeout_s=1.5)
    cli.ok("edit", "1", "--timeout", "2s", "--delay", "2h")
    cli.ok("retry", "1")
    open_queue.add("exit 1", max_attempts=2)
    drain(open_queue)
    cli.ok("cancel", "1", "2")
    shown = [event["before"] for job in ("1", "2") for event in cli("show", job, "--json").json["history"]]
    assert shown[0]["timeout_s"] == 1.5
    assert shown[-1]["backoff_s"] == 2
    for before in shown:
        assert not [key for key in before if key.endswith("_ms")]
        for key in {"since", "run_at", "due_at"} & {key for key, value in before.items() if value is not None}:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", before[key])


def test_show_tells_which_acts_were_undone(cli: Cli, open_queue: Queue) -> None:
    """Those that ``undo --act`` would refuse."""
    some_jobs(open_queue)
    open_queue.purge("bad")
    assert cli("show", "bad", "--json").json["history"][0]["undone_at"] is None
    open_queue.undo()
    open_queue.retry("bad")
    text = cli.ok("show", "bad")
    assert re.search(r"2 +\S+ \S+ +purge \(undone\) +state=dead", text)
    assert re.search(r"3 +\S+ \S+ +retry +state=dead", text)
    undone = [event["undone_at"] for event in cli("show", "bad", "--json").json["history"]]
    assert undone[1] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", undone[0])


def test_values_of_secrets_are_never_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those given with --env nor those captured."""
    monkeypatch.setenv("MY_PASSWORD", "hunter2")
    cli.ok("config", "set", "capture-env", "all")
    cli.ok("enqueue", "--env", "API_KEY=hunter2", "true")
    for arguments in (("show", "1", "--environment"), ("show", "1", "--environment", "--json"), ("list", "--json")):
        out = cli.ok(*arguments)
        assert "hunter2" not in out
        assert "API_KEY" in out
    assert re.search(r"MY_PASSWORD +\*\*\*", cli.ok("show", "1", "--environment"))


def test_what_happened_is_not_shown_as_lying_ahead(cli: Cli, database: Path) -> None:
    """The calendar was set back by years since; a time that is still to come is one."""
    with Queue(database, clock=FakeClock()) as queue:
        queue.enqueue("true")
        queue.enqueue("true", run_at=to_datetime(queue.storage.clock.now_ms() + 60_000))
    for arguments in (("show", "1"), ("status",), ("list", "pending")):
        text = cli.ok(*arguments)
        assert re.search(r"\bnow\b", text)
        assert "ago" not in text
    assert not re.search(r"\bin \d", cli.ok("show", "1") + cli.ok("status"))
    assert re.search(r"next run .*\(in \d+y\)", cli.ok("show", "2"))
    assert re.search(r"delayed .* in \d+y ", cli.ok("list"))
    assert cli("status", "--json").json["oldest_pending_s"] == 0


def make_hostile(queue: Queue, database: Path) -> None:
    """Put the hostile text wherever a job takes text, and into its output."""
    command = f"printf '%s' '{HOSTILE}'; exit 3"
    # names and labels of other tools may have what enqueue refuses
    queue.enqueue(command, max_attempts=1, cwd=database.parent)
    with sqlite_of(queue).write() as connection:
        connection.execute(
            "UPDATE jobs SET name = :h, label = :h, queue = :h, cwd = :cwd",
            {"h": HOSTILE, "cwd": str(database.parent)},
        )
    drain(queue)
    with sqlite_of(queue).write() as connection:
        connection.execute("UPDATE jobs SET cwd = :h, error = :h", {"h": HOSTILE})
        connection.execute("UPDATE attempts SET error = :h", {"h": HOSTILE})


@pytest.mark.parametrize(
    "arguments",
    ["list", "dlq", "show 1", "logs 1", "queue", "status", "purge 1 --dry-run", "retry 1"],
)
def test_hostile_text_is_inert(cli: Cli, open_queue: Queue, database: Path, arguments: str) -> None:
    """Nothing in it reaches the terminal as a control, and nothing is taken for markup."""
    make_hostile(open_queue, database)
    result = cli(*arguments.split())
    assert result.code == 0
    assert UNSAFE.search(result.out + result.err) is None
    if arguments in ("list", "dlq", "show 1", "logs 1"):
        assert "[red]x[/red]" in result.out


@pytest.mark.parametrize("arguments", ["list --json", "show 1 --json", "logs 1 --json", "queue --json"])
def test_json_keeps_hostile_text_as_it_is_but_escaped(
    cli: Cli, open_queue: Queue, database: Path, arguments: str
) -> None:
    """What comes out of the parser is what was put in."""
    make_hostile(open_queue, database)
    out = cli.ok(*arguments.split())
    assert UNSAFE.search(out) is None
    assert out.isascii()
    assert json.dumps(HOSTILE)[1:-1].replace("\x7f", "\\u007f") in out


def test_an_error_message_is_inert_too(cli: Cli, open_queue: Queue) -> None:
    """It repeats what was typed, which may have come from anywhere."""
    assert open_queue.count is not None
    result = cli("show", "\x1b]0;gotcha\x07")
    assert result.code == 4
    assert UNSAFE.search(result.err) is None


def _on_a_terminal(terminal: Terminal, *arguments: str, columns: int = 100) -> str:
    """Return what a command writes to a terminal of its own."""
    controller, follower = pty.openpty()
    environment = {**terminal.environment, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "core", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            block = os.read(controller, 65536)
        except OSError:  # all have closed it
            break
        if not block:
            break
        written += block
    os.close(controller)
    assert process.wait(timeout=60) == 0
    return written.decode()


def test_a_terminal_gets_a_table_that_fits(terminal: Terminal, open_queue: Queue, tmp_path: Path) -> None:
    """Colours, only the columns that say something, the command cut at the edge; still inert."""
    some_jobs(open_queue)
    open_queue.enqueue("echo " + "x" * 500)
    open_queue.enqueue(HOSTILE)
    text = _on_a_terminal(terminal, "list")
    assert "\x1b[31mdead" in text
    assert "[red]x[/red]" in text
    plain = re.sub("\x1b\\[[0-9;]*m", "", text).replace("\r\n", "\n")
    assert UNSAFE.search(plain) is None
    assert max(len(line) for line in plain.splitlines()) <= 100
    assert "…" in plain
    assert "PRIO" not in plain
    assert "LABEL" in plain


def test_no_color_is_honoured(terminal: Terminal, open_queue: Queue) -> None:
    """``NO_COLOR`` and ``--color never``."""
    some_jobs(open_queue)
    assert "\x1b[" not in _on_a_terminal(terminal, "list", "--color", "never")
    terminal.environment["NO_COLOR"] = "1"
    assert "\x1b[" not in _on_a_terminal(terminal, "list")


def test_failed_is_what_waits_for_its_next_attempt(cli: Cli, open_queue: Queue) -> None:
    """Other queues' word; a fresh job and a dead one are not among them."""
    some_jobs(open_queue)
    open_queue.add("true")
    found = cli("list", "--state", "failed", "--json").json
    assert [(job["state"], job["phase"]) for job in found] == [("pending", "retrying")]
    assert cli("list", "failed", "--json").json == found
    assert cli("list", "failed,dead").code == 2


def test_a_list_is_of_one_label(cli: Cli, open_queue: Queue) -> None:
    """As of one queue."""
    open_queue.add("true", label="nightly")
    open_queue.add("true", label="nightly", queue="media")
    open_queue.add("true")
    assert [job["id"] for job in cli("list", "--label", "nightly", "--json").json] == [1, 2]
    assert [job["id"] for job in cli("list", "--label", "nightly", "--queue", "media", "--json").json] == [2]


def test_the_instants_of_the_history_are_text(cli: Cli, open_queue: Queue) -> None:
    """As everywhere in JSON."""
    some_jobs(open_queue)
    open_queue.retry("bad")
    before = cli("show", "bad", "--json").json["history"][0]["before"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", before["since"])


def test_a_word_that_is_no_utf8_is_quoted_as_it_was_typed(cli: Cli, open_queue: Queue) -> None:
    open_queue.add("true")
    result = cli("list", "--grep", "a\udcff")
    assert (result.code, result.err) == (2, "queuectl: error: 'a\\udcff' is not valid UTF-8\n")


def test_the_list_of_queues_says_whose_jobs_wait_for_a_lost_host(cli: Cli, open_queue: Queue) -> None:
    """And how to end that; of other queues nothing."""
    open_queue.enqueue("true")
    assert "lost host" not in cli("queue", "list").err
    cli.ok("queue", "on-lost-host", "media", "hold")
    assert cli("queue", "list").err == (
        "queuectl: jobs of media wait for a lost host; 'queuectl queue on-lost-host media rerun' ends that\n"
    )
    assert [queue["on_lost_host"] for queue in cli("queue", "list", "--json").json] == ["rerun", "hold"]
    cli.ok("queue", "on-lost-host", "media", "rerun")
    assert "lost host" not in cli("queue", "list").err
