"""The program on a database on a PostgreSQL server: the same commands, clear errors, and no password anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from core.clock import SystemClock
from core.storage.postgres import migrations
from tests import postgres_server
from tests.cli.conftest import Cli, Terminal
from tests.postgres import Databases

pytestmark = pytest.mark.long

PASSWORD = "s3cr3t-w/rd"
ENCODED = "s3cr3t-w%2Frd"
#: What a command line may be searched for without being found itself.
PATTERN = "[s]3cr3t"


@pytest.fixture
def empty(databases: Databases) -> Iterator[str]:
    """Return the address of a new database without a queue."""
    made = databases.new_empty()
    yield made
    databases.drop(made)


@pytest.fixture
def user(empty: str) -> Iterator[str]:
    """Make a user of the server who needs ``PASSWORD``; return the name."""
    if postgres_server.GIVEN is not None:
        pytest.skip("the rules of who needs a password are those of the tests' own server")
    name = f"user_{os.getpid()}"
    with psycopg.connect(empty, autocommit=True) as connection:
        with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(f"CREATE ROLE {postgres_server.WITH_PASSWORD}")
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                sql.Identifier(name), PASSWORD, sql.Identifier(postgres_server.WITH_PASSWORD)
            )
        )
    yield name
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def as_user(address: str, user: str, password: str = ENCODED) -> str:
    """Return an address with a user and a password in it."""
    return urlunsplit(urlsplit(address)._replace(netloc=f"{user}:{password}@"))


def may_create(address: str, user: str) -> None:
    """Let a user make schemas in a database."""
    with psycopg.connect(address, autocommit=True) as connection:
        name = sql.Identifier(urlsplit(address).path[1:])
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(name, sql.Identifier(user)))


ON_SERVER = pytest.mark.parametrize("address", ["postgres"], indirect=True)


@ON_SERVER
def test_jobs_are_added_run_and_read(terminal: Terminal, address: str) -> None:
    """By processes of their own: one that dies too, which is replayed, and lists that tell of them."""
    assert terminal.run("enqueue", "echo words").out == "Job added successfully (ID: 1)\n"
    terminal.run("enqueue", "--name", "etl", "--max-attempts", "1", "test -e ready && echo fine", check=True)
    assert terminal.run("worker", "--drain").code == 3
    assert terminal.run("logs", "1").out == "words\n"
    assert [job["id"] for job in terminal.run("dlq", "--json").json] == [2]
    assert terminal.run("edit", "etl", "--command", "echo fine", "--retry").code == 0
    assert terminal.run("worker", "--drain").code == 0
    assert terminal.run("logs", "etl").out == "fine\n"
    assert [attempt["outcome"] for attempt in terminal.run("show", "etl", "--json").json["attempt_list"]] == [
        "failed",
        "succeeded",
    ]
    status = terminal.run("status", "--json").json
    assert (status["completed"], status["dead"]) == (2, 0)
    assert status["database"] == address


@ON_SERVER
def test_every_command_answers(cli: Cli, address: str, tmp_path: Path) -> None:
    """Each on a queue with a job in it; a backup says what to do instead."""
    cli.ok("enqueue", "--name", "one", "true")
    for words in (
        ["list"],
        ["list", "--grep", "output:x"],
        ["show", "one"],
        ["status"],
        ["metrics"],
        ["metrics", "--prometheus"],
        ["queue", "list"],
        ["queue", "pause"],
        ["queue", "resume"],
        ["queue", "limit", "default", "2"],
        ["config", "list"],
        ["config", "set", "timeout", "5m"],
        ["config", "unset", "timeout"],
        ["worker", "list"],
        ["host", "list"],
        ["dlq", "groups"],
        ["export"],
        ["edit", "one", "--priority", "3"],
        ["undo"],
        ["cancel", "one"],
        ["retry", "one"],
        ["cancel", "one"],
        ["purge", "--all", "--yes"],
        ["restore", "--last"],
        ["prune"],
        ["completion", "jobs"],
        ["init"],
    ):
        result = cli(*words)
        assert (result.code, "error" in result.err) == (0, False), (words, result)
    assert cli("completion", "jobs").out == "1\none\n"
    assert "pg_dump" in cli("backup", str(tmp_path / "copy")).err
    findings = json.loads(cli("doctor", "--json").out)
    assert [finding for finding in findings if finding["level"] == "error"] == []


def test_a_database_without_a_queue_is_not_read_as_an_empty_one(cli: Cli, empty: str) -> None:
    """A typed name may be wrong. 'init' makes the queue once, and says so."""
    result = cli("--db", empty, "status")
    assert result.code == 1
    assert result.err == f"queuectl: error: no queue in {empty}; make one with: queuectl init '{empty}'\n"
    assert cli.ok("init", empty) == f"Made a queue: {empty}\n"
    assert cli("init", empty, "--json").json == {"database": empty, "is_new": False, "roles": []}
    assert "pending    0" in cli.ok("--db", empty, "status")


def test_init_makes_a_file_too(cli: Cli, database: Path, tmp_path: Path) -> None:
    """That of the address, or the one that all commands use; an address stands once."""
    database.unlink(missing_ok=True)  # a copy that has the tables already
    assert cli.ok("init") == f"Made a queue: {database}\n"
    assert cli.ok("init") == f"There is a queue already: {database}\n"
    other = tmp_path / "other.db"
    assert cli("init", str(other), "--json").json == {"database": str(other), "is_new": True, "roles": []}
    assert other.exists()
    assert cli("init", str(other), "--db", str(database)).code == 2


def test_what_is_wrong_with_a_server_is_said_in_one_line(
    cli: Cli, empty: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what to do; a password that was given is in none of the lines."""
    gone = as_user(empty, user).replace("host=", "host=%2Fnowhere")
    missing = urlunsplit(urlsplit(as_user(empty, user))._replace(path="/queuectl_missing"))
    for address, code, words in (
        (gone, 1, "no answer from the server of"),
        (as_user(empty, user, "s3cr3t"), 1, "the server refused the password; see ~/.pgpass or PGPASSWORD"),
        (as_user(empty, user, PASSWORD), 2, "%2F (/)"),
        (as_user(empty, user, "100%s3cr3t"), 2, "no URL that PostgreSQL's library reads"),
        (as_user(empty, f"{user}_stranger"), 1, "the server has no such user"),
        (missing, 1, "the server has no such database"),
        (as_user(empty, user), 1, "let an owner of the database run 'queuectl init'"),
    ):
        result = cli("init", address)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result
        assert words in result.err
        assert "s3cr3t" not in result.err
    monkeypatch.setattr(migrations, "OLDEST_SERVER", 990_000)
    assert "queuectl needs 14" in cli("init", empty).err


