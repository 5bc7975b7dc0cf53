"""Read an output: search in it, and compare it with that of the attempt before."""

from __future__ import annotations

from pathlib import Path

import pytest

from queuectl_tui.widgets import line_search
from tests.tui.fake_output import FakeOutput, numbered, showing
from tests.tui.harness import screen_text, staged
from tests.tui.scene import busy_snapshot


async def test_an_output_is_compared_with_that_of_the_attempt_before() -> None:
    """One key there and back; the brackets go on comparing, and the first attempt has nothing before it."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l", "=")
        shown = stage.dashboard.panes.shown
        assert shown.detail is not None
        assert (shown.detail.number, shown.detail.compared_with) == (3, 2)
        text = screen_text(stage.app)
        assert "attempt 3 of 3 against 2" in text
        assert "+ConnectionError: [Errno 111] Connection refused" in text
        await stage.press("[")
        assert (shown.detail.number, shown.detail.compared_with) == (2, 1)
        await stage.press("=")
        assert (shown.detail.number, shown.detail.compared_with) == (2, None)
        await stage.press("[", "=")
        assert "=: there is no attempt before the first to compare it with" in stage.toasts()


async def test_a_job_under_the_cursor_is_shown_as_it_is_whatever_was_compared() -> None:
    """Back in the list the next job's output is its own."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l", "=", "escape", "j")
        shown = stage.dashboard.panes.shown
        assert shown.request is not None
        assert not shown.request.is_compared


async def test_a_comparison_is_saved_under_a_name_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l", "=")
        await stage.press("ctrl+s")
    (saved,) = tmp_path.iterdir()
    assert saved.name == "job-9981-attempt-3-against-2.log"
    assert b"--- attempt 2: exit 1" in saved.read_bytes()


async def test_a_search_says_which_of_how_many_matches_is_shown() -> None:
    """In the row while it is typed, and in the title."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l", "g")
        await stage.press("/")
        await stage.type("rows")
        await stage.be_whole()
        assert "1 of 3" in screen_text(stage.app)
        await stage.press("enter")
        assert "match 1 of 3" in screen_text(stage.app)
        await stage.press("n")
        assert "match 2 of 3" in screen_text(stage.app)
        await stage.press("n")
        await stage.press("n")
        assert "match 1 of 3" in screen_text(stage.app)
        await stage.press("N")
        assert "match 3 of 3" in screen_text(stage.app)


async def test_matches_are_counted_as_the_output_grows() -> None:
    """What an unfinished last line becomes counts once."""
    output = FakeOutput(numbered(300) + b"line 3")
    async with showing(output) as (_, view, pilot):
        view.home()
        view.search("line 3")
        await pilot.pause()
        assert (view.matches.line, view.matches.words) == (3, "1 of 12")
        output.data += b"00\nno match\nline 31 again\n"
        view.refresh_tail()
        await pilot.pause()
        assert view.matches.words == "1 of 13"
        view.search("")
        assert view.matches.words == ""


async def test_only_so_many_matches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place among more of them says little, and would take long."""
    monkeypatch.setattr(line_search, "MAX_COUNTED", 150)
    async with showing(FakeOutput(numbered(500))) as (_, view, pilot):
        view.home()
        view.search("line")
        await pilot.pause()
        assert view.matches.words == "1 of 150+"
        view.find_previous()
        await pilot.pause()
        assert (view.matches.line, view.matches.words) == (499, "")
