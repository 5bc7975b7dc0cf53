"""The writes and reads of a worker: one call records what ended, makes due what is due, and claims jobs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.model import Decision, Ending, State
from core.process_place import Place
from core.rules.states import decide
from core.storage.postgres import rollups
from core.storage.postgres.connection import Connection, Connections
from core.storage.rollups import Rollups
from core.storage.rows import JOB_COLUMNS, claimed_job_of, job_of, names_of, variables_of
from core.storage.values import Claim, ClaimCapacity, OpenAttempt, Recorded, StepResult, StepTerms

_ENDING_TYPES = (
    *("bigint", "bigint", "bigint", "text", "bigint", "bigint", "text", "bigint", "bigint", "text", "bigint", "bigint"),
    *("bytea", "text", "bigint", "bigint", "bigint", "bigint", "text"),
)
# a job as it was before its claim; claimed_job_of makes of it what it is after
_JOB_BEFORE = ", ".join(
    {"state": "'pending'", "run_at": "NULL::bigint"}.get(column, f"(job).{column}")
    for column in JOB_COLUMNS.split(", ")
)
_TURN = (
    f"SELECT kind, attempt_id, number, due_at, (job).environment_id, {_JOB_BEFORE}"
    f" FROM turn(%s, %s, %s, %s::text[], {', '.join(f'%s::{kind}[]' for kind in _ENDING_TYPES)})"
)
_BESIDE_JOB = 5
_OPEN_OF_HOST = (
    "SELECT attempt_id, worker_id, job_id, stop_requested, boot_id, pid_namespace FROM running"
    " WHERE worker_id <> %s AND host_id IN (SELECT h.id FROM hosts AS h JOIN hosts AS own ON own.token = h.token"
    " JOIN workers AS w ON w.host_id = own.id WHERE w.id = %s AND (h.id = own.id OR h.state = 'left'))"
    " ORDER BY worker_id, attempt_id"
)
_OPEN = (
    "SELECT attempt_id, worker_id, job_id, stop_requested, boot_id, pid_namespace FROM running"
    " ORDER BY worker_id, attempt_id"
)
_ADOPT = (
    "UPDATE running AS r SET worker_id = w.id, host_id = w.host_id FROM workers AS w"
    " WHERE r.attempt_id = %s AND r.worker_id = %s AND w.id = %s RETURNING r.number, r.started_at, r.stop_requested"
)
_STOP_ASKED_AT = (
    "SELECT min(at) FROM history JOIN acts ON acts.id = act_id WHERE job_id = %s AND verb = 'cancel' AND at >= %s"
)
_SHORTEN = "UPDATE delayed AS d SET run_at = %(now)s + j.backoff_ms FROM jobs AS j WHERE j.id = d.job_id AND {late}"
_LATE = "d.run_at > %(now)s AND j.backoff_ms < d.run_at - %(now)s"


def drawn_jitter() -> float:
    """Return a factor for a back-off's jitter, drawn evenly from -1 to 1."""
    return random.uniform(-1.0, 1.0)


