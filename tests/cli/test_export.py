"""``queuectl export``: all that a queue holds of its jobs as JSON lines, and a table for spreadsheets."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.model import NewJob, State, View
from core.queue import Queue
from tests.cli.conftest import Cli, Terminal, drain, wait_for
from tests.cli.importer import import_lines

pytestmark = pytest.mark.each_engine

BYTES = bytes(range(256))


def lines_of(text: str, kind: str) -> list[dict[str, Any]]:
    """Return the lines of an export that are of one type."""
    return [line for line in map(json.loads, text.splitlines()) if line["type"] == kind]


def jobs_of(text: str) -> list[dict[str, Any]]:
    """Return the jobs of an export."""
    return lines_of(text, "job")


def some_of_all(queue: Queue) -> None:
    """Fill a queue with jobs in every state but running, some with attempts and outputs."""
    queue.enqueue("echo done", name="first", label="l", env={"API_TOKEN": "hush", "PLAIN": "p"})
    octal = "".join("\\" + format(byte, "03o") for byte in BYTES)
    queue.enqueue(f"printf '{octal}'; exit 7", max_attempts=1, ok_exit="9")
    queue.enqueue("exit 9", max_attempts=3, backoff_base=1000, timeout_s=2.5)
    queue.enqueue("true")
    queue.enqueue("kill -9 $$", max_attempts=1)
    drain(queue)
    queue.replay(2)
    drain(queue)
    queue.purge(4)
    queue.enqueue("echo 'waits'\nfor ü", queue="media", priority=-5)
    queue.enqueue("true")
    queue.cancel(7)


def imported(lines: str, path: Path) -> Path:
    """Return a new database with the jobs of an export."""
    Queue(path).close()
    connection = sqlite3.connect(path)
    try:
        import_lines(connection, lines.splitlines())
    finally:
        connection.close()
    return path


def test_an_export_that_is_imported_gives_the_same_export(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """Jobs in every state, attempts, outputs, variables and environments come through; the doctor finds nothing."""
    some_of_all(open_queue)
    states = ",".join(state.value for state in State)
    first = cli.ok("export", "--state", states, "--with-secrets")
    assert [job["state"] for job in jobs_of(first)] == [
        *("completed", "dead", "pending", "purged", "dead", "pending", "cancelled")
    ]
    path = imported(first, tmp_path / "other.db")
    second = cli.ok("--db", str(path), "export", "--state", states, "--with-secrets")
    assert second.splitlines()[1:] == first.splitlines()[1:]
    assert cli("--db", str(path), "doctor").code == 0
    with Queue(path) as other:
        assert other.counts() == open_queue.counts()
        assert other.restore(4).count == 1


def test_what_waits_for_work_comes_through_an_export(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """What a job waits or waited for, needs and sets off, and that it is held: the chain goes on in the other queue."""
    open_queue.set_resource("gpu", 2)
    open_queue.enqueue("true", name="first", needs="gpu=2")
    open_queue.enqueue("true", name="second", after=["first"], is_held=True, on_lost_host="hold")
    drain(open_queue)
    open_queue.enqueue("true", after=["second"], after_end=["first"], on_dead="echo dead", on_complete="echo done")
    first = cli.ok("export")
    one, two, three = jobs_of(first)
    assert (one["needs"], one["attempt_list"][0]["units"]) == ({"gpu": 2}, {"gpu": [0, 1]})
    assert two["after"] == [{"id": 1, "kind": "complete", "is_met": True}]
    assert (two["is_held"], two["on_lost_host"], two["blocks"]) == (True, "hold", 1)
    assert three["after"] == [
        {"id": 1, "kind": "end", "is_met": True},
        {"id": 2, "kind": "complete", "is_met": False},
    ]
    assert (three["on_dead"], three["on_complete"]) == ("echo dead", "echo done")
    path = imported(first, tmp_path / "other.db")
    assert cli.ok("--db", str(path), "export").splitlines()[1:] == first.splitlines()[1:]
    assert cli("--db", str(path), "doctor").code == 0
    with Queue(path) as other:
        other.release([2])
        drain(other)
        assert [job.state for job in other.jobs(View())] == [State.COMPLETED] * 4


def test_an_export_holds_attempts_and_outputs(cli: Cli, open_queue: Queue) -> None:
    """Text as text, other bytes as base64; the attempts of a replayed job are all there."""
    some_of_all(open_queue)
    first, second, *_ = jobs_of(cli.ok("export"))
    assert (first["name"], first["command"], first["last_exit_code"]) == ("first", "echo done", 0)
    assert first["attempt_list"][0]["output"] == "done\n"
    assert [attempt["exit_code"] for attempt in second["attempt_list"]] == [7, 7]
    assert [attempt["output_encoding"] for attempt in second["attempt_list"]] == ["base64"] * 2
    assert base64.b64decode(second["attempt_list"][1]["output"]) == BYTES


def test_an_environment_is_written_once_and_before_its_jobs(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand jobs of two environments: two lines more than jobs and header."""
    open_queue.enqueue_many("true" for _ in range(1000))
    monkeypatch.setenv("OTHER", "1")
    open_queue.enqueue("true")
    lines = [json.loads(line) for line in cli.ok("export").splitlines()]
    assert len(lines) == 1004
    assert [line["type"] for line in lines[:3]] == ["queuectl-export", "environment", "job"]
    seen = set()
    for line in lines[1:]:
        if line["type"] == "environment":
            assert line["id"] not in seen
            seen.add(line["id"])
        else:
            assert line["environment_id"] in seen


