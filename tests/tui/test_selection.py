"""The cursor and the marks follow their jobs, whatever happens to the list; without a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.model import Term, View
from queuectl_tui.widgets.selection import CursorPosition, Marks, follow, id_at
from tests.tui.table_app import window

HEIGHT = 10


# --- the cursor


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[int], list[int], CursorPosition]:
    """Draw a list, what became of it, and a cursor that is on screen."""
    before = list(range(draw(st.integers(1, 60))))
    after = list(before)
    for _ in range(draw(st.integers(0, 8))):
        action = draw(st.sampled_from(["leave", "come", "move"]))
        if action == "come":
            after.insert(draw(st.integers(0, len(after))), 1000 + len(after) + draw(st.integers(0, 10**6)))
        elif after:
            job_id = after.pop(draw(st.integers(0, len(after) - 1)))
            if action == "move":
                after.insert(draw(st.integers(0, len(after))), job_id)
    line = draw(st.integers(0, len(before) - 1))
    top = draw(st.integers(max(0, line - HEIGHT + 1), line))
    top = max(0, min(top, len(before) - HEIGHT))
    return before, list(dict.fromkeys(after)), CursorPosition(line, line, top)


@given(changes())
def test_the_cursors_job_never_changes_unless_it_left(change: tuple[list[int], list[int], CursorPosition]) -> None:
    before, after, position = change
    new = follow(position, window(before), window(after), HEIGHT, is_live=False)
    if position.job_id in after:
        assert new.job_id == position.job_id
        assert new.line == after.index(new.job_id)
    if after:
        assert new.is_on_screen(HEIGHT)
        assert new.job_id == after[new.line]
        assert 0 <= new.top <= max(0, len(after) - HEIGHT)
    else:
        assert new == CursorPosition()


@given(changes())
def test_the_cursor_stays_on_its_line_of_the_screen(change: tuple[list[int], list[int], CursorPosition]) -> None:
    """Only the ends of the list can move it: there is nothing to scroll to."""
    before, after, position = change
    new = follow(position, window(before), window(after), HEIGHT, is_live=False)
    is_at_an_end = new.top in (0, max(0, len(after) - HEIGHT))
    assert is_at_an_end or new.line - new.top == position.line - position.top


@given(changes())
def test_a_live_cursor_stays_at_the_top(change: tuple[list[int], list[int], CursorPosition]) -> None:
    before, after, _ = change
    new = follow(CursorPosition(0, before[0], 0), window(before), window(after), HEIGHT, is_live=True)
    assert (new.line, new.top, new.job_id) == (0, 0, after[0] if after else None)


@given(changes())
def test_what_is_on_screen_stays_while_the_cursor_is_elsewhere(
    change: tuple[list[int], list[int], CursorPosition],
) -> None:
    before, after, position = change
    scrolled = CursorPosition(position.line, position.job_id, position.line + 1)
    new = follow(scrolled, window(before), window(after), HEIGHT, is_live=False)
    first = next((job_id for job_id in before[scrolled.top : scrolled.top + HEIGHT] if job_id in after), None)
    if first is not None and 0 < new.top < len(after) - HEIGHT:
        assert after.index(first) - new.top == first - scrolled.top
    if position.job_id in after:
        assert new.line == after.index(position.job_id)


def test_a_job_that_leaves_hands_the_cursor_to_the_next_one() -> None:
    before = list(range(50))
    after = [90, 91, *[job_id for job_id in before if job_id != 20]]
    assert follow(CursorPosition(20, 20, 15), window(before), window(after), HEIGHT, is_live=False) == CursorPosition(
        22, 21, 17
    )


def test_the_last_job_hands_the_cursor_to_the_one_before() -> None:
    assert follow(CursorPosition(4, 4, 0), window(range(5)), window(range(4)), HEIGHT, is_live=False) == CursorPosition(
        3, 3, 0
    )


def test_another_view_without_the_job_starts_at_the_top() -> None:
    filtered = window(range(30, 40), view=View(terms=(Term("text", "x"),)))
    assert follow(CursorPosition(20, 20, 15), window(range(50)), filtered, HEIGHT, is_live=False) == CursorPosition(
        0, 30, 0
    )


def test_another_view_with_the_job_keeps_it() -> None:
    reversed_ids = list(reversed(range(50)))
    new = follow(
        CursorPosition(20, 20, 15),
        window(range(50)),
        window(reversed_ids, view=View(is_reversed=True)),
        10,
        is_live=False,
    )
    assert new == CursorPosition(29, 20, 24)


def test_a_cursor_beyond_the_window_keeps_its_line_and_job() -> None:
    ids = list(range(1000))
    new = follow(CursorPosition(20, 20, 500), window(ids, 480, 50), window(ids, 480, 50), HEIGHT, is_live=False)
    assert new == CursorPosition(20, 20, 500)


# --- marks


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


def test_id_at_knows_only_what_is_loaded() -> None:
    data = window(range(100), 10, 5)
    assert [id_at(data, line) for line in (9, 10, 14, 15)] == [None, 10, 14, None]
