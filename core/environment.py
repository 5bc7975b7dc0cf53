"""Which environment a job runs in: what is captured when it is enqueued, and what is never shown. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

#: Names that look like secrets: never captured in mode ``safe``, never shown in any mode.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|KEY|CREDENTIAL|PRIVATE|AUTH|COOKIE|SESSION|DSN|_PAT$|^PGPASS", re.I
)
_HARMLESS = re.compile(
    r"^(SSH_AUTH_SOCK|XDG_SESSION\w*|DESKTOP_SESSION|SESSION_MANAGER|DBUS_SESSION_BUS_ADDRESS|XAUTHORITY)$"
)
_OURS = re.compile(r"^QUEUECTL_(JOB_ID|JOB_NAME|ATTEMPT|MAX_ATTEMPTS|QUEUE|DB)$")
MASK = "***"


def is_secret(name: str) -> bool:
    """Tell whether the name of a variable looks as if its value were a secret."""
    return bool(_SECRET.search(name)) and not _HARMLESS.match(name)


def captured(mode: str, environ: Mapping[str, str]) -> str:
    """Return what is stored of an environment in mode ``safe``, ``all`` or ``none``: a JSON object, keys sorted."""
    kept = {
        name: value
        for name, value in environ.items()
        if mode != "none" and not _OURS.match(name) and (mode == "all" or not is_secret(name))
    }
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def for_job(mode: str, stored: Mapping[str, str], own: Mapping[str, str], worker: Mapping[str, str]) -> dict[str, str]:
    """Return the variables a command runs with, before queuectl adds its own.

    Mode ``safe`` takes the secrets that were left out from the worker's environment, ``none`` takes all of it.
    """
    if mode == "none":
        result = dict(worker)
    else:
        result = {name: value for name, value in worker.items() if is_secret(name)} if mode == "safe" else {}
        result.update(stored)
    result.update(own)
    return result


def masked(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the value of every secret replaced, sorted by name."""
    return {name: MASK if is_secret(name) else variables[name] for name in sorted(variables)}
