"""The job table: the cursor and the marks stay on their jobs, and only what changed is painted."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from rich.cells import cell_len
from textual import events
from textual.geometry import Region

from core.model import Job, Sort, State, Term, View
from queuectl_tui.snapshot import Pane
from queuectl_tui.widgets.job_table import JobTable
from tests.tui.harness import counted_layouts
from tests.tui.table_app import HOSTILE, NOW, TableApp, a_job, lines, of_jobs, running, window


async def test_moving_the_cursor_repaints_two_lines() -> None:
    async with running() as (_, table, pilot):
        table.show(window(range(100)), NOW)
        await pilot.pause()
        table.refreshed.clear()
        table.move(1)
        assert [(region.y, region.height) for region in table.refreshed if region] == [(0, 1), (1, 1)]
        assert None not in table.refreshed
        assert lines(table)[1].startswith("▶")


async def test_one_changed_job_repaints_one_line() -> None:
    async with running() as (_, table, pilot):
        jobs = [a_job(job_id, attempts=job_id % 2) for job_id in range(30)]
        table.show(of_jobs(jobs), NOW)
        await pilot.pause()
        table.refreshed.clear()
        jobs[4] = jobs[4]._replace(attempts=1)
        table.show(of_jobs(jobs), NOW)
        assert table.refreshed == [Region(0, 4, 79, 1)]


async def test_a_column_appears_with_the_first_row_that_differs_and_goes_with_the_filter() -> None:
    async with running() as (_, table, _):
        table.show(of_jobs([a_job(1), a_job(2)]), NOW)
        assert "default" not in lines(table)[0]
        table.show(of_jobs([a_job(1), a_job(2), a_job(3, queue="media")]), NOW)
        assert [line.split()[-3] for line in lines(table)[:3]] == ["default", "default", "media"]
        table.show(of_jobs([a_job(3, queue="media")], view=View(terms=(Term("queue", "media"),))), NOW)
        assert "media" not in lines(table)[0]


async def test_the_same_again_repaints_nothing() -> None:
    async with running() as (_, table, pilot):
        jobs = [a_job(job_id, since=NOW - timedelta(minutes=9)) for job_id in range(30)]
        table.show(of_jobs(jobs), NOW)
        await pilot.pause()
        table.refreshed.clear()
        table.show(of_jobs(jobs), NOW)
        table.tick(NOW + timedelta(seconds=1))
        assert table.refreshed == []


def three_running() -> list[Job]:
    """Return jobs that began half a second apart."""
    starts = [NOW - timedelta(milliseconds=job_id * 500) for job_id in range(3)]
    return [a_job(job_id, State.RUNNING, started_at=at, attempts=job_id % 2) for job_id, at in enumerate(starts)]


async def test_a_tick_repaints_the_times_that_changed_and_nothing_else() -> None:
    async with running(Pane.RUNNING) as (_, table, pilot):
        jobs = three_running()
        table.show(of_jobs(jobs), NOW)
        await pilot.pause()
        table.refreshed.clear()
        table.tick(NOW + timedelta(milliseconds=500))
        assert table.refreshed == [Region(0, 1, 79, 1)]


async def test_between_ticks_only_jobs_that_changed_are_looked_at() -> None:
    """Times move with the ticks, all at once; a refresh in between costs what changed."""
    async with running(Pane.RUNNING) as (_, table, pilot):
        jobs = three_running()
        table.show(of_jobs(jobs), NOW)
        await pilot.pause()
        table.refreshed.clear()
        jobs[2] = jobs[2]._replace(attempts=2)
        table.show(of_jobs(jobs), NOW + timedelta(milliseconds=500))
        assert table.refreshed == [Region(0, 2, 79, 1)]
        table.refreshed.clear()
        table.tick(NOW + timedelta(milliseconds=500))
        assert table.refreshed == [Region(0, 1, 79, 1)]


async def test_no_layout_when_jobs_come_and_go() -> None:
    async with running(Pane.COMPLETED) as (_, table, pilot):
        table.show(window(range(3)), NOW)
        await pilot.pause()
        with counted_layouts(table) as layouts:
            for total in (4, 9, 11, 12_482, 12_483, 5, 0, 1_000_000):
                table.show(window(range(total), 0, 30), NOW)
                await pilot.pause()
                assert table.virtual_size.height == total
        assert layouts == []


async def test_rows_above_a_cursor_in_the_middle_repaint_nothing() -> None:
    """The list scrolls under the screen so that every line shows what it showed; only the thumb may move."""
    async with running(Pane.COMPLETED) as (app, table, pilot):
        table.show(window(range(100, 200)), NOW)
        table.move(5)
        await pilot.pause()
        table.refreshed.clear()
        app.said.clear()
        table.show(window(range(98, 200)), NOW)
        assert table.refreshed == []
        assert table.cursor.job is not None
        assert (table.cursor.job.id, table.cursor.line, table.scroll_offset.y) == (105, 7, 2)
        await pilot.pause()
        assert app.said == []


async def test_the_newest_first_list_is_live_at_its_top_and_others_follow_the_job_once_moved() -> None:
    async with running(Pane.COMPLETED) as (_, table, _):
        table.show(window(range(10, 30)), NOW)
        table.move(3)
        table.home()
        table.show(window(range(9, 30)), NOW)
        assert table.marks.selection() == [9]
        table.show(window(range(8, 30), view=View(sort=Sort.COMMAND)), NOW)
        assert table.marks.selection() == [9]
    async with running(Pane.PENDING) as (_, table, _):
        table.show(window(range(10, 30)), NOW)
        table.show(window(range(9, 30)), NOW)
        assert table.marks.selection() == [9]
        table.move(1)
        table.move(-1)
        table.show(window(range(8, 30)), NOW)
        assert table.marks.selection() == [9]


@pytest.mark.parametrize("seed", range(4))
async def test_random_transitions_around_the_cursor(seed: int) -> None:
    """Jobs come, leave and move, the person moves, rows come in windows: the cursor's job stays unless it left."""
    dice = random.Random(seed)
    async with running() as (_, table, pilot):
        ids = list(range(200))
        table.show(window(ids, 0, 30), NOW)
        table.move(40)
        for step in range(150):
            start, length = table.cursor.window_wanted()
            table.show(window(ids, start, length), NOW)
            before = table.cursor.job
            assert before is not None
            for _ in range(dice.randrange(4)):
                if dice.random() < 0.5:
                    ids.insert(dice.randrange(len(ids)), 1000 + step * 10 + dice.randrange(10))
                else:
                    del ids[dice.randrange(len(ids))]
            ids = list(dict.fromkeys(ids))
            start, length = table.cursor.window_wanted()
            table.show(window(ids, start, length), NOW)
            assert table.cursor.job is not None
            if before.id in ids:
                assert table.cursor.job.id == before.id
            assert ids[table.cursor.line] == table.cursor.job.id
            shown = lines(table)[table.cursor.line - table.scroll_offset.y]
            assert shown.startswith("▶")
            assert str(table.cursor.job.id) in shown
            dice.choice([table.move, table.page, table.half_page])(dice.choice([-1, 1, 2]))
        await pilot.pause()


