"""Why a pending job is not running: the one rule for it. Pure; its arguments were read in one moment."""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.blocker import Blocker
from core.model import Job, Phase, State, Waiting, WorkerInfo
from core.rules.lanes import Candidate, Demand, why_waiting
from core.rules.serving_workers import has_free_slot, serving_workers, why_none
from core.wording import ending_words, local_time

#: How many running jobs a reason names.
_NAMED = 5


class Hold(NamedTuple):
    """What may keep a job from being claimed: pause flags and the limit of its queue, what itself waits for.

    ``limit`` is the most that may run at once (``None``: no limit), ``running`` the ids of those that do, in the order
    of their starts; without a limit they are not read, and ``running`` is empty. ``demand`` is read for a job with
    needs. ``blocker`` is what keeps a job with unmet edges back; ``held_at`` is since when a user holds it.
    """

    is_all_paused: bool = False
    is_paused: bool = False
    limit: int | None = None
    running: Sequence[int] = ()
    demand: Demand | None = None
    blocker: Blocker | None = None
    held_at: datetime | None = None


def waiting(job: Job, hold: Hold, workers: Sequence[WorkerInfo], now: datetime) -> Waiting | None:
    """Return why a pending job is not running at ``now``; ``None`` for a job in any other state.

    ``hold`` is that of the job's queue, ``workers`` are all that are registered.
    """
    if job.state is not State.PENDING:
        return None
    phase = job.phase(now) or Phase.READY
    no_worker = why_none(workers, job.queue)
    if phase in (Phase.HELD, Phase.BLOCKED):
        return _blocked(job, phase, hold, no_worker)
    if phase is Phase.RETRYING:
        return _with("it waits for its next attempt", no_worker, Waiting(phase, "", job.run_at))
    if phase is Phase.DELAYED:
        return _with("it was scheduled for later", no_worker, Waiting(phase, "", job.run_at))
    held = held_reason(job.queue, hold)
    if held is not None:
        return _with(held, no_worker, Waiting(Phase.HELD, ""))
    lacking = lacking_reason(job, hold, workers)
    if lacking is not None:
        return _with(lacking, no_worker, Waiting(Phase.HELD, ""))
    if no_worker is not None:
        return Waiting(phase, no_worker, is_stuck=True)
    if has_free_slot(serving_workers(workers, job.queue)):
        return Waiting(phase, "it is due; the next free slot takes it in its turn")
    return Waiting(phase, "it is due, and every slot is busy; the next free one takes it in its turn")


def _blocked(job: Job, phase: Phase, hold: Hold, no_worker: str | None) -> Waiting:
    """Return why a job waits that is held or has unmet edges; what keeps it back is said before why no worker comes."""
    after = None if hold.blocker is None else blocked_reason(job, hold.blocker)
    reason = after or "it waits for other jobs"
    if phase is Phase.HELD:
        since = "" if hold.held_at is None else f" since {local_time(hold.held_at)}"
        reason = f"held by a user{since}; release it" + ("" if after is None else f"; also, {after}")
    found = _with(reason, no_worker, Waiting(phase, ""))
    return found._replace(is_stuck=True) if hold.blocker is not None and hold.blocker.is_stuck else found


def blocked_reason(job: Job, blocker: Blocker) -> str:
    """Return for which job another one waits, in one line: ``after 12 (dead: exit 7), and 3 more``."""
    needed, cause = blocker.needed, blocker.cause
    if needed.id == cause.id:
        reason = f"after {needed.id} ({_standing(needed, job)})"
    else:
        reason = f"after {needed.id}, which waits for {cause.id} ({_standing(cause, job)})"
    return f"{reason}, and {blocker.more:,} more" if blocker.more else reason


def _standing(needed: Job, dependent: Job) -> str:
    """Return where a needed job stands, with what can be done about it."""
    if needed.state is State.DEAD:
        return f"dead: {ending_words(needed) or 'it failed'}"
    if needed.state is State.PURGED:
        return "purged: restore it"
    if needed.state is State.PENDING and needed.is_held:
        return "held: release it"
    if needed.state is State.PENDING and needed.priority < dependent.priority:
        return f"priority {needed.priority}; edit {needed.id} -p {dependent.priority}"
    return str(needed.state.value)


def retry_refusal(job_id: int, blocker: Blocker) -> str:
    """Return why a blocked job cannot be retried, and what to do instead."""
    cause = blocker.cause
    if not blocker.is_stuck:
        return (
            f"it waits for {blocker.needed.id} ({blocker.needed.state.value}); to drop that: edit {job_id} --after ''"
        )
    get_going = "restore" if cause.state is State.PURGED else "replay"
    return f"it waits for {cause.id} ({cause.state.value}); {get_going} {cause.id}, or: edit {job_id} --after ''"


def held_reason(queue: str, hold: Hold) -> str | None:
    """Return why no due job of a queue is claimed, in one line; ``None`` if nothing holds them."""
    if hold.is_all_paused:
        return "everything is paused"
    if hold.is_paused:
        return f"queue {queue} is paused"
    count = len(hold.running)
    if hold.limit is None or count < hold.limit:
        return None
    if not hold.running:
        return f"queue {queue} has a limit of 0"
    jobs = ("job " if count == 1 else "jobs ") + ", ".join(str(job_id) for job_id in hold.running[:_NAMED])
    return f"queue {queue} runs {count} of at most {hold.limit}: {jobs}" + (", …" if count > _NAMED else "")


def lacking_reason(job: Job, hold: Hold, workers: Sequence[WorkerInfo]) -> str | None:
    """Return which resource that a due job needs is not free for it, in one line; ``None`` if none is lacking."""
    if not job.needs or hold.demand is None:
        return None
    queues = {head.queue for head, _ in hold.demand.heads}
    served = {queue for queue in queues if serving_workers(workers, queue)}
    return why_waiting(Candidate(-job.priority, job.id, job.queue), job.needs, hold.demand, served)


def _with(reason: str, no_worker: str | None, found: Waiting) -> Waiting:
    """Return ``found`` with the reason, and with why no worker would take the job after that, if none would."""
    if no_worker is None:
        return found._replace(reason=reason)
    return found._replace(reason=f"{reason}; also, {no_worker}", is_stuck=True)