class Attempts:
    """The attempts as a worker writes and reads them; what it counts for the totals by minute is kept here until then.

    One for each worker, used in that worker's thread. ``jitter`` is called once for each ending.
    """

    def __init__(self, db: Connections, jitter: Callable[[], float] = drawn_jitter) -> None:
        self._db = db
        self._jitter = jitter
        self._rollups = Rollups()
        # claimed and not let go of yet; what else the database says to be this worker's was claimed in a step whose
        # answer was lost
        self._known: set[int] = set()
        self._is_unsure = False

    def record_and_claim(
        self,
        endings: Sequence[tuple[Claim, Ending]],
        capacity: ClaimCapacity,
        before_commit: Callable[[Claim], None],
        terms: StepTerms,
    ) -> StepResult:
        """Record endings, make delayed jobs due, and claim jobs up to a capacity: all in one transaction.

        ``before_commit(claim)`` is called after the commit and before anything is started: no process judges the
        attempts of a worker that lives, and if it dies in between nothing has started. If it raises ``OSError``, that
        claim and the later ones are given back.
        """
        now = self._db.now_ms()
        decided = [self._decided(claim, ending, terms, now) for claim, ending in endings]
        if self._is_unsure:
            self._give_back_unknown(capacity.worker_id)
        parameters = (
            *(capacity.worker_id, now, max(0, capacity.slots), list(capacity.queues)),
            *([row[column] for _, row in decided] for column in range(len(_ENDING_TYPES))),
        )
        self._is_unsure = True
        # one round trip; not done again when the answer is lost, since what it claimed would not be known then
        found = self._db.query(_TURN, parameters, repeats=0)
        self._is_unsure = False
        recorded_ids = {row[1] for row in found if row[0] == "recorded"}
        recorded = [
            Recorded(claim, ending, decision)
            for (claim, ending), (decision, _) in zip(endings, decided, strict=True)
            if claim.attempt_id in recorded_ids
        ]
        self._known.difference_update(claim.attempt_id for claim, _ in endings)
        rows = [row for row in found if row[0] == "claimed"]
        claimed, refusal = self._claimed(rows, before_commit, now)
        waits_ms = [max(0, now - row[3]) for row in rows[: len(claimed)]]
        self._rollups.count([(done.ending, done.decision) for done in recorded], waits_ms, now)
        if terms.is_rolled_up:
            self._write_rollups()
        return StepResult(recorded, claimed, found[-1][3], refusal)

    def _decided(self, claim: Claim, ending: Ending, terms: StepTerms, now: int) -> tuple[Decision, tuple[Any, ...]]:
        """Return what follows an ending, and its row of the arrays that ``turn`` takes."""
        # what a decision needs of a job cannot change while it runs: no verb touches it then
        job = claim.job
        decision = decide(
            ending,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            interrupts=job.interrupts,
            dead_exit=job.dead_exit,
            backoff=terms.settings.backoff(job.backoff_base),
            jitter_factor=self._jitter(),
        )
        ended_at = max(claim.started_ms, now if ending.ended_at_ms is None else min(now, ending.ended_at_ms))
        run_ms = max(0, ended_at - claim.started_ms if ending.run_ms is None else ending.run_ms)
        is_waiting = decision.state is State.PENDING and decision.delay_ms > 0
        row = (
            *(claim.attempt_id, ended_at, run_ms, ending.outcome.value, ending.exit_code, ending.signal),
            *(ending.error or None, ending.cpu_ms, ending.max_rss_bytes, ending.last_line or None, ending.fingerprint),
            *(ending.output_bytes, ending.output, decision.state.value),
            *((now + decision.delay_ms, decision.delay_ms) if is_waiting else (None, None)),
            *(decision.attempts, decision.interrupts, decision.reason or ending.error or None),
        )
        return decision, row

    def _claimed(
        self, rows: Sequence[tuple[Any, ...]], before_commit: Callable[[Claim], None], now: int
    ) -> tuple[list[Claim], OSError | None]:
        claims = [
            Claim(claimed_job_of(row[_BESIDE_JOB:], now), row[1], row[2], row[_BESIDE_JOB - 1], now) for row in rows
        ]
        self._known.update(claim.attempt_id for claim in claims)
        for index, claim in enumerate(claims):
            try:
                before_commit(claim)
            except BaseException as error:
                self.give_back([late.attempt_id for late in claims[index if isinstance(error, OSError) else 0 :]])
                if not isinstance(error, OSError):
                    raise
                return claims[:index], error
        return claims, None

    def _give_back_unknown(self, worker_id: int) -> None:
        """Give back what a step claimed whose answer was lost: nothing of it was started."""
        open_now = {
            row[0] for row in self._db.query("SELECT attempt_id FROM running WHERE worker_id = %s", (worker_id,))
        }
        self.give_back(sorted(open_now - self._known))

    def make_durable(self) -> None:
        """Add what was counted to the totals by minute; every commit is on the server's disk when it is answered."""
        self._write_rollups()

    def _write_rollups(self) -> None:
        if self._rollups.minutes:
            self._db.transact(lambda connection: rollups.write(connection, self._rollups))
            self._rollups.clear()

    def give_back(self, attempt_ids: Sequence[int]) -> set[int]:
        """Undo claims whose command could not be started: their jobs are ready again, no attempt is spent.

        Return the attempts that stay open instead, since a user asked meanwhile to stop them.
        """
        if not attempt_ids:
            return set()

        def work(connection: Connection) -> set[int]:
            kept = set()
            for attempt_id in sorted(attempt_ids):
                row = connection.execute("SELECT give_back(%s, %s)", (attempt_id, attempt_id)).fetchone()
                if row == (False,):
                    kept.add(attempt_id)
            return kept

        kept = self._db.transact(work)
        self._known.difference_update(set(attempt_ids) - kept)
        return kept

    def adopt(self, attempt_id: int, *, dead_worker: int, worker_id: int) -> Claim | None:
        """Make an open attempt of a dead worker another worker's; ``None`` when a third worker was faster."""

        def work(connection: Connection) -> Claim | None:
            row = connection.execute(_ADOPT, (attempt_id, dead_worker, worker_id)).fetchone()
            if row is None:
                return None
            found = connection.execute(
                f"SELECT environment_id, {JOB_COLUMNS} FROM job_rows WHERE attempt_id = %s"
                " AND id = (SELECT job_id FROM running WHERE attempt_id = %s)",
                (attempt_id, attempt_id),
            ).fetchone()
            assert found is not None
            number, started_at, stop = row
            environment_id, *job = found
            asked_at = None
            if stop is not None:
                asked = connection.execute(_STOP_ASKED_AT, (job[0], started_at)).fetchone()
                asked_at = None if asked is None else asked[0]
            return Claim(job_of(tuple(job)), attempt_id, number, environment_id, started_at, stop, asked_at)

        claim = self._db.transact(work)
        if claim is not None:
            self._known.add(attempt_id)
        return claim

    def shorten_backoffs(self) -> int:
        """Let no back-off end later than its whole length from now: the calendar may have been set back.

        Return how many would have. Times that a user gave stay.
        """
        now = {"now": self._db.now_ms()}
        late = f"SELECT EXISTS (SELECT 1 FROM delayed AS d JOIN jobs AS j ON j.id = d.job_id WHERE {_LATE})"
        if not self._db.query(late, now)[0][0]:
            return 0
        return self._db.transact(lambda connection: connection.execute(_SHORTEN.format(late=_LATE), now).rowcount)

    # --- reads

    def open_elsewhere(self, worker_id: int) -> list[OpenAttempt]:
        """Return the open attempts of this host's other workers (0: of all workers), by worker, the oldest first."""
        found = self._db.query(_OPEN_OF_HOST, (worker_id, worker_id)) if worker_id else self._db.query(_OPEN)
        return [
            OpenAttempt(
                attempt_id, owner, job_id, stop, None if boot_id is None else Place(boot_id, pid_namespace or 0)
            )
            for attempt_id, owner, job_id, stop, boot_id, pid_namespace in found
        ]

    def stop_requests(self, worker_id: int) -> dict[int, str]:
        """Return the open attempts of a worker that a user wants stopped: attempt id -> ``cancel`` or ``kill``."""
        return dict(
            self._db.query(
                "SELECT attempt_id, stop_requested FROM running WHERE worker_id = %s AND stop_requested IS NOT NULL",
                (worker_id,),
            )
        )

    def environment_of(self, environment_id: int) -> tuple[str, Mapping[str, str], Sequence[str] | None]:
        """Return the mode and variables of a captured environment, and the names that were left to the worker."""
        found = self._db.query("SELECT mode, variables, left_out FROM environments WHERE id = %s", (environment_id,))
        if not found:
            return "none", {}, None
        mode, variables, left_out = found[0]
        return str(mode), variables_of(variables), names_of(left_out)
