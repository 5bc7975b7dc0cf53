"""The output view shows what a job wrote, inert and by offset, and follows it without losing the person's place."""

from __future__ import annotations

from rich.color import Color
from textual.geometry import Offset
from textual.selection import Selection

from core.errors import OutputUnavailable
from tests.tui.fake_output import FakeOutput, numbered, screen_of, showing
from tests.tui.harness import counted_layouts


async def test_a_job_that_has_not_started_says_so() -> None:
    async with showing(None) as (_, view, _pilot):
        assert screen_of(view)[0] == "Job has not started."


async def test_no_output_is_said_above_the_footer() -> None:
    async with showing(FakeOutput(b""), footer="— exit 0 —") as (_, view, _pilot):
        assert screen_of(view)[:2] == ["No output.", "— exit 0 —"]


async def test_it_opens_at_the_end_with_the_footer_last() -> None:
    async with showing(FakeOutput(numbered(100)), footer="— exit 1 · 2.41 s —") as (_, view, _pilot):
        assert screen_of(view)[-3:] == ["line 98", "line 99", "— exit 1 · 2.41 s —"]
        assert view.is_following


async def test_new_lines_are_followed_until_a_person_scrolls_up_and_again_from_the_end() -> None:
    output = FakeOutput(numbered(100))
    async with showing(output) as (app, view, pilot):
        output.data += numbered(1, 100)
        view.refresh_tail()
        assert screen_of(view)[-1] == "line 100"
        view.step(-1)
        output.data += numbered(5, 101)
        view.refresh_tail()
        assert screen_of(view)[-1] == "line 99"
        view.end()
        assert screen_of(view)[-1] == "line 105"
        await pilot.pause()
        assert app.follows == [False, True]


async def test_a_line_that_goes_on_and_the_footer_below_it_are_repainted() -> None:
    output = FakeOutput(b"first\nhalf")
    async with showing(output, footer="— running —") as (_, view, _pilot):
        assert screen_of(view)[:3] == ["first", "half", "— running —"]
        output.data += b" and the rest\nlast"
        view.refresh_tail()
        assert screen_of(view)[:4] == ["first", "half and the rest", "last", "— running —"]


async def test_the_same_attempt_again_keeps_the_place_and_another_does_not() -> None:
    output = FakeOutput(numbered(100))
    async with showing(output) as (_, view, _pilot):
        view.home()
        view.step(5)
        again = FakeOutput(output.data)
        view.show(again, footer="— exit 0 —")
        assert (view.top_line, view.is_following) == (5, False)
        view.show(FakeOutput(numbered(30), attempt_id=2))
        assert screen_of(view)[-1] == "line 29"
        assert view.is_following


async def test_escape_sequences_do_not_reach_the_screen() -> None:
    hostile = b"\x1b]52;c;AAAA\x07\x1b[2Ja\x00b\x9b\xc2\x9b2Jc [red]d[/red]\xe2\x80\xae\n"
    async with showing(FakeOutput(hostile)) as (_, view, _pilot):
        strip = view.render_line(0)
        assert strip.text.rstrip() == "a␀b\ufffdc [red]d[/red]<U+202E>"
        assert not any("\x1b" in segment.text for segment in strip)


async def test_colours_are_shown_and_hiding_is_not() -> None:
    async with showing(FakeOutput(b"\x1b[1;31mred\x1b[0m \x1b[8mhidden\x1b[0m\n")) as (_, view, _pilot):
        styles = {segment.text: segment.style for segment in view.render_line(0)}
        red, hidden = styles["red"], styles["hidden"]
        assert red is not None
        assert (red.bold, red.color) == (True, Color.from_ansi(1))
        assert hidden is not None
        assert not hidden.conceal


async def test_a_progress_bar_shows_its_last_state() -> None:
    async with showing(FakeOutput(b" 10 %\r 50 %\r100 % done\r\nnext\n")) as (_, view, _pilot):
        assert screen_of(view)[:2] == ["100 % done", "next"]


async def test_a_long_line_is_cut_at_the_edge_and_can_be_scrolled_sideways() -> None:
    async with showing(FakeOutput(b"0123456789" * 10 + b"END\nshort\n")) as (_, view, _pilot):
        assert screen_of(view)[0].endswith("›")
        assert view.sideways(1000)
        assert screen_of(view)[0].endswith("END")
        assert not view.sideways(8)
        assert view.sideways(-1000)
        assert not view.sideways(-8)


async def test_folded_lines_lose_nothing_and_scroll_by_row() -> None:
    text = "日本語のテキスト" * 12 + "END"
    async with showing(FakeOutput(f"{text}\n".encode() + numbered(20))) as (_, view, _pilot):
        view.home()
        view.toggle_wrap()
        rows = screen_of(view)
        assert "".join(rows[: rows.index("line 0")]) == text
        view.step(1)
        assert screen_of(view)[0] == rows[1]
        view.step(-1)
        assert screen_of(view) == rows
        view.end()
        assert screen_of(view)[-1] == "line 19"


async def test_folding_keeps_the_first_line_on_the_screen() -> None:
    async with showing(FakeOutput(numbered(50) + b"x" * 300 + b"\n" + numbered(50))) as (_, view, _pilot):
        view.home()
        view.step(30)
        view.toggle_wrap()
        assert screen_of(view)[0] == "line 30"
        view.toggle_wrap()
        assert screen_of(view)[0] == "line 30"


