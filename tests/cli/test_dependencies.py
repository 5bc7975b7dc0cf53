"""Jobs that wait for others, by the command line and JSON: added, shown, awaited, tried again, cancelled, edited."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from core.model import Dependency, EdgeKind, State, View
from core.queue import Queue
from tests.cli.conftest import Cli, drain

pytestmark = pytest.mark.each_engine

COMPLETE, END = EdgeKind.COMPLETE, EdgeKind.END


def edges(queue: Queue) -> list[tuple[int, int, EdgeKind]]:
    """Return who waits for whom, of all jobs."""
    return [(edge.job_id, edge.on_id, edge.kind) for edge in queue.edges_of(queue.ids(View()))]


def states(queue: Queue) -> dict[int, str]:
    """Return the state of each job."""
    return {job.id: job.state.value for job in queue.jobs(View(), limit=1000)}


def feed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Put lines on the standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("".join(f"{line}\n" for line in lines).encode())))


@pytest.fixture
def dead_build(open_queue: Queue) -> Queue:
    """Return a queue with a completed job, a dead one after it, and two that wait for that in a row."""
    open_queue.add("true", name="fetch")
    open_queue.add("exit 7", name="build", after=["fetch"], max_attempts=1)
    open_queue.add("true", name="test", after=["build"])
    open_queue.add("true", name="ship", after=["test"])
    drain(open_queue)
    return open_queue


# --- adding


def test_a_job_waits_for_those_that_it_names(cli: Cli, open_queue: Queue) -> None:
    """By name and number, several behind one comma or one option each, by completion or by end."""
    for name in ("build", "fetch"):
        cli.ok("enqueue", "--name", name, "true")
    cli.ok("enqueue", "true")
    cli.ok("enqueue", "--after", "build, 3", "--after-end", "fetch", "--", "./deploy")
    cli.ok("enqueue", "--after", "build", "--after", "4", "true")
    cli.ok("enqueue", '{"command": "true", "after": "build", "after_end": [3, "fetch"]}')
    assert edges(open_queue) == [
        *((4, 1, COMPLETE), (4, 2, END), (4, 3, COMPLETE)),
        *((5, 1, COMPLETE), (5, 4, COMPLETE)),
        *((6, 1, COMPLETE), (6, 2, END), (6, 3, END)),
    ]


def test_jobs_run_in_the_order_that_they_need(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """Whatever their priorities are, and the last one comes after the end of one that died."""
    log = tmp_path / "log"
    to_it = f">> {shlex.quote(str(log))}"
    cli.ok("enqueue", "--name", "a", f"echo a {to_it}")
    cli.ok(
        "enqueue",
        "--name",
        "b",
        "--after",
        "a",
        "--priority",
        "5",
        "--max-attempts",
        "1",
        f"echo b {to_it}; exit 1",
    )
    cli.ok("enqueue", "--name", "c", "--after", "b", f"echo c {to_it}")
    cli.ok("enqueue", "--name", "d", "--after-end", "b", "--priority", "9", f"echo d {to_it}")
    drain(open_queue)
    assert log.read_text() == "a\nb\nd\n"
    assert states(open_queue) == {1: "completed", 2: "dead", 3: "pending", 4: "completed"}


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("enqueue --after 99 true", 4, "no job 99; see 'queuectl list'"),
        ("enqueue --after nothing true", 4, "no job nothing; see 'queuectl list'"),
        ("enqueue --after '' true", 2, "--after names no job; give numbers or names, or leave it out"),
        (
            "enqueue --after-end a,,b true",
            2,
            "--after-end 'a,,b': a job is missing; give numbers or names, as in: --after-end build,12",
        ),
        (
            "enqueue --chain true",
            2,
            "--chain and --then go with --stdin, --file or a JSON array; for one job: --after JOB",
        ),
        ("""enqueue '{"command": "x", "after": [true]}'""", 2, "each job of after is a number or a name, not True"),
        (
            """enqueue '{"command": "x", "after": 1.5}'""",
            2,
            "the key 'after' takes a number or name of a job, or a list of them",
        ),
        (
            """enqueue '{"command": "x", "ref": "7"}'""",
            2,
            "the ref '7' is a number and could be taken for an id; add a letter",
        ),
    ],
)
def test_what_cannot_be_waited_for_is_one_line(line: str, code: int, words: str, cli: Cli, open_queue: Queue) -> None:
    """It says what to do instead, and nothing was added."""
    result = cli(*shlex.split(line))
    assert (result.code, result.out, result.err) == (code, "", f"queuectl: error: {words}\n")
    assert open_queue.count(View()) == 0


def test_a_cancelled_or_purged_job_is_not_waited_for(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be for ever; the end of a cancelled one has come already."""
    open_queue.add("true")
    open_queue.cancel(1)
    result = cli("enqueue", "--after", "1", "true")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "1 is cancelled" in result.err
    cli.ok("enqueue", "--after-end", "1", "true")
    assert cli("enqueue", '[{"command": "x", "after": 1}]').err.endswith("; nothing was added\n")
    feed(monkeypatch, '{"command": "x", "after": 1}')
    assert cli("enqueue", "--stdin").err.endswith("; nothing was added\n")
    open_queue.purge(1)
    assert cli("enqueue", "--after", "1", "true").code == 1
    assert list(states(open_queue).values()) == ["pending"]


