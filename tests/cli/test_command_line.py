"""The command line that is copied of a job, run by a shell and the program, gives the same job."""

from __future__ import annotations

import os
import shlex
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cli import main
from core.model import Job, NewJob
from core.queue import Queue
from core.rules.command_line import command_line
from core.rules.environment import is_secret
from core.rules.job_fields import FIELDS
from core.rules.units import MAX_DURATION_S
from tests.cli.conftest import Cli

pytestmark = pytest.mark.long


def words_of(line: str, variables: dict[str, str]) -> list[str]:
    """Return the arguments that a shell with these variables gives to ``queuectl``."""
    done = subprocess.run(
        ["sh", "-c", f'queuectl() {{ printf "%s\\0" "$@"; }}; {line}'],
        capture_output=True,
        check=True,
        timeout=60,
        env={"PATH": os.defpath, **variables},
    )
    return done.stdout.decode().split("\0")[:-1]


def again(queue: Queue, job: Job) -> Job:
    """Enqueue what is copied of a job, by a shell that has its secrets, and return the new job."""
    secrets = {name: value for name, value in job.env.items() if is_secret(name, value)}
    assert main(words_of(command_line(job), secrets)) == 0
    return queue.job(job.id + 1)


def asked(job: Job) -> dict[str, object]:
    """Return the fields of a job that the copy is to have, too."""
    return {field.name: getattr(job, field.name) for field in FIELDS if field.name != "name"}


_LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
_ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_LINES = st.text(_LETTERS, min_size=1, max_size=30).filter(str.strip)
_COMMANDS = st.one_of(
    st.text(_ANY, min_size=1, max_size=60),
    st.text("{}[]\"'$`\\-= \n#!~a1", min_size=1, max_size=20),
    st.sampled_from(['{"command": "x"}', "[ -f x ] && y", "{ echo a; }", "--json", '[1,"true"]', "-x", "'"]),
).filter(str.strip)
_VARIABLES = st.dictionaries(
    st.one_of(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True),
        st.sampled_from(["API_TOKEN", "DB_PASSWORD", "PROXY", "MODE"]),
    ),
    st.one_of(st.text(_ANY, max_size=20), st.sampled_from(["", "https://me:hunter2@host/", "a=b", "$HOME"])),
    max_size=4,
)
_CODES = st.lists(st.integers(1, 120), min_size=1, max_size=3).map(lambda codes: ",".join(map(str, codes)))
_HIGH_CODES = st.lists(st.integers(121, 255), min_size=1, max_size=3).map(lambda codes: ",".join(map(str, codes)))
_NOW = datetime.now(timezone.utc)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": st.none() | _LINES.map(lambda text: f"x{text}"),
    "queue": st.just("default")
    | st.text(_LETTERS, min_size=1, max_size=9).filter(lambda q: not any(map(str.isspace, q))),
    "priority": st.integers(-1_000_000_000, 1_000_000_000),
    "run_at": st.none() | st.timedeltas(timedelta(days=2), timedelta(days=20_000)).map(lambda later: _NOW + later),
    "max_attempts": st.none() | st.integers(1, 1_000_000),
    "timeout_s": st.none() | st.just(0) | st.floats(0.001, 100_000) | st.floats(0.001, MAX_DURATION_S),
    "backoff_base": st.none() | st.floats(1, 1000),
    "cwd": st.none() | st.text(_LETTERS, max_size=20).map(lambda text: f"/{text}"),
    "env": st.none() | _VARIABLES,
    "label": st.none() | _LINES,
    "ok_exit": st.none() | _CODES,
    "dead_exit": st.none() | _HIGH_CODES,
    "is_held": st.booleans(),
    "on_dead": st.none() | _COMMANDS,
    "on_complete": st.none() | _COMMANDS,
    "needs": st.none()
    | st.dictionaries(st.from_regex("[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3})?", fullmatch=True), st.just(1), max_size=3),
    "on_lost_host": st.sampled_from([None, "hold"]),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_COMMANDS, st.fixed_dictionaries({}, optional=_FIELDS))
def test_what_is_copied_enqueues_the_same_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, fields: dict[str, Any]
) -> None:
    """Whatever it is, and whatever the settings have become since."""
    monkeypatch.setenv("QUEUECTL_DB", str(tmp_path / "copied.db"))
    with Queue(tmp_path / "copied.db") as queue:
        for key, text in (("max-attempts", "3"), ("timeout", "0"), ("backoff-base", "2")):
            queue.set(key, text)
        job = queue.enqueue(NewJob(command, **{**fields, "name": None}))
        for key, text in (("max-attempts", "9"), ("timeout", "1h"), ("backoff-base", "1.5")):
            queue.set(key, text)
        assert asked(again(queue, job)) == asked(job)


def test_every_field_is_among_those_that_are_tried() -> None:
    """A new one must be said, too."""
    assert {"command", *_FIELDS} == {field.name for field in FIELDS}


def test_a_secret_is_not_shown_and_comes_from_the_shell(cli: Cli, open_queue: Queue) -> None:
    """By its name or by its value; a shell that has no such variable refuses, instead of passing on an empty one."""
    cli.ok(
        "enqueue", "--env", "API_TOKEN=hunter2", "--env", "PROXY=http://me:hunter2@host", "--env", "MODE=a b", "true"
    )
    job = open_queue.job(1)
    line = command_line(job)
    assert "hunter2" not in line
    assert "'--env=MODE=a b'" in line
    assert again(open_queue, job).env == job.env
    with pytest.raises(subprocess.CalledProcessError):
        words_of(line, {"API_TOKEN": "hunter2"})


def test_what_depends_on_settings_is_always_said(open_queue: Queue) -> None:
    """And what does not is left out where it is what a new job has."""
    line = command_line(open_queue.enqueue("true", cwd="/a b"))
    assert line == "queuectl enqueue --max-attempts=3 --timeout=0s --backoff-base=2 '--cwd=/a b' -- true"


def test_a_time_that_is_past_and_a_back_off_are_not_copied(open_queue: Queue) -> None:
    """Only what a person chose, and what is still waited for."""
    job = open_queue.enqueue("true", run_at=_NOW + timedelta(days=100))
    assert "--run-at=" in command_line(job)
    open_queue.retry(job.id)
    assert "--run-at=" not in command_line(open_queue.job(job.id))


def test_a_variable_that_no_shell_could_have_is_left_out(open_queue: Queue) -> None:
    """Another tool wrote it; pasted, it would be run."""
    job = open_queue.enqueue("true")._replace(env={"A$(id)_TOKEN": "x", "B": "y"})
    assert "$(" not in command_line(job)
    assert "--env=B=y" in shlex.split(command_line(job))