async def test_keys_of_a_list() -> None:
    async with running() as (_, table, _):
        table.show(window(range(100)), NOW)
        table.move(9)
        assert (table.cursor.line, table.scroll_offset.y) == (9, 0)
        table.move(1)
        assert (table.cursor.line, table.scroll_offset.y) == (10, 1)
        table.page(1)
        assert (table.cursor.line, table.scroll_offset.y) == (20, 11)
        table.half_page(-1)
        assert (table.cursor.line, table.scroll_offset.y) == (15, 6)
        table.end()
        assert (table.cursor.line, table.scroll_offset.y) == (99, 90)
        table.move(5)
        assert table.cursor.line == 99
        table.home()
        table.page(-1)
        assert (table.cursor.line, table.scroll_offset.y) == (0, 0)


async def test_a_far_jump_asks_for_a_window_and_then_knows_its_job() -> None:
    async with running() as (app, table, pilot):
        table.show(window(range(10_000), 0, 30), NOW)
        await pilot.pause()
        app.said.clear()
        table.end()
        assert table.cursor.job is None
        assert table.marks.selection() == []
        await pilot.pause()
        (wanted,) = app.of(JobTable.WindowWanted)
        assert isinstance(wanted, JobTable.WindowWanted)
        assert (wanted.start, wanted.length) == (9970, 50)
        table.show(window(range(10_000), wanted.start, 30), NOW)
        assert table.marks.selection() == [9999]


async def test_marks_and_what_a_verb_acts_on() -> None:
    async with running() as (app, table, pilot):
        view = View(states=(State.PENDING,))
        table.show(window(range(100), 0, 30, view), NOW)
        assert table.marks.selection() == [0]
        table.marks.toggle()
        table.marks.toggle()
        assert (table.marks.selection(), table.cursor.line) == ([0, 1], 2)
        assert lines(table)[1].startswith(" ✓")
        table.marks.start_range()
        table.move(2)
        assert table.marks.ids == {0, 1, 2, 3, 4}
        table.marks.start_range()
        table.move(3)
        assert table.marks.count == 5
        table.marks.mark_all()
        assert (table.marks.selection(), table.marks.is_all, table.marks.count) == (view, True, 100)
        table.marks.toggle()
        assert (table.marks.excluded, table.marks.count) == (frozenset({7}), 99)
        assert table.marks.clear()
        assert table.marks.selection() == [8]
        await pilot.pause()
        assert [message.count for message in app.said if isinstance(message, JobTable.Marked)] == [
            1,
            2,
            3,
            5,
            100,
            99,
            0,
        ]


async def test_all_that_match_is_over_when_the_filter_changes() -> None:
    async with running() as (_, table, _):
        table.show(window(range(100), 0, 30), NOW)
        table.marks.mark_all()
        table.show(window(range(100), 0, 30, View(sort=Sort.COMMAND)), NOW)
        assert table.marks.is_all
        table.show(window(range(50), 0, 30, View(terms=(Term("text", "x"),))), NOW)
        assert table.marks.selection() == [0]


