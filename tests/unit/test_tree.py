"""A tree has each job once, below one that it waits for, and says why those wait that cannot go on by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from core.model import Dependency, EdgeKind, Job, Outcome, State, Tree
from core.rules.tree import TreeLine, left_out, note, stem, tree_lines
from tests.tui.scene import make_job

NOW = datetime(2026, 1, 2, 10, 30, tzinfo=timezone.utc)
COMPLETED, DEAD, CANCELLED, PENDING = State.COMPLETED, State.DEAD, State.CANCELLED, State.PENDING


def job(job_id: int, state: State = PENDING, **fields: Any) -> Job:
    return make_job(job_id, state, since=NOW - timedelta(minutes=2), **fields)


def tree(jobs: list[Job], *needs: tuple[int, int], ends: tuple[tuple[int, int], ...] = ()) -> Tree:
    """Return a tree of (job, needed job); an edge is met when the needed job has completed."""
    states = {each.id: each.state for each in jobs}
    jobs = [each._replace(blocks=sum(pair[0] == each.id for pair in (*needs, *ends))) for each in jobs]
    edges = [
        Dependency(job_id, on_id, kind, _is_met(kind, states.get(on_id)))
        for pairs, kind in ((needs, EdgeKind.COMPLETE), (ends, EdgeKind.END))
        for job_id, on_id in pairs
    ]
    return Tree(jobs[0].id, {each.id: each for each in jobs}, tuple(edges))


def _is_met(kind: EdgeKind, state: State | None) -> bool:
    return state in (COMPLETED,) if kind is EdgeKind.COMPLETE else state in (COMPLETED, DEAD, CANCELLED)


def drawn(shown: Tree) -> list[str]:
    return [f"{stem(line.branches)}{line.job.id} {note(line, NOW)}".rstrip() for line in tree_lines(shown)]


def by_id(shown: Tree) -> dict[int, TreeLine]:
    return {line.job.id: line for line in tree_lines(shown)}


def test_a_chain_with_a_dead_step_says_what_it_is_stuck_on() -> None:
    dead = job(12, DEAD, last_outcome=Outcome.FAILED, last_exit_code=7)
    shown = tree([job(14), dead, job(11, COMPLETED), job(15)], (12, 11), (14, 12), (15, 14))
    assert drawn(shown) == [
        "11 2m ago",
        "└ 12 exit 7, 2m ago · 1 waits",
        "  └ 14 stuck: 12 is dead · 1 waits",
        "    └ 15 stuck: 12 is dead",
    ]


def test_in_a_diamond_the_last_step_stands_once_below_what_it_still_waits_for() -> None:
    running = job(3, State.RUNNING, started_at=NOW - timedelta(seconds=12))
    shown = tree([job(1, COMPLETED), job(2, COMPLETED), running, job(4)], (2, 1), (3, 1), (4, 2), (4, 3))
    assert drawn(shown) == [
        "1 2m ago",
        "├ 2 2m ago",
        "└ 3 running for 00:12 · 1 waits",
        "  └ 4 also after 2",
    ]


def test_among_equal_ones_a_job_stands_below_the_one_furthest_from_the_top() -> None:
    shown = tree([job(1), job(2), job(3), job(9)], (3, 2), (9, 1), (9, 3), (2, 1))
    assert [line.split()[-1] if "also" in line else line for line in drawn(shown)][-1] == "1"
    assert by_id(shown)[9].branches == (False, False, False)
    assert by_id(shown)[9].also == (1,)


def test_an_edge_to_an_end_is_not_stuck_on_a_dead_job() -> None:
    dead = job(12, DEAD)
    shown = tree([dead, job(14)], ends=((14, 12),))
    assert by_id(shown)[14].stuck_on == ()


def test_an_edge_to_the_end_of_a_stuck_job_is_stuck_too() -> None:
    shown = tree([job(12, CANCELLED), job(14), job(15)], (14, 12), ends=((15, 14),))
    assert [cause.id for cause in by_id(shown)[15].stuck_on] == [12]
    assert note(by_id(shown)[15], NOW) == "stuck: 12 is cancelled"


def test_a_job_that_has_ended_is_stuck_on_nothing() -> None:
    shown = tree([job(12, DEAD), job(14, COMPLETED)], (14, 12))
    assert by_id(shown)[14].stuck_on == ()


def test_several_causes_are_counted() -> None:
    shown = tree([job(1, DEAD), job(2, State.PURGED), job(3)], (3, 1), (3, 2))
    assert note(by_id(shown)[3], NOW) == "stuck: 1 is dead and 1 more · also after 1"


def test_many_needed_jobs_are_named_up_to_three() -> None:
    jobs = [job(number) for number in range(1, 8)]
    shown = tree(jobs, *((7, number) for number in range(1, 7)))
    assert note(by_id(shown)[7], NOW) == "also after 1, 2, 3 and 2 more"


def test_jobs_that_are_not_in_a_bounded_tree_are_counted_and_named_where_they_matter() -> None:
    shown = tree([job(5), job(6)], (6, 5), (6, 99), (100, 5))
    assert left_out(shown) == 2
    assert by_id(shown)[6].also == (99,)
    assert by_id(shown)[5].waiting == 2


def test_two_tops_with_one_dependent_are_both_drawn() -> None:
    shown = tree([job(3), job(1), job(2)], (3, 1), (3, 2))
    assert [(line.job.id, line.branches) for line in tree_lines(shown)] == [(1, ()), (2, ()), (3, (False,))]


def test_a_deep_chain_keeps_its_place() -> None:
    jobs = [job(number) for number in range(1, 400)]
    shown = tree(jobs, *((number + 1, number) for number in range(1, 399)))
    widths = [len(stem(line.branches)) for line in tree_lines(shown)]
    assert widths[:4] == [0, 2, 4, 6]
    assert max(widths) == 18
    assert stem((False,) * 30).startswith("⋯ ")


@pytest.mark.parametrize(
    ("branches", "unicode", "ascii"),
    [((), "", ""), ((True,), "├ ", "|-"), ((True, False), "│ └ ", "| `-"), ((False, True), "  ├ ", "  |-")],
)
def test_stems(branches: tuple[bool, ...], unicode: str, ascii: str) -> None:
    assert (stem(branches), stem(branches, is_ascii=True)) == (unicode, ascii)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (job(1), "ready"),
        (job(1, is_held=True, blocks=1), "held"),
        (job(1, run_at=NOW + timedelta(hours=3)), "at 13:30"),
        (job(1, run_at=NOW + timedelta(seconds=14), attempts=1, last_outcome=Outcome.FAILED), "retry in 14s"),
        (job(1, CANCELLED), "cancelled, 2m ago"),
        (job(1, COMPLETED, last_outcome=Outcome.SUCCEEDED, last_exit_code=0), "2m ago"),
    ],
)
def test_where_a_job_stands(shown: Job, words: str) -> None:
    assert note(TreeLine(shown, ()), NOW) == words
