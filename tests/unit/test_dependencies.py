"""What the jobs of a batch wait for: names are found, circles refused, and all of it is linear."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from core.errors import BatchRefused, Refused, UsageError
from core.model import EdgeKind, NewEdge, NewJob, State
from core.rules.dependencies import BatchEdges, check_needed, circle_words, find_circle, is_met_by

COMPLETE, END = EdgeKind.COMPLETE, EdgeKind.END


def edges_of(*jobs: NewJob | str, is_chain: bool = False, then: NewJob | str | None = None) -> list[NewEdge]:
    """Return the edges of a batch."""
    batch = BatchEdges(is_chain=is_chain, then=then)
    passed = list(batch.noting(jobs))
    assert passed[: len(jobs)] == list(jobs)
    return batch.edges()


def refusal(*jobs: NewJob | str, is_chain: bool = False) -> str:
    """Return why a batch is refused."""
    with pytest.raises(BatchRefused) as caught:
        edges_of(*jobs, is_chain=is_chain)
    return str(caught.value)


def test_a_reference_is_a_ref_a_name_or_a_job_that_exists() -> None:
    """In that order; what comes later in the batch is found as well, and a number is never a ref."""
    assert edges_of(
        NewJob("a", ref="one", after=["two", 12, "13", "elsewhere"]),
        NewJob("b", name="two"),
        NewJob("c", after_end=["one", "two"]),
    ) == [
        NewEdge(0, 1, None, COMPLETE),
        NewEdge(0, None, 12, COMPLETE),
        NewEdge(0, None, 13, COMPLETE),
        NewEdge(0, None, "elsewhere", COMPLETE),
        NewEdge(2, 0, None, END),
        NewEdge(2, 1, None, END),
    ]


def test_a_ref_goes_before_the_name_of_a_job_that_exists() -> None:
    """The nightly batch means its own step, whatever else there is of that name."""
    assert edges_of(NewJob("a", ref="build"), NewJob("b", after=["build"])) == [NewEdge(1, 0, None, COMPLETE)]


def test_a_job_is_waited_for_once_and_completion_is_more_than_an_end() -> None:
    """By ref and by name, twice, and for both: one edge."""
    first = NewJob("a", ref="x", name="y")
    assert edges_of(first, NewJob("b", after=["x", "y", "x"], after_end=["y"])) == [NewEdge(1, 0, None, COMPLETE)]
    assert edges_of(first, NewJob("b", after=[7], after_end=["7"])) == [NewEdge(1, None, 7, COMPLETE)]


def test_one_job_may_be_named_without_a_list() -> None:
    """A text is one reference, not its letters."""
    assert edges_of(NewJob("b", after="build")) == [NewEdge(0, None, "build", COMPLETE)]


def test_a_chain_has_each_job_wait_for_the_one_before() -> None:
    """Besides what the jobs say themselves."""
    assert edges_of("a", NewJob("b", after=[5]), NewJob("c", after_end=["d"]), NewJob("d"), is_chain=True) == [
        NewEdge(1, None, 5, COMPLETE),
        NewEdge(1, 0, None, COMPLETE),
        NewEdge(2, None, "d", END),
        NewEdge(2, 1, None, COMPLETE),
        NewEdge(3, 2, None, COMPLETE),
    ]


@pytest.mark.parametrize("is_chain", [False, True])
def test_then_waits_for_the_end_of_all_the_others(is_chain: bool) -> None:
    """Also in a chain: it comes after a step that died, not when that is mended."""
    edges = edges_of("a", "b", "c", is_chain=is_chain, then="mail")
    assert [edge for edge in edges if edge.position == 3] == [NewEdge(3, one, None, END) for one in range(3)]


def test_then_of_no_jobs_is_no_job() -> None:
    """There is nothing that it could come after."""
    batch = BatchEdges(then="mail")
    assert list(batch.noting([])) == []
    assert batch.edges() == []


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([NewJob("a", ref="a", after=["a"])], "job 1: 'a' waits for itself; leave that out"),
        (
            [NewJob("z"), NewJob("a", ref="a", after=["b"]), NewJob("b", name="b", after_end=["a"])],
            "job 2: 'a' waits for 'b', which waits for 'a': a circle; leave one of these out",
        ),
        (
            [NewJob("a", ref="a", after=["c"]), NewJob("b", ref="b", after=["a"]), NewJob("c", ref="c", after=["b"])],
            "job 1: 'a' waits for 'c', which waits for 'b', which waits for 'a': a circle; leave one of these out",
        ),
    ],
)
def test_a_circle_is_refused_with_its_path(jobs: Sequence[NewJob], words: str) -> None:
    """From the first job of it, as people would follow it."""
    assert refusal(*jobs) == words


def test_a_circle_through_a_chain_names_jobs_without_a_name_by_their_place() -> None:
    """The chain alone has none; with a reference ahead it can."""
    assert refusal(NewJob("a", after=["last"]), "b", NewJob("c", ref="last"), is_chain=True) == (
        "job 1: job 1 waits for 'last', which waits for job 2, which waits for job 1: a circle; leave one of these out"
    )


def test_a_long_circle_is_shortened() -> None:
    """A line is read whole."""
    jobs = [NewJob("x", ref=f"r{n}", after=[f"r{(n + 1) % 100}"]) for n in range(100)]
    assert refusal(*jobs) == (
        "job 1: 'r0' waits for 'r1', which waits for 'r2', which waits for 'r3', which waits for 'r4', which waits for"
        " 'r5', which waits for 93 more, the last of them 'r99', which waits for 'r0': a circle; leave one of these out"
    )


def test_places_can_be_named_by_the_caller() -> None:
    """A file has lines, of which some hold no job."""
    with pytest.raises(BatchRefused) as caught:
        edges_of(NewJob("a", ref="x"), NewJob("b", ref="x"))
    assert str(caught.value) == "job 2: the ref 'x' is given twice, first in job 1"
    assert caught.value.placed(lambda position: f"line {position * 10}") == (
        "line 10: the ref 'x' is given twice, first in line 0"
    )


def test_a_ref_may_not_be_the_name_of_another_job() -> None:
    """Which one is meant by it could not be known; the name of the same job it may be."""
    assert refusal(NewJob("a", ref="x"), NewJob("b", name="x")) == (
        "job 1: the ref 'x' is the name of another job, in job 2; choose another ref"
    )
    assert edges_of(NewJob("a", ref="x", name="x"), NewJob("b", after=["x"])) == [NewEdge(1, 0, None, COMPLETE)]


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (NewJob("a", ref="12"), "the ref '12' is a number and could be taken for an id; add a letter"),
        (NewJob("a", ref=" "), "the ref is empty; give a word, or leave it out"),
        (NewJob("a", after=[""]), "a job of after is empty; give its number or name"),
        (NewJob("a", after=[None]), "each job of after is a number or a name, not None"),  # type: ignore[list-item]
        (NewJob("a", after_end=5.5), "after-end is numbers or names of jobs, not 5.5"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_reference_is_refused(job: NewJob, words: str) -> None:
    """Before anything is stored."""
    with pytest.raises(UsageError) as caught:
        edges_of(job)
    assert str(caught.value) == words


def test_circles_are_found_where_they_are_and_only_there() -> None:
    """Random edges: a circle that is returned is one, and without one there is an order."""
    chance = random.Random(17)
    found = 0
    for _ in range(2000):
        size = chance.randrange(2, 12)
        pairs = [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.randrange(size * 2))]
        circle = find_circle(pairs)
        if circle is None:
            reached: set[int] = set()
            while left := {job for job, _ in pairs} - reached:
                freed = {job for job in left if all(on in reached or on not in left for one, on in pairs if one == job)}
                assert freed, pairs
                reached |= freed
        else:
            found += 1
            assert len(set(circle)) == len(circle)
            assert all(step in pairs for step in zip(circle, [*circle[1:], circle[0]], strict=True)), (pairs, circle)
    assert 200 < found < 1800


class _Counted(int):
    """A whole number that counts how often it is asked for its hash."""

    asked = 0

    def __hash__(self) -> int:
        _Counted.asked += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def test_finding_circles_is_linear() -> None:
    """Ten times the jobs, ten times the look-ups: counted, not timed."""

    def looked_up(size: int) -> int:
        numbers = [_Counted(one) for one in range(size)]
        pairs = [(numbers[n], numbers[n + 1]) for n in range(size - 1)] + [(numbers[0], n) for n in numbers[1:]]
        _Counted.asked = 0
        assert find_circle(pairs) is None
        return _Counted.asked

    assert looked_up(20_000) < 11 * looked_up(2_000)


def test_a_batch_of_a_hundred_thousand_lines_has_its_edges() -> None:
    """Chain and end of all at once, and forward references, which need the search for circles."""
    size = 100_000
    jobs = [NewJob("x", ref=f"r{n}", after=[f"r{n + 1}"] if n + 1 < size else ()) for n in range(size)]
    assert len(edges_of(*jobs, then="mail")) == 2 * size - 1
    assert len(edges_of(*["x"] * size, is_chain=True, then="mail")) == 2 * size - 1


#: What an edge to a job in each state is when it is made, and what an end that comes later makes of it.
MADE = """
    state      complete  end
    pending    unmet     unmet
    running    unmet     unmet
    completed  met       met
    dead       unmet     met
    cancelled  refused   met
    purged     refused   refused
