"""A verb on jobs and on all that depend on them, by one set-based act; and its undo.

The set lies in a table of the connection. Where a list of it narrows the edges down, the other end has a plus, so that
they are read by the first one: by both, each job of the one list is tried with each of the other.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from core.model import State, Verb
from core.storage.sqlite import edges, settling

_GATHER = (
    "INSERT INTO temp.hanging (id, state, is_root) WITH RECURSIVE below (id) AS ("
    "SELECT value FROM json_each(:ids) UNION SELECT job_id FROM below JOIN main.dependencies ON on_id = below.id)"
    " SELECT id, state, id IN (SELECT value FROM json_each(:ids)) FROM below JOIN main.jobs USING (id)"
)
_UNSETTLED = "SELECT DISTINCT job_id FROM settling WHERE has_edges = 1 AND job_id IN (SELECT id FROM temp.hanging)"
_IDS_OF: dict[Verb, str] = {
    Verb.RETRY: "SELECT id FROM temp.hanging ORDER BY id",
    # a dependent that runs hangs on nothing any more
    Verb.CANCEL: f"SELECT id FROM temp.hanging WHERE is_root OR state <> '{State.RUNNING.value}' ORDER BY id",
}
# a job that runs or is purged stays as it is; what runs will end, so that others can wait for it again
_ARMED_JOBS = "(SELECT id FROM temp.hanging WHERE state NOT IN ('running', 'purged'))"
_ARMED_NEEDS = "(SELECT id FROM temp.hanging WHERE state <> 'purged')"
_TO_ARM = f"is_met = 1 AND +on_id IN {_ARMED_NEEDS}"
_KEEP_PENDING = (
    "INSERT INTO history (act_id, job_id, before) SELECT :act, id, {kept} FROM jobs"
    f" WHERE id IN {_ARMED_JOBS} AND state = 'pending'"
    " AND NOT EXISTS (SELECT 1 FROM history WHERE act_id = :act AND job_id = jobs.id)"
    f" AND EXISTS (SELECT 1 FROM dependencies WHERE job_id = jobs.id AND {_TO_ARM})"
)
_KEEP_MET = (
    "UPDATE history SET before = json_set(before, '$.met', json((SELECT json_group_array(on_id) FROM dependencies"
    f" WHERE job_id = history.job_id AND {_TO_ARM}))) WHERE act_id = :act AND job_id IN {_ARMED_JOBS}"
)
_ARM = f"UPDATE dependencies SET is_met = 0 WHERE job_id IN {_ARMED_JOBS} AND {_TO_ARM}"
_RECOUNT = f"{edges.COUNT_BLOCKS} WHERE id IN {_ARMED_JOBS}"

# a cancel of a running job is a request to stop it: it ends later, and is not undone
_KEEP_UNMET = (
    "UPDATE history SET before = json_set(before, '$.unmet', json((SELECT json_group_array(on_id) FROM dependencies"
    " WHERE job_id = history.job_id AND is_met = 0 AND kind = 'end'"
    " AND +on_id IN (SELECT id FROM temp.hanging WHERE state = 'pending'))))"
    " WHERE act_id = :act AND job_id IN (SELECT id FROM temp.hanging WHERE state = 'pending')"
)
_SET_MET = "UPDATE dependencies SET is_met = ? WHERE job_id = ? AND on_id = ?"
_IS_OPEN = "SELECT 1 FROM jobs WHERE id = ? AND (state = 'pending' OR state = 'running')"


def gather(connection: sqlite3.Connection, verb: Verb, ids: Sequence[int], now: int) -> list[int]:
    """Gather jobs and all that depend on them until ``scatter``; return the ids that the verb is for."""
    connection.execute("CREATE TEMP TABLE hanging (id INTEGER PRIMARY KEY, state TEXT, is_root INTEGER)")
    connection.execute(_GATHER, {"ids": json.dumps(list(ids))})
    settling.finish_edges(connection, [row[0] for row in connection.execute(_UNSETTLED).fetchall()], now)
    return [row[0] for row in connection.execute(_IDS_OF[verb]).fetchall()]


def arm(connection: sqlite3.Connection, act_id: int, kept: str) -> int:
    """Arm the edges among the gathered jobs, which were retried; return how many pending jobs that kept back.

    Those are put into the history, with the columns that the SQL ``kept`` makes an object of; all of them with the
    needed jobs whose edges were met.
    """
    count = connection.execute(_KEEP_PENDING.format(kept=kept), {"act": act_id}).rowcount
    connection.execute(_KEEP_MET, {"act": act_id})
    connection.execute(_ARM)
    connection.execute(_RECOUNT)
    return count


def keep_unmet(connection: sqlite3.Connection, act_id: int) -> None:
    """Keep in the history which edges among the gathered jobs their cancelling meets: those that wait for an end."""
    connection.execute(_KEEP_UNMET, {"act": act_id})


def restore_met(connection: sqlite3.Connection, job_id: int, met: Sequence[int], unmet: Sequence[int]) -> None:
    """Put edges of a job back as the history kept them: those that were met, and those to jobs that will end again."""
    connection.executemany(_SET_MET, [(1, job_id, on_id) for on_id in met])
    open_ones = [on_id for on_id in unmet if connection.execute(_IS_OPEN, (on_id,)).fetchone() is not None]
    connection.executemany(_SET_MET, [(0, job_id, on_id) for on_id in open_ones])
    connection.execute(edges.RECOUNT, (job_id,))


def scatter(connection: sqlite3.Connection) -> int:
    """Forget the gathered jobs; return how many they were."""
    (count,) = connection.execute("SELECT count(*) FROM temp.hanging").fetchone()
    connection.execute("DROP TABLE temp.hanging")
    return int(count)
