"""Standard streams that are closed, full or read by no one, and words that are no UTF-8."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.queue import Queue
from tests.cli.conftest import ROOT, Cli, Result, Terminal, drain, wait_for

_PROGRAM = f"{shlex.quote(sys.executable)} -m core"
#: Bytes of a word that is no UTF-8, as Python hands it over.
_LATIN = os.fsdecode(b"caf\xe9")


def _shell(terminal: Terminal, line: str) -> Result:
    """Run a line of bash in which ``queuectl`` is the program."""
    done = subprocess.run(
        ["bash", "-c", f'queuectl() {{ {_PROGRAM} "$@"; }}; {line}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=ROOT,
        env=terminal.environment,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


# --- closed


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_takes_what_is_written_and_no_more(terminal: Terminal, closed: str) -> None:
    """Daemons close them; every verb ends as it would, and a notice never comes out of stdout."""
    for line, code in (
        ("run 'echo out; exit 5'", 5),
        ("enqueue 'echo out'", 0),
        ("worker --drain", 0),
        ("logs 2", 0),
        ("show 99", 4),
        ("list", 0),
        ("wait 1", 3),
    ):
        result = _shell(terminal, f"queuectl {line} {closed}")
        assert result.code == code, (line, result)
        assert "Traceback" not in result.err, line
        assert "queuectl:" not in result.out, line
    assert terminal.run("status", "--json").json["completed"] == 1


def test_a_command_does_not_write_into_a_stream_that_its_worker_lacks(terminal: Terminal) -> None:
    """What is opened next would be given the free number: the job's output goes to its file all the same."""
    terminal.run("enqueue", "echo out; echo err >&2", check=True)
    _shell(terminal, "queuectl worker --drain <&- >&- 2>&-")
    assert terminal.run("logs", "1").out == "out\nerr\n"


# --- full


