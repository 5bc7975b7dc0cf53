"""Captured environments: each is stored once, for all jobs and hooks that have the same."""

from __future__ import annotations

import json
import sqlite3
import zlib

from core.rules.environment import Captured


def environment_id(connection: sqlite3.Connection, captured: Captured) -> int:
    """Return the id of a captured environment, which is stored if it is not there."""
    digest = zlib.crc32(captured.variables.encode())
    values = (digest, captured.mode, captured.variables, json.dumps(captured.left_out))
    row = connection.execute(
        "SELECT id FROM environments WHERE digest = ? AND mode = ? AND variables = ? AND left_out = ?", values
    ).fetchone()
    if row is not None:
        return int(row[0])
    cursor = connection.execute(
        "INSERT INTO environments (digest, mode, variables, left_out) VALUES (?, ?, ?, ?)", values
    )
    return int(cursor.lastrowid or 0)
