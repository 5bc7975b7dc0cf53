"""The installed scripts run the packages that belong to them, whatever PYTHONPATH holds, and start without noise."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, wait_for

#: Script and entry point as ``pyproject.toml`` has them.
SCRIPTS = re.findall(
    r'^([\w-]+) = "(\w+):(\w+)"$', (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[2], re.M
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with packages of its own that have our packages' names."""
    for package in ("core", "queuectl_tui"):
        (tmp_path / "project" / package).mkdir(parents=True)
        (tmp_path / "project" / package / "__init__.py").touch()
    return tmp_path / "project"


def script(directory: Path, name: str) -> Path:
    """Write a script as an installer does and return its path."""
    module, function = next((module, function) for script, module, function in SCRIPTS if script == name)
    path = directory / name
    path.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    path.chmod(0o755)
    return path


def environment(project: Path) -> dict[str, str]:
    """Return an environment in which the project's packages come first; ours are found behind them."""
    return {
        **os.environ,
        "PYTHONPATH": f"{project}:{ROOT}",
        "QUEUECTL_DB": str(project / "queue.db"),
    }


def run(project: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's directory."""
    return subprocess.run(
        [*map(str, command)],
        cwd=project,
        env=environment(project),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def interrupting_at_the_end(directory: Path) -> Path:
    """Make a directory for PYTHONPATH with which a Python interrupts itself in its last moments."""
    late = directory / "late"
    late.mkdir()
    (late / "sitecustomize.py").write_text(
        "import atexit, os, signal\n\ndef interrupt():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    for _ in range(1000):\n        pass  # Python 3.10 looks for signals between its steps alone\n\n"
        "atexit.register(interrupt)\n"
    )
    return late


def test_both_scripts_are_installed() -> None:
    """The names people type."""
    assert [name for name, _, _ in SCRIPTS] == ["queuectl", "queuectl-tui"]


@pytest.mark.parametrize("name", ["queuectl", "queuectl-tui"])
@pytest.mark.parametrize("is_imported_before", [False, True])
def test_a_package_named_core_on_the_path_does_not_stand_in_the_way(
    project: Path, name: str, is_imported_before: bool
) -> None:
    """Nor does one that was imported before the script began."""
    if is_imported_before:
        (project / "core" / "errors.py").touch()
        (project / "sitecustomize.py").write_text("import core.errors, queuectl_tui\n")
    done = run(project, script(project, name), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name} ")


def test_the_module_of_the_scripts_is_queuectl(project: Path) -> None:
    """``python -m queuectl_entry`` works where ``python -m core`` runs the project's package."""
    done = run(project, sys.executable, "-m", "queuectl_entry", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("queuectl ")


def test_jobs_keep_their_pythonpath(project: Path) -> None:
    """A job of the project imports the project's packages."""
    job = f"{sys.executable} -c 'import core; print(core.__file__)'"
    done = run(project, script(project, "queuectl"), "run", job)
    assert (done.returncode, done.stdout) == (0, f"{project}/core/__init__.py\n"), done.stderr


@pytest.mark.parametrize("name", ["queuectl", "queuectl-tui"])
def test_an_interrupt_while_it_is_loaded_ends_it_quietly(project: Path, name: str) -> None:
    """Exit code 130 and no traceback, also where an import turns an interrupt into another error."""
    mark = project / "mark"
    (project / "argparse.py").write_text(
        f"import time\nopen({str(mark)!r}, 'w').close()\n"
        # not once for long: a signal that comes just before a sleep begins is answered when it ends
        "try:\n    for _ in range(600):\n        time.sleep(0.1)\n"
        "except BaseException as error:\n    raise RuntimeError('in an import') from error\n"
    )
    with subprocess.Popen(
        [script(project, name), "--version"],
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(mark.exists, "the import is under way")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("program", ["queuectl", "-m core", "-m queuectl_entry"])
def test_an_interrupt_when_all_is_closed_ends_it_quietly(project: Path, program: str) -> None:
    """Python waits for its threads and calls what was registered for its end, where an interrupt is a traceback."""
    late = interrupting_at_the_end(project)
    command = program.split() if program.startswith("-m") else [str(script(project, program))]
    done = subprocess.run(
        [sys.executable, *command, "list"],
        env={**environment(project), "PYTHONPATH": f"{late}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_an_ignored_interrupt_stays_ignored(project: Path) -> None:
    """Behind ``nohup`` or ``&`` of a script, the program is not to be interrupted."""
    mark, go = project / "mark", project / "go"
    (project / "argparse.py").write_text(
        f"import os, time\nopen({str(mark)!r}, 'w').close()\n"
        f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\nraise SystemExit(7)\n"
    )
    program = f"trap '' INT; exec {shlex.quote(str(script(project, 'queuectl')))} --version"
    with subprocess.Popen(["sh", "-c", program], env=environment(project)) as process:
        wait_for(mark.exists, "the import is under way")
        process.send_signal(signal.SIGINT)
        go.touch()
        assert process.wait(timeout=60) == 7
