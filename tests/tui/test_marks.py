"""The marks stay on their jobs, and a range covers what lies between; without a terminal."""

from __future__ import annotations

from core.model import State, Term, View
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.list_cursor import ListCursor
from queuectl_tui.widgets.marks import ListMarks, Marks
from tests.tui.table_app import window


def test_a_range_grows_and_shrinks_with_the_cursor() -> None:
    marks, data = Marks(ids={40}), window(range(50))
    marks.start_range(10, 10)
    assert marks.stretch(13, data) is None
    assert marks.listed() == {10, 11, 12, 13, 40}
    marks.stretch(9, data)
    assert marks.listed() == {9, 10, 40}
    marks.end_range()
    marks.stretch(30, data)
    assert marks.listed() == {9, 10, 40}


def test_a_range_over_rows_that_were_never_loaded_asks_for_them() -> None:
    ids = list(range(1000))
    marks = Marks()
    marks.start_range(10, 10)
    assert marks.stretch(990, window(ids, 960, 40)) == (11, 959)
    marks.learn(11, range(11, 960))
    assert marks.stretch(990, window(ids, 960, 40)) is None
    assert marks.listed() == set(range(10, 991))


def test_a_range_follows_its_jobs_when_the_list_moves() -> None:
    marks = Marks()
    marks.start_range(10, 10)
    marks.stretch(12, window(range(50)))
    marks.stretch(14, window([90, 91, *range(50)]), shift=2)
    assert marks.listed() == {10, 11, 12}


def test_all_but_some() -> None:
    marks = Marks(ids={3})
    marks.mark_all()
    marks.toggle(7)
    assert 7 not in marks
    assert 8 in marks
    assert marks.count(500_000) == 499_999
    assert marks.clear()
    assert not marks.clear()


# --- what the keys do


class Listed:
    """Marks at the cursor of a list of ``total`` jobs, and what they reported."""

    def __init__(self, total: int = 50) -> None:
        self.cursor = ListCursor(Pane.PENDING, window([]))
        self.cursor.resize(10)
        self.refusals: list[str] = []
        self.changes = 0
        self.marks = ListMarks(self.cursor, self._note, self.refusals.append)
        self.show(window(range(total)).view, range(total))

    def _note(self) -> None:
        self.changes += 1
        self.marks.stretch()

    def show(self, view: View, ids: range) -> None:
        old = self.cursor.data
        shift = self.cursor.show(window(ids, view=view))
        self.marks.show(old)
        self.marks.stretch(shift)


def test_a_mark_moves_on_and_without_marks_the_cursors_job_is_meant() -> None:
    listed = Listed()
    assert listed.marks.selection() == [0]
    listed.marks.toggle()
    listed.marks.toggle()
    assert (listed.marks.selection(), listed.cursor.line, listed.marks.count) == ([0, 1], 2, 2)
    assert listed.changes == 2
    assert listed.marks.clear()
    assert (listed.marks.selection(), listed.marks.count) == ([2], 0)


def test_a_range_is_drawn_until_it_is_started_again() -> None:
    listed = Listed()
    listed.marks.start_range()
    listed.cursor.go(4)
    assert listed.marks.stretch() is None
    listed.marks.start_range()
    listed.cursor.go(9)
    assert listed.marks.stretch() is None
    assert listed.marks.ids == {0, 1, 2, 3, 4}


def test_all_that_match_is_a_view_and_over_when_others_match() -> None:
    listed = Listed()
    view = View(states=(State.PENDING,))
    listed.show(view, range(50))
    listed.marks.mark_all()
    listed.marks.toggle()
    assert (listed.marks.selection(), listed.marks.excluded, listed.marks.count) == (view, frozenset({0}), 49)
    listed.show(view._replace(terms=(Term("text", "x"),)), range(5))
    assert (listed.marks.is_all, listed.marks.count) == (False, 0)


def test_taken_marks_come_back_unless_others_were_set_or_other_jobs_match() -> None:
    listed = Listed()
    listed.marks.toggle()
    taken = listed.marks.take()
    assert listed.marks.count == 0
    listed.marks.give_back(taken)
    assert listed.marks.ids == {0}
    taken = listed.marks.take()
    listed.marks.toggle()
    listed.marks.give_back(taken)
    assert listed.marks.ids == {1}
    taken = listed.marks.take()
    listed.show(View(terms=(Term("text", "x"),)), range(5))
    listed.marks.give_back(taken)
    assert listed.marks.count == 0


def test_where_there_is_no_job_nothing_is_marked_and_why_is_said() -> None:
    listed = Listed(total=0)
    for press in (listed.marks.toggle, listed.marks.start_range, listed.marks.mark_all):
        press()
    assert listed.refusals == ["There is no job to mark."] * 3
    assert (listed.marks.count, listed.changes) == (0, 0)