@ON_SERVER
def test_a_newer_schema_is_left_alone(cli: Cli, address: str) -> None:
    """An older program must not write rows that the newer one reads otherwise."""
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE queuectl.facts SET value = 99 WHERE key = 'schema_version'")
    for words in (["init"], ["enqueue", "true"], ["list"]):
        result = cli(*words)
        assert result.code == 1
        assert "was written by a newer queuectl (schema 99" in result.err


@ON_SERVER
def test_without_psycopg_it_says_how_to_get_it(cli: Cli, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is an extra: who has files alone does not need it."""
    for name in [name for name in sys.modules if name.startswith("core.storage.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    result = cli("list")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "pip install 'queuectl-tui[postgres]'" in result.err


def test_the_password_is_handed_to_no_job_and_no_command_line(terminal: Terminal, empty: str, user: str) -> None:
    """Neither by the variable nor with what a worker starts beside the commands; nor is it stored with the job."""
    may_create(empty, user)
    given = as_user(empty, user)
    terminal.environment["QUEUECTL_DB"] = given
    assert terminal.run("init").out == f"Made a queue: {as_user(empty, user).replace(f':{ENCODED}', '')}\n"
    terminal.run("enqueue", f'echo "$QUEUECTL_DB"; env | grep -c {PATTERN}; ps -ww -A -o args | grep -c {PATTERN}')
    assert terminal.run("worker", "--drain").code == 3, "grep finds nothing"
    shown, *counts = terminal.run("logs", "1").out.splitlines()
    assert shown == given.replace(f":{ENCODED}", "")
    assert counts == ["0", "0"]
    for words in (["status"], ["doctor"], ["export", "--secrets"], ["show", "1", "--env"], ["list", "--json"]):
        assert "s3cr3t" not in terminal.run(*words).out
    with psycopg.connect(empty) as connection:
        assert connection.execute(
            "SELECT count(*) FROM queuectl.environments WHERE variables ~ 's3cr3t'"
        ).fetchone() == (0,)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (
            "queuectl_enqueue",
            ["enqueue true", "enqueue --name one --delay 1h true", "enqueue --stdin", "status", "list", "dlq"],
            ["cancel 1", "worker --drain", "logs 1", "init --roles"],
        ),
        ("queuectl_work", ["enqueue --name one true", "worker --drain", "prune", "export", "undo"], ["init --roles"]),
    ],
)
def test_users_do_what_their_role_may(
    terminal: Terminal, empty: str, user: str, role: str, may: list[str], may_not: list[str]
) -> None:
    """Add jobs alone, or all but making roles; what is refused is said in a line."""
    made = terminal.run("init", "--roles", empty, "--json", check=True).json
    assert made["roles"] == ["queuectl_work", "queuectl_enqueue"]
    terminal.run("enqueue", "--db", empty, "true", check=True)
    terminal.run("cancel", "--db", empty, "1", check=True)
    terminal.run("enqueue", "--db", empty, "--max-attempts", "1", "exit 1", check=True)
    assert terminal.run("worker", "--db", empty, "--drain").code == 3
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(f"GRANT {role} TO {user}")
    terminal.environment["QUEUECTL_DB"] = as_user(empty, user)
    for line in may:
        result = terminal.run(*line.split(), stdin=b"true\n")
        assert (line, result.code, "error" in result.err) == (line, 0, False), result.err
    for line in may_not:
        result = terminal.run(*line.split())
        assert (line, result.code, result.err.count("\n")) == (line, 1, 1), result.err
        assert "permission denied" in result.err


def test_a_user_whose_transactions_only_read_is_told_so_and_may_look(terminal: Terminal, empty: str, user: str) -> None:
    """The owner of the tables, as it happens: what is set for the user is meant."""
    may_create(empty, user)
    terminal.environment["QUEUECTL_DB"] = as_user(empty, user)
    terminal.run("enqueue", "echo words", check=True)
    terminal.run("worker", "--drain", check=True)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(user)))
    said = "can only be read: it is a replica, or default_transaction_read_only is set for this user"
    for words in (["list"], ["show", "1"], ["logs", "1"], ["status"], ["wait", "1"]):
        result = terminal.run(*words)
        assert (words, result.code, result.err.count("\n")) == (words, 0, 1), result.err
        assert result.err.startswith("queuectl: note: ")
        assert said in result.err
    for words in (["enqueue", "true"], ["cancel", "1"], ["worker", "--drain"], ["init"]):
        result = terminal.run(*words)
        assert (words, result.code, result.out, result.err.count("\n")) == (words, 1, "", 1), result.err
        assert said in result.err


class _DayAhead(SystemClock):
    def now_ms(self) -> int:
        return super().now_ms() + 86_400_000


@ON_SERVER
def test_a_host_whose_clock_is_a_day_ahead_goes_by_the_servers(
    cli: Cli, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an hour is in an hour, and what is to come has not come: a job is due by the server's clock."""
    cli.ok("enqueue", "true")
    cli.ok("cancel", "1")
    cli.ok("schedule", "add", "hourly", "--every", "1h", "--", "true")
    monkeypatch.setattr("core.cli.context.SystemClock", _DayAhead)
    now = time.time()
    job = cli("enqueue", "--json", "--delay", "1h", "true").json
    many = cli("enqueue", "--json", '[{"command": "true", "delay": "1h"}, {"command": "true", "at": "+1h"}]')
    assert many.code == 0, many.err
    cli.ok("edit", "4", "--delay", "1h", "--priority", "1")
    for one in [job, *cli("list", "--after", "1", "--json").json]:
        due_at = datetime.fromisoformat(one["run_at"].replace("Z", "+00:00")).timestamp()
        assert (one["id"], one["phase"], 0 <= due_at - now - 3600 < 600) == (one["id"], "delayed", True)
    assert "in 59m" in cli.ok("list", "pending") or "in 1h" in cli.ok("list", "pending")
    assert cli("status", "--json").json["oldest_pending_s"] is None
    assert cli("purge", "--older-than", "1h", "--dry-run", "--json").code == 1
    coming = cli("schedule", "show", "hourly", "--json").json["coming"][0]
    assert datetime.fromisoformat(coming.replace("Z", "+00:00")).timestamp() - now < 3700


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "nonsense", "true"],
        ["--at", "+5m", "--timeout", "-5", "true"],
        ["--delay", "5m", "--env", "x", "true"],
        ['{"command": "true", "run_at": "nonsense"}'],
        ['{"command": "true", "delay": "5m", "timeout": "-5"}'],
    ],
)
def test_what_cannot_be_read_makes_no_tables(terminal: Terminal, empty: str, words: list[str]) -> None:
    """A server is asked for its time once all else has been read."""
    terminal.environment["QUEUECTL_DB"] = empty
    assert terminal.run("enqueue", *words).code == 2
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT to_regnamespace('queuectl')").fetchone() == (None,)


def test_a_service_knows_no_password(cli: Cli, empty: str) -> None:
    """Its file names the database; the note says where the password belongs."""
    result = cli("service", "print", "--db", as_user(empty, "worker"))
    assert "s3cr3t" not in result.out
    assert "--db postgresql://worker@/" in result.out.replace('"', "")
    assert "~/.pgpass" in result.err
    assert "~/.pgpass" not in cli("service", "print", "--db", empty).err
