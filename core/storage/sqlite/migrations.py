"""The schema: whose file it is, which version this program writes, and the numbered scripts that lead there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

#: ``QCTL`` as four bytes: says whose file this is.
APPLICATION_ID = 0x5143544C
#: The schema that this program writes; one numbered file in ``schema`` for each step.
SCHEMA_VERSION = 14

_MIGRATIONS = os.path.join(os.path.dirname(__file__), "schema")


def migrations() -> Iterator[tuple[int, str]]:
    """Yield the number and the script of every migration, in order."""
    for name in sorted(os.listdir(_MIGRATIONS)):
        if name.endswith(".sql"):
            with open(os.path.join(_MIGRATIONS, name), encoding="utf-8") as file:
                yield int(name[:4]), file.read()


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one; ``executescript`` would commit behind our back."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending) and pending.strip():
            yield pending
            pending = ""