_CHANGES = {
    "enqueue one": ("enqueue true", "job 6 was added"),
    "enqueue quietly": ("enqueue -q true", "job 6 was added"),
    "enqueue with options": ("enqueue -p 3 true", "job 6 was added"),
    "enqueue as JSON": ("enqueue --json true", "job 6 was added"),
    "a batch": ("enqueue --stdin < <(printf 'true\\nfalse\\n')", "2 jobs added (IDs: 6-7)"),
    "retry": ("retry 1", "1 job will run again"),
    "replay": ("dlq replay 2", "1 job will run again"),
    "cancel": ("cancel 3", "1 job cancelled"),
    "edit": ("edit 3 -p 5", "job 3 was changed"),
    "purge": ("purge 1 --yes", "1 job purged"),
    "dlq purge": ("dlq purge 2 --yes", "1 job purged"),
    "restore": ("restore 4", "1 job restored"),
    "restore the last": ("restore --last", "1 job restored"),
    "undo": ("undo", "1 job put back"),
    "queue pause": ("queue pause default", "Queue default paused"),
    "resource set": ("resource set gpu 2", "Resource gpu: 2"),
    "queue on-lost-host": ("queue on-lost-host default hold", "Queue default: on a lost host hold"),
    "queue limit": ("queue limit default 2", "Queue default: at most 2"),
    "hook add": ("hook add dead true", "hook 1 was added"),
    "schedule add": ("schedule add daily @daily true", "schedule daily was added"),
    "schedule run": ("schedule run nightly", "job 6 was added"),
    "schedule pause": ("schedule pause nightly", "schedule nightly was paused"),
    "schedule remove": ("schedule remove nightly", "schedule nightly was removed"),
    "config set": ("config set timeout 5m", "timeout was set"),
    "config unset": ("config unset timeout", "timeout was unset"),
    "prune": ("prune --trash --yes", "1 job removed for good"),
    "backup": ("backup {copy}", "was written"),
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("what", _CHANGES)
def test_what_was_done_is_said_though_it_cannot_be_printed(
    terminal: Terminal, cli: Cli, open_queue: Queue, tmp_path: Path, what: str
) -> None:
    """A script that sees nothing but a failure would do it again."""
    cli.ok("enqueue", "true")
    cli.ok("enqueue", "--max-attempts", "1", "false")
    cli.ok("enqueue", "--delay", "1h", "true")
    cli.ok("enqueue", "true")
    drain(open_queue)
    cli.ok("enqueue", "--delay", "1h", "true")
    cli.ok("purge", "4", "--yes")
    cli.ok("schedule", "add", "nightly", "@daily", "true")
    line, said = _CHANGES[what]
    result = _shell(terminal, f"queuectl {line.format(copy=shlex.quote(f'{tmp_path}/copy.db'))} >/dev/full")
    assert result.code == 1, result
    assert said in result.err, result
    assert "No space left on device" in result.err
    assert result.err.count("\n") == 1 + result.err.count("waiting for")


def test_a_reader_that_is_gone_is_told_of_on_the_side(terminal: Terminal) -> None:
    """The id went nowhere, but the job is there."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "core", "enqueue", "true"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=terminal.environment,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b"queuectl: error: job 1 was added, but writing that failed: Broken pipe\n"
    assert terminal.run("status", "--json").json["pending"] == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("line", ["export", "export --csv", "list --json", "metrics --prometheus", "show 1 --json"])
def test_a_full_disk_of_the_output_is_not_that_of_the_database(terminal: Terminal, line: str) -> None:
    """However much was written before it was noticed: nobody is told to purge jobs."""
    terminal.run("enqueue", "-q", f"true #{'x' * 10_000}", check=True)
    result = _shell(terminal, f"queuectl {line} >/dev/full")
    assert result.code == 1
    assert result.err == "queuectl: error: writing the output: No space left on device\n"


@pytest.mark.parametrize("line", ["export", "export --csv", "list --json"])
def test_a_reader_that_has_seen_enough_is_no_error(terminal: Terminal, line: str) -> None:
    """As for any filter."""
    terminal.run("enqueue", "-q", f"true #{'x' * 100_000}", check=True)
    result = _shell(terminal, f"queuectl {line} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert (result.code, len(result.out), result.err) == (0, 1, "")


def test_a_full_stderr_stops_nothing(terminal: Terminal) -> None:
    """Notices are worth less than the job."""
    result = _shell(terminal, "queuectl run 'echo out; exit 5' 2>/dev/full")
    assert (result.code, result.out) == (5, "out\n")


# --- run


def test_run_ends_with_its_jobs_code_when_no_one_reads_on(terminal: Terminal) -> None:
    """``run … | head -1`` with ``pipefail`` fails as the job did, once it has ended."""
    result = _shell(terminal, "queuectl run 'seq 200000; sleep 0.5; exit 5' | head -1; exit ${PIPESTATUS[0]}")
    assert (result.code, result.out) == (5, "1\n")
    assert "waiting for job 1 to end" in result.err
    assert terminal.run("show", "1", "--json").json["state"] == "dead"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("option", ["", "--raw", "--json"])
def test_run_ends_with_its_jobs_code_when_the_disk_is_full(terminal: Terminal, option: str) -> None:
    """And says that the output is not where it should be."""
    result = _shell(terminal, f"queuectl run {option} 'echo out; exit 5' >/dev/full")
    assert result.code == 5
    assert "No space left on device" in result.err
    assert terminal.run("logs", "1").out == "out\n"


def _run_with_input(terminal: Terminal, stdin: int, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "core", "run", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=terminal.environment,
    )


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_run_refuses_input_that_it_would_drop(terminal: Terminal, missing: Path, tmp_path: Path, kind: str) -> None:
    """A command in the queue may run in another process, with nothing to read; so nothing is added."""
    if kind == "pipe":
        reader, writer = os.pipe()
        os.write(writer, b"data\n")
    else:
        (tmp_path / "input").write_text("data\n")
        reader = writer = os.open(tmp_path / "input", os.O_RDONLY)
    out, err = _run_with_input(terminal, reader, "cat").communicate(timeout=60)
    for descriptor in {reader, writer}:
        os.close(descriptor)
    assert out == ""
    assert err.startswith("queuectl: error: run does not pass its input on")
    assert not missing.exists()


def test_run_tells_of_input_that_came_too_late_to_be_refused(terminal: Terminal, tmp_path: Path) -> None:
    """A slow writer's data is not dropped in silence either."""
    reader, writer = os.pipe()
    process = _run_with_input(terminal, reader, f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; exit 5")
    wait_for(lambda: terminal.run("status", "--json").out.count('"running": 1'), "the job runs")
    os.write(writer, b"data\n")
    (tmp_path / "go").touch()
    _, err = process.communicate(timeout=60)
    for descriptor in (reader, writer):
        os.close(descriptor)
    assert process.returncode == 5
    assert "input came that job 1 was not given" in err


def test_run_takes_no_offence_at_a_pipe_without_data(terminal: Terminal) -> None:
    """Cron and CI hand one down."""
    reader, writer = os.pipe()
    process = _run_with_input(terminal, reader, "exit 5")
    _, err = process.communicate(timeout=60)
    for descriptor in (reader, writer):
        os.close(descriptor)
    assert process.returncode == 5
    assert "input" not in err


# --- words that are no UTF-8


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *[((*verb.split(), _LATIN), 4) for verb in ("show", "logs", "wait", "retry", "cancel", "restore", "edit -p 3")],
        *[((*verb.split(), _LATIN), 4) for verb in ("dlq replay", "dlq purge --yes", "purge --yes", "logs -f")],
        *[((*verb.split(), _LATIN), 2) for verb in ("enqueue", "enqueue -q", "run", "enqueue -p 3", "worker stop")],
        (("list", "--queue", _LATIN), 2),
        (("list", "--grep", _LATIN), 2),
        (("list", "--after", _LATIN), 4),
        (("purge", "--yes", "--all", "--grep", _LATIN), 2),
        (("queue", "limit", _LATIN, "3"), 2),
        (("config", "get", _LATIN), 2),
        (("config", "set", "shell", _LATIN), 2),
        (("undo", "--act", _LATIN), 2),
        (("completion", _LATIN), 2),
        ((_LATIN,), 2),
        (("list", f"--{_LATIN}"), 2),
    ],
)
def test_a_word_that_is_no_utf8_is_refused_or_names_nothing(cli: Cli, words: tuple[str, ...], code: int) -> None:
    """A Latin-1 terminal or a file's name brings one; it is one line, and nothing is changed."""
    cli.ok("enqueue", "true")
    result = cli(*words)
    assert result.code == code, result
    assert result.err.startswith("queuectl: error: ")
    assert result.err.count("\n") == 1
    assert [job["id"] for job in cli("list", "--json").json] == [1]


