"""Lists paged by key show what sorting all jobs in memory would show, for every kind of view."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cli import job_selection
from core.clock import to_datetime
from core.errors import UsageError
from core.model import Job, NewJob, Outcome, Sort, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter
from core.rules.views import DONE
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand
from tests.storage.contract.engines import Engine

STATES: tuple[tuple[State, ...], ...] = (
    (State.COMPLETED, State.CANCELLED),
    (),
    *((state,) for state in State),
    (State.PENDING, State.RUNNING),
    DONE,
    (State.DEAD, State.CANCELLED, State.PURGED),
)
FILTERS = (
    "",
    "queue:media",
    "!queue:media",
    "queue:m*",
    "echo",
    "!echo",
    "id:3",
    "exit:7",
    "state:dead",
    ">1s",
    "age:>1m",
)


@pytest.fixture(scope="module")
def crowd(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Queue]:
    """Return a queue of 90 jobs in all states, many of which tie in priority, time, command and duration."""
    clock = FakeClock()
    with engine.database(request) as address, Queue(address, clock=clock) as queue, Hand(queue) as hand:
        _fill(queue, hand, clock)
        yield queue


def _fill(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    for number in range(90):
        if number % 4 == 0:
            clock.advance(1)
        queue.enqueue(
            NewJob(
                ("echo b", "echo a", "true", "sleep 100%_x")[number % 4],
                queue=("default", "media")[number % 2],
                priority=number % 3,
                label=("red", None)[number % 2],
                max_attempts=1 + number % 2,
                run_at=to_datetime(clock.now_ms() + 10_000 * (1 + number % 3)) if number % 5 == 4 else None,
            )
        )
    outcomes = itertools.cycle(outcome for outcome in Outcome if outcome is not Outcome.LOST)
    for number in range(40):
        if number % 3 == 0:
            clock.advance(0.5)
        (claim,) = hand.claim()
        if number % 7:
            hand.record(claim, next(outcomes))
    queue.purge(queue.ids(View(states=(State.COMPLETED,)))[:3])
    queue.cancel(queue.ids(View(states=(State.PENDING,)))[:3])
    clock.advance(11)  # some of the delayed jobs are due then, and no worker has found them so
    assert {job.run_at <= to_datetime(clock.now_ms()) for job in queue.jobs(View()) if job.run_at} == {True, False}


def naive_key(view: View, job: Job, now_ms: int) -> tuple[Any, ...]:
    """Return what a plain sort would sort a job by."""
    moment = now_ms / 1000
    if view.sort is Sort.COMMAND:
        return (job.command, job.id)
    if view.sort is Sort.DURATION:
        is_running = job.state is State.RUNNING and job.started_at is not None
        took = moment - job.started_at.timestamp() if is_running and job.started_at else job.run_s
        return (-(took if took is not None else -0.001), -job.id)
    if view.sort is Sort.CPU:
        return (-(-0.001 if job.cpu_s is None else job.cpu_s), -job.id)
    if view.sort is Sort.MEMORY:
        return (-(-1 if job.max_rss_bytes is None else job.max_rss_bytes), -job.id)
    is_done = view.states == (State.COMPLETED, State.CANCELLED)
    if view.sort is Sort.ID or (len(view.states) != 1 and not is_done):
        return (job.id,)
    if view.states == (State.PENDING,):
        is_due = job.run_at is None or job.run_at <= to_datetime(now_ms)
        return (0, -job.priority, job.id) if is_due else (1, job.run_at, job.id)
    if view.states == (State.RUNNING,):
        return (job.started_at, job.id)
    return (-job.since.timestamp(), -job.id)


def holds(term: Term, job: Job, now_ms: int) -> bool:
    """Tell whether a term of a filter holds for a job, the slow and obvious way."""
    value = term.value
    took = job.run_s
    if job.state is State.RUNNING and job.started_at is not None:
        took = now_ms / 1000 - job.started_at.timestamp()
    number = value if isinstance(value, int) else 0
    answers: dict[str, bool] = {
        "text": any(str(value).lower() in (text or "").lower() for text in (job.command, job.name, job.label)),
        "queue": job.queue == value or (value == "m*" and job.queue.startswith("m")),
        "id": job.id == value,
        "exit": job.last_exit_code == value,
        "state": job.state.value == value,
        "took_over": took is not None and took * 1000 > number,
        "age_over": now_ms - job.enqueued_at.timestamp() * 1000 > number,
    }
    return answers[term.field] is not term.is_negated


@functools.cache
def _every_job(queue: Queue) -> list[Job]:
    """Read each job by itself, once: nothing changes in the crowd."""
    return [queue.job(job_id) for job_id in range(1, 91)]


def naive(queue: Queue, view: View) -> list[int]:
    """Return the ids of a view, found by looking at every job and sorting them all."""
    now_ms = queue.storage.clock.now_ms()
    every = _every_job(queue)
    states = view.states or tuple(state for state in State if state is not State.PURGED)
    chosen = [job for job in every if job.state in states and all(holds(term, job, now_ms) for term in view.terms)]
    return [job.id for job in sorted(chosen, key=lambda job: naive_key(view, job, now_ms), reverse=view.is_reversed)]


VIEWS = st.builds(
    View,
    states=st.sampled_from(STATES),
    terms=st.sampled_from([parse_filter(text) for text in FILTERS]),
    sort=st.sampled_from(Sort),
    is_reversed=st.booleans(),
)


@given(view=VIEWS, limit=st.integers(1, 40))
@settings(max_examples=300)
def test_pages_forwards_and_backwards_are_the_sorted_list(crowd: Queue, view: View, limit: int) -> None:
    """Page after page from the first row, and page before page from the last, without a gap or a repetition."""
    wanted = naive(crowd, view)
    assert crowd.ids(view) == wanted
    assert crowd.count(view) == len(wanted)
    assert _forwards(crowd, view, limit) == wanted
    assert _backwards(crowd, view, limit) == wanted


def _forwards(queue: Queue, view: View, limit: int) -> list[int]:
    found: list[int] = []
    page = queue.rows(view, limit=limit)
    while page:
        assert len(page) <= limit
        found += [row.job.id for row in page]
        page = queue.rows(view, after=page[-1].key, limit=limit)
    return found


def _backwards(queue: Queue, view: View, limit: int) -> list[int]:
    found: list[int] = []
    page = queue.last_rows(view, limit=limit)
    while page:
        assert len(page) <= limit
        found = [row.job.id for row in page] + found
        page = queue.rows(view, before=page[0].key, limit=limit)
    return found


@given(view=VIEWS, position=st.integers(0, 95))
@settings(max_examples=300)
def test_a_far_jump_lands_where_it_says(crowd: Queue, view: View, position: int) -> None:
    """The key at a position, the position of that key, the rows around it and the key of its job all agree."""
    wanted = naive(crowd, view)
    key = crowd.key_at(view, position)
    if position >= len(wanted):
        assert key is None
        return
    assert key is not None
    assert crowd.position_of(view, key) == position
    assert key == crowd.key_of(view, crowd.job(wanted[position]))
    assert _ids(crowd.rows(view, after=key, limit=5)) == wanted[position + 1 : position + 6]
    assert _ids(crowd.rows(view, before=key, limit=5)) == wanted[max(0, position - 5) : position]


def _ids(rows: Sequence[Any]) -> list[int]:
    return [row.job.id for row in rows]


@given(view=VIEWS)
@settings(max_examples=60)
def test_a_row_brings_the_key_that_its_job_has(crowd: Queue, view: View) -> None:
    """What a list hands out for paging is what ``key_of`` computes."""
    for row in crowd.rows(view):
        assert row.key == crowd.key_of(view, row.job)


@pytest.mark.parametrize("sort", list(Sort))
def test_a_key_still_pages_after_its_job_is_gone(queue: Queue, hand: Hand, sort: Sort) -> None:
    """A page goes on from where it was, whatever became of its last row."""
    queue.enqueue_many(NewJob(f"echo {number:02}") for number in range(10))
    view = View(states=(State.PENDING,), sort=sort)
    page = queue.rows(view, limit=4)
    queue.cancel([row.job.id for row in page])
    following = queue.rows(view, after=page[-1].key, limit=4)
    rest = [job_id for job_id in queue.ids(view) if job_id not in _ids(following)]
    assert len(following) == 4
    assert not set(_ids(page)) & set(_ids(following))
    assert len(rest) == 2


@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "'", '"', "x' OR 1=1 --", "100%_x", "*", "?", "[a-z]", ";", "\x1b[31m", "ÄÖ", "\U0001f600"]
)
def test_a_filter_is_text_and_never_a_pattern_or_sql(queue: Queue, text: str) -> None:
    """Special characters of LIKE, GLOB and SQL stand for themselves."""
    queue.enqueue(f"echo {text}")
    queue.enqueue("echo plain")
    view = View(terms=(Term("text", text),))
    assert queue.ids(view) == [1]
    assert queue.count(view) == 1
    for field in ("queue", "label", "name"):
        assert text == "*" or queue.ids(View(terms=(Term(field, text),))) == []


@pytest.mark.parametrize("field", ["text", "queue", "label", "name", "output"])
@pytest.mark.parametrize("text", ["a\0b", "\0*"])
def test_a_text_that_no_job_can_have_is_found_in_none(queue: Queue, field: str, text: str) -> None:
    queue.enqueue("true")
    assert queue.ids(View(terms=(Term(field, text),))) == []
    assert queue.ids(View(terms=(Term(field, text, is_negated=True),))) == [1]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a.b", "aXb", "a\\b", "A1b", "a-b", "a]b", "a^b", "äb", "a b c"]),
        ("a*b", ["a.b", "aXb", "a\\b", "a-b", "a]b", "a^b"]),
        ("a.*", ["a.b"]),
        ("a?b*", ["a.b", "aXb", "a\\b", "a-b", "a]b", "a^b", "a b c"]),
        ("a[.X]*", ["a.b", "aXb"]),
        ("a[^.X]*", ["a\\b", "a-b", "a]b", "a^b", "a b c"]),
        ("[A-Z]*", ["A1b"]),
        ("a[]]*", ["a]b"]),
        ("a[^]]b*", ["a.b", "aXb", "a\\b", "a-b", "a^b", "a b c"]),
        ("a[Y-A]*", []),
        ("a[\\-]*", ["a\\b", "a-b"]),
        ("a[X", []),
        ("a[*", []),
        ("a\\*", ["a\\b"]),
        ("* *", ["a b c"]),
        ("ä*", ["äb"]),
        ("?b*", ["äb"]),
        ("Ä*", []),
        ("*(b|c)*", []),
        ("a{1}*", []),
    ],
)
def test_a_star_makes_a_pattern_of_the_whole_label(queue: Queue, pattern: str, found: list[str]) -> None:
    """As a shell matches names: any text, any character, one of a set or none of it; case matters."""
    labels = ["a.b", "aXb", "a\\b", "A1b", "a-b", "a]b", "a^b", "äb", "a b c"]
    queue.enqueue_many(NewJob("true", label=label) for label in labels)
    if "*" not in pattern:
        assert queue.ids(View(terms=(Term("label", pattern),))) == []
        return
    assert [job.label for job in queue.jobs(View(terms=(Term("label", pattern),)))] == found
    others = queue.jobs(View(terms=(Term("label", pattern, is_negated=True),)))
    assert [job.label for job in others] == [label for label in labels if label not in found]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [("straße", True), ("STRAßE", True), ("STRASSE", False), ("ÄPFEL", False), ("äpfel", True), ("KELVIN", True)],
)
def test_case_does_not_matter_in_ascii_letters_alone(queue: Queue, text: str, is_found: bool) -> None:
    """What letters are alike beyond ASCII depends on a language, and on the library that says so."""
    queue.enqueue("echo äpfel Straße kelvin")
    assert queue.count(View(terms=(Term("text", text),))) == is_found


def test_what_is_due_stands_where_it_will_be_claimed(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Before a worker has found it due, and in the order in which a worker then takes it; the key is the place's."""
    later = to_datetime(clock.now_ms() + 5000)
    urgent = queue.enqueue(NewJob("true", priority=5, run_at=later)).id
    first = queue.enqueue("true").id
    delayed = queue.enqueue(NewJob("true", run_at=later)).id
    second = queue.enqueue("true").id
    view = View(states=(State.PENDING,))
    assert queue.ids(view) == [first, second, urgent, delayed]
    assert queue.next_due_at() == later
    clock.advance(6)
    order = [urgent, first, delayed, second]
    assert queue.ids(view) == [job.id for job in queue.jobs(view)] == order
    assert [row.job.id for row in queue.rows(view, after=(0, 0, first))] == [delayed, second]
    assert [row.key for row in queue.rows(view)] == [(0, 5, urgent), *((0, 0, job_id) for job_id in order[1:])]
    assert queue.next_due_at() is None
    assert [hand.do_next() for _ in range(4)] == order


