"""The names of purged jobs: free for the next job that wants one, and given back on a restore if still free."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

_GIVE_UP = "UPDATE jobs SET purged_name = name, name = NULL WHERE state = 'purged' AND name "


def free(connection: sqlite3.Connection, name: str | None) -> None:
    """Take a name from the purged job that has it, if one has; to be called before another job is given the name."""
    if name is not None:
        connection.execute(f"{_GIVE_UP} = ?", (name,))


def free_staged(connection: sqlite3.Connection) -> None:
    """Take the names in ``temp.staged`` from purged jobs."""
    connection.execute(f"{_GIVE_UP} IN (SELECT name FROM temp.staged WHERE name IS NOT NULL)")


def give_back(connection: sqlite3.Connection, job_ids: Sequence[int]) -> int:
    """Give restored jobs their names again; return how many stay without, because another job has the name now."""
    found = connection.execute(
        "SELECT id, purged_name FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
        " AND state <> 'purged' AND purged_name IS NOT NULL ORDER BY id",
        (json.dumps(list(job_ids)),),
    ).fetchall()
    unnamed = 0
    for job_id, name in found:
        free(connection, name)
        is_taken = connection.execute("SELECT 1 FROM jobs WHERE name = ?", (name,)).fetchone() is not None
        unnamed += is_taken
        connection.execute(
            "UPDATE jobs SET name = ?, purged_name = NULL WHERE id = ?", (None if is_taken else name, job_id)
        )
    return unnamed
