"""Schedules with several worker processes that are killed at random: no instant is missing, and none has two jobs.

What time it is says a calendar that the test shares with the workers; nothing depends on how fast anything is.
"""

from __future__ import annotations

import random
import shlex
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from core.clock import to_ms
from core.model import Job, State, View
from core.queue import Queue
from tests.fakes import SharedClock
from tests.processes import start_python, wait_for

pytestmark = pytest.mark.long

ENGINES = ("sqlite", "postgres")
START_MS = 1_893_499_200_000  # noon UTC on 1 January 2030

WORKER = """
import sys
from core import Queue, Worker
from tests.fakes import SharedClock

with Queue(sys.argv[1], clock=SharedClock(sys.argv[2])) as queue:
    Worker(queue, slots=4).run()
"""

#: A worker that is killed in the transaction of its tick: it has added the job, and not committed.
KILLED_INSIDE = """
import os, signal, sys
from core import Queue
from core.storage.postgres import schedules as on_server
from core.storage.sqlite import schedules as in_file
from tests.fakes import SharedClock

module, name = (in_file, "add_one") if sys.argv[3] == "sqlite" else (on_server, "store")
real = getattr(module, name)

def die(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, die)
with Queue(sys.argv[1], clock=SharedClock(sys.argv[2])) as queue:
    queue.storage.schedules.tick()
"""

