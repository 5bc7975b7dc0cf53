"""The text of a systemd user unit or a launchd agent that runs a worker on one database. Pure."""

from __future__ import annotations

import hashlib
import os
import plistlib
import re
from collections.abc import Sequence
from typing import Final

from core.addresses import is_on_server, short_name

#: The first words of a unit that queuectl wrote and may replace or remove; the database follows.
MARK: Final = "# queuectl service for "

_UNIT = """\
{mark}
# Made by 'queuectl service install', removed by 'queuectl service uninstall'.

[Unit]
Description=queuectl worker on {described}

[Service]
Type=exec
ExecStart={command}
# a stop ends the worker alone; what it runs goes on, and the next worker takes it over
KillMode=process
TimeoutStopSec=30
Restart=on-failure
RestartSec=5
# a command that is killed for its memory fails alone
OOMPolicy=continue
StandardOutput=journal
StandardError=journal
SyslogIdentifier=queuectl

[Install]
WantedBy=default.target
"""


def service_name(database: str) -> str:
    """Return the name of the service for a database, another one for each address: ``queuectl-jobs-1a2b3c4d``."""
    name = short_name(database)
    stem = (
        re.sub(r"[^A-Za-z0-9]+", "-", name if is_on_server(database) else os.path.splitext(name)[0]).strip("-") or "db"
    )
    digest = hashlib.sha256(os.fsencode(database)).hexdigest()[:8]
    return f"queuectl-{stem[:40]}-{digest}"


def mark_of(database: str) -> str:
    """Return the line that says which database a unit is for."""
    return MARK + _escaped(database, is_quoted=False)


def worker_command(program: Sequence[str], database: str, slots: int, queues: Sequence[str]) -> list[str]:
    """Return the words that run the worker; a stop leaves its commands running."""
    words = [*program, "--db", database, "worker", "-c", str(slots), "--on-stop", "detach"]
    return [*words, "--queue", *queues] if queues else words


def systemd_unit(database: str, command: Sequence[str]) -> str:
    """Return the text of a user unit that runs a command. A word stands for itself, whatever characters it has."""
    # ":" has systemd leave "$" alone, in the path of the program as in its arguments
    words = " ".join(_escaped(word) for word in command)
    if any("$" in word for word in command):
        words = f":{words}"
    described = _escaped(database, is_quoted=False)
    return _UNIT.format(mark=mark_of(database), described=described, command=words)


def launchd_agent(label: str, database: str, command: Sequence[str], log: str) -> bytes:
    """Return the property list of an agent that runs a command and appends its output to ``log``."""
    return plistlib.dumps(
        {
            "Label": label,
            "ProgramArguments": list(command),
            "EnvironmentVariables": {"QUEUECTL_DB": database},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "AbandonProcessGroup": True,
            "StandardOutPath": log,
            "StandardErrorPath": log,
        }
    )


def is_ours(data: bytes, database: str) -> bool:
    """Return whether the content of a unit or agent is one that was made for this database."""
    if data.startswith(os.fsencode(mark_of(database)) + b"\n"):
        return True
    try:
        agent = plistlib.loads(data)
        return bool(agent["EnvironmentVariables"]["QUEUECTL_DB"] == database)
    except Exception:  # whatever a stranger's file makes of the parser
        return False


def _escaped(text: str, *, is_quoted: bool = True) -> str:
    """Return a text as systemd reads it back: ``%`` doubled, control characters by number, quoted when it must be."""
    escaped = text.replace("\\", "\\\\").replace("%", "%%")
    escaped = re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)
    if not is_quoted:
        return escaped
    escaped = escaped.replace('"', '\\"')
    return escaped if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", escaped) else f'"{escaped}"'
