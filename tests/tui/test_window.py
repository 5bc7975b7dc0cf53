"""The window that the reader keeps on a list stays with its anchor while rows come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model import NewJob, Sort, State, Term, View
from core.queue import Queue
from queuectl_tui.gateway.window import Wanted, Window
from queuectl_tui.snapshot import Pane, PaneData
from tests.fakes import FakeClock


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue.db", clock=FakeClock()) as opened:
        opened.enqueue_many(NewJob(f"echo {number}") for number in range(500))
        yield opened


def read(window: Window, queue: Queue) -> PaneData:
    """Read a window as the reader does."""
    return window.read(queue, queue.counts())


def ids_in(data: PaneData) -> list[int]:
    return [row.job.id for row in data.rows]


def test_the_top_is_read_first(queue: Queue) -> None:
    data = read(Window(Pane.PENDING), queue)
    assert (data.start, data.total, ids_in(data)[:3]) == (0, 500, [1, 2, 3])


def test_a_far_jump_lands_where_it_was_aimed(queue: Queue) -> None:
    window = Window(Pane.PENDING)
    window.want(Wanted(200, 50))
    data = read(window, queue)
    assert (data.start, ids_in(data)) == (200, list(range(201, 251)))


def test_the_end_is_read_from_the_end(queue: Queue) -> None:
    window = Window(Pane.PENDING)
    read(window, queue)
    window.want(Wanted(460, 60))
    data = read(window, queue)
    assert data.start + len(data.rows) == data.total == 500
    assert ids_in(data)[-1] == 500


def test_a_window_stays_with_its_rows_when_rows_above_leave(queue: Queue) -> None:
    """Three hundred jobs from the top are cancelled; the person in the middle sees the same rows, with new numbers."""
    window = Window(Pane.PENDING)
    window.want(Wanted(400, 40))
    before = read(window, queue)
    queue.cancel(list(range(1, 301)))
    after = read(window, queue)
    assert ids_in(after) == ids_in(before)
    assert after.start == 100


def test_a_window_near_the_top_follows_its_anchor_when_jobs_come_in_above(queue: Queue) -> None:
    """Two hundred urgent jobs come first; the anchor's row is still in the window, at its true position."""
    window = Window(Pane.PENDING)
    data = read(window, queue)
    anchor = data.rows[5]
    window.want(Wanted(0, 60, anchor.key))
    queue.enqueue_many(NewJob("true", priority=9) for _ in range(200))
    data = read(window, queue)
    line = data.start + ids_in(data).index(anchor.job.id)
    assert line == queue.position_of(window.view, anchor.key) == 205


def test_a_filter_counts_what_matches(queue: Queue) -> None:
    window = Window(Pane.PENDING)
    window.set_view(View(states=(State.PENDING,), terms=(Term("text", "echo 1"),)))
    data = read(window, queue)
    assert not data.is_counted
    assert window.is_count_due
    data = read(window, queue)
    assert (data.total, data.is_counted) == (111, True)


def test_a_filter_that_fits_into_the_window_is_counted_at_once(queue: Queue) -> None:
    window = Window(Pane.PENDING)
    window.set_view(View(states=(State.PENDING,), terms=(Term("text", "echo 123"),)))
    data = read(window, queue)
    assert (data.total, data.is_counted) == (1, True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 520), length=st.integers(1, 90), line=st.integers(0, 499))
def test_any_window_is_a_true_slice_of_the_list(queue: Queue, start: int, length: int, line: int) -> None:
    """Whatever is wanted, what comes is rows ``start`` to ``start + len`` of the list as it is."""
    window = Window(Pane.PENDING)
    read(window, queue)
    key = queue.key_at(window.view, line)
    window.want(Wanted(start, length, key))
    data = read(window, queue)
    assert ids_in(data) == list(range(data.start + 1, data.start + len(data.rows) + 1))
    assert line + 1 in ids_in(data)


@pytest.mark.parametrize(
    "view", [View(), View(sort=Sort.ID), View(is_reversed=True), View(sort=Sort.ID, is_reversed=True)]
)
def test_a_first_page_shows_what_reading_shows(queue: Queue, view: View) -> None:
    window, other = Window(Pane.PENDING), Window(Pane.PENDING)
    for one in (window, other):
        one.set_view(view._replace(states=Pane.PENDING.states))
    for _ in range(2):
        assert window.is_at_top
        (page,) = queue.first_pages([(window.view, window.wanted.length)], [window.page])
        assert window.show_page(page, queue.counts()) == read(other, queue)
        queue.edit(2, command="echo changed")


@pytest.mark.parametrize(
    ("view", "start", "is_at_top"),
    [
        (View(), 0, True),
        (View(sort=Sort.COMMAND), 0, False),
        (View(sort=Sort.DURATION), 0, False),
        (View(terms=(Term("id", 1),)), 0, False),
        (View(), 10, False),
    ],
)
def test_only_tops_in_an_order_of_an_index_are_read_as_pages(view: View, start: int, is_at_top: bool) -> None:
    window = Window(Pane.PENDING)
    window.set_view(view)
    window.want(Wanted(start))
    assert window.is_at_top == is_at_top
