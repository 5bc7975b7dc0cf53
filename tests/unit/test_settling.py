"""In which order the consequences of ends are drawn, and where a transaction stops."""

from __future__ import annotations

import pytest

from core.model import ENDED_STATES, EdgeKind, State
from core.rules.dependencies import is_met_by, kinds_met_by
from core.rules.settling import Note, settle_notes


class Jobs:
    """Notes with how many jobs wait for each of their ends, by an edge and behind a canary; ``done`` is what was."""

    def __init__(self, *waiting: tuple[int, int], is_end: bool = True) -> None:
        self.notes = [Note(at, at, "completed", 1, 10 + at, is_end) for at in range(len(waiting))]
        self.edges = [edges for edges, _ in waiting]
        self.rest = [rest for _, rest in waiting]
        self.done: list[str] = []

    def first_note(self) -> Note | None:
        return self.notes[0] if self.notes else None

    def meet_edges(self, note: Note, limit: int) -> int:
        met = min(self.edges[note.id], limit)
        self.edges[note.id] -= met
        self.done += [f"meet {met} of {note.id}"] * (met > 0)
        return met

    def replay_rest(self, note: Note, limit: int) -> int:
        replayed = min(self.rest[note.id], limit)
        self.rest[note.id] -= replayed
        self.done += [f"replay {replayed} of {note.id}"] * (replayed > 0)
        return replayed

    def remove(self, note: Note) -> None:
        assert (self.edges[note.id], self.rest[note.id]) in ((0, 0), (0, self.rest[note.id] * (not note.is_end)))
        self.notes.remove(note)
        self.done.append(f"remove {note.id}")

    def run_hooks(self, note: Note) -> None:
        assert note not in self.notes
        self.done.append(f"hooks of {note.id}")


def test_edges_then_the_rest_of_a_canary_then_hooks_whose_note_is_gone() -> None:
    jobs = Jobs((2, 3), (0, 0))
    assert not settle_notes(jobs, 100)
    assert jobs.done == ["meet 2 of 0", "replay 3 of 0", "remove 0", "hooks of 0", "remove 1", "hooks of 1"]


def test_what_is_no_end_of_its_own_meets_edges_alone() -> None:
    jobs = Jobs((2, 3), is_end=False)
    assert not settle_notes(jobs, 100)
    assert jobs.done == ["meet 2 of 0", "remove 0"]


@pytest.mark.parametrize("limit", range(2, 9))
def test_no_transaction_is_for_more_jobs_than_its_limit_and_none_is_forgotten(limit: int) -> None:
    """A note stays until all that it frees is free, and each one is worked off once."""
    jobs = Jobs((5, 0), (0, 4), (0, 0), (3, 3), (limit, 0), (0, limit))
    turns = 1
    while settle_notes(jobs, limit):
        freed = [int(step.split()[1]) for step in jobs.done if step.startswith(("meet", "replay"))]
        assert sum(freed) <= limit
        jobs.done.clear()
        turns += 1
        assert turns < 100
    assert jobs.notes == []
    assert not any((*jobs.edges, *jobs.rest))


def test_notes_without_anything_to_do_count_too() -> None:
    jobs = Jobs(*[(0, 0)] * 5)
    assert settle_notes(jobs, 3)
    assert jobs.done == [f"{what} {at}" for at in (0, 1) for what in ("remove", "hooks of")]


@pytest.mark.parametrize("state", State)
def test_an_end_meets_the_kinds_that_its_state_meets(state: State) -> None:
    assert kinds_met_by(state) == tuple(kind for kind in EdgeKind if is_met_by(kind, state))
    assert (EdgeKind.END in kinds_met_by(state)) is (state in ENDED_STATES)
    assert (EdgeKind.COMPLETE in kinds_met_by(state)) is (state is State.COMPLETED)