def test_that_a_needed_job_is_dead_is_noted(cli: Cli, dead_build: Queue) -> None:
    """The new one waits, and what gets it going is said on stderr, also of a batch."""
    note = (
        "queuectl: note: 2 (build) is dead; what waits for it runs once it completes; mend it and replay it: queuectl"
        " retry 2\n"
    )
    assert cli("enqueue", "--after", "build", "true").err == note
    assert cli("enqueue", "--after-end", "build", "true").err == ""
    assert cli("enqueue", '[{"command": "true", "after": ["build"]}]').err == note


# --- batches


def test_refs_hold_in_their_batch_alone(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also ahead; the same batch can be added every night."""
    lines = ['{"ref": "test", "command": "true", "after": ["build", "1"]}', "", '{"ref": "build", "command": "true"}']
    open_queue.add("true")
    for _ in range(2):
        feed(monkeypatch, *lines)
        cli.ok("enqueue", "--stdin")
    assert edges(open_queue) == [(2, 1, COMPLETE), (2, 3, COMPLETE), (4, 1, COMPLETE), (4, 5, COMPLETE)]
    assert [job.name for job in open_queue.jobs(View())] == [None] * 5


def test_a_chain_and_what_comes_after_it(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """--then has the options of the lines, but for those that say when they may start."""
    open_queue.add("true")
    feed(monkeypatch, "echo 1", "# two", "exit 2", '{"command": "echo 3", "max-attempts": 1}')
    cli.ok(
        *("enqueue", "--stdin", "--chain", "--then", "echo done", "--label", "nightly", "--max-attempts", "1"),
        *("--after", "1", "--hold"),
    )
    assert edges(open_queue) == [
        *((2, 1, COMPLETE), (3, 1, COMPLETE), (3, 2, COMPLETE), (4, 1, COMPLETE), (4, 3, COMPLETE)),
        *((5, 2, END), (5, 3, END), (5, 4, END)),
    ]
    assert [(job.label, job.is_held) for job in open_queue.jobs(View())][1:] == [("nightly", True)] * 3 + [
        ("nightly", False)
    ]


def test_then_of_an_array_and_of_nothing(cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array is a batch as well; without a line there is nothing to come after."""
    assert cli("enqueue", "--chain", "--then", "true", '[{"command": "a"}, {"command": "b"}]', "--json").code == 2
    assert cli("--json", "enqueue", "--chain", "--then", "true", '[{"command": "a"}, {"command": "b"}]').json == {
        "added": 3, "first_id": 1, "last_id": 3
    }  # fmt: skip
    assert edges(open_queue) == [(2, 1, COMPLETE), (3, 1, END), (3, 2, END)]
    feed(monkeypatch)
    assert cli("enqueue", "--stdin", "--then", "true").code == 1
    assert open_queue.count(View()) == 3


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        (
            ["#", '{"command": "x", "ref": "a", "after": ["b"]}', "", '{"command": "x", "name": "b", "after": "a"}'],
            1,
            "line 2: 'a' waits for 'b', which waits for 'a': a circle; leave one of these out; nothing was added",
        ),
        (
            ['{"command": "x", "ref": "a", "after": "a"}'],
            1,
            "line 1: 'a' waits for itself; leave that out; nothing was added",
        ),
        (
            ['{"command": "x", "ref": "a"}', "", '{"command": "x", "ref": "a"}'],
            1,
            "line 3: the ref 'a' is given twice, first in line 1; nothing was added",
        ),
        (
            ['{"command": "x", "ref": "a"}', '{"command": "x", "name": "a"}'],
            1,
            "line 1: the ref 'a' is the name of another job, in line 2; choose another ref; nothing was added",
        ),
        (
            ["true", '{"command": "x", "after": ["nothing"]}'],
            4,
            "line 2: no job nothing in this batch or before it; nothing was added; see 'queuectl list'",
        ),
        (
            ["true", '{"command": "x", "after": [""]}'],
            2,
            "line 2: a job of after is empty; give its number or name; nothing was added",
        ),
        (
            ["#", '{"command": "x", "priority": 10000000000}'],
            2,
            "line 2: the priority is from -1,000,000,000 to 1,000,000,000, not 10,000,000,000; nothing was added",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused_with_its_line(
    lines: list[str], code: int, words: str, cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or none; circles are found before anything is stored."""
    feed(monkeypatch, *lines)
    result = cli("enqueue", "--stdin", "--then", "true")
    assert (result.code, result.out, result.err) == (code, "", f"queuectl: error: {words}\n")
    assert open_queue.count(View()) == 0


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ('{"command": ""}', "--then: the command is empty; give something to run; nothing was added"),
        ('{"commnd": ""}', "--then: unknown key 'commnd'"),
        (
            '{"command": "x", "after": "nothing"}',
            "--then: no job nothing in this batch or before it; nothing was added; see 'queuectl list'",
        ),
        (
            '{"command": "x", "name": "a"}',
            "line 1: the name 'a' is twice in this batch, once in --then; nothing was added",
        ),
        (
            '{"command": "x", "name": "b"}',
            "--then: a job named 'b' exists already, choose another name; nothing was added",
        ),
    ],
)
def test_what_is_wrong_with_then_is_said_of_it(
    then: str, words: str, cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no line of the batch."""
    open_queue.add("true", name="b")
    feed(monkeypatch, '{"command": "x", "name": "a"}')
    result = cli("enqueue", "--stdin", "--then", then)
    assert (result.code != 0, result.out, result.err.count("\n")) == (True, "", 1)
    assert result.err.startswith(f"queuectl: error: {words}")
    assert open_queue.count(View()) == 1


def test_what_is_wrong_with_an_array_is_said_by_place(cli: Cli, open_queue: Queue) -> None:
    """As jobs, counted from 1."""
    circle = cli("enqueue", '[{"command": "x", "ref": "a", "after": "b"}, {"command": "x", "ref": "b", "after": "a"}]')
    unknown = cli("enqueue", '[{"command": "x"}, {"command": "x", "after": "b"}]')
    assert (circle.code, circle.err) == (
        1,
        "queuectl: error: job 1: 'a' waits for 'b', which waits for 'a': a circle; leave one of these out; nothing was"
        " added\n",
    )
    assert unknown.code == 4
    assert unknown.err.startswith("queuectl: error: job 2: no job b in this batch")
    assert open_queue.count(View()) == 0


# --- showing


def test_show_says_what_a_job_waits_for_and_why(cli: Cli, dead_build: Queue) -> None:
    """Met or not, how many wait for it, and the reason that it does not run."""
    shown = cli.ok("show", "build")
    assert re.search(r"^after +1 \(met\)$", shown, re.M)
    assert "1 job waiting for it; --tree shows which" in shown
    test = cli("show", "test", "--json").json
    assert test["after"] == [{"id": 2, "kind": "complete", "is_met": False}]
    assert (test["dependents"], test["phase"], test["blocks"]) == (1, "blocked", 1)
    assert "after 2 (dead: exit 7)" in test["waiting_for"]
    assert [job["phase"] for job in cli("list", "pending", "--json").json] == ["blocked", "blocked"]


def test_the_tree_shows_what_hangs_on_what(cli: Cli, dead_build: Queue) -> None:
    """Each job once, the state beside it, and who is stuck."""
    lines = cli.ok("show", "ship", "--tree").splitlines()
    assert [line.split()[0] for line in lines] == ["JOB", "1", "└", "└", "└"]
    assert lines[2].startswith("└ 2 build")
    assert "exit 7" in lines[2]
    assert lines[3].startswith("  └ 3 test")
    assert lines[4].startswith("    └ 4 ship")
    assert all("stuck: 2 is dead" in line for line in lines[3:])


def test_the_tree_as_json_has_jobs_and_edges(cli: Cli, dead_build: Queue) -> None:
    """For whoever draws it otherwise."""
    tree = cli("show", "test", "--tree", "--json").json
    assert tree["root"] == 3
    assert [job["id"] for job in tree["jobs"]] == [1, 2, 3, 4]
    assert tree["edges"][0] == {"job_id": 2, "on_id": 1, "kind": "complete", "is_met": True}
    assert cli("show", "99", "--tree").code == 4


# --- waiting


def test_a_stuck_job_ends_the_wait_with_3(cli: Cli, dead_build: Queue) -> None:
    """With the reason; also one that only hangs on a stuck one, and the exit code is not that of a job."""
    for name in ("test", "ship"):
        result = cli("wait", name, "--timeout", "1m")
        assert result.code == 3
        assert f"({name}) is stuck: after " in result.err
        assert "(dead: exit 7)" in result.err
        assert result.out == "0 jobs completed, 1 did not\n"
    assert cli("wait", "ship", "--exit-code").code == 3
    assert cli("wait", "ship", "--json").json["stuck_ids"] == [4]
    assert cli("wait", "--all", "--json").json == {
        "completed": 0, "not_completed": 2, "unfinished": 0, "not_completed_ids": [3, 4], "stuck_ids": [3, 4]
    }  # fmt: skip


def test_a_patient_wait_goes_on(cli: Cli, dead_build: Queue) -> None:
    """Until the time is up, or the needed job was mended."""
    assert cli("wait", "ship", "--patient", "--timeout", "0.1s").code == 124
    cli.ok("edit", "build", "--command", "true", "--retry")
    drain(dead_build)
    assert cli("wait", "ship", "--patient").code == 0
    assert states(dead_build) == dict.fromkeys((1, 2, 3, 4), "completed")


def test_what_is_stuck_does_not_end_the_wait_for_the_others(cli: Cli, dead_build: Queue) -> None:
    """They are waited for until they end."""
    dead_build.add("true")
    result = cli("wait", "test", "5", "--timeout", "0.1s", "--json")
    assert (result.code, result.json["unfinished"], result.json["stuck_ids"]) == (124, 1, [3])


# --- acts


def test_retry_with_dependents_runs_all_of_it_again(cli: Cli, open_queue: Queue) -> None:
    """In the order that they need; without the option only the job itself runs."""
    for name, after in (("a", []), ("b", ["a"]), ("c", ["b"])):
        open_queue.add("true", name=name, after=after)
    drain(open_queue)
    cli.ok("retry", "a")
    assert states(open_queue) == {1: "pending", 2: "completed", 3: "completed"}
    drain(open_queue)
    assert cli.ok("retry", "a", "--with-dependents") == "3 jobs will run again\n"
    assert [edge.is_met for edge in open_queue.edges_of([2, 3])] == [False, False]
    drain(open_queue)
    assert [len(open_queue.attempts(number)) for number in (1, 2, 3)] == [3, 2, 2]


def test_cancel_with_dependents_takes_all_that_waits(cli: Cli, open_queue: Queue) -> None:
    """As one act that can be undone."""
    for name, after in (("a", []), ("b", ["a"]), ("c", ["b"])):
        open_queue.add("true", name=name, after=after)
    assert cli.ok("cancel", "a", "--with-dependents") == "3 jobs cancelled or asked to stop\n"
    assert states(open_queue) == dict.fromkeys((1, 2, 3), "cancelled")
    cli.ok("undo")
    drain(open_queue)
    assert states(open_queue) == dict.fromkeys((1, 2, 3), "completed")
    result = cli("cancel", "a", "--with-dependents")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)


def test_edit_replaces_and_removes_what_a_job_waits_for(cli: Cli, dead_build: Queue) -> None:
    """The chain goes on without the dead step."""
    cli.ok("edit", "test", "--after", "1")
    assert dead_build.edges_of([3]) == [Dependency(3, 1, COMPLETE, True)]
    cli.ok("edit", "ship", "--after", "", "--label", "free")
    assert (dead_build.edges_of([4]), dead_build.job(4).label) == ([], "free")
    cli.ok("undo")
    assert [edge.on_id for edge in dead_build.edges_of([4])] == [3]
    drain(dead_build)
    assert states(dead_build) == {1: "completed", 2: "dead", 3: "completed", 4: "completed"}


def test_an_edit_that_makes_a_circle_is_refused_with_its_path(cli: Cli, dead_build: Queue) -> None:
    """Nothing was changed."""
    result = cli("edit", "build", "--after", "ship")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "2 → 4 → 3 → 2" in result.err
    assert [edge.on_id for edge in dead_build.edges_of([2])] == [1]


def test_retry_of_a_blocked_job_is_refused_with_what_to_do(cli: Cli, dead_build: Queue) -> None:
    """It would wait on all the same."""
    result = cli("retry", "test")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "2 (dead); replay 2, or: edit 3 --after ''" in result.err


@pytest.mark.long
def test_a_batch_of_a_hundred_thousand_lines_is_a_chain(
    cli: Cli, open_queue: Queue, tmp_path: Path, database: Path
) -> None:
    """With forward references, which the search for circles has to follow."""
    size = 100_000
    path = tmp_path / "lines"
    with path.open("w") as stream:
        for n in range(size):
            after = [f"r{n + 1}"] if n + 1 < size else []
            stream.write(json.dumps({"command": "true", "ref": f"r{n}", "after": after}) + "\n")
    assert cli("enqueue", "--file", str(path), "--json").json["added"] == size
    assert open_queue.job(1).blocks == 1
    assert open_queue.job(size).state is State.PENDING
