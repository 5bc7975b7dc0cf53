"""``queuectl service``: a worker that the system starts at login or boot, by systemd (Linux) or launchd (macOS)."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Protocol

from core.addresses import is_on_server
from core.cli.context import Session
from core.cli.exit_codes import DONE, Refused
from core.cli.parser import Parser
from core.cli.service_files import is_ours, launchd_agent, service_name, systemd_unit, worker_command
from core.cli.verbs.worker_start import add_capacity_options
from core.text import clean_line


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    if name in ("service install", "service print"):
        add_capacity_options(parser)
    verb = name.partition(" ")[2]
    parser.description = {
        "install": "Write a systemd user unit (macOS: launchd agent) for a worker on this database; start it."
        " It is restarted when it fails; when it is stopped, its commands go on and the next worker takes them over."
        " Each database has a service of its own. Installing again changes slots and queues.",
        "print": "Print the file that 'service install' would write; nothing is changed.",
        "status": "Say whether the service of this database is installed, enabled and running.",
        "uninstall": "Stop the service of this database and remove its file. The database stays, running commands too.",
    }[verb]
    parser.examples(
        *{
            "install": ("queuectl service install -c 4", "queuectl service install --db ~/jobs.db --queue media"),
            "print": ("queuectl service print -c 4 --db /srv/jobs.db",),
            "status": ("queuectl service status", "queuectl service status --json"),
            "uninstall": ("queuectl service uninstall",),
        }[verb]
    )


class _Manager(Protocol):
    """A service manager, for one service. What cannot be asked is ``None``."""

    path: str

    def content(self, command: Sequence[str]) -> bytes: ...
    def commands_to_start(self) -> list[list[str]]: ...
    def commands_to_stop(self) -> list[list[str]]: ...
    def commands_after_removal(self) -> list[list[str]]: ...
    def answers(self) -> bool: ...
    def is_enabled(self) -> bool: ...
    def is_running(self) -> bool: ...


class _Systemd:
    def __init__(self, database: str) -> None:
        self._database = database
        self._unit = f"{service_name(database)}.service"
        config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        self.path = os.path.join(config, "systemd", "user", self._unit)

    def content(self, command: Sequence[str]) -> bytes:
        return os.fsencode(systemd_unit(self._database, command))

    def commands_to_start(self) -> list[list[str]]:
        verbs = (["daemon-reload"], ["enable", self._unit], ["restart", self._unit])
        return [["systemctl", "--user", *words] for words in verbs]

    def commands_to_stop(self) -> list[list[str]]:
        return [["systemctl", "--user", "disable", "--now", self._unit]]

    def commands_after_removal(self) -> list[list[str]]:
        return [["systemctl", "--user", "daemon-reload"]]

    def answers(self) -> bool:
        return _succeeds(["systemctl", "--user", "show-environment"])

    def is_enabled(self) -> bool:
        return _succeeds(["systemctl", "--user", "--quiet", "is-enabled", self._unit])

    def is_running(self) -> bool:
        return _succeeds(["systemctl", "--user", "--quiet", "is-active", self._unit])


class _Launchd:
    def __init__(self, database: str) -> None:
        self._database = database
        self._label = f"local.{service_name(database)}"
        self._domain = f"gui/{os.getuid()}"
        self.path = os.path.expanduser(f"~/Library/LaunchAgents/{self._label}.plist")

    def content(self, command: Sequence[str]) -> bytes:
        log = os.path.expanduser(f"~/Library/Logs/{self._label}.log")
        return launchd_agent(self._label, self._database, command, log)

    def commands_to_start(self) -> list[list[str]]:
        start = ["launchctl", "bootstrap", self._domain, self.path]
        return [*self.commands_to_stop(), start] if self.is_enabled() else [start]

    def commands_to_stop(self) -> list[list[str]]:
        return [["launchctl", "bootout", f"{self._domain}/{self._label}"]]

    def commands_after_removal(self) -> list[list[str]]:
        return []

    def answers(self) -> bool:
        return _succeeds(["launchctl", "print", self._domain])

    def is_enabled(self) -> bool:
        return _succeeds(["launchctl", "print", f"{self._domain}/{self._label}"])

    def is_running(self) -> bool:
        return "state = running" in _output_of(["launchctl", "print", f"{self._domain}/{self._label}"])


def run(session: Session, options: Namespace) -> int:
    """Install, print, describe or remove the service of the database."""
    database = session.database_name()
    manager: _Manager = _Launchd(database) if sys.platform == "darwin" else _Systemd(database)
    verb = options.command_name.partition(" ")[2]
    if verb == "status":
        return _status(session, manager, database)
    if verb == "uninstall":
        return _uninstall(session, manager, database)
    content = manager.content(worker_command(_program(), database, options.slots, options.queue))
    if is_on_server(database) and database != session.named_address():
        session.note("queuectl: note: the password is left out of the service; write it into ~/.pgpass, mode 600")
    if verb == "print":
        return _print(session, manager, content)
    return _install(session, manager, database, content)


def _program() -> list[str]:
    """Return the words that run this installation's ``queuectl``, whatever the PATH of the service manager."""
    script = os.path.join(os.path.dirname(sys.executable), "queuectl")
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "queuectl_entry"]


