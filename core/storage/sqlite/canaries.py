"""Canaries: one of several dead jobs is replayed, the others wait for how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from core.errors import Refused
from core.model import Act, State, Verb
from core.rules.operations import canary_refusal
from core.storage.sqlite.file import Database
from core.storage.sqlite.moves import STATEMENTS, make

_OF = (
    "SELECT canary_jobs.job_id, canaries.job_id FROM canary_jobs JOIN canaries USING (act_id)"
    " WHERE canary_jobs.job_id IN (SELECT value FROM json_each(?))"
)
_STATES = "SELECT id, state FROM jobs WHERE id IN (SELECT value FROM json_each(?))"


class Canaries:
    """The canaries of one database; see ``core.storage.work_contract.Canaries``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def replay(self, ids: Sequence[int]) -> Act:
        """Replay the first dead one of these jobs; the other dead ones follow when it completes."""
        listed = json.dumps(list(ids))
        with self._db.write(wakes_workers=True) as connection:
            now = self._db.now_ms()
            states = dict(connection.execute(_STATES, (listed,)).fetchall())
            dead = [job_id for job_id in ids if states.get(job_id) == State.DEAD.value]
            refusal = canary_refusal(dead, dict(connection.execute(_OF, (json.dumps(dead),)).fetchall()))
            if refusal is not None:
                raise Refused(refusal)
            canary, *waiting = dead
            opened = connection.execute("INSERT INTO acts (verb, at, n) VALUES (?, ?, 1)", (Verb.REPLAY.value, now))
            act_id = int(opened.lastrowid or 0)
            parameters = {"ids": json.dumps([canary]), "now": now, "act": act_id}
            for statements in STATEMENTS[Verb.REPLAY]:
                make(connection, statements, parameters)
            if waiting:
                connection.execute("INSERT INTO canaries (act_id, job_id) VALUES (?, ?)", (act_id, canary))
                connection.executemany(
                    "INSERT INTO canary_jobs (act_id, job_id) VALUES (?, ?)", [(act_id, job_id) for job_id in waiting]
                )
        return Act(act_id, Verb.REPLAY.value, 1, len(ids) - len(dead))

    def canaries(self, ids: Iterable[int]) -> dict[int, int]:
        """Return for which canary each of these jobs waits; those that wait for none are left out."""
        with self._db.read() as connection:
            return dict(connection.execute(_OF, (json.dumps(list(ids)),)).fetchall())
