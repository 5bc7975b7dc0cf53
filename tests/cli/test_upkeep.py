"""The whole: ``status``, ``metrics``, ``queue``, ``config``, ``doctor``, ``backup``, ``prune``."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.queue import Queue
from tests.cli.conftest import Cli, drain


@pytest.mark.each_engine
def test_status_counts_and_says_who_works(cli: Cli, open_queue: Queue) -> None:
    """Numbers, workers, oldest waiting job, where the database is."""
    open_queue.add("true")
    open_queue.add("exit 1", max_attempts=1, queue="media")
    drain(open_queue)
    open_queue.add("true")
    cli.ok("enqueue", "--delay", "1h", "true")
    text = cli.ok("status")
    for words in (
        "pending         2 (1 delayed)",
        "completed       1",
        "dead            1",
        "none alive",
        "due ",
    ):
        assert words in text
    status = cli("status", "--json").json
    assert (status["pending"], status["delayed"], status["dead"], status["workers_alive"]) == (2, 1, 1, 0)
    assert status["oldest_pending_at"].endswith("Z")
    assert status["is_paused"] is False
    assert status["database"] == open_queue.path


@pytest.mark.each_engine
def test_metrics_are_given_by_window(cli: Cli, open_queue: Queue) -> None:
    """Throughput, success rate, percentiles."""
    for command in ("true", "true", "exit 1"):
        open_queue.add(command, max_attempts=1)
    drain(open_queue)
    one, two = cli("metrics", "--window", "5m", "--window", "1h", "--json").json
    assert (one["window_s"], two["window_s"]) == (300, 3600)
    assert (one["enqueued"], one["succeeded"], one["failed"], one["dead"]) == (3, 2, 1, 1)
    assert one["success_share"] == pytest.approx(2 / 3)
    assert one["run_p50_s"] is not None
    lines = cli.ok("metrics").splitlines()
    assert len(lines) == 4
    assert "66.7%" in lines[1]


@pytest.mark.each_engine
def test_metrics_without_data_are_dashes(cli: Cli, open_queue: Queue) -> None:
    """Not zeros, which would be a claim."""
    open_queue.add("true")
    assert "-" in cli.ok("metrics", "--window", "5m")
    assert cli("metrics", "--json").json[0]["success_share"] is None


@pytest.mark.each_engine
def test_a_queue_is_paused_resumed_and_limited(cli: Cli, open_queue: Queue) -> None:
    """By name, or everything without one."""
    open_queue.add("true", queue="media")
    open_queue.add("true", queue="mail")
    assert cli.ok("queue", "pause", "media") == "Queue media paused\n"
    assert cli.ok("queue", "limit", "mail", "2") == "Queue mail: at most 2 at once\n"
    lanes = {lane["name"]: lane for lane in cli("queue", "--json").json}
    assert (lanes["media"]["is_paused"], lanes["mail"]["limit"], lanes["mail"]["pending"]) == (True, 2, 1)
    assert cli.ok("queue").splitlines()[2].split()[:3] == ["media", "paused", "-"]
    assert cli.ok("queue", "pause") == "Everything paused\n"
    assert "everything is paused" in cli("queue", "list").err
    assert "everything is paused" in cli("queue", "resume", "media").err
    assert cli.ok("queue", "resume") == "Everything resumed\n"
    assert cli.ok("queue", "limit", "mail", "none") == "Queue mail: no limit\n"
    assert not open_queue.is_paused()


@pytest.mark.each_engine
def test_the_list_of_queues_has_their_rates(cli: Cli, open_queue: Queue) -> None:
    """How many jobs ended of each, by the second or the minute; a dash where none did."""
    open_queue.add("true", queue="mail")
    open_queue.add("true", queue="media")
    assert cli("worker", "--drain", "--queue", "media").code == 0
    rates = {lane["name"]: lane["per_s"] for lane in cli("queue", "--json").json}
    assert (rates["mail"], rates["media"]) == (0, pytest.approx(1 / 60, rel=0.05))
    assert [line.split()[-1] for line in cli.ok("queue").splitlines()] == ["RATE", "-", "1/min"]


@pytest.mark.each_engine
def test_a_queue_is_paused_before_its_first_job(cli: Cli, open_queue: Queue) -> None:
    """A misspelt name is noticed by the note; to resume a queue that is not there is refused."""
    open_queue.add("true", queue="media")
    result = cli("queue", "pause", "media", "new")
    assert (result.code, result.out) == (0, "Queues media, new paused\n")
    assert result.err == "queuectl: queue new has no jobs yet; those to come will wait\n"
    assert [lane.is_paused for lane in open_queue.queues()] == [True, True]
    result = cli("queue", "resume", "media", "nowhere")
    assert result.code == 1
    assert result.err == "queuectl: error: no queue 'nowhere'; see 'queuectl queue list'\n"
    assert open_queue.queues()[0].is_paused


@pytest.mark.each_engine
def test_settings_are_listed_set_and_unset(cli: Cli, open_queue: Queue) -> None:
    """In the words people use; the old spelling is understood."""
    assert cli.ok("config", "get", "backoff-cap") == "1h\n"
    assert cli.ok("config", "set", "max-retries", "5") == "max-attempts is 5\n"
    assert cli.ok("config", "set", "keep_completed", "30d") == "keep-completed is 30d\n"
    assert open_queue.job(open_queue.add("true")).max_attempts == 5
    listed = {one["key"]: one for one in cli("config", "--json").json}
    assert (listed["max-attempts"]["value"], listed["max-attempts"]["is_default"]) == (5, False)
    assert (listed["jitter"]["value"], listed["jitter"]["is_default"]) == (0.0, True)
    assert cli("config", "get", "keep-completed", "--json").json["value"] == 30 * 86400
    assert cli.ok("config", "unset", "max-attempts") == "max-attempts is 3 (the default)\n"
    assert "starts allowed" in cli.ok("config", "list")


def test_doctor_finds_a_sound_database_sound(cli: Cli, open_queue: Queue) -> None:
    """A line a check; warnings are no failure."""
    open_queue.add("true")
    text = cli.ok("doctor")
    assert "the file is sound" in text
    assert "start one with 'queuectl worker'" in text
    levels = {finding["check"]: finding["level"] for finding in cli("doctor", "--json").json}
    assert levels["integrity"] == "ok"
    assert levels["workers"] == "warning"


def test_doctor_tells_what_to_do_about_damage(cli: Cli, database: Path) -> None:
    """Exit 1, and the file is as it was."""
    with Queue(database) as queue:
        queue.add("true")
    data = bytearray(database.read_bytes())
    data[4096 : 4096 * 12] = bytes(4096 * 11)
    database.write_bytes(data)
    result = cli("doctor")
    assert result.code == 1
    assert "error" in result.out
    assert "restore a backup" in result.out
    assert database.read_bytes() == data


def test_a_backup_is_a_database(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """With all jobs; an existing file is not overwritten."""
    open_queue.add("true")
    target = tmp_path / "copy.db"
    assert cli.ok("backup", str(target)) == f"Copied to {target}\n"
    assert len(cli("--db", str(target), "list", "--json").json) == 1
    result = cli("backup", str(target))
    assert result.code in (1, 2)
    assert result.err.count("\n") == 1


def test_a_backup_tells_which_outputs_it_has_not(cli: Cli, open_queue: Queue, tmp_path: Path) -> None:
    """And reading one of them from it fails with a word, instead of printing nothing."""
    open_queue.add("seq 20000")
    drain(open_queue)
    target = tmp_path / "copy.db"
    result = cli("backup", str(target))
    assert (result.code, result.out) == (0, f"Copied to {target}\n")
    assert result.err.startswith("queuectl: 1 output longer than 64 KiB not copied; the files are in /")
    for words in (("logs", "1"), ("logs", "1", "--json"), ("logs", "-f", "1"), ("logs", "1", "-n", "3")):
        read = cli("--db", str(target), *words)
        assert (read.code, read.out) == (1, ""), words
        assert "the output of attempt 1 is gone" in read.err
    assert cli.ok("logs", "1").endswith("20000\n")


@pytest.mark.each_engine
def test_prune_empties_the_trash_when_told(cli: Cli, open_queue: Queue) -> None:
    """What is younger than the settings say stays otherwise."""
    open_queue.add("true")
    drain(open_queue)
    cli.ok("purge", "--all", "--yes")
    assert cli.ok("prune") == "0 jobs removed for good\n"
    assert cli("prune", "--trash", "--yes", "--json").json == {"removed": 1}
    assert cli("show", "1").code == 4
