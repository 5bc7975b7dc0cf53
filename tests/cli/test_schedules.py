"""``queuectl schedule``."""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timezone
from typing import Any

import pytest

from core.model import State, View
from core.queue import Queue
from tests.cli.conftest import Cli
from tests.execution.at_work import drain, working
from tests.processes import wait_for


def schedules_of(cli: Cli) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli("schedule", "list", "--json").json
    return found


def test_a_schedule_is_added_shown_changed_and_removed(cli: Cli) -> None:
    """The words behind ``--`` are a program and its arguments; what an edit does not name stays."""
    added = cli(
        "schedule", "add", "nightly", "0  2 * * *", "--tz", "Europe/Berlin", "--timeout", "1h", "--", "./b", "-x"
    )
    assert (added.code, added.out.partition(";")[0]) == (0, "Schedule nightly added")
    (found,) = schedules_of(cli)
    assert (found["cron"], found["zone"], found["missed"], found["overlap"]) == (
        *("0 2 * * *", "Europe/Berlin"),
        *("once", "skip"),
    )
    assert found["job"]["command"] == "./b -x"
    assert (found["job"]["timeout_s"], found["job"]["cwd"]) == (3600.0, os.getcwd())
    edited = cli(
        "schedule", "edit", "nightly", "--cron", "@daily", "--overlap", "queue", "--label", "n", "--json"
    ).json[0]
    assert (edited["cron"], edited["overlap"], edited["job"]["label"]) == ("0 0 * * *", "queue", "n")
    assert (edited["zone"], edited["job"]["timeout_s"], edited["job"]["command"]) == ("Europe/Berlin", 3600.0, "./b -x")
    shown = cli.ok("schedule", "show", "nightly")
    assert "At 00:00 every day" in shown
    assert shown.count("\n  2") == 5, "the next five instants"
    assert cli.ok("schedule", "pause", "nightly") == "Schedule nightly paused; it adds no jobs until it is resumed\n"
    assert schedules_of(cli)[0]["next_at"] is None
    assert cli.ok("schedule", "resume", "nightly").startswith("Schedule nightly resumed; next at ")
    assert cli.ok("schedule", "edit", "nightly", "--rename", "daily").startswith("Schedule daily changed; next at ")
    assert cli.ok("schedule", "remove", "daily") == "Schedule daily removed; jobs that it added stay\n"
    assert schedules_of(cli) == []


def test_an_edit_of_variables_leaves_the_others(cli: Cli) -> None:
    """As with a job: what is not named stays, and a variable is taken out by its name."""
    cli.ok("schedule", "add", "nightly", "@daily", "--env", "A=1", "--env", "B=2", "true")
    cli.ok("schedule", "edit", "nightly", "--env", "B=3", "--env", "C=4")
    assert schedules_of(cli)[0]["job"]["env"] == {"A": "1", "B": "3", "C": "4"}
    cli.ok("schedule", "edit", "nightly", "--unset-env", "A", "--priority", "2")
    assert schedules_of(cli)[0]["job"]["env"] == {"B": "3", "C": "4"}
    refused = cli("schedule", "edit", "nightly", "--unset-env", "A")
    assert (refused.code, refused.out) == (1, "")
    assert "the schedule nightly has no variable 'A' to take out; those of its own: B, C" in refused.err


def test_a_schedule_can_be_run_besides_its_plan(cli: Cli, open_queue: Queue) -> None:
    """Its job says of which schedule and instant it is, and it is the last one of its schedule."""
    cli.ok("schedule", "add", "sync", "--every", "1h", "--", "echo $QUEUECTL_SCHEDULE $QUEUECTL_DUE_AT")
    assert cli.ok("schedule", "run", "sync") == "Job added successfully (ID: 1)\n"
    drain(open_queue)
    name, due_at = cli.ok("logs", "1").split()
    assert name == "sync"
    assert abs((datetime.now(timezone.utc) - datetime.fromisoformat(due_at.replace("Z", "+00:00"))).days) <= 1
    (found,) = schedules_of(cli)
    assert (found["last_job_id"], found["last_state"], found["every_s"]) == (1, "completed", 3600.0)
    shown = cli("schedule", "show", "sync", "--json").json
    assert [(one["job_id"], one["why"]) for one in shown["occurrences"]] == [(1, "run by hand")]
    assert open_queue.job(1).label == "sync"


def test_a_worker_adds_what_is_due(cli: Cli, open_queue: Queue) -> None:
    """In real time, each instant once."""
    cli.ok("schedule", "add", "often", "--every", "1s", "--", "true")
    with working(open_queue):
        wait_for(lambda: open_queue.count(View((State.COMPLETED,))) >= 2, "two occurrences have run")
    due = [one.due_at for one in open_queue.occurrences("often")]
    assert len(due) == len(set(due)) >= 2
    assert {open_queue.job(one.job_id).label for one in open_queue.occurrences("often") if one.job_id} == {"often"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("schedule add", "a schedule has a name"),
        ("schedule add nightly", "when is nightly due?"),
        ("schedule add nightly @daily", "what is nightly to run?"),
        ("schedule add nightly --every 1h", "what is nightly to run?"),
        ("schedule add nightly '99 * * * *' true", "the minute is wrong"),
        ("schedule add nightly '0 0 30 2 *' true", "day"),
        ("schedule add nightly '0 2 * *' true", "has 4 fields"),
        ("schedule add nightly @daily --tz Mars/Base true", "no zone 'Mars/Base' on this host"),
        ("schedule add nightly --every 0.1s true", "a period is 1s or longer"),
        ("schedule add nightly @daily --missed never true", "invalid choice"),
        ("schedule add 7 @daily true", "is no name for a schedule"),
        ("schedule add nightly --every 1h '0 2 * * *' -- true", "either a cron line"),
        ("schedule add nightly --every 1h @daily true", "either a cron line"),
        ("schedule add nightly @daily --after 1 true", "--after"),
        ("schedule add nightly @daily --after-end 1 true", "--after-end"),
        ("schedule add nightly @daily --hold true", "--hold"),
        ("schedule add nightly @daily --name x true", "--name"),
        ("schedule edit nightly --after 1 --priority 2", "--after"),
        ("schedule edit nightly", "nothing to change"),
    ],
)
def test_what_is_no_schedule_is_wrong_usage(cli: Cli, open_queue: Queue, line: str, words: str) -> None:
    """One line on stderr, and nothing is stored."""
    result = cli(*shlex.split(line))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result
    assert words in result.err
    assert open_queue.schedules() == []


def test_a_name_is_taken_once(cli: Cli) -> None:
    cli.ok("schedule", "add", "nightly", "@daily", "true")
    again = cli("schedule", "add", "nightly", "@hourly", "true")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "exists already" in again.err
    assert schedules_of(cli)[0]["cron"] == "0 0 * * *"


def test_status_and_doctor_speak_of_schedules(cli: Cli) -> None:
    """Without a worker nothing is added, and both say so."""
    assert "schedules" not in cli.ok("status")
    cli.ok("schedule", "add", "nightly", "@daily", "true")
    assert "1 schedule, nightly " in cli.ok("status")
    assert "no worker is alive to add what is due" in cli.ok("status")
    assert cli("status", "--json").json["next_schedule_at"] is not None
    assert "what is due is not added" in cli("doctor").out
