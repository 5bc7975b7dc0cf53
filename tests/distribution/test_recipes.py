"""The recipes do what they say, each with the program that it is for, where this system has it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.model import Job, State, View
from core.queue import Queue
from tests.processes import ROOT
from tests.tui.pty_program import PtyProgram

TEXT = (ROOT / "docs" / "recipes.md").read_text("utf-8")


def recipe(name: str) -> str:
    """Return the block behind a marker."""
    found = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", TEXT, re.S)
    assert found is not None, name
    return found[1]


def needs(program: str) -> str:
    """Return the path of a program, or skip the test where there is none."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"this system has no {program}")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables with which ``queuectl`` is this program and its queue a new one."""
    script = tmp_path / "bin" / "queuectl"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m queuectl_entry "$@"\n')
    script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "QUEUECTL_DB": str(tmp_path / "queue.db"),
        "HOME": str(tmp_path),
    }


def run(
    environment: Mapping[str, str], *command: str, cwd: Path, stdin: str = "", check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    done = subprocess.run(
        command, env=environment, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
    return done


def jobs_of(path: str | Path) -> list[Job]:
    """Return the jobs of a queue, by number."""
    with Queue(path) as queue:
        return queue.jobs(View((State.PENDING, State.RUNNING, State.COMPLETED, State.DEAD)))


def test_the_alias_takes_words_and_a_quoted_line(environment: dict[str, str], tmp_path: Path) -> None:
    """Words are a program with its arguments, one word is a line for the shell, options behind it are the program's."""
    lines = ["shopt -s expand_aliases", recipe("alias"), "q make test --json", "q 'make test | tee log'"]
    run(environment, needs("bash"), cwd=tmp_path, stdin="\n".join(lines) + "\n")
    assert [job.command for job in jobs_of(environment["QUEUECTL_DB"])] == [
        "make test --json",
        "make test | tee log",
    ]


def test_zsh_takes_the_widget(environment: dict[str, str], tmp_path: Path) -> None:
    """Its lines are well-formed; what the widget calls adds the line as it was typed."""
    run(environment, needs("zsh"), "-fn", cwd=tmp_path, stdin=recipe("widget"))


def test_what_the_widget_runs_adds_the_line_as_it_was_typed(environment: dict[str, str], tmp_path: Path) -> None:
    """Pipes, quotes and a dash at the beginning stay; a line that is no job leaves the buffer by its exit code."""
    (call,) = re.findall(r"said=\$\((.*)\) &&", recipe("widget"))
    for line in ("ls | tee 'a b'", "-x"):
        done = run({**environment, "BUFFER": line}, "sh", "-c", call, cwd=tmp_path)
        assert "Job added successfully" in done.stdout
    assert [job.command for job in jobs_of(environment["QUEUECTL_DB"])] == ["ls | tee 'a b'", "-x"]
    assert run({**environment, "BUFFER": ""}, "sh", "-c", call, cwd=tmp_path, check=False).returncode != 0


def test_tmux_shows_the_line(environment: dict[str, str], tmp_path: Path) -> None:
    """While a job waits the status line has its numbers; the key for the dashboard is bound."""
    tmux = [needs("tmux"), "-S", str(tmp_path / "socket"), "-f", str(tmp_path / "tmux.conf")]
    (tmp_path / "tmux.conf").write_text(recipe("tmux"))
    with Queue(environment["QUEUECTL_DB"]) as queue:
        queue.enqueue("true")
    # a tmux that this test itself runs in is another server
    outside = {**environment, "TMUX": "", "LC_ALL": "C.UTF-8"}
    with PtyProgram([*tmux, "new-session", "sleep 300"], columns=100, rows=24, env=outside) as terminal:
        try:
            terminal.wait_for(b"run 0 wait 1 dead 0")
            assert "queuectl-tui" in run(outside, *tmux, "list-keys", "-T", "prefix", "Q", cwd=tmp_path).stdout
        finally:
            run(outside, *tmux, "kill-server", cwd=tmp_path)


def test_i3_shows_the_line_before_its_own_while_a_job_waits(environment: dict[str, str], tmp_path: Path) -> None:
    """An i3status of two lines: the first while the queue is empty, the second once it has a job."""
    i3status = tmp_path / "bin" / "i3status"
    i3status.write_text("#!/bin/sh\necho one; until [ -e seen ]; do sleep 0.05; done; echo two\n")
    i3status.chmod(0o755)
    reader = 'while read -r line; do echo "$line"; [ -e seen ] || { queuectl enqueue -q true >&2; touch seen; }; done'
    script = recipe("i3status").strip() + f" | {reader}"
    assert run(environment, "sh", "-c", script, cwd=tmp_path).stdout == "one\nrun 0 wait 1 dead 0 | two\n"


def test_waybar_gets_a_line_while_a_job_waits_and_else_none(environment: dict[str, str], tmp_path: Path) -> None:
    """The module is hidden by an empty line."""
    command = json.loads(recipe("waybar"))["custom/queue"]["exec"]
    with Queue(environment["QUEUECTL_DB"]) as queue:
        assert run(environment, "sh", "-c", command, cwd=tmp_path).stdout == ""
        queue.enqueue("true")
    assert run(environment, "sh", "-c", command, cwd=tmp_path).stdout == "▶0 …1 ✗0\n"


def test_a_project_has_a_queue_that_git_does_not_see(environment: dict[str, str], tmp_path: Path) -> None:
    """What direnv reads is a line of the shell; the database, its log and its spool are ignored."""
    project = tmp_path / "project"
    project.mkdir()
    (project / ".gitignore").write_text(recipe("gitignore"))
    (project / ".envrc").write_text(recipe("envrc"))
    run(environment, needs("git"), "init", "-q", cwd=project)
    run(environment, "sh", "-c", ". ./.envrc && queuectl enqueue -q true && queuectl worker --drain", cwd=project)
    assert [job.command for job in jobs_of(project / ".queue.db")] == ["true"]
    untracked = run(environment, "git", "status", "--porcelain", "--untracked-files=all", cwd=project).stdout
    assert untracked.splitlines() == ["?? .envrc", "?? .gitignore"]


def test_make_hands_its_work_to_the_queue(environment: dict[str, str], tmp_path: Path) -> None:
    """All three files are made, by jobs of the queue that the rule names; a failed job fails its rule."""
    make = needs("make")
    (tmp_path / "Makefile").write_text(recipe("makefile"))
    for name in "abc":
        (tmp_path / f"{name}.in").write_text(name)
    run(environment, "queuectl", "queue", "limit", "convert", "2", cwd=tmp_path)
    run(environment, make, "-j3", cwd=tmp_path)
    assert [(tmp_path / f"{name}.out").read_text() for name in "abc"] == ["a", "b", "c"]
    assert {job.queue for job in jobs_of(environment["QUEUECTL_DB"])} == {"convert"}
    (tmp_path / "d.in").mkdir()
    assert run(environment, make, "d.out", cwd=tmp_path, check=False).returncode != 0


def test_the_tasks_of_an_editor_run(environment: dict[str, str], tmp_path: Path) -> None:
    """The first waits for its job and ends as it does, the second adds one and ends."""
    (tmp_path / "make").write_text("#!/bin/sh\necho made $1; exit 3\n")
    (tmp_path / "make").chmod(0o755)
    environment = {**environment, "PATH": f"{tmp_path}:{environment['PATH']}"}
    tasks = json.loads(recipe("tasks"))
    assert tasks["version"] == "2.0.0"
    first, second = (task["command"] for task in tasks["tasks"])
    done = run(environment, "sh", "-c", first, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (3, "made test\n")
    run(environment, "sh", "-c", second, cwd=tmp_path)
    assert [(job.state, job.label) for job in jobs_of(environment["QUEUECTL_DB"])] == [
        (State.DEAD, None),
        (State.PENDING, "vscode"),
    ]


def lines_of_cron(text: str, environment: Mapping[str, str], tmp_path: Path) -> list[str]:
    """Return the commands of a crontab, with this program in place of that of a user ada, whose home is a new one."""
    home = tmp_path / "ada"
    (home / ".local" / "bin").mkdir(parents=True, exist_ok=True)
    link = home / ".local" / "bin" / "queuectl"
    if not link.exists():
        link.symlink_to(Path(environment["PATH"].partition(":")[0]) / "queuectl")
    commands = [re.split(r"\s+", line, maxsplit=5)[5] for line in text.splitlines() if line.strip()]
    assert not any(re.search(r"(?<!\\)%", command) for command in commands)
    return [command.replace("/home/ada", str(home)) for command in commands]


def test_cron_adds_a_job_and_runs_it(environment: dict[str, str], tmp_path: Path) -> None:
    """With nothing but the variables that cron gives, in any directory, and without a word that would be mailed."""
    of_cron = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SHELL": "/bin/sh", "LOGNAME": "ada"}
    for command in lines_of_cron(recipe("crontab"), environment, tmp_path):
        done = run(of_cron, "/bin/sh", "-c", command, cwd=Path("/"))
        assert done.stdout + done.stderr == ""
    (job,) = jobs_of(tmp_path / "ada" / "jobs.db")
    assert (job.state, job.label, job.command) == (State.COMPLETED, "nightly", "echo backed up")


def test_prometheus_never_finds_half_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    """The line of README writes beside the file and renames it: what a failed run wrote is never read."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (line,) = re.findall(r"^\* \* \* \* \*  (.*--prometheus.*)$", readme, re.M)
    directory = tmp_path / "node_exporter"
    directory.mkdir()
    with Queue(tmp_path / "jobs.db") as queue:
        queue.enqueue("true")
    command = line.replace("/var/lib/node_exporter", str(directory)).replace("/home/ada", str(tmp_path))
    run(environment, "sh", "-c", command, cwd=tmp_path)
    assert [path.name for path in directory.iterdir()] == ["q.prom"]
    before = (directory / "q.prom").read_text()
    assert 'queuectl_jobs{queue="default",state="pending"} 1' in before
    failing = command.replace("--prometheus", "--prometheus --json")
    assert run(environment, "sh", "-c", failing, cwd=tmp_path, check=False).returncode != 0
    assert (directory / "q.prom").read_text() == before


def test_docker_knows_the_options() -> None:
    """Without a daemon no container runs here, but the client says what it takes."""
    docker = needs("docker")
    for line in recipe("docker").splitlines():
        words = shlex.split(line)
        assert words[0] == "docker"
        help_text = subprocess.run([docker, words[1], "--help"], capture_output=True, text=True, timeout=60).stdout
        ours = words.index("queuectl") if "queuectl" in words else len(words)
        for option in [word for word in words[2:ours] if word.startswith("-")]:
            assert re.search(rf"(^|\s){option}\b", help_text), (words[1], option)


def test_the_command_of_the_image_works_under_an_init(environment: dict[str, str], tmp_path: Path) -> None:
    """In a process namespace whose first process is not the worker: jobs run, and no ended process stays behind."""
    unshare = [needs("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=60, check=False).returncode != 0:
        pytest.skip("this user may make no process namespace")
    (found,) = re.findall(r"^CMD (.*)$", recipe("dockerfile"), re.M)
    with Queue(environment["QUEUECTL_DB"]) as queue:
        queue.enqueue_many(["(sleep 0.1; true) & exit 0"] * 3)
    worker = shlex.join([*json.loads(found), "--drain"])
    script = f"{worker} >/dev/null; sleep 0.5 & wait; grep -l 'State:.Z' /proc/[0-9]*/status; exit 0"
    done = run(environment, *unshare, needs("bash"), "-c", script, cwd=tmp_path)
    assert done.stdout == ""
    assert [job.state for job in jobs_of(environment["QUEUECTL_DB"])] == [State.COMPLETED] * 3


def test_each_recipe_is_tried() -> None:
    """A block with a marker has a test that reads it, and there is no block without a marker."""
    marked = re.findall(r"<!-- tested: (\w+) -->\n```", TEXT)
    assert len(marked) == len(re.findall(r"^```\w+$", TEXT, re.M))
    here = Path(__file__).read_text("utf-8")
    assert [name for name in marked if f'recipe("{name}")' not in here] == []