def _print(session: Session, manager: _Manager, content: bytes) -> int:
    text = content.decode("utf-8", "surrogateescape")
    if session.is_json:
        from core.cli.json_output import print_object

        print_object({"file": manager.path, "content": text})
    else:
        session.say(text.rstrip("\n"))
    return DONE


def _install(session: Session, manager: _Manager, database: str, content: bytes) -> int:
    found = _read(manager.path)
    if found is not None and not is_ours(found, database):
        raise Refused(f"{manager.path} is not a service of queuectl's for this database; move it away first")
    os.makedirs(os.path.dirname(manager.path), exist_ok=True)
    beside = f"{manager.path}.new"
    with open(beside, "wb") as file:
        file.write(content)
    os.replace(beside, manager.path)
    session.done = f"{manager.path} was written"
    answers = manager.answers()
    if answers:
        _run_all(manager.commands_to_start())
    if session.is_json:
        return _status(session, manager, database)
    session.say(f"Wrote {clean_line(manager.path)}")
    if answers:
        session.say("The worker is started, now and at each login")
        if sys.platform != "darwin":
            session.note("queuectl: to start it at boot, before a login: loginctl enable-linger")
    else:
        todo = " && ".join(" ".join(command) for command in manager.commands_to_start())
        session.note(f"queuectl: the service manager does not answer here; where it does, run: {clean_line(todo)}")
    return DONE


def _uninstall(session: Session, manager: _Manager, database: str) -> int:
    found = _read(manager.path)
    if found is None:
        raise Refused(f"there is no service for {database}; 'queuectl service install' makes one")
    if not is_ours(found, database):
        raise Refused(f"{manager.path} is not a service of queuectl's for this database; it stays")
    answers = manager.answers()
    if answers:
        _run_all(manager.commands_to_stop(), may_fail=True)  # it may not run, or never have been enabled
    os.unlink(manager.path)
    if answers:
        _run_all(manager.commands_after_removal())
    if session.is_json:
        return _status(session, manager, database)
    session.say(f"Removed {clean_line(manager.path)}")
    return DONE


def _status(session: Session, manager: _Manager, database: str) -> int:
    found = _read(manager.path)
    is_installed = found is not None and is_ours(found, database)
    is_known = manager.answers()
    is_enabled = manager.is_enabled() if is_known else None
    is_running = manager.is_running() if is_known else None
    if session.is_json:
        from core.cli.json_output import print_object

        print_object(
            {
                "database": database,
                "file": manager.path,
                "is_installed": is_installed,
                "is_enabled": is_enabled,
                "is_running": is_running,
            }
        )
        return DONE
    if not is_installed:
        session.say(f"Not installed: there is no service for {clean_line(database)}")
    elif is_enabled is None:
        session.say(f"Installed ({clean_line(manager.path)}); the service manager does not answer here")
    else:
        enabled, running = ("enabled" if is_enabled else "not enabled"), ("running" if is_running else "not running")
        session.say(f"Installed ({clean_line(manager.path)}), {enabled}, {running}")
    return DONE


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _output_of(command: Sequence[str]) -> str:
    """Return what a command prints; nothing when it fails or is not there."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout or "\n"


def _succeeds(command: Sequence[str]) -> bool:
    return bool(_output_of(command))


def _run_all(commands: Sequence[Sequence[str]], *, may_fail: bool = False) -> None:
    for command in commands:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode and not may_fail:
            lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            raise Refused(f"{' '.join(command)}: {lines[-1]}")