"""


@pytest.mark.parametrize(("state", "complete", "end"), [line.split() for line in MADE.strip().splitlines()[1:]])
def test_what_an_edge_to_a_job_is_when_it_is_made(state: str, complete: str, end: str) -> None:
    """By the state of the needed job and the kind of the edge."""
    for kind, word in ((EdgeKind.COMPLETE, complete), (EdgeKind.END, end)):
        if word == "refused":
            with pytest.raises(Refused, match=r"^job 7 is (cancelled|purged)"):
                check_needed(kind, 7, State(state))
        else:
            check_needed(kind, 7, State(state))
            assert is_met_by(kind, State(state)) is (word == "met")


def test_the_table_of_edges_speaks_of_every_state() -> None:
    """None is left out."""
    assert [line.split()[0] for line in MADE.strip().splitlines()[1:]] == [state.value for state in State]


@pytest.mark.parametrize(
    ("circle", "words"),
    [
        ([5], "job 5 would wait for itself"),
        ([7, 5], "job 5 would wait for itself: 5 → 7 → 5"),
        (list(range(10, 30)), "job 12 would wait for itself: 12 → 13 → 14 → 15 → 16 → 17 → … → 11 → 12"),
    ],
)
def test_a_circle_is_worded_from_the_job_that_was_edited(circle: list[int], words: str) -> None:
    """A long one by its start and its end."""
    assert circle_words(circle, 12 if len(circle) > 2 else 5) == words
