"""``queuectl service``: the files that service managers are given, and what is asked of the managers."""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from core.cli.service_files import is_ours, launchd_agent, service_name, systemd_unit, worker_command
from tests.cli.conftest import Cli

#: Paths as people have them, and as nobody should.
PATHS = [
    "/srv/queue.db",
    "/srv/my jobs/100%/q.db",
    "/srv/a \"b\" 'c'/q.db",
    "/srv/$HOME/${X}/é\\n.db",
    "/srv/a\nb;c.db",
]

_SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
    *is-active*) test -e {state} ;;
    *is-enabled*) test -e {state} ;;
    *restart*) touch {state} ;;
    *disable*) rm -f {state} ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home and a PATH without a service manager."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("core.cli.verbs.service.sys.platform", "linux")
    return tmp_path


@pytest.fixture
def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a systemctl on the PATH; return the file of what it was asked."""
    log, program = home / "asked", home / "bin" / "systemctl"
    program.write_text(_SYSTEMCTL.format(log=shlex.quote(str(log)), state=shlex.quote(str(home / "is-on"))))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    return log


def unit_of(database: Path) -> Path:
    return Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user" / f"{service_name(str(database))}.service"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit_whatever_the_path(tmp_path: Path, path: str) -> None:
    """``systemd-analyze verify`` has no word to say about it."""
    unit = tmp_path / f"{service_name(path)}.service"
    unit.write_text(systemd_unit(path, worker_command(["/bin/true"], path, 4, ["media"])))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)], env=environment, capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_a_word_of_the_unit_stands_for_itself() -> None:
    """Spaces, quotes, backslashes, percent and dollar signs and newlines are none of systemd's business."""
    words = ["/bin/x", "a b", 'q"q', "b\\n", "100%h", "$HOME", "n\nl", "é"]
    (line,) = [line for line in systemd_unit("/q.db", words).splitlines() if line.startswith("ExecStart=")]
    assert line == r'ExecStart=:/bin/x "a b" "q\"q" "b\\n" 100%%h "$HOME" "n\x0al" "é"'


def test_a_stop_of_the_unit_leaves_the_commands_alone() -> None:
    unit = systemd_unit("/q.db", worker_command(["/bin/queuectl"], "/q.db", 4, ["media", "mail"]))
    assert "\nExecStart=/bin/queuectl --db /q.db worker -c 4 --on-stop detach --queue media mail\n" in unit
    for line in ("KillMode=process", "Restart=on-failure", "OOMPolicy=continue", "StandardOutput=journal"):
        assert f"\n{line}\n" in unit


@pytest.mark.parametrize("path", PATHS)
def test_launchd_is_given_the_words_as_they_are(path: str) -> None:
    command = worker_command(["/bin/queuectl"], path, 2, [])
    data = launchd_agent("local.x", path, command, "/log")
    agent = plistlib.loads(data)
    assert (agent["ProgramArguments"], agent["AbandonProcessGroup"]) == (command, True)
    assert (agent["KeepAlive"], agent["RunAtLoad"]) == ({"SuccessfulExit": False}, True)
    assert is_ours(data, path)
    assert not is_ours(data, "/other.db")


def test_each_database_has_a_service_of_its_own() -> None:
    names = {service_name(path) for path in (*PATHS, "/srv/other/queue.db")}
    assert len(names) == len(PATHS) + 1
    assert all(name.startswith("queuectl-") and name.replace("-", "").isalnum() and name.isascii() for name in names)


def test_it_is_installed_started_described_and_removed(cli: Cli, database: Path, asked: Path) -> None:
    """As systemd is told; installing again changes it, and each step says what it did."""
    unit = unit_of(database)
    assert cli.ok("service").startswith("Not installed: there is no service for ")
    asked.unlink()
    result = cli("service", "install", "-c", "4")
    assert (result.code, result.out.splitlines()[0]) == (0, f"Wrote {unit}")
    assert "loginctl enable-linger" in result.err
    assert asked.read_text().splitlines() == [
        "--user show-environment",
        "--user daemon-reload",
        f"--user enable {unit.name}",
        f"--user restart {unit.name}",
    ]
    assert f"--db {database} worker -c 4 --on-stop detach\n" in unit.read_text()
    assert cli.ok("service", "status") == f"Installed ({unit}), enabled, running\n"
    cli.ok("service", "install", "-c", "2", "--queue", "media")
    assert "-c 2 --on-stop detach --queue media\n" in unit.read_text()
    assert cli.ok("service", "print", "-c", "2", "--queue", "media") == unit.read_text()
    assert cli("service", "status", "--json").json == {
        "database": str(database),
        "file": str(unit),
        "is_installed": True,
        "is_enabled": True,
        "is_running": True,
    }
    assert cli.ok("service", "uninstall") == f"Removed {unit}\n"
    assert not unit.exists()
    assert f"--user disable --now {unit.name}" in asked.read_text().splitlines()
    result = cli("service", "uninstall")
    assert (result.code, result.err.count("\n")) == (1, 1)


@pytest.mark.usefixtures("home")
def test_without_a_manager_it_says_what_to_run(cli: Cli, database: Path) -> None:
    """In a container, or over ``su``: the file is written all the same."""
    result = cli("service", "install")
    assert result.code == 0
    assert f"systemctl --user enable {unit_of(database).name}" in result.err
    assert "does not answer here" in cli.ok("service", "status")
    assert cli("service", "status", "--json").json["is_running"] is None
    cli.ok("service", "uninstall")
    assert not unit_of(database).exists()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_what_is_not_ours_stays(cli: Cli, database: Path, verb: str) -> None:
    unit = unit_of(database)
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    result = cli("service", verb)
    assert (result.code, result.out) == (1, "")
    assert "is not a service of queuectl's" in result.err
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_a_manager_that_refuses_is_quoted(cli: Cli, database: Path, asked: Path, home: Path) -> None:
    """One line with its reason; that the file was written is said, too."""
    (home / "bin" / "systemctl").write_text("#!/bin/sh\ncase $* in *restart*) echo no room >&2; exit 1;; esac\n")
    result = cli("service", "install")
    assert result.code == 1
    assert f"{unit_of(database)} was written" in result.err
    assert result.err.endswith(f"systemctl --user restart {unit_of(database).name}: no room\n")


def test_on_macos_it_is_an_agent(cli: Cli, database: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """launchctl is told to take it in, and to let it go."""
    log = home / "asked"
    program = home / "bin" / "launchctl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {shlex.quote(str(log))}\necho state = running\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("core.cli.verbs.service.sys.platform", "darwin")
    cli.ok("service", "install", "-c", "3")
    label = f"local.{service_name(str(database))}"
    agent = home / "home" / "Library" / "LaunchAgents" / f"{label}.plist"
    words = plistlib.loads(agent.read_bytes())["ProgramArguments"]
    assert words[-7:] == ["--db", str(database), "worker", "-c", "3", "--on-stop", "detach"]
    assert f"bootstrap gui/{os.getuid()} {agent}" in log.read_text().splitlines()
    assert json.loads(cli("service", "status", "--json").out)["is_running"] is True
    cli.ok("service", "uninstall")
    assert f"bootout gui/{os.getuid()}/{label}" in log.read_text().splitlines()
    assert not agent.exists()
