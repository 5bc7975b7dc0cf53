"""``after:`` and ``is:`` find waiting jobs by what keeps them back, as each job by itself says it."""

from __future__ import annotations

import pytest

from core.clock import to_datetime
from core.errors import UsageError
from core.model import Outcome, Phase, Sort, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter
from core.rules.views import WAITS
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand, job_in

pytestmark = pytest.mark.long

PENDING = View((State.PENDING,))
STATES: tuple[tuple[State, ...], ...] = ((State.PENDING,), (), (State.PENDING, State.DEAD), (State.DEAD,))


def _found(queue: Queue, text: str, states: tuple[State, ...] = ()) -> list[int]:
    """Return the ids of the jobs that a filter finds, which every way to read a list in any order agrees on."""
    every: set[tuple[int, ...]] = set()
    for sort in Sort:
        for is_reversed in (False, True):
            view = View(states, parse_filter(text), sort, is_reversed)
            ids = queue.ids(view)
            assert queue.count(view) == len(ids)
            rows = queue.rows(view)
            assert [row.job.id for row in rows] == ids
            for at, row in enumerate(rows):
                assert [one.job.id for one in queue.rows(view, after=row.key)] == ids[at + 1 :]
                assert queue.position_of(view, row.key) == at
                assert queue.key_at(view, at) == row.key
            every.add(tuple(sorted(ids)))
    (found,) = every
    return list(found)


@pytest.fixture
def crowd(queue: Queue, hand: Hand, clock: FakeClock) -> dict[str, int]:
    """Fill the queue with jobs that wait for all that there is; return the ids of some by what they are."""
    names = {state.value: job_in(queue, hand, state) for state in (State.DEAD, State.COMPLETED, State.RUNNING)}
    waits = {"after running": ["running"], "after dead": ["dead"], "after both": ["running", "dead"]}
    soon = to_datetime(clock.now_ms() + 5_000)
    later = to_datetime(clock.now_ms() + 60_000)
    names["failed"] = queue.add("true", name="failed", max_attempts=3, backoff_base=60, priority=900)
    hand.do_next(Outcome.FAILED)
    names["spared"] = queue.add("true", priority=900, name="spared")
    hand.do_next(Outcome.INTERRUPTED)
    names["due"] = queue.add("true", run_at=soon, queue="media")
    clock.advance(10)
    names["ready"] = queue.add("true", needs="gpu")
    names["delayed"] = queue.add("true", run_at=later)
    names["held"] = queue.add("true", is_held=True)
    names["cancelled while held"] = queue.add("true", is_held=True)
    queue.cancel(names["cancelled while held"])
    for name, needed in waits.items():
        names[name] = queue.add("true", name=name, after=[names[one] for one in needed])
    names["held and after"] = queue.add("true", is_held=True, after=[names["after dead"]])
    names["far after dead"] = queue.add("true", after=[names["held and after"]], run_at=later, queue="media")
    names["after the end of running"] = queue.add("true", after_end=[names["running"]])
    names["after completed"] = queue.add("true", after=[names["completed"]])
    cancelled = queue.add("true", name="gone", priority=5)
    names["after gone"] = queue.add("true", after=[cancelled])
    queue.cancel(cancelled)
    names["after purged"] = queue.add("true", after=[queue.add("true", name="swept")])
    queue.cancel("swept")
    queue.purge("swept")
    names["cancelled after dead"] = queue.add("true", after=[names["dead"]])
    queue.cancel(names["cancelled after dead"])
    return names


def _is(queue: Queue, word: str) -> list[int]:
    """Return the ids of the jobs that a word after ``is:`` speaks of, each job looked at by itself."""
    jobs = list(queue.jobs(View()))
    now = queue.now()
    stuck = {job_id for job_id, blocker in queue.blockers([job.id for job in jobs]).items() if blocker.is_stuck}
    unmet = {edge.job_id for job in jobs for edge in queue.edges_of([job.id]) if not edge.is_met}
    held = [job.id for job in jobs if job.state is State.PENDING and job.is_held]
    if word == "stuck":
        return sorted(stuck)
    if word == "blocked":
        return sorted(job.id for job in jobs if job.state is State.PENDING and job.id in unmet)
    return sorted(held if word == "held" else [job.id for job in jobs if job.phase(now) is Phase(word)])


