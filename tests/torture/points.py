"""Failpoints: every step of core that changes something outside its process gets a name, in a child of the harness.

Nothing in core knows of this: statements are named by a subclass of SQLite's connection, system calls by functions
around those of ``os`` and ``fcntl``. Each step has two points, before it and after it.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

Hit = Callable[[str], None]

_CHANGES = re.compile(
    r"\s*(?:(INSERT)(?: OR IGNORE)? INTO|(UPDATE)|(DELETE) FROM|(CREATE) (?:UNIQUE |TEMP )?(?:TABLE|INDEX|TRIGGER)"
    r"(?: IF NOT EXISTS)?|(DROP) TABLE(?: IF EXISTS)?|(ALTER) TABLE)\s+([\w.]+)"
)
_PLAIN = re.compile(r"\s*(BEGIN IMMEDIATE|COMMIT|ROLLBACK TO|PRAGMA (?:synchronous|user_version|application_id) =.*)")
_KINDS = {"run": "run file", "out": "output file", "lock": "lock file", "db": "database", "spool": "spool"}


def name_of_statement(sql: str) -> str | None:
    """Return a short name for a statement that changes something, ``None`` for one that only reads."""
    if (found := _CHANGES.match(sql)) is not None:
        words = [word for word in found.groups() if word]
        return f"{words[0]} {words[-1]}"
    if sql.startswith("PRAGMA journal_mode ="):
        return "PRAGMA journal_mode"
    if (found := _PLAIN.match(sql)) is not None:
        return found.group(1)
    return None


def name_of_file(path: object) -> str:
    """Return what kind of file a path names."""
    base = os.path.basename(os.fsdecode(path)) if isinstance(path, (str, bytes)) else "descriptor"
    return _KINDS.get(base.rpartition(".")[2], base)


def install(hit: Hit) -> None:
    """Call ``hit`` with the name of every point that this process passes from now on."""
    _name_statements(hit)
    for module, name, describe in (
        (os, "posix_spawn", lambda *args, **kwargs: "spawn"),
        (os, "unlink", lambda path, **kwargs: f"unlink {name_of_file(path)}"),
        (os, "link", lambda source, target, **kwargs: f"link {name_of_file(target)}"),
        (os, "rename", lambda source, target, **kwargs: f"rename {name_of_file(target)}"),
        (os, "mkdir", lambda path, *args, **kwargs: f"mkdir {name_of_file(path)}"),
        (os, "open", _describe_open),
        (os, "write", lambda descriptor, data: "write run file" if data.startswith(b"queuectl attempt") else None),
        (fcntl, "flock", _describe_flock),
    ):
        _wrap(hit, module, name, describe)


def _describe_open(path: object, flags: int, *args: object, **kwargs: object) -> str | None:
    return f"create {name_of_file(path)}" if flags & os.O_CREAT else None


def _describe_flock(descriptor: int, operation: int) -> str | None:
    return "lock" if operation & fcntl.LOCK_EX else None


def _wrap(hit: Hit, module: Any, name: str, describe: Callable[..., str | None]) -> None:
    original = getattr(module, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        step = describe(*args, **kwargs)
        if step is None:
            return original(*args, **kwargs)
        hit(f"before {step}")
        value = original(*args, **kwargs)
        hit(f"after {step}")
        return value

    setattr(module, name, wrapped)


def _name_statements(hit: Hit) -> None:
    class Connection(sqlite3.Connection):
        """A connection that tells before and after each statement that changes something."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            step = name_of_statement(sql)
            if step is None:
                return super().execute(sql, *parameters)
            hit(f"before {step}")
            cursor = super().execute(sql, *parameters)
            hit(f"after {step}")
            return cursor

        def close(self) -> None:
            hit("before close")
            super().close()

    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=Connection)  # type: ignore[assignment]


def count(into: list[str]) -> Hit:
    """Return a hit that only notes the names."""
    return into.append


def kill_at(number: int, note: Callable[[str], object]) -> Hit:
    """Return a hit that kills this process with SIGKILL at its ``number``-th point, after noting the name."""
    passed = 0

    def hit(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            note(name)
            os.kill(os.getpid(), signal.SIGKILL)

    return hit
