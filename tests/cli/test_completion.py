"""``completion``: what the shells offer, in a real bash, and that no name is ever run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import command_table
from core.cli.verbs.completion import quoted
from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Terminal
from tests.postgres import Databases

#: Names that a shell would run, split or change; ``{mark}`` is a file that only a run makes.
HOSTILE = (
    "$(touch${{IFS}}{mark})",
    "`touch {mark}`",
    "; touch {mark}",
    "x' $(touch {mark}) '",
    'x" $(touch {mark}) "',
    "<(touch {mark})",
    "a[$(touch {mark})]",
    "it's",
    'say "hi"',
    "two  words ",
    "a\\b",
    "a!b",
    "~",
    "*",
    "#1",
    "{{a,b}}",
    "=ls",
    "etl:daily",
    "naïve ☃",
)


@pytest.fixture
def script(cli: Cli, tmp_path: Path) -> Path:
    """Return the script for bash as a file."""
    path = tmp_path / "completion.bash"
    path.write_text(cli.ok("completion", "bash"))
    return path


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Return a file that is there once a name was run."""
    return tmp_path / "run"


def complete(terminal: Terminal, script: Path, *words: str) -> list[str]:
    """Return what bash would offer after some words, the last of which is being typed."""
    program = (
        f'queuectl() {{ {shlex.quote(sys.executable)} -m core "$@"; }}\nsource {shlex.quote(str(script))}\n'
        f"COMP_WORDS=({shlex.join(('queuectl', *words))})\n"
        f'COMP_CWORD={len(words)}\n_queuectl\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, cwd=ROOT, env=terminal.environment, timeout=60
    )
    assert done.stderr == ""
    return sorted(line for line in done.stdout.split("\n") if line)


def test_bash_completes_commands_options_states_and_jobs(terminal: Terminal, script: Path, open_queue: Queue) -> None:
    """The script is sourced in a real bash."""
    open_queue.add("true", name="nightly")
    assert complete(terminal, script, "en") == ["enqueue"]
    assert set(complete(terminal, script, "")) >= {name.split()[0] for name, _ in command_table()}
    assert complete(terminal, script, "dlq", "re") == ["replay", "retry"]
    assert "--max-attempts" in complete(terminal, script, "enqueue", "--max")
    assert complete(terminal, script, "list", "de") == ["dead"]
    assert complete(terminal, script, "worker", "stop", "--n") == ["--now"]
    assert complete(terminal, script, "config", "set", "backoff") == ["backoff-base", "backoff-cap"]
    assert complete(terminal, script, "cancel", "") == [
        "--color", "--colour", "--db", "--grep", "--help", "--json", "--kill", "--label", "--no-wait", "--queue",
        "--state", "--with-dependents", "1", "nightly"
    ]  # fmt: skip
    assert complete(terminal, script, "--db", "x", "show", "nig") == []


@pytest.mark.parametrize("is_quoted", [False, True])
def test_bash_knows_the_database_of_a_url(
    terminal: Terminal, script: Path, databases: Databases, is_quoted: bool
) -> None:
    """It makes words of a URL at each : = and @, which are put together again; quotes stand in its words as typed."""
    address = databases.new()
    with Queue(address) as queue:
        queue.add("true", name="nightly")
    words = [f"'{address}'"] if is_quoted else [word for word in re.split("([:=@])", address) if word]
    assert len(words) == (1 if is_quoted else 7)
    assert complete(terminal, script, "--db", *words, "show", "nig") == ["nightly"]
    databases.drop(address)


def test_bash_runs_no_name_and_offers_each_as_one_word(
    terminal: Terminal, script: Path, open_queue: Queue, mark: Path
) -> None:
    """Names of jobs and queues are anybody's text; a person only asked what there is."""
    names = [name.format(mark=mark) for name in HOSTILE]
    for name in names:
        open_queue.add("true", name=name)
    offered = complete(terminal, script, "show", "")
    assert not mark.exists()
    numbers = [str(number) for number in range(1, len(names) + 1)]
    assert [word for word in offered if not word.startswith("--")] == sorted([*numbers, *map(quoted, names)])

    open_queue.add("true", queue="$(touch${IFS}" + f"{mark})")
    assert complete(terminal, script, "list", "--queue", "\\$") == [quoted("$(touch${IFS}" + f"{mark})")]
    for typed in ("$(touch", "`", "'", '"', "\\", "x'", f"$(touch${{IFS}}{mark})", f"`touch {mark}`"):
        complete(terminal, script, "show", typed)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("it", [r"it\'s\ me"]),
        (r"it\'", [r"it\'s\ me"]),
        (r"it\'s\ m", [r"it\'s\ me"]),
        ('"it', ["it's me"]),
        ("\"it's ", ["it's me"]),
        ("'it", [r"it'\''s me"]),
        ("it's", []),
        ("no", []),
    ],
)
def test_bash_goes_on_in_the_quotes_that_were_typed(
    terminal: Terminal, script: Path, open_queue: Queue, typed: str, offered: list[str]
) -> None:
    """Bash puts what is offered behind an opening quote, and closes it."""
    open_queue.add("true", name="it's me")
    assert complete(terminal, script, "show", typed) == offered