@pytest.mark.parametrize("word", WAITS)
def test_a_job_is_found_by_what_keeps_it_back(queue: Queue, crowd: dict[str, int], word: str) -> None:
    """In the list of waiting jobs as in that of all, and the others by the negated term."""
    wanted = _is(queue, word)
    assert wanted
    for states in STATES:
        every = [job.id for job in queue.jobs(View(states))]
        assert _found(queue, f"is:{word}", states) == sorted(set(wanted) & set(every))
        assert _found(queue, f"!is:{word}", states) == sorted(set(every) - set(wanted))


def test_what_each_word_means(queue: Queue, crowd: dict[str, int]) -> None:
    """A job can be held and blocked; a stuck one waits for a job that will not end by itself, however far away."""
    at = {job_id: name for name, job_id in crowd.items()}
    found = {word: {at[job_id] for job_id in _found(queue, f"is:{word}")} for word in WAITS}
    stuck = {"after dead", "after both", "held and after", "far after dead", "after gone", "after purged"}
    assert found == {
        "ready": {"due", "ready", "spared", "after completed"},
        "delayed": {"delayed"},
        "retrying": {"failed"},
        "blocked": stuck | {"after running", "after the end of running"},
        "held": {"held", "held and after"},
        "stuck": stuck,
    }
    assert _found(queue, "is:blocked !is:held queue:media") == [crowd["far after dead"]]


def test_stuck_jobs_are_found_until_what_is_in_the_way_is_mended(queue: Queue, crowd: dict[str, int]) -> None:
    """Nothing of it is kept: a replay frees all that hang on the job."""
    queue.replay(crowd["dead"])
    assert _found(queue, "is:stuck") == sorted([crowd["after gone"], crowd["after purged"]])


def test_a_job_is_found_by_what_it_waits_for_itself(queue: Queue, crowd: dict[str, int]) -> None:
    """By number or name; not by way of others, not once that is met, and not when it no longer waits."""
    dead, running = crowd["dead"], crowd["running"]
    wanted = sorted([crowd["after dead"], crowd["after both"]])
    for states in ((), (State.PENDING,), (State.PENDING, State.RUNNING)):
        assert _found(queue, f"after:{dead}", states) == wanted
        every = [job.id for job in queue.jobs(View(states))]
        assert _found(queue, f"!after:{dead}", states) == sorted(set(every) - set(wanted))
        assert _found(queue, f'after:{running} after:{dead} "after both"', states) == [crowd["after both"]]
        assert _found(queue, "after:gone", states) == [crowd["after gone"]]
        assert _found(queue, "after:swept", states) == [crowd["after purged"]]
        assert _found(queue, 'after:"after dead"', states) == [crowd["held and after"]]
        assert _found(queue, f"after:{crowd['held and after']} queue:media", states) == [crowd["far after dead"]]
        assert _found(queue, f"after:{crowd['completed']}", states) == []
        assert _found(queue, "after:nobody", states) == _found(queue, "after:999999", states) == []
        assert _found(queue, f"after:{'9' * 30}", states) == _found(queue, "after:a\0b", states) == []
    assert _found(queue, f"after:{dead}", (State.DEAD, State.CANCELLED)) == []


def test_acts_take_these_filters(queue: Queue, crowd: dict[str, int]) -> None:
    """What hangs on a dead job is cancelled without a list of it; what is held is released."""
    assert queue.cancel(View((State.PENDING,), parse_filter(f"after:{crowd['dead']}"))).count == 2
    assert queue.release(View((State.PENDING,), parse_filter("is:held"))).count == 2
    assert _found(queue, "is:held") == []


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term("is", "late"), "the value of the term 'is' is one of ready, delayed, .*, not 'late'"),
        (Term("is", 1), "the value of the term 'is' is a text, not 1"),
        (Term("after", -1), "the value of the term 'after' is from 0 to "),
        (Term("after", None), "the value of the term 'after' is a job's number or name, not None"),  # type: ignore[arg-type]
    ],
)
def test_a_term_of_a_program_is_checked(queue: Queue, term: Term, message: str) -> None:
    """As all others are."""
    with pytest.raises(UsageError, match=message):
        queue.ids(PENDING._replace(terms=(term,)))
