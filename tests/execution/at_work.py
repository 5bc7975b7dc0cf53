"""Workers inside the test's own process, and what they told about their work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from core.execution.events import AttemptEnded, LoopFailed, WorkerEvent
from core.execution.worker import StopMode, Worker
from core.model import Job, State
from core.queue import Queue
from core.storage.postgres.engine import PostgresStorage
from tests.processes import wait_for
from tests.sqlite import sqlite_of

E = TypeVar("E", bound=WorkerEvent)

#: A command, in the directory of the test, that ends once the test has made the file ``go``.
UNTIL_GO = "while ! test -e go; do sleep 0.02; done"


class Told:
    """The events of a worker, in the order they came."""

    def __init__(self) -> None:
        self.events: list[WorkerEvent] = []

    def __call__(self, event: WorkerEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in list(self.events) if isinstance(event, kind)]

    def wait_for(self, kind: type[E], *, timeout_s: float = 60.0) -> E:
        """Return the first event of a kind, once there is one."""
        return wait_for(lambda: self.of(kind), f"an event {kind.__name__}", timeout_s=timeout_s)[0]


@contextlib.contextmanager
def working(queue: Queue, **options: Any) -> Iterator[tuple[Worker, Told]]:
    """Have a worker at work in a thread; at the end it is stopped, with what it runs."""
    told = Told()
    worker = Worker(queue, on_event=told, **options)
    worker.start()
    try:
        yield worker, told
    finally:
        worker.stop(StopMode.NOW)
        if not worker.join(60):
            worker.stop(StopMode.DETACH)
            worker.join(60)
            raise AssertionError("the worker did not stop")


def drain(queue: Queue, *, timeout_s: float = 60.0, may_fail: bool = False, **options: Any) -> Told:
    """Run all jobs that are due, in a thread, and return what the worker told."""
    told = Told()
    worker = Worker(queue, once=True, on_event=told, **options)
    worker.start()
    if not worker.join(timeout_s):
        worker.stop(StopMode.DETACH)
        worker.join(60)
        raise AssertionError(f"not drained after {timeout_s:g} s: {queue.counts()}")
    assert may_fail or not told.of(LoopFailed), told.of(LoopFailed)
    return told


def run(queue: Queue, command: str, **fields: Any) -> Job:
    """Run one job to its end, with one attempt unless the fields say otherwise."""
    job_id = queue.enqueue(command, **{"max_attempts": 1, **fields}).id
    drain(queue)
    return queue.job(job_id)


def output(queue: Queue, job: Job | int) -> bytes:
    """Return all output of a job's newest attempt."""
    found = queue.output(job if isinstance(job, int) else job.id)
    return found.read(0, found.size())


def wait_for_state(queue: Queue, job_id: int, *states: State, timeout_s: float = 60.0) -> Job:
    """Return a job once it is in one of the states."""
    wait_for(
        lambda: queue.job(job_id).state in states,
        f"job {job_id} is {' or '.join(state.value for state in states)}",
        timeout_s=timeout_s,
    )
    return queue.job(job_id)


def endings(told: Told) -> Sequence[tuple[int, str]]:
    """Return the job and the outcome of each attempt that was told to have ended."""
    return [(event.job.id, event.ending.outcome.value) for event in told.of(AttemptEnded)]


def change(queue: Queue, statement: str) -> None:
    """Write what no verb writes, on whichever engine."""
    if isinstance(queue.storage, PostgresStorage):
        queue.storage.query(statement)
        return
    with sqlite_of(queue).write() as connection:
        connection.execute(statement)