@pytest.mark.parametrize("is_reversed", [False, True])
def test_pages_with_one_now_hold_each_job_once_though_it_becomes_due_meanwhile(
    queue: Queue, clock: FakeClock, is_reversed: bool
) -> None:
    """It stays behind those that were ready; the clock alone would move it to a page that was read before."""
    urgent = NewJob("true", priority=9, run_at=to_datetime(clock.now_ms() + 1000))
    queue.enqueue_many([urgent, *(NewJob("true") for _ in range(5))])
    view = View(states=(State.PENDING,), is_reversed=is_reversed)
    now, before = to_datetime(clock.now_ms()), queue.ids(view)
    found, key = [], None
    while rows := queue.rows(view, after=key, limit=2, now=now):
        found += [row.job.id for row in rows]
        key = rows[-1].key
        clock.advance(1)
    assert found == before
    assert queue.ids(view) != before
    assert [row.job.id for row in reversed(queue.rows(view, before=key, limit=5, now=now))] == found[-2::-1]
    with pytest.raises(UsageError, match="now"):
        queue.rows(view, now=5)  # type: ignore[arg-type]


def test_list_shows_each_job_once_though_one_becomes_due_meanwhile(
    queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_selection, "_PAGE", 2)
    urgent = NewJob("true", priority=9, run_at=to_datetime(clock.now_ms() + 1000))
    queue.enqueue_many([urgent, *(NewJob("true") for _ in range(5))])
    view = View(states=(State.PENDING,))
    before, found = queue.ids(view), []
    for page in job_selection.pages_of(queue, view):
        found += [job.id for job in page]
        clock.advance(1)
    assert found == before


def test_order_is_by_priority_and_id_whatever_the_clock_did(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A wall clock that jumps back an hour changes nothing about who is next."""
    first = queue.enqueue("true").id
    clock.jump(-3600)
    second = queue.enqueue("true").id
    urgent = queue.enqueue("true", priority=1).id
    assert queue.ids(View(states=(State.PENDING,))) == [urgent, first, second]
    assert [hand.do_next() for _ in range(3)] == [urgent, first, second]
    assert all(job.run_s is not None and job.run_s >= 0 for job in queue.jobs(View()))
    waits = queue.metrics(7200)
    assert waits.wait_p50_s is not None
    assert waits.wait_p50_s >= 0


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("field", ["text", "queue", "label", "name", "after"])
def test_a_text_that_no_job_can_have_finds_none(crowd: Queue, field: str, states: tuple[State, ...]) -> None:
    """In lists that an index gives as in those that it does not; the negated term finds all."""
    view = View(states, (Term(field, "a\0b"),))
    assert (crowd.ids(view), crowd.rows(view), crowd.count(view)) == ([], [], 0)
    assert crowd.ids(View(states, (Term(field, "a\0b", True),))) == crowd.ids(View(states))
