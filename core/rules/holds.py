"""Why a pending job is not running: the one rule for it. Pure; its arguments were read in one moment."""

# annotations are evaluated here: put off, typing compiles the text of each field of a named tuple at every start

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.model import Job, Phase, State, Waiting, WorkerInfo
from core.rules.lanes import Candidate, Demand, why_waiting
from core.rules.serving_workers import has_free_slot, serving_workers, why_none

#: How many running jobs a reason names.
_NAMED = 5


class Hold(NamedTuple):
    """What may keep the due jobs of one queue from being claimed: pause flags and the queue's limit.

    ``limit`` is the most that may run at once (``None``: no limit), ``running`` the ids of those that do, in the order
    of their starts; without a limit they are not read, and ``running`` is empty. ``demand`` is read for a job with
    needs.
    """

    is_all_paused: bool = False
    is_paused: bool = False
    limit: int | None = None
    running: Sequence[int] = ()
    demand: Demand | None = None


def waiting(job: Job, hold: Hold, workers: Sequence[WorkerInfo], now: datetime) -> Waiting | None:
    """Return why a pending job is not running at ``now``; ``None`` for a job in any other state.

    ``hold`` is that of the job's queue, ``workers`` are all that are registered.
    """
    if job.state is not State.PENDING:
        return None
    phase = job.phase(now) or Phase.READY
    no_worker = why_none(workers, job.queue)
    if phase is Phase.HELD:
        return _with("it is held; release it", no_worker, Waiting(phase, ""))
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
