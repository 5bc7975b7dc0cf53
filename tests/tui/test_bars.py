"""The rows in which the dashboard asks: the filter and the confirmation."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from queuectl_tui.widgets.bar import BarPart, fitted
from queuectl_tui.widgets.confirm_bar import ConfirmBar
from queuectl_tui.widgets.filter_bar import FilterBar
from tests.tui.harness import staged
from tests.tui.moments import paused_snapshot
from tests.tui.table_app import NOW, running, window


async def test_the_filter_bar_tells_the_text_once_it_stands_still() -> None:
    async with running() as (app, table, pilot):
        bar = app.query_one(FilterBar)
        assert not bar.is_open
        bar.open("ff")
        await pilot.press("m", "p")
        await pilot.pause(0.2)
        assert [message.text for message in app.said if isinstance(message, FilterBar.Changed)][-1:] == ["ffmp"]
        bar.show_count(1234)
        await pilot.press("enter")
        await pilot.pause()
        assert [message.text for message in app.said if isinstance(message, FilterBar.Submitted)] == ["ffmp"]
        assert not bar.is_open
        assert app.focused is table


async def test_a_wrong_filter_is_refused_even_when_enter_comes_at_once() -> None:
    async with running() as (app, _, pilot):
        bar = app.query_one(FilterBar)
        bar.open()
        app.query_one(Input).value = "state:nonsense"
        await pilot.press("enter")
        assert bar.is_open
        assert bar.has_class("-error")
        await pilot.press("backspace")
        assert not bar.has_class("-error")


async def test_a_note_that_is_too_long_for_the_row_ends_in_dots() -> None:
    async with running() as (app, _, pilot):
        bar = app.query_one(FilterBar)
        bar.open("state:nonsense")
        bar.show_error("no state 'nonsense'; one of pending, running, completed, dead, cancelled, purged")
        await pilot.pause()
        assert bar._note.render_line(0).text.rstrip().endswith("…")


def test_what_is_too_long_for_a_row_by_itself_is_cut_with_dots() -> None:
    left, right = fitted([BarPart("left", rank=1)], [BarPart("what is wrong here")], 10)
    assert (left, [part.text for part in right]) == ([], ["what is w…"])


async def test_what_is_paused_is_said_without_a_sign_that_fonts_lack_or_draw_two_cells_wide() -> None:
    async with staged(paused_snapshot()) as stage:
        text = stage.dashboard.bars.header.text
        assert text.endswith(" PAUSED ")
        assert not [
            sign for sign in text if "\N{BLACK RIGHT-POINTING DOUBLE TRIANGLE}" <= sign <= "\N{POWER SLEEP SYMBOL}"
        ]


async def test_a_wrong_filter_cannot_be_kept_but_dropped() -> None:
    async with running() as (app, table, pilot):
        bar = app.query_one(FilterBar)
        bar.open("state:")
        bar.show_error("state: needs a value [x]")
        await pilot.press("enter")
        assert bar.is_open
        assert app.query_one(Input).has_focus
        await pilot.press("escape")
        await pilot.pause()
        assert app.of(FilterBar.Submitted) == []
        assert len(app.of(FilterBar.Closed)) == 1
        assert app.focused is table


@pytest.mark.parametrize(
    ("keys", "confirmed"),
    [
        (["y"], 1),
        (["n"], 0),
        (["escape"], 0),
        (["enter"], 0),
        (["tab", "enter"], 1),
        (["left", "right", "enter"], 0),
        (["x", "j", "space", "enter"], 0),
    ],
)
async def test_a_question_is_answered_by_keys(keys: list[str], confirmed: int) -> None:
    async with running() as (app, table, pilot):
        table.show(window(range(5)), NOW)
        bar = app.query_one(ConfirmBar)
        bar.ask("Purge 17 dead jobs?", "python etl.py\x1b[2J", 17, app.confirm)
        await pilot.pause()
        assert bar.text.startswith(" Purge 17 dead jobs? python etl.py +16 ")
        assert bar.text.endswith(" [ No ]  [ Yes ] ")
        await pilot.press(*keys)
        await pilot.pause()
        assert app.confirmed == confirmed
        assert [message.is_confirmed for message in app.said if isinstance(message, ConfirmBar.Closed)] == [
            bool(confirmed)
        ]
        assert not bar.is_open
        assert app.focused is table
        assert table.cursor.line == 0


@pytest.mark.parametrize(
    ("keys", "confirmed"),
    [
        (["y"], None),
        (["1", "2", "enter"], None),
        (["1", "2", "enter", "escape"], 0),
        (["1", "2", "3", "enter"], 1),
        (["1", "2", "4", "backspace", "3", "enter"], 1),
        (["enter"], 0),
    ],
)
async def test_for_many_jobs_the_count_is_typed(keys: list[str], confirmed: int | None) -> None:
    async with running() as (app, _, pilot):
        bar = app.query_one(ConfirmBar)
        bar.ask("Purge 123 dead jobs?", "true", 123, app.confirm)
        await pilot.press(*keys)
        await pilot.pause()
        assert app.confirmed == (confirmed or 0)
        assert bar.is_open == (confirmed is None)


async def test_a_long_question_is_whole_where_the_count_is_typed_and_nothing_moves_meanwhile() -> None:
    """What the count is for gives way before the question does; the question says it, too."""
    question = "Purge all 12,482 finished jobs?"
    async with running() as (app, _, pilot):
        bar = app.query_one(ConfirmBar)
        bar.ask(question, "true", 12_482, app.confirm)
        await pilot.pause()
        assert f" {question}" in bar.text
        assert "type 12482 to confirm: " in bar.text
        await pilot.resize_terminal(60, 18)
        starts = set()
        for key in "12482":
            assert f" {question}" in bar.text
            assert len(bar.text) == 60
            starts.add(bar.text.index("type 12482: "))
            await pilot.press(key)
        assert "[ Yes ]" in bar.text
        assert {*starts, bar.text.index("type 12482: 12482")} == starts
        assert len(starts) == 1


async def test_a_click_elsewhere_is_no_and_a_click_on_yes_is_yes() -> None:
    async with running() as (app, table, pilot):
        table.show(window(range(5)), NOW)
        bar = app.query_one(ConfirmBar)
        bar.ask("Purge it?", "true", 1, app.confirm)
        await pilot.pause()
        await pilot.click(table, offset=(5, 2))
        await pilot.pause()
        assert (app.confirmed, bar.is_open) == (0, False)
        bar.ask("Purge it?", "true", 1, app.confirm)
        await pilot.pause()
        await pilot.click(bar, offset=(75, 0))
        await pilot.pause()
        assert (app.confirmed, bar.is_open) == (1, False)
