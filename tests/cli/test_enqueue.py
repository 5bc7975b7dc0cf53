"""``queuectl enqueue``: every way to say a job, and every way to say it wrong."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cli.parser import parse
from core.model import Sort, View
from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Terminal, drain

pytestmark = pytest.mark.each_engine


def commands(queue: Queue) -> list[str]:
    """Return the commands of all jobs, by number."""
    return [job.command for job in queue.jobs(View(sort=Sort.ID), limit=10_000)]


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put bytes on the standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_one_word_is_a_line_for_the_shell(cli: Cli, open_queue: Queue) -> None:
    """It is kept as it is; the answer names the number."""
    assert cli.ok("enqueue", "echo $HOME | wc -c") == "Job added successfully (ID: 1)\n"
    assert cli.ok("enqueue", "-q", "true") == "2\n"
    assert commands(open_queue) == ["echo $HOME | wc -c", "true"]


@pytest.mark.parametrize("command", ["true", "echo a b", "  x", "é", "", " ", "x\0", "y" * 140_000, "\udcff"])
@pytest.mark.parametrize("quiet", [(), ("-q",), ("--quiet",)])
def test_the_short_way_and_the_long_way_are_the_same(cli: Cli, command: str, quiet: tuple[str, ...]) -> None:
    """A plain enqueue is spared the parser; nobody can tell but by the clock."""
    cli.ok("--db", "short.db", "enqueue", "true")
    cli.ok("--db", "long.db", "enqueue", "true")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUECTL_DB", "short.db")
        short = cli("enqueue", *quiet, command), cli("list", "--json").json[-1]
        patch.setenv("QUEUECTL_DB", "long.db")
        long = cli("--color", "auto", "enqueue", *quiet, command), cli("list", "--json").json[-1]
    times = {"enqueued_at", "since", "created_at", "updated_at"}
    assert short[0] == long[0]
    assert {**short[1], **dict.fromkeys(times)} == {**long[1], **dict.fromkeys(times)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("-{[]}\"'=:#aq1 \t\n\0\ufeff\u2028é\udcff", max_size=6) | st.text(max_size=20))
def test_any_single_word_is_the_same_job_both_ways(cli: Cli, word: str) -> None:
    """The parser and the way without it store the same, or refuse it in the same words."""
    answers, jobs = [], []
    for path, before in (("short.db", ()), ("long.db", ("--color", "auto"))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QUEUECTL_DB", path)
            answers.append(cli(*before, "enqueue", word))
        with Queue(path) as queue:
            jobs.append([(job.id, job.command, job.queue, job.cwd) for job in queue.jobs(View(), limit=10_000)])
    assert answers[0] == answers[1]
    assert jobs[0] == jobs[1]


@pytest.mark.parametrize("words", [("--", "printf", "%s\\n", "b c", "$x"), ("printf", "%s\\n", "b c", "$x")])
def test_several_words_are_a_program_and_its_arguments(cli: Cli, open_queue: Queue, words: tuple[str, ...]) -> None:
    """Each argument arrives as it was given: nothing is split or expanded again."""
    cli.ok("enqueue", *words)
    drain(open_queue)
    assert open_queue.output(1).read(0, 100) == b"b c\n$x\n"


def test_what_follows_the_dashes_is_no_business_of_ours(cli: Cli, open_queue: Queue) -> None:
    """Options after ``--`` belong to the command, even ``--`` itself."""
    cli.ok("enqueue", "--label", "x", "--", "grep", "--json", "-q", "--", "-p")
    assert commands(open_queue) == ["grep --json -q -- -p"]
    assert open_queue.job(1).label == "x"


@pytest.mark.parametrize(
    "words",
    [
        "docker run --name web --env A=1 --timeout 30 nginx",
        "rsync -q src dst",
        "rsync src dst -q",
        "git checkout -- file",
        "sleep 5 --help",
        "x --name",
        "env --queue=q -p5 true",
        "npm ls --json --db",
        "sh -c true -- --json",
        "grep --color=always -p 5 x",
        "- -q",
    ],
)
@pytest.mark.parametrize("options", ["", "--label own -q -p -5", "-qp 5 --label=own", "--json --color never", "-q --"])
@pytest.mark.parametrize("verb", ["enqueue", "run"])
def test_all_words_behind_the_program_belong_to_it(verb: str, options: str, words: str) -> None:
    """Whatever they look like; the options before it are ours."""
    if verb == "run":
        options = options.replace("-qp", "-p").replace("-q", "--raw")
    command, parsed = parse([verb, *options.split(), *words.split()])
    assert command is not None
    assert parsed.words == words.split()
    assert parsed.label == ("own" if "own" in options else None)
    assert parsed.json is ("--json" in options)


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (["echo hi", "--priority", "5"], "--priority 5 -- 'echo hi' (if --priority"),
        (["-q", "echo hi", "-p5", "--json"], "-q -p5 --json -- 'echo hi' (if -p5"),
        (["echo hi", "more", "--label=a b", "and"], "'--label=a b' -- 'echo hi' more and (if --label=a"),
        (['{"command": "x"}', "--max-attempts", "2"], '--max-attempts 2 -- \'{"command": "x"}\' (if'),
        (
            ["sleep", "5", "--json"],
            "--json -- sleep 5 (if --json is the program's: queuectl enqueue -- sleep 5 --json)",
        ),
        (["sleep", "5", "--db", "x", "--json"], "--db x --json -- sleep 5 (if"),
        (["true", "--db=x"], "--db=x -- true (if"),
    ],
)
def test_options_of_ours_behind_the_command_are_refused_with_the_right_order(
    cli: Cli, open_queue: Queue, arguments: list[str], order: str
) -> None:
    """They used to work there; in silence they would now be part of a program that does not exist."""
    result = cli("enqueue", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert f"options go before the command: queuectl enqueue {order}" in result.err
    assert commands(open_queue) == []


def test_the_order_that_a_refusal_shows_is_accepted(cli: Cli, open_queue: Queue) -> None:
    """Both of them: what is ours, and what is the program's."""
    refusal = cli("enqueue", "npm", "ls", "--json").err
    ours, theirs = re.findall(r"queuectl (enqueue [^()]*?)(?: \(|\)\n)", refusal)
    assert cli(*shlex.split(ours)).json["command"] == "npm ls"
    cli.ok(*shlex.split(theirs))
    assert commands(open_queue) == ["npm ls", "npm ls --json"]


