"""The queue as a plain dictionary: what every verb should do, written down a second time without SQL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.model import Outcome, State

FINISHED = (State.COMPLETED, State.DEAD, State.CANCELLED)
FAILURES = (Outcome.FAILED, Outcome.SIGNALLED, Outcome.TIMED_OUT, Outcome.SPAWN_ERROR)


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the model sees it; ``attempt_id`` is the open attempt of a running one."""

    id: int
    queue: str
    priority: int
    max_attempts: int
    command: str = "true"
    state: State = State.PENDING
    run_at: int | None = None
    attempts: int = 0
    interrupts: int = 0
    starts: int = 0
    outcome: Outcome | None = None
    attempt_id: int | None = None
    purged_from: State | None = None


@dataclass(slots=True)
class Act:
    """What a verb did: each job it changed, as it was before; of an edit what it changed, as it was before."""

    id: int
    verb: str
    before: dict[int, Job]
    changed: dict[str, object] = field(default_factory=dict)
    is_undone: bool = False


@dataclass(slots=True)
class Model:
    """All jobs, acts, queues and the time. Methods return what the queue should report."""

    jobs: dict[int, Job] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=dict)
    attempts: dict[int, list[Outcome | None]] = field(default_factory=dict)

    def add(self, job: Job) -> None:
        """A new job."""
        self.jobs[job.id] = job
        self.attempts[job.id] = []

    def in_state(self, *states: State) -> list[Job]:
        """Return the jobs in some states, by id."""
        return [job for _, job in sorted(self.jobs.items()) if job.state in states]

    def change(self, job: Job, **fields: object) -> Job:
        """Put a changed job in the place of the old one."""
        self.jobs[job.id] = changed = replace(job, **fields)  # type: ignore[arg-type]
        return changed

    # --- what workers do

    def make_due(self, now: int) -> None:
        """Jobs whose time has come are due."""
        for job in self.in_state(State.PENDING):
            if job.run_at is not None and job.run_at <= now:
                self.change(job, run_at=None)

    def next_jobs(self, slots: int) -> list[int]:
        """Return what a worker with free slots should claim, in order."""
        room = {
            queue: limit - sum(job.queue == queue for job in self.in_state(State.RUNNING))
            for queue, limit in self.limits.items()
        }
        ready = [job for job in self.in_state(State.PENDING) if job.run_at is None and job.queue not in self.paused]
        chosen: list[int] = []
        for job in sorted(ready, key=lambda job: (-job.priority, job.id)):
            if len(chosen) < slots and room.get(job.queue, 1) > 0:
                chosen.append(job.id)
                if job.queue in room:
                    room[job.queue] -= 1
        return chosen

    def claim(self, job_id: int, attempt_id: int) -> None:
        """A worker takes a job."""
        job = self.jobs[job_id]
        self.change(
            job,
            state=State.RUNNING,
            attempts=job.attempts + 1,
            starts=job.starts + 1,
            outcome=None,
            attempt_id=attempt_id,
        )
        self.attempts[job_id].append(None)

    def is_stop_requested(self, job_id: int) -> bool:
        """Tell whether somebody has cancelled the attempt of a job that runs."""
        running = self.jobs[job_id].attempt_id
        return any(
            act.verb == "cancel"
            and job_id in act.before
            and act.before[job_id].state is State.RUNNING
            and act.before[job_id].attempt_id == running
            for act in self.acts
        )

    def give_back(self, job_id: int) -> None:
        """A claim that could not be started is as if it had never been."""
        job = self.jobs[job_id]
        self.attempts[job_id].pop()
        outcomes = self.attempts[job_id]
        self.change(
            job,
            state=State.PENDING,
            attempts=job.attempts - 1,
            starts=job.starts - 1,
            attempt_id=None,
            outcome=outcomes[-1] if outcomes else None,
        )

    def end(self, job_id: int, outcome: Outcome, now: int) -> None:
        """An attempt ends; what follows is design.md, section 3, once more."""
        job = self.jobs[job_id]
        self.attempts[job_id][-1] = outcome
        job = self.change(job, outcome=outcome, attempt_id=None)
        if outcome is Outcome.SUCCEEDED:
            self.change(job, state=State.COMPLETED, interrupts=0)
        elif outcome is Outcome.CANCELLED:
            self.change(job, state=State.CANCELLED)
        elif outcome in FAILURES:
            if job.attempts >= job.max_attempts:
                self.change(job, state=State.DEAD, interrupts=0)
            else:
                self.change(job, state=State.PENDING, interrupts=0, run_at=now + 1000 * 2**job.attempts)
        elif job.interrupts >= 5:
            self.change(job, state=State.DEAD, attempts=job.attempts - 1, interrupts=job.interrupts + 1)
        else:
            self.change(job, state=State.PENDING, attempts=job.attempts - 1, interrupts=job.interrupts + 1)

    # --- what people do

    def act(self, verb: str, act_id: int, ids: list[int]) -> int:
        """Apply a verb to jobs; return how many it changed. Jobs in other states are passed over."""
        before: dict[int, Job] = {}
        for job_id in ids:
            job = self.jobs[job_id]
            fields = self._effect(verb, job)
            if fields is not None:
                before[job_id] = job
                self.change(job, **fields)
        if before:
            self.acts.append(Act(act_id, verb, before))
        return len(before)

    @staticmethod
    def _effect(verb: str, job: Job) -> dict[str, object] | None:
        """Return what a verb sets on a job, ``None`` where it does not apply."""
        fresh: dict[str, object] = {"state": State.PENDING, "attempts": 0, "interrupts": 0, "run_at": None}
        if verb in ("replay", "retry") and job.state in FINISHED:
            return fresh
        if verb == "retry" and job.state is State.PENDING and job.run_at is not None:
            return {"run_at": None}
        if verb == "cancel" and job.state is State.PENDING:
            return {"state": State.CANCELLED, "run_at": None}
        if verb == "cancel" and job.state is State.RUNNING:
            return {}
        if verb == "purge" and job.state in FINISHED:
            return {"state": State.PURGED, "purged_from": job.state}
        if verb == "restore" and job.state is State.PURGED:
            return {"state": job.purged_from, "purged_from": None}
        return None

    def edit(self, act_id: int, job_id: int, **fields: object) -> None:
        """Change a job's fields."""
        job = self.jobs[job_id]
        changed = {name: getattr(job, name) for name, value in fields.items() if getattr(job, name) != value}
        self.acts.append(Act(act_id, "edit", {job_id: job}, changed))
        self.change(job, **fields)

    def last_undoable(self) -> Act | None:
        """Return the newest act, unless it cannot be undone."""
        act = next((act for act in reversed(self.acts) if not act.is_undone), None)
        if act is None or act.verb == "restore" or not self._has_something_to_undo(act):
            return None
        return act

    def _has_something_to_undo(self, act: Act) -> bool:
        """Tell whether a job of the act is still there; a request to stop a running one stands."""
        left = [before for job_id, before in act.before.items() if job_id in self.jobs]
        return any(act.verb != "cancel" or before.state is State.PENDING for before in left)

    def undo(self, act: Act) -> int:
        """Put back what is still as the act left it; return how many."""
        act.is_undone = True
        changed = 0
        for job_id, before in act.before.items():
            if job_id in self.jobs and self._is_untouched(act, before):
                changed += 1
                job = self.jobs[job_id]
                if act.verb == "edit":
                    self.change(job, **act.changed)
                    job = self.jobs[job_id]
                if act.verb == "purge":
                    self.change(job, state=job.purged_from, purged_from=None)
                else:
                    self.change(
                        job,
                        state=before.state,
                        run_at=before.run_at,
                        attempts=before.attempts,
                        interrupts=before.interrupts,
                    )
        return changed

    def _is_untouched(self, act: Act, before: Job) -> bool:
        job = self.jobs[before.id]
        if any(later.id > act.id and not later.is_undone and job.id in later.before for later in self.acts):
            return False
        if act.verb == "purge":
            return job.state is State.PURGED
        if act.verb == "cancel":
            return job.state is State.CANCELLED and before.state is State.PENDING and job.starts == before.starts
        if act.verb == "edit":
            return job.state in (State.PENDING, State.DEAD) and job.starts == before.starts
        return job.state is State.PENDING and job.starts == before.starts

    def forget_purged(self) -> int:
        """The trash is emptied."""
        gone = [job.id for job in self.in_state(State.PURGED)]
        for job_id in gone:
            del self.jobs[job_id]
            del self.attempts[job_id]
        return len(gone)