async def test_marks_leave_with_their_jobs() -> None:
    async with running() as (_, table, _):
        table.show(window(range(5)), NOW)
        table.marks.toggle()
        table.marks.toggle()
        table.show(window([1, 2, 3]), NOW)
        assert table.marks.ids == {1}


async def test_the_mouse_selects_scrolls_opens_and_sorts() -> None:
    async with running() as (app, table, pilot):
        table.show_heading = True
        table.show(window(range(100)), NOW)
        app.screen.set_focus(None)
        await pilot.click(table, offset=(20, 4))
        assert (table.cursor.line, table.has_focus) == (3, True)
        table.post_message(_wheel(table))
        await pilot.pause()
        assert (table.cursor.line, table.scroll_offset.y) == (3, 2)
        await pilot.click(table, offset=(20, 2), times=2)
        await pilot.click(table, offset=(35, 0))
        await pilot.pause()
        opened = app.of(JobTable.Opened)
        assert [message.job.id for message in opened if isinstance(message, JobTable.Opened)] == [3]
        columns = [message.column for message in app.said if isinstance(message, JobTable.HeadingClicked)]
        assert columns == ["command"]


def _wheel(table: JobTable) -> events.MouseScrollDown:
    return events.MouseScrollDown(
        table, 1, 1, delta_x=0, delta_y=1, button=0, shift=False, meta=False, ctrl=False, screen_x=1, screen_y=1
    )


async def test_a_cursor_that_is_scrolled_away_comes_back_into_view() -> None:
    async with running() as (_, table, _):
        table.show(window(range(100)), NOW)
        table.scroll_to(y=50, animate=False)
        assert (table.cursor.line, table.scroll_offset.y) == (0, 50)
        table.move(1)
        assert (table.cursor.line, table.scroll_offset.y) == (1, 1)


async def test_a_smaller_pane_keeps_its_cursor_on_screen() -> None:
    async with running() as (_, table, pilot):
        table.show(window(range(100)), NOW)
        table.move(9)
        table.styles.height = 3
        await pilot.pause()
        assert table.scroll_offset.y == 7
        assert lines(table)[2].startswith("▶")


async def test_an_empty_list_says_what_to_do() -> None:
    async with running() as (_, table, _):
        table.empty_text = "Nothing queued. Press e to enqueue a job."
        table.show(of_jobs([]), NOW)
        assert lines(table)[4].strip() == table.empty_text
        assert (table.cursor.job, table.marks.selection()) == (None, [])
        for act in (table.marks.toggle, table.marks.start_range, table.home, table.end):
            act()
        table.move(1)


async def test_an_empty_list_folds_its_text_beside_the_scrollbar() -> None:
    async with running() as (_, table, _):
        table.empty_text = "x" * (table.size.width - 2) + " e"
        table.show(of_jobs([]), NOW)
        assert table.scrollable_content_region.width < table.size.width
        assert [line.strip() for line in lines(table) if line.strip()] == table.empty_text.split()


async def test_hostile_and_wide_commands_neither_break_the_line_nor_reach_the_terminal() -> None:
    async with running(Pane.DLQ) as (_, table, pilot):
        jobs = [a_job(job_id, State.DEAD, text, queue=text, last_error=text) for job_id, text in enumerate(HOSTILE)]
        table.show(of_jobs(jobs), NOW)
        await pilot.pause()
        for y, line in enumerate(lines(table)):
            assert table.render_line(y).cell_length == cell_len(line) == 79
            assert line.isprintable()
            assert line.rstrip().endswith("2s ago")
        assert "[bold red]" in lines(table)[3]


async def test_signs_can_be_ascii() -> None:
    async with running(is_ascii=True) as (_, table, _):
        table.show(of_jobs([a_job(1), a_job(2, run_at=NOW + timedelta(hours=1))]), NOW)
        table.marks.toggle()
        assert [line[:12] for line in lines(table)[:2]] == [" #  1 o true", ">   2 ~ true"]


async def test_another_theme_repaints_the_lines_in_its_colours() -> None:
    async with running() as (app, table, pilot):
        table.show(window(range(5)), NOW)
        await pilot.pause()
        dark = table.render_line(0)
        app.theme = "textual-light"
        await pilot.pause()
        assert table.render_line(0).text == dark.text
        assert table.render_line(0) != dark


async def test_a_table_without_focus_shows_its_cursor_in_a_dimmer_way() -> None:
    async with running() as (app, table, pilot):
        table.show(window(range(5)), NOW)
        await pilot.pause()
        bright = table.render_line(0)
        app.screen.set_focus(None)
        await pilot.pause()
        assert table.render_line(0).text == bright.text
        assert table.render_line(0) != bright


async def test_a_table_can_be_filled_before_it_is_mounted() -> None:
    app = TableApp(Pane.PENDING)
    app.table.show(window(range(5)), NOW)
    app.table.move(2)
    async with app.run_test(size=(80, 14)):
        assert lines(app.table)[2].startswith("▶")
