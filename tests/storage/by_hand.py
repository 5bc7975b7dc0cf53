"""A worker's writes by hand: jobs get into every state without a command being run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from types import TracebackType

from core.model import Ending, NewJob, Outcome, State
from core.queue import Queue
from core.storage.values import Claim, ClaimCapacity, Recorded, StepResult, StepTerms

ENDINGS = {
    Outcome.SUCCEEDED: Ending(
        Outcome.SUCCEEDED, exit_code=0, run_ms=10, output=b"fine\n", output_bytes=5, cpu_ms=7, max_rss_bytes=1 << 27
    ),
    Outcome.FAILED: Ending(Outcome.FAILED, exit_code=7, run_ms=10, output=b"", cpu_ms=4, max_rss_bytes=1 << 28),
    Outcome.SIGNALLED: Ending(Outcome.SIGNALLED, exit_code=137, signal=9, run_ms=10, output=b"", cpu_ms=5),
    Outcome.TIMED_OUT: Ending(Outcome.TIMED_OUT, exit_code=143, signal=15, run_ms=10, output=b""),
    Outcome.SPAWN_ERROR: Ending(Outcome.SPAWN_ERROR, error="could not be started", run_ms=0, output=b""),
    Outcome.CANCELLED: Ending(Outcome.CANCELLED, exit_code=143, signal=15, run_ms=10, output=b""),
    Outcome.INTERRUPTED: Ending(Outcome.INTERRUPTED, exit_code=143, signal=15, run_ms=10, output=b""),
    Outcome.LOST: Ending(Outcome.LOST, run_ms=10, output=b""),
}


class Hand:
    """A registered worker whose every write the test makes itself."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.id, self._lock = queue.storage.workers.register(slots=1, queues=())
        self.attempts = queue.storage.attempts(lambda: 0.0)
        self._is_dead = False

    def step(
        self,
        endings: Sequence[tuple[Claim, Ending]] = (),
        slots: int = 0,
        *,
        queues: Sequence[str] = (),
        is_durable: bool = True,
    ) -> StepResult:
        """Do the one transaction of a worker's step."""
        return self.attempts.record_and_claim(
            endings,
            ClaimCapacity(self.id, slots, queues),
            lambda claim: None,
            StepTerms(self.queue.settings(), is_durable),
        )

    def claim(self, slots: int = 1, *, queues: Sequence[str] = ()) -> Sequence[Claim]:
        """Claim up to so many jobs."""
        return self.step(slots=slots, queues=queues).claimed

    def record(self, claim: Claim, outcome: Outcome = Outcome.SUCCEEDED) -> Sequence[Recorded]:
        """Record how an attempt ended."""
        return self.step([(claim, ENDINGS[outcome])]).recorded

    def do_next(self, outcome: Outcome = Outcome.SUCCEEDED) -> int:
        """Claim the next job and end it; return its id."""
        (claim,) = self.claim()
        self.record(claim, outcome)
        return claim.job.id

    def die(self) -> None:
        """Let go of the lock, as the kernel does for a process that is killed."""
        if not self._is_dead:
            self._is_dead = True
            os.close(self._lock)

    def __enter__(self) -> Hand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()


def job_in(queue: Queue, hand: Hand, state: State, command: str = "true") -> int:
    """Return the id of a new job that was brought into a state; no other job may be due before it."""
    job_id = queue.enqueue(NewJob(command, max_attempts=1, priority=1000)).id
    if state is State.RUNNING:
        (claim,) = hand.claim()
        assert claim.job.id == job_id
    elif state is State.CANCELLED:
        queue.cancel(job_id)
    elif state in (State.COMPLETED, State.PURGED, State.DEAD):
        assert hand.do_next(Outcome.FAILED if state is State.DEAD else Outcome.SUCCEEDED) == job_id
        if state is State.PURGED:
            queue.purge(job_id)
    assert queue.job(job_id).state is state
    return job_id


def dump(path: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, as another program reads them."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}
    finally:
        connection.close()