@pytest.mark.parametrize("opening", ["", "'", '"'])
def test_a_quoted_name_is_read_back_by_bash_as_it_was(opening: str, mark: Path) -> None:
    """Outside of quotes and within both kinds, with the history of an interactive shell looked at too."""
    names = [name.format(mark=mark) for name in HOSTILE]
    words = " ".join(f"{opening}{quoted(name, opening)}{opening}" for name in names)
    program = f"set -H -o history\nprintf '%s\\n' {words}\n"
    done = subprocess.run(["bash"], input=program, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:-1] == names
    assert not mark.exists()


def test_names_that_a_terminal_or_an_option_would_garble_are_left_out(cli: Cli, open_queue: Queue) -> None:
    """The number is offered in their place."""
    open_queue.add("true", name="\x9b31mred")
    open_queue.add("true", name="--all")
    assert cli.ok("completion", "jobs") == "1\n2\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("list", "--queue", ""), ["default", "media"]),
        (("list", "--queue", "m"), ["media"]),
        (("list", "--queue", "=", "m"), ["media"]),
        (("list", "--queue", "="), ["default", "media"]),
        (("edit", "1", "--queue", ""), ["default", "media"]),
        (("worker", "--queue", ""), ["default", "media"]),
        (("queue", "pause", "me"), ["media"]),
        (("resource", "set", "g"), ["gpu"]),
        (("resource", "unset", ""), ["--color", "--colour", "--db", "--help", "--json", "db-lock", "gpu"]),
        (
            ("edit", "1", "--clear", ""),
            [
                "dead-exit",
                "delay",
                "env",
                "label",
                "name",
                "needs",
                "ok-exit",
                "on-complete",
                "on-dead",
                "on-lost-host",
                "timeout",
            ],
        ),
        (("list", "--state", "can"), ["cancelled"]),
        (("purge", "--state", "=", "de"), ["dead"]),
        (("list", "--sort", ""), ["command", "cpu", "default", "duration", "id", "memory"]),
        (("list", "--after", ""), ["1", "2", "nightly"]),
        (("worker", "--on-stop", ""), ["detach", "kill", "wait"]),
        (("list", "--color", "a"), ["always", "auto"]),
        (("--colour", "n"), ["never"]),
        (("list", "--limit", ""), []),
        (("edit", "1", "--label", ""), []),
    ],
)
def test_bash_completes_the_values_of_options(
    terminal: Terminal, script: Path, open_queue: Queue, words: tuple[str, ...], offered: list[str]
) -> None:
    """What is known, and nothing else where anything may be written."""
    open_queue.add("true", name="nightly")
    open_queue.add("true", queue="media", needs="db-lock")
    open_queue.set_resource("gpu", 2)
    assert complete(terminal, script, *words) == offered


def test_bash_completes_the_names_of_files(terminal: Terminal, script: Path, mark: Path) -> None:
    """They are anybody's text too."""
    directory = mark.parent / "files"
    directory.mkdir()
    (directory / "my jobs.txt").touch()
    (directory / "my $(touch run)").touch()
    offered = complete(terminal, script, "enqueue", "--file", f"{directory}/my")
    assert offered == sorted([f"{directory}/my\\ \\$\\(touch\\ run\\)", f"{directory}/my\\ jobs.txt"])
    assert complete(terminal, script, "enqueue", "--file", f"{directory}/no") == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("enqueue", "rsync", "--"), []),
        (("enqueue", "rsync", "--queue", ""), ["file.txt"]),
        (("enqueue", "-q", "--queue", "m", "rsync", "f"), ["file.txt"]),
        (("run", "--queue", "=", "m", "rsync", "--re"), []),
        (("run", "--", "--re"), []),
        (("enqueue", "--name", "rsync", "--lab"), ["--label"]),
        (("--db", "x", "enqueue", "--queue", "=", "m", "--lab"), ["--label"]),
    ],
)
def test_bash_offers_no_options_of_ours_behind_the_program(
    terminal: Terminal, script: Path, tmp_path: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    """From the program's first word on there are only files; a value of an option is no program."""
    directory = tmp_path / "files"
    directory.mkdir()
    (directory / "file.txt").touch()
    program = script.read_text() + f"\ncd {shlex.quote(str(directory))}\n"
    script.write_text(program)
    assert complete(terminal, script, *words) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "is_offered"),
    [
        ("queuectl enqueue --lab", True),
        ("queuectl enqueue --name rsync --lab", True),
        ("queuectl enqueue rsync --lab", False),
        ("queuectl enqueue -- --lab", False),
        ("queuectl enqueue show --lab", False),
        ("queuectl edit 1 --lab", True),
    ],
)
def test_fish_offers_no_options_of_ours_behind_the_program(
    cli: Cli, tmp_path: Path, line: str, is_offered: bool
) -> None:
    """The same rule, in a real fish."""
    (tmp_path / "queuectl.fish").write_text(cli.ok("completion", "fish"))
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source queuectl.fish; complete -C '{line}'"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert ("--label" in done.stdout) is is_offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completions_know_every_command(cli: Cli, shell: str) -> None:
    """They come from the same table as the help."""
    script = cli.ok("completion", shell)
    for name, _ in command_table():
        assert name.split()[-1] in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0 or shell == "fish"
