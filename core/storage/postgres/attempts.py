"""The writes and reads of a worker: one call records what ended, makes due what is due, and claims jobs."""

from __future__ import annotations

import contextlib
import os
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import QueueError
from core.model import Ending, Job, Outcome
from core.process_place import Place
from core.rules.needs import units_of
from core.spool import Spool
from core.storage.decided_ending import decided_ending
from core.storage.postgres import claim_mark, rollups
from core.storage.postgres.connection import Connection, Connections
from core.storage.postgres.lanes import LaneMemory, parameters_of
from core.storage.postgres.settling import settle_some
from core.storage.rollups import Rollups
from core.storage.rows import JOB_COLUMNS, claimed_job_of, job_of, names_of, variables_of
from core.storage.values import Claim, ClaimCapacity, OpenAttempt, Recorded, StepResult, StepTerms

_ENDING_TYPES = (
    *("bigint", "bigint", "bigint", "text", "bigint", "bigint", "text", "bigint", "bigint", "text", "bigint", "bigint"),
    *("bytea", "text", "bigint", "bigint", "bigint", "bigint", "text"),
)
# a job before its claim; claimed_job_of makes of it the job after
_JOB_BEFORE = ", ".join(
    {"state": "'pending'", "run_at": "NULL::bigint", "blocks": "0::bigint"}.get(column, f"(job).{column}")
    for column in JOB_COLUMNS.split(", ")
)
_TURN = (
    f"SELECT kind, attempt_id, number, due_at, (job).environment_id, {_JOB_BEFORE}"
    f" FROM turn(%s, %s, %s, %s::text[], %s, {', '.join(f'%s::{kind}[]' for kind in _ENDING_TYPES)})"
)
_LANE_TAKE = (
    f"SELECT kind, attempt_id, number, due_at, (job).environment_id, {_JOB_BEFORE}"
    " FROM lane_take(%s, %s, %s::bigint[], %s::text[])"
)
_BESIDE_JOB = 5
_ID = _BESIDE_JOB + Job._fields.index("id")
_OPEN_OF_HOST = (
    "SELECT attempt_id, worker_id, job_id, stop_requested, boot_id, pid_namespace, started_at FROM running"
    " WHERE (worker_id <> %s OR attempt_id = ANY (%s)) AND host_id IN ("
    "SELECT h.id FROM workers AS w JOIN hosts AS own ON own.id = w.host_id"
    " JOIN hosts AS h ON h.token = own.token AND (h.id = own.id OR h.state = 'left' OR h.state = 'given_up'"
    # no other host records these: they wait for this one
    " AND (EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = job_id AND j.on_lost_host = 'hold')"
    " OR EXISTS (SELECT 1 FROM queues AS q WHERE q.name = queue AND q.on_lost_host = 'hold'))) WHERE w.id = %s)"
    " ORDER BY worker_id, attempt_id"
)
_OPEN = (
    "SELECT attempt_id, worker_id, job_id, stop_requested, boot_id, pid_namespace, started_at FROM running"
    " ORDER BY worker_id, attempt_id"
)
_ADOPT = (
    "UPDATE running AS r SET worker_id = w.id, host_id = w.host_id FROM workers AS w"
    " WHERE r.attempt_id = %s AND r.worker_id IN (%s, w.id) AND w.id = %s"
    " RETURNING r.number, r.started_at, r.stop_requested, r.units"
)
_STOP_ASKED_AT = (
    "SELECT min(at) FROM history JOIN acts ON acts.id = act_id WHERE job_id = %s AND verb = 'cancel' AND at >= %s"
)
_SHORTEN = "UPDATE delayed AS d SET run_at = %(now)s + j.backoff_ms FROM jobs AS j WHERE j.id = d.job_id AND {late}"
_LATE = "d.run_at > %(now)s AND j.backoff_ms < d.run_at - %(now)s"


#: For how long a step whose answer was lost may still be done by the server, in seconds.
LATE_COMMIT_S = 60.0
#: How many endings are kept after they were recorded, at the most, and for how long, in seconds.
RECORDED_KEPT = 1000
RECORDED_KEPT_S = 60.0

_Row = tuple[Any, ...]


class _Unsure(NamedTuple):
    """Steps whose answers were lost: since when, and what they may have recorded, by attempt."""

    since_s: float
    recorded: dict[int, Recorded]


