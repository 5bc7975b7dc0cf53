"""What programs hand to the library by mistake: each refusal is a ``UsageError`` that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import core
from core.errors import JobNotFound, QueueError, UsageError
from core.execution.worker import Worker
from core.model import NewJob, Sort, State, Term, View
from core.queue import Queue
from core.rules.arguments import MAX_WHOLE

HUGE = 10**30
#: More digits than Python writes.
ENDLESS = 10**5000

Call = Callable[[Any], object]

#: The classes as a program without types sees them.
_View: Any = View
_Term: Any = Term
_Queue: Any = Queue
_Worker: Any = Worker
_NewJob: Any = NewJob

WRONG: list[tuple[str, Call]] = [
    ("job is a command or a NewJob, not 5", lambda q: q.add(5)),
    ("job is a command or a NewJob, not None", lambda q: q.enqueue(None)),
    ("job is a command or a NewJob, not {'command': 'a'}", lambda q: q.add({"command": "a"}, label="x")),
    ("jobs is a list of commands or NewJobs, not 'true'", lambda q: q.enqueue_many("true")),
    ("jobs is a list of commands or NewJobs, not NewJob", lambda q: q.enqueue_many(_NewJob("true"))),
    ("jobs is a list of commands or NewJobs, not 5", lambda q: q.enqueue_many(5)),
    ("job 2: job is a command or a NewJob, not 7", lambda q: q.enqueue_many(["a", 7])),
    ("the command is a text", lambda q: q.add(_NewJob(b"a"))),
    ("a job has no field nme", lambda q: q.add("a", nme="x")),
    ("the name is a text", lambda q: q.add("a", name=5)),
    ("the queue is a text", lambda q: q.add("a", queue=None)),
    ("the label is a text", lambda q: q.add("a", label=["x"])),
    ("the priority is a whole number, not '5'", lambda q: q.add("a", priority="5")),
    ("the priority is a whole number, not 1.5", lambda q: q.add("a", priority=1.5)),
    ("the priority is a whole number, not True", lambda q: q.add("a", priority=True)),
    ("the priority is from", lambda q: q.add("a", priority=HUGE)),
    ("the priority is from", lambda q: q.add("a", priority=ENDLESS)),
    ("max-attempts is a whole number", lambda q: q.add("a", max_attempts="3")),
    ("max-attempts is from 1", lambda q: q.add("a", max_attempts=HUGE)),
    ("the timeout is a number", lambda q: q.add("a", timeout_s="5m")),
    ("the timeout is a number, not False", lambda q: q.add("a", timeout_s=False)),
    ("the timeout is from", lambda q: q.add("a", timeout_s=ENDLESS)),
    ("backoff-base is a number", lambda q: q.add("a", backoff_base="2")),
    ("cwd is a path", lambda q: q.add("a", cwd=5)),
    ("env is a mapping", lambda q: q.add("a", env=["A=1"])),
    ("the value of the variable 'A' is a text, not 1", lambda q: q.add("a", env={"A": 1})),
    ("the name of a variable is a text", lambda q: q.add("a", env={1: "A"})),
    ("ok-exit is exit codes", lambda q: q.add("a", ok_exit=24)),
    ("dead-exit is exit codes", lambda q: q.add("a", dead_exit=[1])),
    ("run_at is a datetime", lambda q: q.add("a", run_at="2030-01-01")),
    ("run_at is a datetime", lambda q: q.add("a", run_at=5)),
    ("run_at .* is out of range", lambda q: q.add("a", run_at=datetime.max)),
    ("a job is given by its number or name, not None", lambda q: q.job(None)),
    ("a job is given by its number or name, not 1.0", lambda q: q.attempts(1.0)),
    ("a job is given by its number or name, not True", lambda q: q.history(True)),
    ("a job is given by its number or name", lambda q: q.environment(b"a")),
    ("a job is given by its number or name", lambda q: q.waiting([1])),
    ("a job is given by its number or name", lambda q: q.edit(None, label="x")),
    ("a job is given by its number or name", lambda q: q.cancel([1, None])),
    ("the number of the attempt is a whole number", lambda q: q.output(1, "1")),
    ("the number of the attempt is from 1", lambda q: q.output(1, 0)),
    ("the number of the attempt is from 1", lambda q: q.output(1, HUGE)),
    ("view is a View", lambda q: q.jobs("dead")),
    ("view is a View", lambda q: q.count(State.DEAD)),
    ("view is a View", lambda q: q.ids(None)),
    ("view is a View", lambda q: q.last_rows(5)),
    ("view is a View", lambda q: q.key_of("dead", q.job(1))),
    ("the states of a view", lambda q: q.jobs(_View(State.DEAD))),
    ("each state of a view is a State", lambda q: q.count(_View(("dead",)))),
    ("each term of a view is a Term", lambda q: q.jobs(_View(terms=_Term("id", 1)))),
    ("each term of a view is a Term", lambda q: q.jobs(_View(terms=("id:1",)))),
    ("no field 'commnd' in a term", lambda q: q.jobs(_View(terms=(_Term("commnd", "x"),)))),
    ("the value of the term 'id' is", lambda q: q.jobs(_View(terms=(_Term("id", HUGE),)))),
    ("the value of the term 'text' is", lambda q: q.count(_View(terms=(_Term("text", None),)))),
    ("the order of a view is a Sort", lambda q: q.jobs(_View(sort="id"))),
    ("limit is a whole number", lambda q: q.jobs(_View(), limit=None)),
    ("limit is from 0", lambda q: q.rows(_View(), limit=HUGE)),
    ("limit is from 0", lambda q: q.last_rows(_View(), limit=-1)),
    ("position is from 0", lambda q: q.key_at(_View(), HUGE)),
    ("job is a Job", lambda q: q.key_of(_View(sort=Sort.ID), 1)),
    ("count is from 1", lambda q: q.minutes(0)),
    ("count is from 1", lambda q: q.minutes(HUGE)),
    ("window_s is a whole number", lambda q: q.metrics("1h")),
    ("window_s is from 1", lambda q: q.metrics(HUGE)),
    ("jobs is numbers or names of jobs, or a View, not None", lambda q: q.replay(None)),
    ("jobs is numbers or names of jobs, or a View, not 1.5", lambda q: q.purge(1.5)),
    ("older_than_s is a number", lambda q: q.purge(_View(), older_than_s="7d")),
    ("older_than_s is from 0", lambda q: q.purge(_View(), older_than_s=HUGE)),
    ("the number of the act is a whole number", lambda q: q.undo("1")),
    ("the number of the act is from", lambda q: q.undo(HUGE)),
    ("the queue is a text", lambda q: q.pause(5)),
    ("the queue is a text", lambda q: q.limit(None, 5)),
    ("the limit is a whole number", lambda q: q.limit("a", "5")),
    ("the limit is from 0", lambda q: q.limit("a", HUGE)),
    ("the value of max-attempts is a text", lambda q: q.set("max-attempts", 5)),
    ("max-attempts is a whole number", lambda q: q.set("max-attempts", str(HUGE))),
    ("the key is a text", lambda q: q.unset(5)),
    ("the number of a worker is a whole number", lambda q: q.stop_worker("1")),
    ("the number of a worker is from", lambda q: q.stop_worker(HUGE)),
    ("path is a path", lambda q: q.backup(5)),
    ("path is a path", lambda q: _Queue(5)),
    ("busy_timeout_s is a number", lambda q: _Queue(q.path, busy_timeout_s="5s")),
    ("queue is a Queue", lambda q: _Worker("jobs.db")),
    ("slots is a whole number", lambda q: _Worker(q, slots="2")),
    ("slots is from 0", lambda q: _Worker(q, slots=-1)),
    ("queues is a list of texts, not 'media'", lambda q: _Worker(q, queues="media")),
    ("each of queues is a text", lambda q: _Worker(q, queues=[5])),
]


@pytest.mark.parametrize(("words", "call"), WRONG)
def test_a_wrong_argument_is_refused_by_its_name(queue: Queue, words: str, call: Call) -> None:
    """One line, and nothing is changed."""
    queue.add("true")
    with pytest.raises(UsageError, match=rf"^{words}") as raised:
        call(queue)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    assert queue.ids(View()) == [1]


@pytest.mark.parametrize(
    "reference", [HUGE, -HUGE, MAX_WHOLE + 1, ENDLESS, -1, "9" * 5000, 10**18], ids=lambda one: type(one).__name__
)
def test_no_job_has_a_number_that_no_job_can_have(queue: Queue, reference: int | str) -> None:
    """Beyond 64 bits too; by number, as text, and in a list."""
    with pytest.raises(JobNotFound) as raised:
        queue.job(reference)
    assert len(str(raised.value)) < 300
    with pytest.raises(JobNotFound):
        queue.cancel([reference])


def test_a_long_list_of_numbers_skips_those_that_no_job_has(queue: Queue) -> None:
    """As it does those of jobs that are gone."""
    queue.add("true")
    act = queue.cancel([1, HUGE, *range(5000, 7000)])
    assert (act.count, act.skipped) == (1, 2001)


def test_many_jobs_may_be_given_by_their_commands(queue: Queue) -> None:
    """What ``add`` takes, one by one; also mixed, also from a generator."""
    assert queue.enqueue_many(["a", NewJob("b", label="x")]) == range(1, 3)
    assert queue.enqueue_many(f"c{number}" for number in range(2)) == range(3, 5)
    assert [job.command for job in queue.jobs(View(sort=Sort.ID))] == ["a", "b", "c0", "c1"]
    assert queue.enqueue("true") == queue.job(5)


def test_the_working_directory_may_be_a_path(queue: Queue, tmp_path: Path) -> None:
    """As everywhere in Python."""
    assert queue.enqueue("true", cwd=tmp_path).cwd == str(tmp_path)
    with Queue(tmp_path / "other.db") as other:
        assert other.backup(tmp_path / "copy.db") == 0


def test_a_worker_runs_once(queue: Queue) -> None:
    """It has one life: a second start or run is refused, and changes nothing."""
    worker = Worker(queue, drain=True)
    worker.start()
    for again in (worker.start, worker.run):
        with pytest.raises(UsageError, match="this worker was started already; make another one"):
            again()
    assert worker.join(20)
    with pytest.raises(UsageError, match="started already"):
        worker.run()


def test_dir_lists_the_public_names_and_each_is_there() -> None:
    """Before any of them was loaded."""
    assert dir(core) == sorted(core.__all__)
    assert {"Queue", "Worker", "State", "Term", "Refused"} <= set(dir(core))
    assert all(getattr(core, name) is not None for name in dir(core))
    assert issubclass(core.Refused, QueueError)