def test_every_option_reaches_the_job(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """The options are those of the design."""
    cli.ok(
        *("enqueue", "--name", "nightly", "--queue", "media", "-p", "-5", "--delay", "10m", "--max-attempts", "7"),
        *("--timeout", "1h30m", "--backoff-base", "1.5", "--cwd", str(tmp_path), "--env", "A=1", "--env", "B=x=y"),
        *("--label", "etl", "--ok-exit", "24,0", "--dead-exit", "64-78", "true"),
    )
    job = open_queue.job("nightly")
    assert (job.queue, job.priority, job.max_attempts, job.timeout_s) == ("media", -5, 7, 5400.0)
    assert (job.backoff_base, job.cwd, job.env, job.label) == (1.5, str(tmp_path), {"A": "1", "B": "x=y"}, "etl")
    assert (job.ok_exit, job.dead_exit) == ("0,24", "64-78")
    assert job.run_at is not None
    assert 590 < (job.run_at - job.enqueued_at).total_seconds() < 610


def test_at_is_a_time_of_day_or_a_date(cli: Cli, open_queue: Queue) -> None:
    """Without a zone it is local time."""
    cli.ok("enqueue", "--at", "2100-01-02T03:04:05Z", "true")
    cli.ok("enqueue", "--at", "23:59", "true")
    first, second = open_queue.job(1), open_queue.job(2)
    assert first.run_at is not None
    assert first.run_at.isoformat() == "2100-01-02T03:04:05+00:00"
    assert second.run_at is not None
    assert second.run_at.astimezone().strftime("%H:%M:%S") == "23:59:00"


def test_max_retries_is_another_spelling(cli: Cli, open_queue: Queue) -> None:
    """Old scripts say it that way."""
    cli.ok("enqueue", "--max-retries", "4", "true")
    cli.ok("enqueue", '{"command": "true", "max_retries": 5}')
    assert [open_queue.job(1).max_attempts, open_queue.job(2).max_attempts] == [4, 5]


def test_a_json_object_says_it_all(cli: Cli, open_queue: Queue) -> None:
    """Keys are option names with either dash; text in ``id`` is the name; durations may be numbers; null is nothing."""
    wanted = {
        "command": "true",
        "id": "job1",
        "queue": "q",
        "priority": 3,
        "delay": 90,
        "max-attempts": 2,
        "timeout": 1.5,
        "backoff_base": 3,
        "cwd": "/",
        "env": {"A": "b"},
        "label": "l",
        "ok-exit": 24,
        "dead_exit": "64-78",
        "at": None,
    }
    cli.ok("enqueue", json.dumps(wanted))
    job = open_queue.job("job1")
    assert (job.command, job.queue, job.priority, job.max_attempts, job.timeout_s) == ("true", "q", 3, 2, 1.5)
    assert (job.backoff_base, job.cwd, job.env, job.label) == (3.0, "/", {"A": "b"}, "l")
    assert (job.ok_exit, job.dead_exit) == ("24", "64-78")
    assert job.run_at is not None


def test_options_are_defaults_for_json(cli: Cli, open_queue: Queue) -> None:
    """What the object says wins."""
    cli.ok("enqueue", "--label", "a", "--queue", "q", '{"command": "true", "label": "b"}')
    assert (open_queue.job(1).label, open_queue.job(1).queue) == ("b", "q")


@pytest.mark.parametrize("command", ["{ echo a; echo b; }", "{\n echo a; }", "  { true; }"])
def test_a_shells_braces_are_not_json(cli: Cli, open_queue: Queue, command: str) -> None:
    """A group of commands begins with a brace too, but a space and a word follow it."""
    cli.ok("enqueue", command)
    assert commands(open_queue) == [command]


def test_json_output_is_the_job(cli: Cli) -> None:
    """A flat object: instants in UTC with Z, null for what is absent, values of secrets masked."""
    job = cli("enqueue", "--json", "--env", "API_TOKEN=hunter2", "--env", "MODE=x", "--delay", "1h", "true").json
    assert (job["id"], job["command"], job["state"], job["phase"]) == (1, "true", "pending", "delayed")
    assert job["name"] is None
    assert job["run_at"].endswith("Z")
    assert job["env"] == {"API_TOKEN": "***", "MODE": "x"}
    assert all(value is None or isinstance(value, (str, int, float)) for key, value in job.items() if key != "env")


WRONG_JSON: list[tuple[str, str]] = [
    ('{"command": "true"', "not valid JSON"),
    ("{'command': 'true'}", "not valid JSON"),
    ("{command: true}", "not valid JSON"),
    ('{"command": "true"} trailing', "not valid JSON"),
    ("{}", '"command" is missing'),
    ('{"name": "x"}', '"command" is missing'),
    ('{"command": null}', '"command" is missing'),
    ('{"command": ""}', "the command is empty"),
    ('{"command": 5}', "'command' takes a text"),
    ('{"command": ["ls"]}', "'command' takes a text"),
    ('{"command": "x", "id": 5}', "'id' takes a text"),
    ('{"command": "x", "id": "5"}', "is a number"),
    ('{"command": "x", "prio": 5}', "unknown key 'prio'"),
    ('{"command": "x", "priority": "high"}', "'priority' takes a whole number"),
    ('{"command": "x", "priority": true}', "'priority' takes a whole number"),
    ('{"command": "x", "priority": 1.5}', "'priority' takes a whole number"),
    ('{"command": "x", "max-attempts": 0}', "max-attempts is from 1"),
    ('{"command": "x", "max_attempts": "3"}', "'max_attempts' takes a whole number"),
    ('{"command": "x", "timeout": "soon"}', "timeout 'soon' is not a duration"),
    ('{"command": "x", "timeout": -5}', "timeout '-5' is not a duration"),
    ('{"command": "x", "delay": {}}', "'delay' takes a duration"),
    ('{"command": "x", "at": "whenever"}', "time 'whenever' is not understood"),
    ('{"command": "x", "env": ["A=1"]}', "'env' takes an object of texts"),
    ('{"command": "x", "env": {"A": 1}}', "'env' takes an object of texts"),
    ('{"command": "x", "env": {"A=B": "1"}}', "cannot be set"),
    ('{"command": "x", "ok-exit": "300"}', "not understood"),
    ('{"command": "x", "dead-exit": 0}', "which is success"),
    ('{"command": "x", "dead-exit": []}', "'dead-exit' takes exit codes"),
    ('{"command": "x", "command": "y"}', "twice"),
    ('{"command": "x", "max-attempts": 2, "max_retries": 3}', "says again"),
    ('{"command": "x", "name": "a", "id": "b"}', "says again"),
    ('{"command": "x", "delay": 1, "at": "18:30"}', "says again"),
    ('{"command": "x", "backoff-base": NaN}', "backoff-base"),
    ('{"command": "x\\u0000y"}', "NUL"),
    ('{"command": "\\ud800"}', "not valid UTF-8"),
]


@pytest.mark.parametrize(("text", "words"), WRONG_JSON)
def test_wrong_json_is_refused_with_the_reason(cli: Cli, open_queue: Queue, text: str, words: str) -> None:
    """Exit 2, one line that names the key, nothing added."""
    result = cli("enqueue", text)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err
    assert commands(open_queue) == []


WRONG_OPTIONS: list[tuple[list[str], str]] = [
    ([], "nothing to enqueue"),
    ([""], "the command is empty"),
    (["   "], "the command is empty"),
    (["x" * 131_072], "put it into a script file"),
    (["--bogus", "x"], "unknown argument '--bogus'"),
    (["--name", "12", "x"], "is a number"),
    (["--name", "", "x"], "name is empty"),
    (["--name", "a\nb", "x"], "control character"),
    (["--queue", "two words", "x"], "use one word"),
    (["-p", "high", "x"], "--priority is a whole number such as 10, not 'high'"),
    (["-p", "99999999999", "x"], "--priority is a whole number from -1,000,000,000 to"),
    (["--delay", "soon", "x"], "not a duration"),
    (["--delay", "1m", "--at", "18:30", "x"], "exclude each other"),
    (["--at", "25:00", "x"], "not understood"),
    (["--max-attempts", "0", "x"], "--max-attempts is a whole number from 1"),
    (["--max-attempts", "x", "x"], "--max-attempts is a whole number such as 3, not 'x'"),
    (["--timeout", "-1", "x"], "timeout"),
    (["--backoff-base", "0.5", "x"], "backoff-base is from"),
    (["--backoff-base", "x", "x"], "--backoff-base is a number such as 1.5, not 'x'"),
    (["--env", "NOVALUE", "x"], "not NAME=VALUE"),
    (["--env", "=x", "x"], "not NAME=VALUE"),
    (["--ok-exit", "256", "x"], "not understood"),
    (["--dead-exit", "9-1", "x"], "not understood"),
    (["--dead-exit", "0", "x"], "dead-exit 0 has 0, which is success"),
    (["--dead-exit", "0-5", "x"], "which is success"),
    (["--ok-exit", "0,20-30", "--dead-exit", "64,25", "x"], "exit code 25 is in ok-exit and in dead-exit"),
    (["--env", "a-b=1", "x"], "the variable 'a-b' cannot be set: a name has letters"),
    (["--env", "1A=1", "x"], "the variable '1A' cannot be set"),
    (["--env", "é=1", "x"], "cannot be set"),
    (["--label", "", "x"], "label is empty"),
    (["--stdin", "x"], "only one of them"),
    (["--stdin", "--file", "f"], "exclude each other"),
    (["--stdin", "--name", "n"], "--name is for one job"),
    (["-0", "x"], "-0 goes with"),
    (["--name"], "--name"),
    (['{"command": "x"}', '{"command": "y"}'], "JSON is one word"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG_OPTIONS)
def test_wrong_options_are_refused_with_the_reason(
    cli: Cli, open_queue: Queue, arguments: list[str], words: str
) -> None:
    """Exit 2, one line, nothing added."""
    result = cli("enqueue", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err
    assert commands(open_queue) == []


def test_a_name_that_exists_is_refused(cli: Cli) -> None:
    """Exit 1: the words are right, the queue says no."""
    cli.ok("enqueue", "--name", "a", "true")
    result = cli("enqueue", "--name", "a", "true")
    assert result.code == 1
    assert "'a' exists already" in result.err


def test_a_missing_file_is_one_line(cli: Cli) -> None:
    """With the name of the file."""
    result = cli("enqueue", "--file", "nothing.txt")
    assert (result.code, result.err) == (1, "queuectl: error: nothing.txt: No such file or directory\n")


def test_a_line_is_a_job(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and JSON objects, no blank lines and comments, the last line with or without its end, CR LF or LF."""
    feed(monkeypatch, b'echo 1\n\n  \n{"command": "echo 2", "label": "own"}\r\n# echo 3\necho 4\r\necho 5')
    assert cli.ok("enqueue", "--stdin", "--label", "all", "-p", "2") == "4 jobs added successfully (IDs: 1-4)\n"
    assert commands(open_queue) == ["echo 1", "echo 2", "echo 4", "echo 5"]
    assert [job.label for job in open_queue.jobs(View(sort=Sort.ID))] == ["all", "own", "all", "all"]
    assert open_queue.job(4).priority == 2


def test_lines_that_end_with_nul_have_no_comments(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs write those; a number of a refused line counts comments and blank lines, too."""
    feed(monkeypatch, b"# echo 1\0echo 2\0")
    cli.ok("enqueue", "--stdin", "-0")
    assert commands(open_queue) == ["# echo 1", "echo 2"]
    feed(monkeypatch, b'# one\n\necho 3\n{"command": 4}\n')
    refused = cli("enqueue", "--stdin")
    assert (refused.code, "line 4" in refused.err) == (2, True)
    assert open_queue.count(View()) == 2


def test_a_json_array_is_a_batch(cli: Cli, open_queue: Queue) -> None:
    """All of it or nothing; options hold where an object says nothing; a shell's test is no array."""
    out = cli.ok("enqueue", "--label", "all", '[{"command": "echo 1"}, {"command": "echo 2", "label": "own"}]')
    assert out == "2 jobs added successfully (IDs: 1-2)\n"
    assert [(job.command, job.label) for job in open_queue.jobs(View(sort=Sort.ID))] == [
        ("echo 1", "all"),
        ("echo 2", "own"),
    ]
    for text in (
        '[{"command": "echo 3"}, {"label": "x"}]',
        '[{"command": "a", "id": "n"}, {"command": "b", "id": "n"}]',
        '["echo 3", "echo 4"]',
        '[1, "true"]',
        '[["true"]]',
        "[null]",
    ):
        refused = cli("enqueue", text)
        assert refused.code in (1, 2)
        assert "nothing was added" in refused.err
    assert open_queue.count(View()) == 2


@pytest.mark.parametrize(
    "command", ["[ -e /tmp ]", "[ 1 ]", "[ -f x ] && y", "[[ -f x ]] && y", "[0-9]*.sh", "[1-9]", "[abc] d", '[ "a" ]']
)
def test_a_shells_brackets_are_not_json(cli: Cli, open_queue: Queue, command: str) -> None:
    """A test has a space behind the bracket; a pattern of file names is no valid JSON."""
    cli.ok("enqueue", command)
    assert commands(open_queue) == [command]


@pytest.mark.parametrize("line", ['["true"]', '[1, "true"]', "[]", '[{"command": "true"}]'])
def test_a_line_with_a_json_array_is_refused(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """A line is one job; the whole array is given as one word."""
    feed(monkeypatch, f"echo 1\n{line}\n".encode())
    result = cli("enqueue", "--stdin")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("queuectl: error: line 2: a JSON array is no single job; give it to")
    assert commands(open_queue) == []


def test_what_other_queues_call_it(cli: Cli, open_queue: Queue) -> None:
    """Keys and options of the common exercise; what it keeps in a job besides is ignored."""
    cli.ok(
        "enqueue",
        '{"id": "j1", "command": "true", "max_retries": 0, "run_at": 4102444800, "timeout_seconds": 9,'
        ' "state": "pending", "attempts": 2, "created_at": "2026-01-01T00:00:00Z", "updated_at": null}',
    )
    job = open_queue.job("j1")
    assert (job.max_attempts, job.timeout_s, job.attempts) == (1, 9, 0)
    assert job.run_at is not None
    assert job.run_at.year == 2100
    cli.ok("enqueue", "--id", "j2", "--command", "echo hi", "--max-retries", "0", "--run-at", "2100-01-01T00:00:00Z")
    assert (open_queue.job("j2").command, open_queue.job("j2").max_attempts) == ("echo hi", 1)
    cli.ok("enqueue", "--run-at", "2020-01-01", "true")
    assert cli("enqueue", "--at", "2020-01-01", "true").code == 2


def test_a_directory_that_is_not_there_is_noted(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """On stderr, and the job is added: the directory may be there when it starts."""
    result = cli("enqueue", "--cwd", str(tmp_path / "later"), "true")
    assert (result.code, result.out) == (0, "Job added successfully (ID: 1)\n")
    assert f"{tmp_path / 'later'} does not exist" in result.err
    assert "does not exist" not in cli("enqueue", "--cwd", str(tmp_path), "true").err


@pytest.mark.parametrize("text", [b"echo 1", b'{"command": "echo 1"}', b"\necho 1"])
def test_a_byte_order_mark_is_no_part_of_the_first_command(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: bytes
) -> None:
    """Only where a stream begins; later on it is a character like others."""
    data = b"\xef\xbb\xbf" + text + b"\necho \xef\xbb\xbf2\n"
    feed(monkeypatch, data)
    (tmp_path / "jobs").write_bytes(data)
    cli.ok("enqueue", "--stdin")
    cli.ok("enqueue", "--file", "jobs")
    assert commands(open_queue) == ["echo 1", "echo \ufeff2"] * 2


def test_nul_ends_a_line_that_may_hold_line_feeds(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """For commands of several lines."""
    (tmp_path / "jobs").write_bytes(b"echo 1\necho 2\0echo 3\0")
    assert cli.ok("enqueue", "--file", "jobs", "-0", "-q") == "1\n2\n"
    assert commands(open_queue) == ["echo 1\necho 2", "echo 3"]


def test_a_batch_as_json_tells_its_numbers(cli: Cli, tmp_path: Path) -> None:
    """They follow each other."""
    (tmp_path / "jobs").write_text("a\nb\nc\n")
    assert cli("enqueue", "--file", "jobs", "--json").json == {"added": 3, "first_id": 1, "last_id": 3}


def test_nothing_to_add_is_exit_1(cli: Cli, tmp_path: Path) -> None:
    """A pipe that came empty is worth noticing."""
    (tmp_path / "jobs").write_text("\n\n")
    result = cli("enqueue", "--file", "jobs")
    assert (result.code, result.out) == (1, "")
    assert "nothing to add" in result.err


@pytest.mark.parametrize(
    ("data", "number", "words"),
    [
        (b'echo 1\n\n{"command": 1}\n', 3, "'command' takes a text"),
        (b'echo 1\n{"command": "x", "max-attempts": 0}\n', 2, "max-attempts is from 1"),
        (b"echo 1\necho \xff\n", 2, "not valid UTF-8"),
        (b"echo 1\necho a\0b\n", 2, "NUL"),
        (b"echo 1\n" + b"x" * 140_000, 2, "put it into a script file"),
        (b"echo 1\n" * 70_000 + b'{"oops": 1}\n' + b"echo 1\n" * 10, 70_001, "unknown key 'oops'"),
    ],
)
def test_a_bad_line_names_its_number_and_adds_nothing(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch, data: bytes, number: int, words: str
) -> None:
    """All or nothing, however late the bad line comes."""
    feed(monkeypatch, data)
    result = cli("enqueue", "--stdin")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"queuectl: error: line {number}: ")
    assert words in result.err
    assert commands(open_queue) == []


def test_a_name_twice_in_a_batch_adds_nothing(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused as a whole, with both places: no job of the queue has this name."""
    feed(monkeypatch, b'{"command": "a", "id": "x"}\n\n{"command": "b", "id": "x"}\n')
    result = cli("enqueue", "--stdin")
    assert result.code == 1
    assert result.err == (
        "queuectl: error: line 3: the name 'x' is twice in this batch, first in line 1; nothing was added\n"
    )
    assert commands(open_queue) == []


def test_a_name_of_a_batch_that_exists_is_refused_with_its_line(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue says no, and the person has a line to look at."""
    open_queue.add("first", name="x")
    feed(monkeypatch, b'a\n{"command": "b", "name": "x"}\nc\n')
    result = cli("enqueue", "--stdin")
    assert result.code == 1
    assert result.err == (
        "queuectl: error: line 2: a job named 'x' exists already, choose another name; nothing was added\n"
    )
    assert commands(open_queue) == ["first"]


def test_a_long_batch_shows_its_progress_to_a_person(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On stderr, when that is a terminal, once it has taken a while; the answer is the same."""
    (tmp_path / "jobs").write_text("true\n" * 2500)
    assert "adding jobs" not in cli("enqueue", "--file", "jobs").err
    monkeypatch.setattr("core.cli.progress.PATIENCE_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    result = cli("enqueue", "--file", "jobs")
    assert "adding jobs" in result.err
    assert result.out == "2,500 jobs added successfully (IDs: 2501-5000)\n"
    assert "adding jobs" not in cli("enqueue", "--file", "jobs", "--json").err


def test_a_long_batch_is_read_as_it_comes(terminal: Terminal, open_queue: Queue) -> None:
    """A hundred thousand lines from a pipe, in one go."""
    result = terminal.run("enqueue", "--stdin", "--json", stdin=b"".join(b"echo %d\n" % n for n in range(100_000)))
    assert json.loads(result.out) == {"added": 100_000, "first_id": 1, "last_id": 100_000}
    assert open_queue.job(100_000).command == "echo 99999"


def test_the_answer_is_the_same_from_a_process_of_its_own(terminal: Terminal, open_queue: Queue) -> None:
    """``python -m core`` is the program."""
    assert terminal.run("enqueue", "echo Hello Queue").out == "Job added successfully (ID: 1)\n"
    assert terminal.run("enqueue", "--", "echo", "a  b").code == 0
    assert commands(open_queue) == ["echo Hello Queue", "echo 'a  b'"]


def test_words_are_utf8_in_a_locale_that_has_ascii_only(terminal: Terminal, open_queue: Queue) -> None:
    """Also where Python may not help itself; what is printed loses nothing."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in (("enqueue", "echo é"), ("show", "1"), ("list",)):
        done = subprocess.run(
            [sys.executable, "-m", "queuectl_entry", *words],
            capture_output=True,
            cwd=ROOT,
            env={**terminal.environment, **ascii_only},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert open_queue.job(1).command == "echo é"
    assert "echo é" in done.stdout.decode()


def test_an_argument_that_is_no_utf8_is_refused(terminal: Terminal) -> None:
    """The shell could be given it, but JSON and screens could not."""
    arguments: list[Any] = [b"enqueue", b"echo \xff"]
    result = terminal.run(*arguments)
    assert result.code == 2
    assert result.err == "queuectl: error: the command is not valid UTF-8\n"


_LEFT_OUT = "queuectl: note: left to the worker's environment (capture-env): DATABASE_URL, DB_PASS\n"


@pytest.fixture
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASS", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@h/db")


@pytest.mark.usefixtures("_secrets")
@pytest.mark.parametrize("arguments", [("true",), ("--label", "x", "true"), ("--json", "true"), ("--stdin",)])
def test_what_is_left_to_the_worker_is_named_once_on_stderr(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Whoever relies on such a variable learns it before the job fails for want of it; a batch says it once."""
    feed(monkeypatch, b"true\ntrue\n")
    assert cli("enqueue", *arguments).err == _LEFT_OUT


@pytest.mark.usefixtures("_secrets")
def test_nothing_is_noted_to_scripts_that_ask_for_quiet_nor_when_nothing_is_left_out(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for a batch that adds nothing."""
    feed(monkeypatch, b"true\n")
    assert cli("enqueue", "-q", "true").err == ""
    assert cli("enqueue", "-q", "--label", "x", "true").err == ""
    assert cli("enqueue", "-q", "--stdin").err == ""
    feed(monkeypatch, b"")
    assert cli("enqueue", "--stdin").err == "queuectl: nothing to add: there was no line with a command\n"
    cli.ok("config", "set", "capture-env", "all")
    assert cli("enqueue", "true").err == ""


@pytest.mark.usefixtures("_secrets")
def test_show_names_what_was_left_to_the_worker(cli: Cli) -> None:
    """In words for people, as null in JSON; no value is shown anywhere."""
    cli.ok("enqueue", "--env", "REDIS_URL=redis://:hunter2@h", "true")
    text = cli.ok("show", "1", "--environment")
    assert re.search(r"^DB_PASS +\(left to the worker\)$", text, re.MULTILINE)
    shown = cli("show", "1", "--environment", "--json").json
    assert (shown["environment"]["DB_PASS"], shown["environment"]["DATABASE_URL"]) == (None, None)
    assert shown["env"] == {"REDIS_URL": "redis://:***@h"}
    for arguments in (("show", "1", "--environment"), ("show", "1", "--json"), ("list", "--json")):
        assert "hunter2" not in cli.ok(*arguments)
