"""The cursor follows its job, whatever happens to the list; without a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Sort, Term, View
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.list_cursor import CursorPosition, ListCursor, follow, id_at
from tests.tui.table_app import window

pytestmark = pytest.mark.long

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


def test_id_at_knows_only_what_is_loaded() -> None:
    data = window(range(100), 10, 5)
    assert [id_at(data, line) for line in (9, 10, 14, 15)] == [None, 10, 14, None]


# --- a cursor that moves


def a_cursor(pane: Pane = Pane.PENDING, length: int = 30, total: int = 100) -> ListCursor:
    cursor = ListCursor(pane, window([]))
    cursor.resize(HEIGHT)
    cursor.show(window(range(total), 0, length))
    return cursor


def test_the_screen_moves_as_little_as_needed_and_a_page_keeps_the_line_of_the_screen() -> None:
    cursor = a_cursor()
    cursor.go(10)
    assert cursor.position == CursorPosition(10, 10, 1)
    cursor.go_with_screen(10)
    assert cursor.position == CursorPosition(20, 20, 11)
    cursor.go(1000)
    assert cursor.position == CursorPosition(99, None, 90)
    cursor.go(-5)
    assert cursor.position == CursorPosition(0, 0, 0)


def test_the_job_is_known_from_its_row_and_as_long_as_it_may_be_there() -> None:
    cursor = a_cursor()
    cursor.go(20)
    assert (cursor.job and cursor.job.id, cursor.key) == (20, (20,))
    cursor.scroll_to(80)
    cursor.show(window(range(100), 70, 30))
    assert (cursor.line, cursor.job and cursor.job.id) == (20, 20)
    cursor.go(50)
    assert (cursor.job, cursor.key) == (None, None)
    cursor.show(window(range(100), 30, 30))
    assert cursor.job is not None
    assert cursor.job.id == 50


def test_it_says_by_how_much_the_screen_moved_with_the_list() -> None:
    cursor = a_cursor()
    cursor.go(5)
    assert cursor.show(window([200, 201, *range(100)], 0, 30)) == 2
    assert cursor.position == CursorPosition(7, 5, 2)


def test_it_is_live_at_the_very_top_of_the_newest_and_elsewhere_until_it_was_moved() -> None:
    newest, oldest = a_cursor(Pane.COMPLETED), a_cursor(Pane.PENDING)
    assert newest.is_live
    assert oldest.is_live
    for cursor in (newest, oldest):
        cursor.go(3)
        assert not cursor.is_live
        cursor.go(0)
    assert (newest.is_live, oldest.is_live) == (True, False)
    sorted_by_command = window([200, *range(100)], 0, 30, View(sort=Sort.COMMAND))
    assert newest.show(sorted_by_command) == 1, "by the order that it comes in, not by the one before"


def test_a_lower_screen_keeps_the_cursor_unless_it_was_scrolled_away() -> None:
    cursor = a_cursor()
    cursor.go(9)
    cursor.resize(3)
    assert cursor.position == CursorPosition(9, 9, 7)
    cursor.scroll_to(50)
    cursor.resize(2)
    assert cursor.position == CursorPosition(9, 9, 50)


def test_it_wants_a_window_when_less_than_a_screen_either_way_is_loaded() -> None:
    cursor = a_cursor(length=20)
    assert (cursor.is_window_short, cursor.window_wanted()) == (False, (0, 20))
    cursor.go(15)
    assert (cursor.is_window_short, cursor.window_wanted()) == (True, (0, 36))
    cursor.go(99)
    assert (cursor.is_window_short, cursor.window_wanted()) == (True, (70, 50))
    cursor.show(window(range(100), 70, 30))
    assert not cursor.is_window_short, "there are no more lines than the last"


def test_an_empty_list_and_a_screen_without_lines_want_nothing() -> None:
    cursor = ListCursor(Pane.DLQ, window([]))
    cursor.go(3)
    assert (cursor.position, cursor.job, cursor.is_window_short) == (CursorPosition(), None, False)
    cursor.show(window(range(5), 0, 1))
    assert not cursor.is_window_short