async def test_a_line_higher_than_the_screen_can_be_read_to_its_end_when_folded() -> None:
    data = b"".join(b"%05d" % number for number in range(1000))
    async with showing(FakeOutput(data + b"\n")) as (_, view, _pilot):
        view.toggle_wrap()
        assert screen_of(view)[-1].endswith("00999")
        view.home()
        seen = "".join(screen_of(view))
        for _ in range(200):
            view.step(1)
            seen += screen_of(view)[-1]
        assert data.decode() in seen


async def test_a_resize_keeps_following() -> None:
    async with showing(FakeOutput(numbered(100)), footer="— end —") as (_, view, pilot):
        for width, height in ((20, 5), (60, 30), (40, 3)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert screen_of(view)[-1] == "— end —"
            assert view.is_following


async def test_a_search_goes_to_the_match_and_on_round_the_end() -> None:
    async with showing(FakeOutput(numbered(100))) as (app, view, pilot):
        view.home()
        view.search("line 7")
        await pilot.pause()
        assert view.matches.line == 7
        view.find_next()
        await pilot.pause()
        assert view.matches.line == 70
        assert "line 70" in screen_of(view)
        view.find_previous()
        await pilot.pause()
        view.find_previous()
        await pilot.pause()
        assert app.searches == [(7, False), (70, False), (7, False), (79, True)]
        assert not view.is_following


async def test_a_search_that_finds_nothing_says_so_and_stays() -> None:
    async with showing(FakeOutput(numbered(100))) as (app, view, pilot):
        top = view.top_line
        view.search("nothing like it")
        await pilot.pause()
        assert app.searches == [(None, True)]
        assert view.top_line == top


async def test_matches_are_marked_and_the_current_one_differently() -> None:
    async with showing(FakeOutput(b"find me, find me\nfind me\n")) as (_, view, pilot):
        view.search("find me")
        await pilot.pause()
        first = [segment.style for segment in view.render_line(0) if segment.text == "find me"]
        second = [segment.style for segment in view.render_line(1) if segment.text == "find me"]
        assert len(first) == 2
        assert first[0] != second[0]
        view.search("")
        assert [segment.text.rstrip() for segment in view.render_line(1) if segment.text.strip()] == ["find me"]


async def test_a_match_beyond_the_edge_is_brought_into_view() -> None:
    async with showing(FakeOutput(b"x" * 200 + b"needle\n" + numbered(5))) as (_, view, pilot):
        view.home()
        view.search("needle")
        await pilot.pause()
        assert "needle" in screen_of(view)[0]


async def test_ten_megabytes_without_a_newline_are_clipped_with_a_note() -> None:
    async with showing(FakeOutput(b"x" * 10_000_000)) as (_, view, _pilot):
        view.sideways(1 << 30)
        assert screen_of(view)[0].endswith("9.5 MB more in this line")
        view.toggle_wrap()
        assert "".join(screen_of(view)).replace(" ", "").endswith("inthisline")


async def test_a_big_output_is_read_in_slices_and_not_held() -> None:
    output = FakeOutput(numbered(1_000_000))
    async with showing(output, footer="— end —") as (_, view, pilot):
        while view.line_count < 1_000_000:
            await pilot.pause()
        await pilot.pause()
        assert screen_of(view)[-2:] == ["line 999999", "— end —"]
        read = output.bytes_read
        view.home()
        screen_of(view)
        assert output.bytes_read - read < 1 << 20


async def test_the_wheel_scrolls_and_the_scroll_bar_jumps() -> None:
    async with showing(FakeOutput(numbered(100))) as (_, view, _pilot):
        view.scroll_to(y=50, animate=True)
        assert screen_of(view)[0] == "line 50"
        assert not view.is_following
        view.scroll_to(y=90)
        assert view.is_following


async def test_the_layout_is_not_redone_when_the_output_grows() -> None:
    output = FakeOutput(numbered(100))
    async with showing(output) as (_, view, pilot):
        with counted_layouts(view) as layouts:
            for number in range(100, 120):
                output.data += numbered(1, number)
                view.refresh_tail()
                await pilot.pause()
            assert layouts == []
            view.refresh(layout=True)
            await pilot.pause()
            assert len(layouts) == 1


async def test_an_output_that_cannot_be_read_is_said_and_does_no_harm() -> None:
    output = FakeOutput(numbered(10))
    async with showing(output) as (_, view, _pilot):
        output.fails = OutputUnavailable("the output of this attempt is gone")
        view.refresh_tail()
        view.show(output)
        screen_of(view)
        broken = FakeOutput(b"", attempt_id=2)
        broken.fails = PermissionError("not allowed\x1b[2J")
        view.show(broken)
        assert screen_of(view)[0] == "The output cannot be read: not allowed"


async def test_what_was_selected_with_the_mouse_is_the_shown_text() -> None:
    async with showing(FakeOutput(b"one\n\x1b[31mtwo\x1b[0m\nthree\n")) as (_, view, _pilot):
        selection = Selection(Offset(1, 0), Offset(2, 2))
        assert view.get_selection(selection) == ("ne\ntwo\nth", "\n")
