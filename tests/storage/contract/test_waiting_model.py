"""Random verbs, claims and ends on jobs that wait for each other, against a model of it in plain Python."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from core.errors import InvalidTransition, Refused
from core.model import EdgeKind, NewJob, Outcome, State, View
from core.queue import Queue
from core.storage.values import Claim
from tests.storage.by_hand import Hand

pytestmark = pytest.mark.long

PENDING, RUNNING, COMPLETED, DEAD, CANCELLED, PURGED = State
FINISHED = (COMPLETED, DEAD, CANCELLED)
ENDS = {Outcome.SUCCEEDED: COMPLETED, Outcome.FAILED: DEAD, Outcome.CANCELLED: CANCELLED, Outcome.INTERRUPTED: PENDING}
STEPS = 150
#: Few enough that most acts meet what another one has done.
MAX_JOBS = 14


@dataclass
class Modelled:
    """A job of the model; ``edges`` by needed job: until completion, and whether it is met."""

    priority: int = 0
    is_held: bool = False
    state: State = PENDING
    before_purge: State = PENDING
    edges: dict[int, tuple[bool, bool]] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        return self.is_held + sum(not is_met for _, is_met in self.edges.values())


class Model:
    """What the tables of the words say, without a database."""

    def __init__(self) -> None:
        self.jobs: dict[int, Modelled] = {}

    def meets(self, on_id: int, until_complete: bool) -> bool:
        state = self.jobs[on_id].state
        return state is COMPLETED or (not until_complete and state in (DEAD, CANCELLED))

    def come_to(self, job_id: int, state: State) -> None:
        self.jobs[job_id].state = state
        for job in self.jobs.values():
            if job_id in job.edges:
                until_complete, is_met = job.edges[job_id]
                job.edges[job_id] = (until_complete, is_met or self.meets(job_id, until_complete))

    def new_edges(self, after: Iterable[int], after_end: Iterable[int]) -> dict[int, tuple[bool, bool]] | None:
        """Return the edges as they are when they are made, ``None`` if they are refused."""
        wanted = {**dict.fromkeys(after_end, False), **dict.fromkeys(after, True)}
        for on_id, until_complete in wanted.items():
            state = self.jobs[on_id].state
            if state is PURGED or (state is CANCELLED and until_complete):
                return None
        return {on_id: (until_complete, self.meets(on_id, until_complete)) for on_id, until_complete in wanted.items()}

    def below(self, job_id: int) -> set[int]:
        """Return a job and all that depend on it."""
        found, left = {job_id}, [job_id]
        while left:
            on_id = left.pop()
            more = {one for one, job in self.jobs.items() if on_id in job.edges} - found
            found |= more
            left += more
        return found

    def claimed(self, number: int) -> list[int]:
        ready = [one for one, job in self.jobs.items() if job.state is PENDING and not job.blocks]
        return sorted(ready, key=lambda one: (-self.jobs[one].priority, one))[:number]

    def retry_below(self, root: int) -> int:
        """Retry a job and all below it; return how many changed."""
        states = {one: self.jobs[one].state for one in self.below(root)}
        changed = {one for one, state in states.items() if state in FINISHED}
        for one in changed:
            self.jobs[one].state = PENDING
        for one, state in states.items():
            for on_id, (until_complete, is_met) in self.jobs[one].edges.items():
                if is_met and state not in (RUNNING, PURGED) and states.get(on_id, PURGED) is not PURGED:
                    self.jobs[one].edges[on_id] = (until_complete, False)
                    changed.add(one)
        return len(changed)

    def empty_trash(self) -> None:
        gone = {one for one, job in self.jobs.items() if job.state is PURGED}
        while True:
            kept = {on_id for one, job in self.jobs.items() if one not in gone for on_id in gone & job.edges.keys()
                    if not job.edges[on_id][1]}  # fmt: skip
            if not kept:
                break
            gone -= kept
        for one in gone:
            del self.jobs[one]
        for job in self.jobs.values():
            job.edges = {on_id: edge for on_id, edge in job.edges.items() if on_id not in gone}


class Bench:
    """A queue and its model, and the random acts that are done to both."""

    def __init__(self, queue: Queue, hand: Hand, seed: int) -> None:
        self.queue, self.hand, self.model = queue, hand, Model()
        self.random = random.Random(seed)
        self.open: list[Claim] = []

    def some(self) -> int:
        return self.random.choice(list(self.model.jobs))

    def needs(self) -> tuple[list[int], list[int]]:
        ids = list(self.model.jobs)
        after = self.random.sample(ids, min(len(ids), self.random.choice((0, 1, 1, 2))))
        return after, self.random.sample(ids, min(len(ids), self.random.choice((0, 0, 1))))

    def enqueue(self) -> None:
        after, after_end = self.needs()
        priority, is_held = self.random.randrange(3), self.random.random() < 0.15
        edges = self.model.new_edges(after, after_end)
        new = NewJob("true", max_attempts=1, priority=priority, is_held=is_held, after=after, after_end=after_end)
        if edges is None:
            with pytest.raises(Refused):
                self.queue.add(new)
            return
        self.model.jobs[self.queue.add(new)] = Modelled(priority, is_held, edges=edges)

    def enqueue_chain(self) -> None:
        ids = self.queue.enqueue_many((NewJob("true", max_attempts=1) for _ in range(3)), chain=True, then="true")
        for place, job_id in enumerate(ids[:3]):
            self.model.jobs[job_id] = Modelled(edges={ids[place - 1]: (True, False)} if place else {})
        self.model.jobs[ids[3]] = Modelled(edges=dict.fromkeys(ids[:3], (False, False)))
        self.queue.edit(ids[3], max_attempts=1)

    def claim(self) -> None:
        number = self.random.randrange(1, 4)
        expected = self.model.claimed(number)
        claims = self.hand.claim(number)
        assert [claim.job.id for claim in claims] == expected
        for job_id in expected:
            self.model.jobs[job_id].state = RUNNING
        self.open += claims

    def record(self) -> None:
        if self.open:
            claim = self.open.pop(self.random.randrange(len(self.open)))
            outcome = self.random.choices(list(ENDS), (6, 3, 1, 1))[0]
            (done,) = self.hand.record(claim, outcome)
            is_over = done.decision.state is DEAD and outcome is Outcome.INTERRUPTED
            self.model.come_to(claim.job.id, DEAD if is_over else ENDS[outcome])

    def one(self, name: str, allowed: bool, state: State, job_id: int, *, is_final: bool = False) -> None:
        """Do a verb to a job; half of the time undo it at once."""
        if not allowed:
            with pytest.raises(InvalidTransition):
                getattr(self.queue, name)(job_id)
            return
        before = copy.deepcopy(self.model.jobs)
        getattr(self.queue, name)(job_id)
        if self.model.jobs[job_id].state is not state:
            self.model.come_to(job_id, state)
        if not is_final and self.random.random() < 0.4:
            self.queue.undo()
            after, self.model.jobs = self.model.jobs, before
            for one, job in self.model.jobs.items():  # met stays met
                job.edges = {on_id: (kind, is_met or after[one].edges[on_id][1])
                             for on_id, (kind, is_met) in job.edges.items()}  # fmt: skip

    def cancel(self) -> None:
        job_id = self.some()
        state = self.model.jobs[job_id].state
        to_state = CANCELLED if state is PENDING else state
        self.one("cancel", state in (PENDING, RUNNING), to_state, job_id, is_final=state is RUNNING)

    def replay(self) -> None:
        job_id = self.some()
        self.one("replay", self.model.jobs[job_id].state in FINISHED, PENDING, job_id)

    def retry(self) -> None:
        job_id = self.some()
        self.one("retry", self.model.jobs[job_id].state in FINISHED, PENDING, job_id)

    def purge(self) -> None:
        job_id = self.some()
        job = self.model.jobs[job_id]
        if job.state in FINISHED:
            job.before_purge = job.state
        self.one("purge", job.state in FINISHED, PURGED, job_id)

    def restore(self) -> None:
        job_id = self.some()
        job = self.model.jobs[job_id]
        self.one("restore", job.state is PURGED, job.before_purge, job_id, is_final=True)

    def hold_or_release(self) -> None:
        job_id = self.some()
        job = self.model.jobs[job_id]
        if job.state is PENDING:
            (self.queue.release if job.is_held else self.queue.hold)(job_id)
            if self.random.random() < 0.3:
                self.queue.undo()
            else:
                job.is_held = not job.is_held

    def edit(self) -> None:
        job_id = self.some()
        after, after_end = self.needs()
        job, edges = self.model.jobs[job_id], self.model.new_edges(after, after_end)
        if job.state not in (PENDING, DEAD):
            with pytest.raises(InvalidTransition):
                self.queue.edit(job_id, after=after, after_end=after_end)
        elif edges is None or self.model.below(job_id) & edges.keys():
            with pytest.raises(Refused):
                self.queue.edit(job_id, after=after, after_end=after_end)
        else:
            act = self.queue.edit(job_id, after=after, after_end=after_end)
            assert bool(act.id) == (edges != job.edges)
            if act.id and self.random.random() < 0.4:
                self.queue.undo()
                edges = {on_id: (kind, is_met or self.model.meets(on_id, kind))
                         for on_id, (kind, is_met) in job.edges.items()}  # fmt: skip
            job.edges = edges

    def retry_with_dependents(self) -> None:
        root, before = self.some(), copy.deepcopy(self.model.jobs)
        count = self.model.retry_below(root)
        if not count:
            with pytest.raises(InvalidTransition):
                self.queue.retry(root, with_dependents=True)
            return
        assert self.queue.retry(root, with_dependents=True).count == count
        if self.random.random() < 0.4:
            self.queue.undo()
            self.model.jobs = before

    def cancel_with_dependents(self) -> None:
        root, before = self.some(), copy.deepcopy(self.model.jobs)
        cancelled = [one for one in self.model.below(root) if self.model.jobs[one].state is PENDING]
        is_stopped = self.model.jobs[root].state is RUNNING
        if not cancelled and not is_stopped:
            with pytest.raises(InvalidTransition):
                self.queue.cancel(root, with_dependents=True)
            return
        for one in cancelled:
            self.model.come_to(one, CANCELLED)
        assert self.queue.cancel(root, with_dependents=True).count == len(cancelled) + is_stopped
        if cancelled and self.random.random() < 0.4:
            self.queue.undo()
            outside = {one: copy.deepcopy(job) for one, job in self.model.jobs.items() if one not in cancelled}
            self.model.jobs = {**before, **outside}

    def empty_trash(self) -> None:
        if self.random.random() < 0.3:
            self.queue.empty_trash()
            self.model.empty_trash()

    def check(self) -> None:
        """Compare all that is stored with the model."""
        jobs = {row.job.id: row.job for row in self.queue.rows(View(tuple(State)), limit=10_000)}
        assert {one: (job.state, job.is_held, job.blocks) for one, job in jobs.items()} == {
            one: (job.state, job.is_held, job.blocks) for one, job in self.model.jobs.items()
        }
        assert {(e.job_id, e.on_id, e.kind is EdgeKind.COMPLETE, e.is_met) for e in self.queue.edges_of(jobs)} == {
            (one, on_id, *edge) for one, job in self.model.jobs.items() for on_id, edge in job.edges.items()
        }
        pending = [job for job in self.model.jobs.values() if job.state is PENDING]
        assert self.queue.counts().blocked == sum(job.blocks > 0 for job in pending)
        waiting = [on for job in self.model.jobs.values() for on, (_, is_met) in job.edges.items() if not is_met]
        assert self.queue.waiting_for(jobs) == {on_id: waiting.count(on_id) for on_id in waiting}


ACTS = ("enqueue", "enqueue", "enqueue_chain", "claim", "claim", "claim", "record", "record", "record", "cancel",
        "replay", "retry", "purge", "restore", "hold_or_release", "edit", "edit", "retry_with_dependents",
        "cancel_with_dependents", "empty_trash")  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_jobs_wait_as_the_model_says(queue: Queue, hand: Hand, seed: int) -> None:
    """After each step: states, edges, blocks, counts; and at each claim the jobs that are claimed."""
    bench = Bench(queue, hand, seed)
    bench.enqueue()
    for _ in range(STEPS):
        size = len(bench.model.jobs)
        getattr(bench, bench.random.choice(ACTS[:3] if not size else ACTS if size < MAX_JOBS else ACTS[3:]))()
        bench.check()
    assert [finding for finding in queue.doctor() if finding.level == "error"] == []