def test_secrets_are_masked_unless_they_are_asked_for(
    cli: Cli, open_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among a job's own variables and among the captured ones; the header says which kind of file it is."""
    open_queue.set("capture-env", "all")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_captured")
    open_queue.enqueue("true", env={"DB_PASSWORD": "hunter2", "PLAIN": "p"})
    text = cli.ok("export")
    assert "hunter2" not in text
    assert "ghp_captured" not in text
    assert jobs_of(text)[0]["env"] == {"DB_PASSWORD": "***", "PLAIN": "p"}
    assert lines_of(text, "queuectl-export")[0]["secrets"] == "masked"
    text = cli.ok("export", "--with-secrets")
    assert jobs_of(text)[0]["env"]["DB_PASSWORD"] == "hunter2"
    assert lines_of(text, "environment")[0]["variables"]["GITHUB_TOKEN"] == "ghp_captured"
    assert lines_of(text, "queuectl-export")[0]["secrets"] == "included"


@pytest.mark.parametrize(
    ("outputs", "expected", "cut"),
    [
        ((), "1" * 65_533 + "end", 100_000 - 65_533),
        (("--outputs", "5"), "11end", 99_998),
        (("--outputs", "all"), "1" * 100_000 + "end", 0),
        (("--outputs", "none"), None, 100_003),
        (("--outputs", "0"), None, 100_003),
    ],
)
def test_an_output_is_cut_at_its_beginning(
    cli: Cli, open_queue: Queue, outputs: tuple[str, ...], expected: str | None, cut: int
) -> None:
    """The last part is what tells of a failure; ``output_cut`` says how many bytes come before it."""
    open_queue.enqueue("head -c 100000 /dev/zero | tr '\\0' 1; printf end")
    drain(open_queue)
    result = cli("export", *outputs)
    (attempt,) = jobs_of(result.out)[0]["attempt_list"]
    assert (attempt["output"], attempt["output_cut"]) == (expected, cut)
    assert result.err == ""


def test_a_cut_output_begins_with_a_whole_character(cli: Cli, open_queue: Queue) -> None:
    """Bytes of a character that was cut in two would make the text one that is no UTF-8."""
    open_queue.enqueue("printf 'aüöä'")
    drain(open_queue)
    (attempt,) = jobs_of(cli.ok("export", "--outputs", "3"))[0]["attempt_list"]
    assert (attempt["output"], attempt["output_cut"], attempt["output_encoding"]) == ("ä", 5, "utf-8")


def test_an_output_that_is_gone_is_said_to_be_so(cli: Cli, open_queue: Queue, database: Path) -> None:
    """The file of a long output may have been removed: the job is exported, its loss noted. A server has a copy."""
    open_queue.enqueue("head -c 100000 /dev/zero")
    drain(open_queue)
    path = open_queue.output(1).path
    assert path is not None
    os.unlink(path)
    result = cli("export")
    (attempt,) = jobs_of(result.out)[0]["attempt_list"]
    assert (attempt["output"], attempt["output_cut"]) == (None, 100_000)
    assert "outputs that are gone, and so not in the export: 1" in result.err


def test_a_running_job_is_written_as_pending(cli: Cli, open_queue: Queue, terminal: Terminal, tmp_path: Path) -> None:
    """As if it had not been claimed: its attempt, of which nobody knows the end, is not there; an earlier one is."""
    open_queue.set("backoff-base", "1")
    open_queue.enqueue("[ -e again ] && exec sleep 60; touch again; exit 3", max_attempts=5)
    terminal.worker()
    wait_for(lambda: open_queue.job(1).attempts == 2, "the second attempt")
    (job,) = jobs_of(text := cli.ok("export"))
    assert (job["state"], job["attempts"], job["run_at"], job["last_exit_code"]) == ("pending", 1, None, 3)
    assert [attempt["exit_code"] for attempt in job["attempt_list"]] == [3]
    path = imported(text, tmp_path / "other.db")
    assert cli("--db", str(path), "doctor").code == 0


def test_a_selection_is_exported(cli: Cli, open_queue: Queue) -> None:
    """By state as a word or an option, by words, queue and label; nothing is a header alone."""
    some_of_all(open_queue)
    for arguments, ids in {
        ("dead",): [2, 5],
        ("--state", "dead,cancelled"): [2, 5, 7],
        ("--grep", "exit:9"): [3],
        ("--queue", "media"): [6],
        ("--label", "l"): [1],
        ("purged",): [4],
    }.items():
        assert [job["id"] for job in jobs_of(cli.ok("export", *arguments))] == ids
    assert len(cli.ok("export", "--grep", "nothing-like-this").splitlines()) == 1


def test_an_export_is_of_one_moment_and_streams(open_queue: Queue, terminal: Terminal) -> None:
    """Its first lines come before it has read the last; what changes meanwhile is not in it."""
    open_queue.enqueue_many("true" for _ in range(4000))
    export = terminal.start("export")
    assert '"queuectl-export"' in export.line()
    # the pipe is full by now: the program waits in the middle of its work
    open_queue.cancel(4000)
    open_queue.enqueue("late")
    jobs = jobs_of(export.end().out)
    assert [job["id"] for job in jobs] == list(range(1, 4001))
    assert jobs[-1]["state"] == "pending"


def cells_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_is_a_table_of_jobs(cli: Cli, open_queue: Queue) -> None:
    """A line of titles, then a row a job; line breaks in a command are kept within quotes; no variables."""
    some_of_all(open_queue)
    text = cli.ok("export", "--csv")
    rows = cells_of(text)
    assert [row["id"] for row in rows] == ["1", "2", "3", "5", "6", "7"]
    assert (rows[1]["state"], rows[1]["last_exit_code"], rows[1]["queue"]) == ("dead", "7", "default")
    assert (rows[4]["command"], rows[4]["priority"]) == ("echo 'waits'\nfor ü", "-5")
    assert rows[0]["enqueued_at"].endswith("Z")
    assert "hush" not in text


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_no_cell_of_a_csv_file_is_a_formula(cli: Cli, open_queue: Queue, sign: str) -> None:
    """A text that a spreadsheet would calculate gets a quote before it; a negative number stays a number."""
    formula = f"{sign}HYPERLINK(1)"
    open_queue.enqueue_many([NewJob(formula, label=formula, name=formula, queue=formula, priority=-3)])
    (row,) = cells_of(cli.ok("export", "--csv"))
    assert (row["command"], row["label"], row["name"], row["queue"]) == (f"'{formula}",) * 4
    assert row["priority"] == "-3"


def test_nothing_in_a_csv_file_acts_on_a_terminal(cli: Cli, open_queue: Queue) -> None:
    """Escape sequences and other controls in a command are made inert, and cannot hide the sign of a formula."""
    open_queue.enqueue("\x1b]52;c;aGk=\x07=1+1\x9b2J\u202e")
    text = cli.ok("export", "--csv")
    assert "'=1+1" in text
    assert not any(character in text for character in "\x1b\x07\x9b\u202e")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--csv", "--outputs", "4K"),
        ("--csv", "--with-secrets"),
        ("--csv", "--json"),
        ("--outputs", "much"),
        ("--outputs", "-1"),
        ("dead", "--state", "dead"),
        ("nosuchstate",),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, open_queue: Queue, arguments: tuple[str, ...]) -> None:
    """Exit code 2, one line on stderr, nothing on stdout."""
    result = cli("export", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_a_database_that_is_not_there_is_an_empty_export(cli: Cli, missing: Path) -> None:
    """It only reads: no file is made."""
    assert len(cli.ok("export").splitlines()) == 1
    assert not missing.exists()