#: One that is killed when its tick is committed, before it has seen that.
KILLED_AFTER = """
import os, signal, sys
from core import Queue
from tests.fakes import SharedClock

with Queue(sys.argv[1], clock=SharedClock(sys.argv[2])) as queue:
    queue.storage.schedules.tick()
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Calendar:
    """A queue on a calendar of the test's own, and the processes that share both."""

    def __init__(self, queue: Queue, clock: SharedClock, file: Path, engine: str) -> None:
        self.queue = queue
        self.clock = clock
        self.file = file
        self.engine = engine
        self.workers: list[Popen[str]] = []

    def run(self, program: str) -> Popen[str]:
        """Start a program with the queue and the calendar."""
        return start_python(program, self.queue.path, self.file, self.engine)

    def start_worker(self) -> None:
        """Start one more worker."""
        self.workers.append(self.run(WORKER))

    def kill_worker(self, index: int) -> None:
        """End one of the workers as a crash would."""
        worker = self.workers.pop(index)
        assert worker.poll() is None, worker.communicate()
        worker.send_signal(signal.SIGKILL)
        worker.communicate()

    def advance(self, seconds: float) -> None:
        """Let time pass, and see all decided that is due then."""
        self.clock.advance(seconds)
        self.see_decided()

    def see_decided(self) -> None:
        """Wait until workers have decided about all that is due."""
        now = self.queue.now()
        wait_for(
            lambda: all(one.next_at is None or one.next_at > now for one in self.queue.schedules()), "all is decided"
        )

    def see_ended(self) -> list[Job]:
        """Wait until no job is unfinished; return all jobs."""
        wait_for(lambda: not self.queue.count(View((State.PENDING, State.RUNNING))), "all jobs have ended")
        return self.queue.jobs(View(), limit=10_000)

    def instants(self, name: str) -> list[int]:
        """Return the instants that have a job, in seconds since the start, each with its own."""
        found = [one for one in self.queue.occurrences(name, 10_000) if one.job_id is not None]
        assert len({one.job_id for one in found}) == len(found)
        return sorted((to_ms(one.due_at) - START_MS) // 1000 for one in found)


@pytest.fixture
def calendar(queue: Queue, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Calendar]:
    """Open the queue again on a calendar that stands still until it is told to move."""
    file = tmp_path / "calendar"
    clock = SharedClock.at(file, START_MS)
    engine = "postgres" if queue.path.startswith("postgres") else "sqlite"
    with Queue(queue.path, clock=clock) as opened:
        found = Calendar(opened, clock, file, engine)
        try:
            yield found
        finally:
            for _ in range(len(found.workers)):
                found.kill_worker(0)


def test_no_instant_is_missing_or_double_whoever_is_killed(calendar: Calendar) -> None:
    """Three workers, of which one is killed at nearly every instant."""
    queue, chance = calendar.queue, random.Random(17)
    queue.add_schedule("every", "true", every_s=10, missed="all", overlap="allow")
    queue.add_schedule("cron", "true", cron="* * * * *", zone="Europe/Berlin", missed="all", overlap="allow")
    queue.add_schedule("fails", "false", every_s=20, missed="all", overlap="allow", max_attempts=1)
    queue.add_schedule("queued", "true", every_s=30, missed="all", overlap="queue")
    for _ in range(3):
        calendar.start_worker()
    passed = 0
    for step in range(40):
        seconds = chance.choice((10, 10, 10, 30, 100))
        passed += seconds
        calendar.clock.advance(seconds)
        if chance.random() < 0.8:
            calendar.kill_worker(chance.randrange(len(calendar.workers)))
            calendar.start_worker()
        if step % 4 == 3:  # before a job can be lost more than five times in a row, and dead by that
            calendar.see_decided()
            calendar.see_ended()
    calendar.see_decided()
    assert calendar.instants("every") == list(range(10, passed + 1, 10))
    assert calendar.instants("cron") == list(range(60, passed + 1, 60))
    assert calendar.instants("fails") == list(range(20, passed + 1, 20))
    assert calendar.instants("queued") == list(range(30, passed + 1, 30))
    jobs = calendar.see_ended()
    made = Counter((job.label, (job.env or {})["QUEUECTL_DUE_AT"]) for job in jobs)
    assert len(made) == len(jobs) == sum(passed // seconds for seconds in (10, 60, 20, 30))
    assert {job.state for job in jobs if job.label != "fails"} == {State.COMPLETED}
    assert {job.state for job in jobs if job.label == "fails"} == {State.DEAD}


def test_a_dead_run_does_not_hold_up_the_next(calendar: Calendar) -> None:
    """Nor does one whose worker was killed: it is brought to its end by another."""
    queue = calendar.queue
    queue.add_schedule("fails", "false", every_s=60, max_attempts=1)
    calendar.start_worker()
    for number in range(1, 4):
        calendar.advance(60)
        assert [job.state for job in calendar.see_ended()] == [State.DEAD] * number
        calendar.kill_worker(0)
        calendar.start_worker()
    assert calendar.instants("fails") == [60, 120, 180]


def test_an_unfinished_run_skips_instants_until_it_ends(calendar: Calendar, tmp_path: Path) -> None:
    """Also while its worker is dead and another has adopted it."""
    queue = calendar.queue
    queue.add_schedule("slow", f"while ! test -e {shlex.quote(f'{tmp_path}/go')}; do sleep 0.02; done", every_s=60)
    calendar.start_worker()
    calendar.advance(60)
    wait_for(lambda: queue.job(1).state is State.RUNNING, "it runs")
    calendar.kill_worker(0)
    calendar.start_worker()
    calendar.advance(60)
    assert queue.schedule("slow").note == "skipped: 1 is unfinished"
    (tmp_path / "go").touch()
    assert [job.state for job in calendar.see_ended()] == [State.COMPLETED]
    calendar.advance(60)
    assert calendar.instants("slow") == [60, 180]


def test_a_tick_that_is_killed_before_its_commit_has_done_nothing(calendar: Calendar) -> None:
    """The next one does all of it."""
    queue = calendar.queue
    queue.add_schedule("every", "true", every_s=60)
    calendar.clock.advance(60)
    killed = calendar.run(KILLED_INSIDE)
    assert (killed.communicate(timeout=60)[1], killed.returncode) == ("", -signal.SIGKILL)
    assert (queue.count(View()), queue.occurrences("every"), queue.schedule("every").last_job_id) == (0, [], None)
    assert queue.storage.schedules.tick() == 1
    assert calendar.instants("every") == [60]


def test_a_tick_that_is_killed_after_its_commit_is_not_repeated(calendar: Calendar) -> None:
    """Its job is run by another."""
    queue = calendar.queue
    queue.add_schedule("every", "true", every_s=60)
    calendar.clock.advance(60)
    killed = calendar.run(KILLED_AFTER)
    assert (killed.communicate(timeout=60)[1], killed.returncode) == ("", -signal.SIGKILL)
    assert calendar.instants("every") == [60]
    assert queue.storage.schedules.tick() == 0
    calendar.start_worker()
    assert [job.state for job in calendar.see_ended()] == [State.COMPLETED]


def test_nothing_is_added_while_no_worker_is_alive(calendar: Calendar) -> None:
    """The one that comes decides by what the schedules say about missed instants."""
    queue = calendar.queue
    queue.add_schedule("once", "true", every_s=60)
    queue.add_schedule("skip", "true", every_s=60, missed="skip")
    calendar.start_worker()
    calendar.advance(60)
    calendar.see_ended()
    calendar.kill_worker(0)
    calendar.clock.advance(600.0 + 70)  # the last one is 10 s late, the one before is missed
    assert queue.count(View()) == 2
    calendar.start_worker()
    calendar.see_decided()
    assert (calendar.instants("once"), calendar.instants("skip")) == ([60, 720], [60, 720])
