"""Captured environments: each is stored once, for all jobs and hooks that have the same."""

from __future__ import annotations

import json
import zlib

from core.rules.environment import Captured
from core.storage.postgres.connection import Connection


def environment_id(connection: Connection, captured: Captured) -> int:
    """Return the id of a captured environment, which is stored if it is not there."""
    values = (zlib.crc32(captured.variables.encode()), captured.mode, captured.variables, json.dumps(captured.left_out))
    row = connection.execute(
        "SELECT id FROM environments WHERE digest = %s AND mode = %s AND variables = %s AND left_out = %s LIMIT 1",
        values,
    ).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO environments (digest, mode, variables, left_out) VALUES (%s, %s, %s, %s) RETURNING id", values
        ).fetchone()
    assert row is not None
    return int(row[0])