class _LatelyRecorded:
    """Endings that were recorded in the last minute, the newest of them: a failover may lose what was committed."""

    def __init__(self) -> None:
        self._endings: OrderedDict[int, tuple[float, Claim, Ending]] = OrderedDict()

    def add(self, recorded: Sequence[Recorded], now_s: float) -> None:
        """Keep these, and let go of what is too old or too much."""
        for done in recorded:
            self._endings[done.claim.attempt_id] = (now_s, done.claim, done.ending)
        while self._endings:
            recorded_s = next(iter(self._endings.values()))[0]
            if len(self._endings) <= RECORDED_KEPT and now_s - recorded_s < RECORDED_KEPT_S:
                break
            self._endings.popitem(last=False)

    def of(self, attempt_id: int) -> tuple[Claim, Ending] | None:
        """Return the claim and the ending of an attempt that was recorded lately."""
        found = self._endings.get(attempt_id)
        return None if found is None else found[1:]


def drawn_jitter() -> float:
    """Return a factor for a back-off's jitter, drawn evenly from -1 to 1."""
    return random.uniform(-1.0, 1.0)


def array_text(values: Iterable[int | str | bytes | None]) -> str:
    """Return the text of an array: psycopg would look at each element for its kind, and prepare by kinds anew."""
    return "{" + ",".join(map(_element_text, values)) + "}"


