"""What is recorded of an ending in either engine: when it was, how long it ran, and what follows for its job. Pure."""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from typing import NamedTuple

from core.model import Decision, Ending, State
from core.rules.settings import Settings
from core.rules.states import decide
from core.storage.values import Claim


class DecidedEnding(NamedTuple):
    """An ending with its decision and the columns that both engines write, instants in unix milliseconds.

    ``run_at`` and ``backoff_ms`` are ``None`` unless the job waits for its next attempt. ``error`` is the job's: why it
    is dead, else what the attempt met with.
    """

    ending: Ending
    decision: Decision
    ended_at: int
    run_ms: int
    run_at: int | None
    backoff_ms: int | None
    error: str | None


def decided_ending(claim: Claim, ending: Ending, settings: Settings, jitter: float, now: int) -> DecidedEnding:
    """Return what is recorded at ``now`` of the ending of a claim; no attempt ends before its start or after ``now``.

    ``jitter`` is the factor of the back-off's, from -1 to 1.
    """
    # what a decision needs of a job cannot change while it runs: no verb touches it then
    job = claim.job
    decision = decide(
        ending,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        interrupts=job.interrupts,
        dead_exit=job.dead_exit,
        backoff=settings.backoff(job.backoff_base),
        jitter_factor=jitter,
    )
    ended_at = max(claim.started_ms, now if ending.ended_at_ms is None else min(now, ending.ended_at_ms))
    run_ms = max(0, ended_at - claim.started_ms if ending.run_ms is None else ending.run_ms)
    backoff_ms = decision.delay_ms if decision.state is State.PENDING and decision.delay_ms > 0 else None
    run_at = None if backoff_ms is None else now + backoff_ms
    return DecidedEnding(
        ending, decision, ended_at, run_ms, run_at, backoff_ms, decision.reason or ending.error or None
    )
