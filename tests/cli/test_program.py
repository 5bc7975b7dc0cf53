"""The program as a whole: help, shared options, exit codes, quiet ends, and what it does not load."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import command_table, help_texts, main
from core.cli.exit_codes import exit_code_of
from core.errors import DatabaseBusy, InvalidTransition, JobNotFound, NameTaken, QueueNotFound, UsageError
from core.queue import Queue
from core.version import __version__
from tests.cli.conftest import ROOT, Cli, Terminal


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_the_program_alone_shows_its_help(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Somebody who types just the name wants to know what there is."""
    out = cli.ok(*arguments)
    assert "dlq replay" in out
    assert "examples:" in out
    assert out == help_texts()[""]


def test_every_command_has_a_help_with_examples(cli: Cli) -> None:
    """``COMMAND --help`` and ``help COMMAND`` are the same, and show how it is used."""
    for name, summary in command_table():
        text = cli.ok("help", *name.split())
        assert text == cli.ok(*name.split(), "--help")
        assert text.startswith(f"usage: queuectl {name} ")
        assert "examples:\n  " in text, name
        assert summary in cli.ok("help")
        assert ("--json" in text) is (name not in ("help", "completion", "mcp"))


@pytest.mark.parametrize(
    "arguments", [("help",), ("help", "list"), ("--version",), ("completion", "bash"), ("completion", "jobs")]
)
def test_json_is_refused_where_there_is_none(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Who asks for JSON never gets something else with exit 0, wherever the option stands."""
    for words in (("--json", *arguments), (*arguments, "--json")):
        result = cli(*words)
        assert (result.code, result.out) == (2, "")
        assert result.err == f"queuectl: error: {arguments[0]} prints text that is no JSON; leave --json out\n"
    assert cli("--json").code == 2


def test_a_help_names_the_defaults_that_hold(cli: Cli) -> None:
    """Those of a new job are settings of the database, ``run`` has its own, ``edit`` changes what it is told to."""
    enqueue, run, edit = (" ".join(help_texts()[name].split()) for name in ("enqueue", "run", "edit"))
    assert "before it is dead (default: the setting max-attempts)" in enqueue
    assert "the queue it waits in (default: default)" in enqueue
    assert "before it is dead (default: 1)" in run
    assert "the queue it waits in (default: run, or default if a worker is alive)" in run
    assert "lets it go --on-dead" in enqueue  # what is a yes or no has no default to speak of
    assert "(default:" not in edit
    assert "what no option names stays as it is" in edit
    cli.ok("run", "true")
    job = cli("show", "1", "--json").json
    assert (job["queue"], job["max_attempts"]) == ("run", 1)


def test_no_line_of_a_help_is_wider_than_asked_for() -> None:
    """What goes into the README keeps to one width, whatever terminal it was made on."""
    for name, text in help_texts(100).items():
        wide = [line for line in text.splitlines() if len(line) > 100 and not line.startswith("  queuectl")]
        assert wide == [], name


@pytest.mark.parametrize("family", ["worker", "dlq", "queue", "config"])
def test_a_family_of_commands_has_an_overview(cli: Cli, family: str) -> None:
    """``queuectl dlq --help`` shows the commands behind the word."""
    text = cli.ok(family, "--help")
    assert text == cli.ok("help", family)
    assert f"{family} list" in text


def test_the_version_is_printed(cli: Cli) -> None:
    """One version, the package's."""
    assert cli.ok("--version") == f"queuectl {__version__}\n"


def test_a_misspelt_command_gets_a_suggestion(cli: Cli) -> None:
    """One line, exit 2, and the word that was probably meant."""
    result = cli("enqueu", "true")
    assert result.code == 2
    assert result.err == "queuectl: error: no command 'enqueu', did you mean 'enqueue'?; see 'queuectl --help'\n"
    assert "did you mean 'replay'" in cli("dlq", "repla").err
    assert "did you mean" not in cli("xyzzy").err


def test_shared_options_stand_before_or_after_the_command(cli: Cli, tmp_path: Path) -> None:
    """``--db`` and ``--json`` are understood in both places, the later one wins."""
    other, third = str(tmp_path / "other.db"), str(tmp_path / "third.db")
    assert cli.ok("--db", other, "enqueue", "-q", "true") == "1\n"
    assert cli.ok("enqueue", "-q", f"--db={other}", "true") == "2\n"
    assert cli.ok("--db", third, "enqueue", "-q", "--db", other, "true") == "3\n"
    assert len(cli("--json", "list", "--db", other).json) == 3
    assert len(cli("list", "--json", "--db", other).json) == 3
    assert cli("worker", "--db", other, "list").code == 0
    assert not Path(third).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--db",),
        ("--color", "pink", "list"),
        ("list", "--color", "pink"),
        ("--frobnicate", "list"),
        ("list", "--frobnicate"),
        ("list", "pending", "running"),
        ("list", "--limit", "-1"),
        ("list", "--limit", "many"),
        ("list", "--state", "asleep"),
        ("list", "asleep"),
        ("list", "dead", "--state", "dead"),
        ("list", "--sort", "colour"),
        ("list", "--grep", "exit:x"),
        ("purge", "--grep", "! true", "--yes"),
        ("show",),
        ("logs", "1", "-n", "0"),
        ("logs", "1", "--attempt", "x"),
        ("retry",),
        ("cancel",),
        ("edit", "1"),
        ("edit", "1", "--clear", "command"),
        ("edit", "1", "--label", "x", "--clear", "label"),
        ("purge",),
        ("purge", "1", "--all"),
        ("purge", "--state", "running", "--yes"),
        ("purge", "--all"),
        ("restore",),
        ("restore", "1", "--last"),
        ("dlq", "replay"),
        ("dlq", "purge", "1", "--all"),
        ("wait",),
        ("wait", "1", "--all"),
        ("wait", "1", "--timeout", "soon"),
        ("run",),
        ("worker", "--concurrency", "0"),
        ("worker", "--concurrency", "x"),
        ("worker", "--on-stop", "explode"),
        ("worker", "--no-output", "--show-output"),
        ("worker", "stop", "first"),
        ("worker", "stop", "--timeout", "x"),
        ("queue", "limit", "default", "x"),
        ("queue", "limit", "default", "-1"),
        ("queue", "frobnicate"),
        ("config", "get"),
        ("config", "get", "frobnicate"),
        ("config", "set", "max-attempts", "0"),
        ("config", "set", "max-attempts", "many"),
        ("config", "set", "jitter", "2"),
        ("config", "set", "shell", "/no/such/shell"),
        ("config", "set", "shell", "/"),
        ("config", "set", "shell", "sh"),
        ("queue", "limit", "default", "99999999999999999999"),
        ("metrics", "--window", "0"),
        ("metrics", "--window", "x"),
        ("prune", "--trash"),
        ("backup",),
        ("completion", "powershell"),
        ("undo", "--act", "x"),
        ("help", "frobnicate"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with the words: one line that says so, exit 2, nothing on stdout, nothing changed."""
    cli.ok("enqueue", "true")
    before = cli.ok("list", "--json"), cli.ok("config", "--json")
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("queuectl: error: ")
    assert result.err.count("\n") == 1
    assert (cli.ok("list", "--json"), cli.ok("config", "--json")) == before


@pytest.mark.parametrize(
    "command", ["show", "logs", "edit --label x", "wait", "retry", "cancel", "purge --yes", "restore", "dlq replay"]
)
def test_a_job_whose_name_looks_like_an_option_is_reached_after_the_dashes(cli: Cli, command: str) -> None:
    """The refusal says so, and what it says to write finds the job."""
    cli.ok("enqueue", "--name=-x", "true")
    result = cli(*command.split(), "-x")
    assert (result.code, result.err.count("\n")) == (2, 1)
    verb = "dlq replay" if command == "dlq replay" else command.split()[0]
    assert result.err.endswith(f"; for a job of that name write: queuectl {verb} -- -x\n")
    assert result.err.startswith("queuectl: error: unknown argument '-x'; see 'queuectl ")
    result = cli(*command.split(), *(["--timeout", "0"] if verb == "wait" else []), "--", "-x")
    assert "unknown argument" not in result.err
    assert "no job" not in result.err


def test_the_dashes_may_stand_behind_other_jobs_and_options(cli: Cli) -> None:
    """All that follows them is names."""
    for name in ("a", "-x", "--json"):
        cli.ok("enqueue", f"--name={name}", "true")
    assert len(cli("cancel", "a", "--json", "--", "-x", "--json").json) == 3


@pytest.mark.parametrize("arguments", [("show", "1", "--jsn"), ("list", "-x"), ("worker", "stop", "-x")])
def test_an_unknown_option_is_no_name_where_no_job_is_asked_for(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Then the help is all there is to point at."""
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.endswith(" --help'\n")


@pytest.mark.parametrize("command", ["show", "edit"])
def test_a_job_that_was_not_given_is_asked_for(cli: Cli, command: str) -> None:
    """As the commands do that take several."""
    result = cli(command)
    assert (result.code, result.err) == (2, f"queuectl: error: {command} which job? give its number or name\n")


@pytest.mark.parametrize("command", ["show", "logs", "wait", "retry", "cancel", "purge --yes", "restore", "dlq replay"])
@pytest.mark.parametrize("job", ["99", "nobody", "-", "0", "99999999999999999999"])
def test_a_job_that_is_not_there_is_exit_4(cli: Cli, command: str, job: str) -> None:
    """Whatever was to be done with it."""
    cli.ok("enqueue", "true")
    result = cli(*command.split(), job)
    assert result.code == 4
    assert result.err == f"queuectl: error: no job {job}; see 'queuectl list'\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (JobNotFound(1), 4),
        (NameTaken("x"), 1),
        (InvalidTransition(1, "dead", "edit"), 1),
        (QueueNotFound("x"), 1),
        (DatabaseBusy("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    """The table of exit codes is a promise to scripts."""
    assert isinstance(error, (UsageError, JobNotFound, NameTaken, InvalidTransition, QueueNotFound, DatabaseBusy))
    assert exit_code_of(error) == code


@pytest.mark.parametrize("arguments", [("retry", "1"), ("cancel", "1"), ("doctor",), ("prune",)])
def test_a_named_database_that_is_missing_is_refused_by_all_that_would_act_on_it(
    cli: Cli, missing: Path, arguments: tuple[str, ...]
) -> None:
    """A misspelt path must not become an empty queue."""
    result = cli(*arguments)
    assert result.code == 1
    assert "no database at" in result.err
    assert not missing.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "json"),
    [
        (("list",), 0, []),
        (("dlq",), 0, []),
        (("worker", "list"), 0, []),
        (("queue", "list"), 0, []),
        (
            ("wait", "--all"),
            0,
            {"completed": 0, "not_completed": 0, "unfinished": 0, "not_completed_ids": [], "stuck_ids": []},
        ),
        (("show", "1"), 4, None),
        (("logs", "1"), 4, None),
        (("wait", "1"), 4, None),
    ],
)
def test_a_database_that_is_missing_reads_as_an_empty_queue(
    cli: Cli, missing: Path, arguments: tuple[str, ...], code: int, json: object
) -> None:
    """And is not made; that it is missing is noted on stderr."""
    result = cli(*arguments, "--json")
    assert result.code == code
    assert f"there is no database at {missing}" in result.err
    if code == 0:
        assert result.json == json
    status = cli("status", "--json").json
    assert (status["pending"], status["database"]) == (0, str(missing))
    assert not missing.exists()
    assert not Path(f"{missing}.spool").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"just some text " * 10, "is not an SQLite database"),
        (b"SQLite format 3\0" + bytes(84), "is not an SQLite database"),
    ],
)
def test_a_foreign_file_is_refused_and_not_touched(cli: Cli, database: Path, content: bytes, words: str) -> None:
    """The message says whose it is not; the file stays byte for byte."""
    database.write_bytes(content)
    for arguments in (("list",), ("enqueue", "true")):
        result = cli(*arguments)
        assert (result.code, result.err.count("\n")) == (1, 1)
        assert words in result.err
    assert database.read_bytes() == content


def test_the_database_of_another_application_is_refused_and_not_touched(cli: Cli, missing: Path) -> None:
    """One that SQLite could open and write to."""
    with contextlib.closing(sqlite3.connect(missing)) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
        connection.commit()
    content = missing.read_bytes()
    for arguments in (("list",), ("enqueue", "true")):
        result = cli(*arguments)
        assert (result.code, result.err.count("\n")) == (1, 1)
        assert "another application" in result.err
    assert missing.read_bytes() == content


def test_an_unsupported_system_is_told_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the program says what would work instead of failing in the middle."""
    with monkeypatch.context() as patch:
        patch.setattr("core.cli.program.os.name", "nt")
        result = cli("list")
    assert result.code == 1
    assert "WSL" in result.err


def test_an_interrupt_is_exit_130_without_a_word(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C needs no traceback."""

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.cli.verbs.status.run", interrupt)
    result = cli("status")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_a_reader_that_leaves_early_is_no_error(terminal: Terminal) -> None:
    """``queuectl list | head`` ends quietly."""
    terminal.run("enqueue", "--stdin", stdin=b"echo some words to fill the pipe with\n" * 3000, check=True)
    command = f"{shlex.quote(sys.executable)} -m core list --json | head -n 2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, cwd=ROOT, env=terminal.environment, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"[\n{")


def test_an_output_that_cannot_be_written_is_an_error(terminal: Terminal) -> None:
    """A full disk behind ``>`` is told, not ignored."""
    terminal.run("enqueue", "true", check=True)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "core", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=terminal.environment,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"queuectl: error: writing the output: No space left on device\n"


def test_colour_is_for_terminals_and_for_those_who_ask(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piped output has none; ``--color always`` has."""
    cli.ok("enqueue", "true")
    assert "\x1b" not in cli.ok("list")
    assert "\x1b[" in cli.ok("--color", "always", "list")
    assert "\x1b[" in cli.ok("list", "--colour=always")


def _loaded_after(terminal: Terminal, *arguments: str) -> set[str]:
    """Return the modules that a process holds after it ran a command."""
    program = (
        f"import sys\nfrom queuectl_entry import queuectl\nsys.argv = {['queuectl', *arguments]!r}\ncode = queuectl()\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=terminal.environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_piped_commands_load_neither_rich_nor_textual(terminal: Terminal) -> None:
    """They cost more time than most commands take."""
    for arguments in (("enqueue", "true"), ("list",), ("show", "1"), ("status",), ("metrics",), ("config",)):
        tops = {name.partition(".")[0] for name in _loaded_after(terminal, *arguments)}
        assert tops.isdisjoint({"rich", "textual", "pygments", "platformdirs"}), arguments


def test_a_plain_enqueue_loads_no_more_than_it_needs(terminal: Terminal) -> None:
    """Scripts call it thousands of times."""
    loaded = _loaded_after(terminal, "enqueue", "true")
    unneeded = {
        "shlex",
        "shutil",
        "pathlib",
        "subprocess",
        "difflib",
        "core.execution.worker",
        "core.text",
        "core.cli.json_output",
    }
    assert loaded & unneeded == set()
    assert loaded & {"argparse", "dataclasses", "inspect", "typing", "core.model"} == set()
    assert {name for name in loaded if name.startswith("core.cli.")} == {
        "core.cli.exit_codes",
        "core.cli.program",
        "core.cli.fast_enqueue",
        "core.cli.context",
        "core.cli.standard_streams",
    }
    with_options = _loaded_after(terminal, "enqueue", "--label", "x", "true")
    assert with_options & unneeded == set()


def test_main_takes_its_words_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This is how the console script calls it."""
    monkeypatch.setattr(sys, "argv", ["queuectl", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"queuectl {__version__}\n"


def test_a_home_directory_in_the_path_is_understood(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--db=~/x.db`` reaches us with its tilde."""
    monkeypatch.setenv("HOME", str(tmp_path))
    cli.ok("--db=~/mine.db", "enqueue", "true")
    assert (tmp_path / "mine.db").exists()
    assert os.stat(tmp_path / "mine.db").st_mode & 0o077 == 0


def test_lists_load_nothing_that_looks_at_processes(terminal: Terminal, open_queue: Queue) -> None:
    """But when jobs run: then it takes that to say whether a worker watches them."""
    open_queue.add("true")
    for arguments in (("list", "--json"), ("show", "1", "--json")):
        loaded = _loaded_after(terminal, *arguments)
        assert (
            loaded
            & {
                "core.execution.command",
                "core.execution.shim",
                "core.storage.sqlite.attempts",
                "core.execution.unwatched",
            }
            == set()
        )


#: What commands that only look have no use for: it adds jobs, decides about schedules, prunes, moves or runs.
_FOR_WRITES = {
    "core.records",
    "core.rules.occurrences",
    "core.rules.schedules",
    "core.rules.pruning",
    "core.storage.findings",
    "core.storage.leftovers",
    "core.storage.minutes",
    "core.storage.transfer",
    "core.storage.sqlite.checks",
    "core.storage.sqlite.draining",
    "core.storage.sqlite.enqueue",
    "core.storage.sqlite.maintenance",
    "core.storage.sqlite.outputs",
    "core.storage.sqlite.schedules",
    "core.storage.sqlite.totals",
    "core.storage.sqlite.transfer",
}


def test_commands_that_only_look_load_nothing_that_changes_the_queue(terminal: Terminal, open_queue: Queue) -> None:
    """Status bars and scripts call them again and again."""
    open_queue.add("true")
    for arguments in (("status", "--json"), ("list", "--json"), ("show", "1", "--json")):
        assert _loaded_after(terminal, *arguments) & _FOR_WRITES == set(), arguments
    status = _loaded_after(terminal, "status", "--json")
    assert (
        status & {"core.storage.sqlite.queries", "core.storage.sqlite.lanes", "core.storage.sqlite.blockers"} == set()
    )


def test_no_named_tuple_that_a_short_command_loads_puts_its_annotations_off(
    terminal: Terminal, open_queue: Queue
) -> None:
    """Typing compiles the text of each field of one that does, at every start: milliseconds."""
    open_queue.add("true")
    commands = (("enqueue", "true"), ("status", "--json"), ("list", "--json"), ("show", "1", "--json"))
    loaded = set[str]().union(*(_loaded_after(terminal, *arguments) for arguments in commands))
    paths = (ROOT / f"{name.replace('.', '/')}.py" for name in sorted(loaded) if name.startswith("core."))
    sources = {path: path.read_text() for path in paths if path.exists()}
    assert len(sources) > 50
    late = [
        str(path.relative_to(ROOT))
        for path, source in sources.items()
        if "(NamedTuple):" in source and "from __future__ import annotations" in source
    ]
    assert late == []