def test_a_file_of_any_name_can_be_read(terminal: Terminal, tmp_path: Path) -> None:
    """A path is bytes to the system; only what is stored must be text."""
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    path = str(tmp_path / _LATIN / "jobs")
    with open(path, "w") as file:
        file.write("true\n")
    terminal.run("enqueue", "--file", path, check=True)
    terminal.run("backup", f"{path}.db", check=True)
    assert len(terminal.run("--db", f"{path}.db", "list", "--json").json) == 1


# --- Ctrl+C


@pytest.mark.long
def test_an_interrupt_while_the_program_is_loaded_leaves_no_traceback(terminal: Terminal) -> None:
    """Each module that a command loads is a moment at which Ctrl+C may come."""
    script = """
import os, signal, sys
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("core"):
            return None
        seen.append(name)
        if len(seen) == moment:
            os.kill(os.getpid(), signal.SIGINT)
seen, moment = [], int(sys.argv.pop(1))
from core.cli import main
sys.meta_path.insert(0, Interrupter())
sys.exit(main())
"""
    terminal.run("enqueue", "true", check=True)
    codes = []
    for moment in range(1, 200):
        done = subprocess.run(
            [sys.executable, "-c", script, str(moment), "status"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=terminal.environment,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, (moment, done.stderr)
        codes.append(done.returncode)
        if done.returncode == 0:
            break
    assert codes[-1] == 0
    assert set(codes[:-1]) == {130}
    assert len(codes) > 10