def _element_text(value: int | str | bytes | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Attempts:
    """The attempts as a worker writes and reads them; what it counts for the totals by minute is kept here until then.

    One for each worker, used in that worker's thread. ``jitter`` is called once for each ending.
    """

    def __init__(self, db: Connections, spool: Spool, jitter: Callable[[], float] = drawn_jitter) -> None:
        self._db = db
        self._spool = spool
        self._jitter = jitter
        self._rollups = Rollups()
        # claimed and not let go of yet; what else the database says to be this worker's was claimed in a step whose
        # answer was lost
        self._known: set[int] = set()
        self._unsure: _Unsure | None = None
        self._to_record: dict[int, tuple[Claim, Ending]] = {}
        self._recorded = _LatelyRecorded()
        self._connection: Connection | None = None
        # attempts whose adoption may or may not have come to pass, and their dead workers
        self._adopting: dict[int, int] = {}
        self._lanes = LaneMemory()

    def record_and_claim(
        self,
        endings: Sequence[tuple[Claim, Ending]],
        capacity: ClaimCapacity,
        before_commit: Callable[[Claim], None],
        terms: StepTerms,
    ) -> StepResult:
        """Record endings, make delayed jobs due, and claim jobs up to a capacity: all in one transaction.

        If consequences of ends are left to be drawn, some are in a second one, and what became ready is claimed in a
        third; what is still left then, or fails, is the next step's, which is due at once.

        ``before_commit(claim)`` is called after the commit and before anything is started: no process judges the
        attempts of a worker that lives, and if it dies in between nothing has started. If it raises ``OSError``, that
        claim and the later ones are given back. What an earlier step did whose answer was lost is found out first.
        """
        done, is_any_left = self._step(endings, capacity, before_commit, terms)
        if not is_any_left:
            return done
        slots = 0 if done.refusal else capacity.slots - len(done.claimed)
        with contextlib.suppress(QueueError):
            if not settle_some(self._db):
                more, is_any_left = self._step((), capacity._replace(slots=slots), before_commit, terms)
                done = StepResult(
                    [*done.recorded, *more.recorded],
                    [*done.claimed, *more.claimed],
                    more.next_due_ms,
                    done.refusal or more.refusal,
                )
        return done._replace(next_due_ms=self._db.now_ms()) if is_any_left else done

    def _step(
        self,
        endings: Sequence[tuple[Claim, Ending]],
        capacity: ClaimCapacity,
        before_commit: Callable[[Claim], None],
        terms: StepTerms,
    ) -> tuple[StepResult, bool]:
        """Do the one transaction of a step; return also whether consequences of ends are left to be drawn."""
        self._look_at_connection()
        earlier = self._resolve_unsure(capacity.worker_id) if self._unsure is not None else []
        now = self._db.now_ms()
        # in the order in which others lock them, too
        handed = sorted((*endings, *self._to_record.values()), key=lambda ended: ended[0].job.id)
        decided = [self._decided(claim, ending, terms, now) for claim, ending in handed]
        is_claiming, no_mark = False, None
        try:
            if capacity.slots > 0:
                claim_mark.begin(self._spool, capacity.worker_id, now)
                is_claiming = True
        except OSError as error:
            capacity, no_mark = capacity._replace(slots=0), error
        found = self._turn(capacity, now, decided)
        recorded_ids = {row[1] for row in found if row[0] == "recorded"}
        recorded = [*earlier, *(done for done, _ in decided if done.claim.attempt_id in recorded_ids)]
        self._forget(recorded_ids)
        self._known.difference_update(claim.attempt_id for claim, _ in handed)
        self._to_record.clear()
        self._recorded.add(recorded, self._db.clock.monotonic_s())
        rows = [row for row in found if row[0] == "claimed"]
        units: Mapping[int, Mapping[str, Sequence[int]]] = {}
        if any(row[0] == "lanes" for row in found):
            rows, units = self._claimed_of_lanes(capacity, now, recorded)
        try:
            claimed, refusal = self._claimed(rows, units, before_commit, now, capacity.worker_id)
        except BaseException:
            self._known.difference_update(row[1] for row in rows)
            self._note_unsure(recorded)
            raise
        if is_claiming:
            claim_mark.end(self._spool, capacity.worker_id)
        waits_ms = [max(0, now - row[3]) for row in rows[: len(claimed)]]
        self._rollups.count([(done.ending, done.decision) for done in recorded], waits_ms, now)
        if terms.is_rolled_up:
            # the step is done; what is not written now is written by the next one
            with contextlib.suppress(QueueError):
                self._write_rollups()
        next_due = next(row[3] for row in found if row[0] == "next")
        return StepResult(recorded, claimed, next_due, refusal or no_mark), found[-1][0] == "settle"

    def _look_at_connection(self) -> None:
        """On a new connection be unsure of what was done on the one before: the server may be another, and lack it."""
        connection = self._db.connection()
        if connection is not self._connection:
            if self._connection is not None:
                self._note_unsure([])
            self._connection = connection

    def _turn(self, capacity: ClaimCapacity, now: int, decided: Sequence[tuple[Recorded, _Row]]) -> list[_Row]:
        """Do the one call of a step; after an error it is unsure whether it was done."""
        parameters = (
            *(capacity.worker_id, now, max(0, capacity.slots), array_text(capacity.queues), self._lanes.epoch),
            *(array_text(row[column] for _, row in decided) for column in range(len(_ENDING_TYPES))),
        )
        try:
            # not done again when the answer is lost, since what it claimed would not be known then
            return self._db.query(_TURN, parameters, repeats=0)
        except BaseException:
            self._note_unsure([done for done, _ in decided])
            raise

    def _claimed_of_lanes(
        self, capacity: ClaimCapacity, now: int, recorded: Sequence[Recorded]
    ) -> tuple[list[_Row], Mapping[int, Mapping[str, Sequence[int]]]]:
        """Claim jobs, some of which need resources, behind a turn that recorded these; return rows and units by job."""

        def work(connection: Connection) -> tuple[list[_Row], Mapping[int, Mapping[str, Sequence[int]]]]:
            started = self._lanes.choose(connection, capacity)
            parameters = (capacity.worker_id, now, *parameters_of(started))
            return connection.execute(_LANE_TAKE, parameters).fetchall(), started.units

        try:
            return self._db.transact(work)
        except BaseException:
            self._lanes.epoch = None
            self._note_unsure(recorded)
            raise

    def _note_unsure(self, recorded: Sequence[Recorded]) -> None:
        """Note that it is not known what a step did, which may have recorded these."""
        known = {} if self._unsure is None else self._unsure.recorded
        known.update((done.claim.attempt_id, done) for done in recorded)
        self._unsure = _Unsure(self._db.clock.monotonic_s(), known)

    def _resolve_unsure(self, worker_id: int) -> list[Recorded]:
        """Find out what a step did whose answer was lost: give back what it claimed, return what it recorded.

        Nothing of what it claimed was started. The server may do it late, so it is looked for again for a while. What
        was recorded and is open all the same, a failover has lost: it is recorded again.
        """
        unsure = self._unsure
        assert unsure is not None
        open_now = dict(self._db.query("SELECT attempt_id, job_id FROM running WHERE worker_id = %s", (worker_id,)))
        ended = self._db.query("SELECT id, outcome FROM attempts WHERE id = ANY (%s)", (list(unsure.recorded),))
        closed = [(unsure.recorded[attempt_id], outcome) for attempt_id, outcome in ended]
        recorded = [done for done, outcome in closed if outcome == done.ending.outcome.value]
        unknown = sorted(open_now.keys() - self._known - set(self._adopting))
        again = {
            attempt_id: done
            for attempt_id in unknown
            if (done := self._recorded.of(attempt_id)) is not None and done[0].job.id == open_now[attempt_id]
        }
        self._to_record.update(again)
        self._give_back_or_cancel(worker_id, [attempt_id for attempt_id in unknown if attempt_id not in again])
        self._forget(attempt_id for attempt_id, _ in ended)
        if self._db.clock.monotonic_s() - unsure.since_s >= LATE_COMMIT_S:
            self._unsure = None
        return recorded

    def _forget(self, attempt_ids: Iterable[int]) -> None:
        """Let go of attempts that are known to be closed."""
        for attempt_id in attempt_ids:
            self._known.discard(attempt_id)
            if self._unsure is not None:
                self._unsure.recorded.pop(attempt_id, None)

    def _give_back_or_cancel(self, worker_id: int, attempt_ids: Sequence[int]) -> None:
        """Give back claims of this worker that it cannot start; those to be stopped are cancelled in the next step."""
        for attempt_id in self.give_back(attempt_ids):
            self._known.discard(attempt_id)
            claim = self.adopt(attempt_id, dead_worker=worker_id, worker_id=worker_id)
            if claim is not None:
                ending = Ending(Outcome.CANCELLED, error="could not be started", run_ms=0, output=b"")
                self._to_record[attempt_id] = (claim, ending)

    def _decided(self, claim: Claim, ending: Ending, terms: StepTerms, now: int) -> tuple[Recorded, _Row]:
        """Return an ending with what follows it, and its row of the arrays for ``turn``."""
        decided = decided_ending(claim, ending, terms.settings, self._jitter(), now)
        decision = decided.decision
        row = (
            *(claim.attempt_id, decided.ended_at, decided.run_ms),
            *(ending.outcome.value, ending.exit_code, ending.signal),
            *(ending.error or None, ending.cpu_ms, ending.max_rss_bytes, ending.last_line or None, ending.fingerprint),
            *(ending.output_bytes, ending.output, decision.state.value, decided.run_at, decided.backoff_ms),
            *(decision.attempts, decision.interrupts, decided.error),
        )
        return Recorded(claim, ending, decision), row

    def _claimed(
        self,
        rows: Sequence[_Row],
        units: Mapping[int, Mapping[str, Sequence[int]]],
        before_commit: Callable[[Claim], None],
        now: int,
        worker_id: int,
    ) -> tuple[list[Claim], OSError | None]:
        claims = [
            Claim(
                *(claimed_job_of(row[_BESIDE_JOB:], start), row[1], row[2], row[_BESIDE_JOB - 1], start),
                units=units.get(row[_ID], {}),
            )
            for row in rows
            for start in (max(now, row[3]),)
        ]
        self._known.update(claim.attempt_id for claim in claims)
        for index, claim in enumerate(claims):
            try:
                before_commit(claim)
            except BaseException as error:
                kept = index if isinstance(error, OSError) else 0
                self._give_back_or_cancel(worker_id, [late.attempt_id for late in claims[kept:]])
                if not isinstance(error, OSError):
                    raise
                return claims[:index], error
        return claims, None

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
            row = connection.execute("SELECT give_back(%s, %s)", (list(attempt_ids), os.getpid())).fetchone()
            assert row is not None
            return set(row[0])

        kept = self._db.transact(work)
        self._known.difference_update(set(attempt_ids) - kept)
        return kept

    def adopt(self, attempt_id: int, *, dead_worker: int, worker_id: int) -> Claim | None:
        """Make an open attempt of a dead worker another worker's; ``None`` when a third worker was faster."""
        if attempt_id in self._known:
            return None

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
            number, started_at, stop, units = row
            environment_id, *job = found
            asked_at = None
            if stop is not None:
                asked = connection.execute(_STOP_ASKED_AT, (job[0], started_at)).fetchone()
                asked_at = None if asked is None else asked[0]
            claim = Claim(job_of(tuple(job)), attempt_id, number, environment_id, started_at, stop, asked_at)
            return claim._replace(units=units_of(units))

        self._adopting[attempt_id] = dead_worker
        claim = self._db.transact(work)
        del self._adopting[attempt_id]
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
        marks: dict[int, int | None] = {}
        parameters = (worker_id, list(self._adopting), worker_id)
        found = self._db.query(_OPEN_OF_HOST, parameters) if worker_id else self._db.query(_OPEN)
        return [
            OpenAttempt(
                attempt_id,
                self._adopting.get(attempt_id, owner),
                job_id,
                stop,
                None if boot_id is None else Place(boot_id, pid_namespace or 0),
                (mark := self._claiming_at(self._adopting.get(attempt_id, owner), marks)) is not None
                and mark <= started_at,
            )
            for attempt_id, owner, job_id, stop, boot_id, pid_namespace, started_at in found
        ]

    def _claiming_at(self, worker_id: int, known: dict[int, int | None]) -> int | None:
        if worker_id not in known:
            known[worker_id] = claim_mark.claiming_at(self._spool, worker_id)
        return known[worker_id]

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
