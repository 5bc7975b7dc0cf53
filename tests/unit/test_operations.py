"""What may be edited and undone, as both engines ask it."""

from __future__ import annotations

import pytest

from core.errors import Refused
from core.model import EdgeKind, State, Verb
from core.rules.dependencies import add_edge, edges_to_json, restored_edges
from core.rules.operations import UNDOABLE, check_attempts, columns_of_undo, verb_to_undo


@pytest.mark.parametrize("then_retry", [False, True])
@pytest.mark.parametrize("state", [State.PENDING, State.DEAD])
def test_only_a_dead_job_that_starts_anew_is_given_fewer_attempts_than_it_spent(state: State, then_retry: bool) -> None:
    check_attempts(7, 3, 3, state, then_retry)
    if state is State.DEAD and then_retry:
        check_attempts(7, 1, 3, state, then_retry)
    else:
        with pytest.raises(Refused, match="job 7 has spent 3 attempts"):
            check_attempts(7, 2, 3, state, then_retry)


def test_what_can_be_undone_is_undone_once() -> None:
    for verb in Verb:
        if verb.value in UNDOABLE:
            assert verb_to_undo(5, verb.value, None) is verb
            with pytest.raises(Refused, match="act 5 was undone already"):
                verb_to_undo(5, verb.value, 1)
        else:
            with pytest.raises(Refused, match="act 5 cannot be undone"):
                verb_to_undo(5, verb.value, None)
    with pytest.raises(Refused, match="act 5 cannot be undone"):
        verb_to_undo(5, None, None)


def test_an_undo_parts_columns_from_edges_and_knows_all_it_sets() -> None:
    columns, edges = columns_of_undo(Verb.RETRY, {"state": "dead", "starts": 2, "after": {"1": ["end", True]}})
    assert (columns["state"], "starts" in columns, edges) == ("dead", False, {"after": {"1": ["end", True]}})
    with pytest.raises(ValueError, match="not columns of an undo"):
        columns_of_undo(Verb.RETRY, {"id": 9})


def test_of_two_edges_to_one_job_that_until_completion_holds() -> None:
    for kinds in ((EdgeKind.END, EdgeKind.COMPLETE), (EdgeKind.COMPLETE, EdgeKind.END)):
        edges: dict[int, tuple[EdgeKind, bool]] = {}
        for kind in kinds:
            add_edge(edges, 3, kind, kind is EdgeKind.END)
        assert edges == {3: (EdgeKind.COMPLETE, False)}


def test_restored_edges_count_what_needed_jobs_have_done_since() -> None:
    old = {1: (EdgeKind.COMPLETE, False), 2: (EdgeKind.END, False), 3: (EdgeKind.COMPLETE, True)}
    kept = edges_to_json(old)
    states = {1: State.PENDING, 2: State.DEAD, 3: State.PENDING}
    assert restored_edges(9, kept, states) == {**old, 2: (EdgeKind.END, True)}
    assert restored_edges(9, kept, {1: State.COMPLETED, 2: State.RUNNING}) == {
        1: (EdgeKind.COMPLETE, True),
        2: (EdgeKind.END, False),
    }
    with pytest.raises(Refused, match="job 9 waited for job 2, which was removed for good"):
        restored_edges(9, kept, {1: State.PENDING})
