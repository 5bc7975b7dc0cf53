"""Canaries: one of several dead jobs is replayed, the others wait for how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.errors import Refused
from core.model import Act, State, Verb
from core.rules.operations import canary_refusal
from core.storage.postgres import canary_moves
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.settling import finish_edges

_OF = (
    "SELECT canary_jobs.job_id, canaries.job_id FROM canary_jobs JOIN canaries USING (act_id)"
    " WHERE canary_jobs.job_id = ANY (%s)"
)
# locked: of two who choose the same jobs, one is first
_STATES = "SELECT id, state FROM jobs WHERE id = ANY (%s) ORDER BY id FOR UPDATE"


class Canaries:
    """The canaries of one database; see ``core.storage.work_contract.Canaries``."""

    def __init__(self, db: Connections) -> None:
        self._db = db

    def replay(self, ids: Sequence[int]) -> Act:
        """Replay the first dead one of these jobs; the other dead ones follow when it completes."""
        now = self._db.now_ms()

        def work(connection: Connection) -> Act:
            states: dict[int, str] = dict(connection.execute(_STATES, (list(ids),)).fetchall())
            dead = [job_id for job_id in ids if states.get(job_id) == State.DEAD.value]
            refusal = canary_refusal(dead, dict(connection.execute(_OF, (dead,)).fetchall()))
            if refusal is not None:
                raise Refused(refusal)
            canary, *waiting = dead
            row = connection.execute(
                "INSERT INTO acts (verb, at) VALUES (%s, %s) RETURNING id", (Verb.REPLAY.value, now)
            ).fetchone()
            assert row is not None
            act_id = int(row[0])
            if waiting:
                connection.execute("INSERT INTO canaries (act_id, job_id) VALUES (%s, %s)", (act_id, canary))
                connection.execute(
                    "INSERT INTO canary_jobs (act_id, job_id) SELECT %s, unnest(%s::bigint[])", (act_id, waiting)
                )
            finish_edges(connection, [canary], now)
            canary_moves.replay(connection, act_id, [canary], now)
            return Act(act_id, Verb.REPLAY.value, 1, len(ids) - len(dead))

        return self._db.transact(work, wakes_workers=True)

    def canaries(self, ids: Iterable[int]) -> dict[int, int]:
        """Return for which canary each of these jobs waits; those that wait for none are left out."""
        return dict(self._db.query(_OF, (list(ids),)))
