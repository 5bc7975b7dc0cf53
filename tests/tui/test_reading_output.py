"""Read an output: search in it, and compare it with that of the attempt before."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.model import State, View
from core.rules.filters import parse_filter
from queuectl_tui import line_search
from queuectl_tui.widgets.panes import sought_by
from tests.fakes import ENDLESS, ITS_BANE
from tests.tui.fake_output import FakeOutput, numbered, showing
from tests.tui.harness import screen_text, staged, until
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


async def test_what_a_filter_found_in_outputs_is_marked_and_its_first_line_shown() -> None:
    """In each output that is shown under the filter, whatever the case, and until the filter goes."""
    async with staged(busy_snapshot()) as stage:
        matches = stage.dashboard.panes.output_box.view.matches
        await stage.press("4", "/")
        await stage.type("output:ROWS")
        await stage.press("enter")
        assert (matches.text, matches.line) == ("rows", 1)
        await stage.be_whole()
        assert "match 1 of 3" in screen_text(stage.app)
        await stage.press(*"jjjjj")  # to the next job whose output has it
        assert (matches.text, matches.line) == ("rows", 1)
        await stage.press("l", "n")
        assert matches.line == 2
        await stage.press("escape", "escape")
        assert matches.text == ""
        assert matches.line is None


async def test_the_hits_of_a_regex_of_a_filter_are_marked_as_those_of_a_text_are() -> None:
    """Only what matches: ``rows`` stands in a line more than ``rows (read|checked)`` does."""
    async with staged(busy_snapshot()) as stage:
        matches = stage.dashboard.panes.output_box.view.matches
        await stage.press("4", "/")
        await stage.type("output:/rows.(read|checked)/")
        await stage.press("enter")
        await stage.be_whole()
        assert matches.line == 1
        assert "match 1 of 2" in screen_text(stage.app)
        await stage.press("l", "n")
        assert matches.line == 2
        await stage.press("n")
        assert matches.line == 1
        await stage.press("escape", "escape")
        assert matches.text == ""


async def test_a_regex_can_be_typed_in_an_output_as_in_a_filter() -> None:
    """As long as it is none that can be read, for it is still being typed, it is a text."""
    async with showing(FakeOutput(b"Error 7\nerror 12\nerror x /e(r/\n\x1b[31merror\x1b[0m 3\n")) as (_, view, pilot):
        for text, words in (("/e(r/", "1 of 1"), ("/^error [0-9]+$/", "1 of 2"), ("error", "1 of 4")):
            view.home()
            view.search(text)
            await pilot.pause()
            assert view.matches.words == words


async def test_a_miss_of_what_a_filter_found_elsewhere_is_not_reported() -> None:
    """It may have been found in the output of another attempt."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "/")
        await stage.type("output:nowhere")
        await stage.press("enter")
        await stage.press("j")
        assert stage.dashboard.panes.output_box.view.matches.text == "nowhere"
        assert not [text for text in stage.toasts() if "No match" in text]


@pytest.mark.parametrize(
    ("text", "sought"),
    [
        ("output:ENOSPC", "enospc"),
        ("!output:x exit:1", ""),
        ("output:/A|b/", "/A|b/"),
        ("!output:x output:/a|b/ output:c", "/a|b/"),
    ],
)
def test_what_is_marked_is_what_the_filter_looks_for(text: str, sought: str) -> None:
    assert sought_by(View((State.DEAD,), parse_filter(text))) == sought


async def test_a_regex_without_an_end_is_found_nowhere_and_it_is_said() -> None:
    """In an output that is shown: keys are answered after half a second at the latest."""
    async with staged(busy_snapshot()) as stage:
        view = stage.dashboard.panes.output_box.view
        await stage.press("4", "l")
        await stage.be_whole()
        view.show(FakeOutput(ITS_BANE + b"\n"))
        view.search(ENDLESS)
        await until(stage.pilot, lambda: [text for text in stage.toasts() if "takes too long" in text])
        assert view.matches.line is None
