"""The names of purged jobs: free for the next job that wants one, and given back on a restore if still free."""

from __future__ import annotations

from collections.abc import Sequence

from core.storage.postgres.connection import Connection

_GIVE_UP = "UPDATE jobs SET purged_name = name, name = NULL WHERE state = 'purged' AND name = ANY (%s)"


def free(connection: Connection, names: Sequence[str]) -> None:
    """Take names from the purged jobs that have them; to be called before other jobs are given the names."""
    if names:
        connection.execute(_GIVE_UP, (list(names),))


def give_back(connection: Connection, job_ids: Sequence[int]) -> int:
    """Give restored jobs their names again; return how many stay without, because another job has the name now."""
    found = connection.execute(
        "SELECT id, purged_name FROM jobs WHERE id = ANY (%s) AND state <> 'purged' AND purged_name IS NOT NULL"
        " ORDER BY id",
        (list(job_ids),),
    ).fetchall()
    unnamed = 0
    for job_id, name in found:
        free(connection, [name])
        is_taken = connection.execute("SELECT 1 FROM jobs WHERE name = %s", (name,)).fetchone() is not None
        unnamed += is_taken
        connection.execute(
            "UPDATE jobs SET name = %s, purged_name = NULL WHERE id = %s", (None if is_taken else name, job_id)
        )
    return unnamed
