"""Whatever a job says, a terminal that shows it does nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import clean_line, clean_lines, collapse_carriage_returns

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_ACTIVE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\u2028\u2029]")

_PIECES = st.sampled_from(
    [
        *(
            "\x1b",
            "\x1b[",
            "\x1b]",
            "\x1bP",
            "\x1b_",
            "\x1b^",
            "\x1bX",
            "\x1b\\",
            "\x07",
            "\x9b",
            "\x9d",
            "\x90",
            "\x9c",
        ),
        *("\x1b[31m", "\x1b[0m", "\x1b[38:2::1:2:3m", "\x1b[>4m", "\x1b[2J", "\x1b]52;c;eA==\x07", "\x1b]8;;x\x1b\\"),
        *("0", ";", ":", "m", "[", "?", " ", "a", "日本", "e\u0301", "👩\u200d🔧", "\t", "\n", "\r", "\r\n", "\x85"),
        *("\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\u2028", "\ud800", "\udfff", "\x00", "\x7f", "\x18"),
    ]
)
_JOB_TEXT = st.one_of(
    st.text(st.characters(codec=None)),
    st.lists(st.one_of(_PIECES, st.text(max_size=3)), max_size=30).map("".join),
)


@given(_JOB_TEXT, st.booleans())
def test_cleaning_twice_changes_nothing(text: str, keep_colour: bool) -> None:
    once = clean_line(text, keep_colour=keep_colour)
    assert clean_line(once, keep_colour=keep_colour) == once


@given(_JOB_TEXT)
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    assert _ACTIVE.search(clean_line(text)) is None


@given(_JOB_TEXT)
def test_with_colours_only_sgr_is_left(text: str) -> None:
    assert _ACTIVE.search(_SGR.sub("", clean_line(text, keep_colour=True))) is None


@given(_JOB_TEXT)
def test_colours_are_the_only_difference_that_keeping_them_makes(text: str) -> None:
    assert _SGR.sub("", clean_line(text, keep_colour=True)) == clean_line(text)


@given(_JOB_TEXT, st.booleans())
def test_several_lines_are_inert_line_by_line(text: str, keep_colour: bool) -> None:
    cleaned = clean_lines(text, keep_colour=keep_colour)
    assert _ACTIVE.search(_SGR.sub("", cleaned).replace("\n", "")) is None
    assert cleaned.count("\n") == text.count("\n")
    assert clean_lines(cleaned, keep_colour=keep_colour) == cleaned


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])))
def test_plain_text_is_returned_as_it_is(text: str) -> None:
    assert clean_line(text) is text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b]52;c;c2VjcmV0\x07ok", "ok"),
        ("\x1b]0;title never ended", ""),
        ("\x1b]0;title\nnext", "⏎next"),
        ("\x1b]8;;https://example.test\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cok", "ok"),
        ("\x1bP1$r\x1b\\ok", "ok"),
        ("\x1b_G a=T\x1b\\ok", "ok"),
        ("\x1b[2J\x1b[Hok", "ok"),
        ("\x9b2Jok", "ok"),
        ("\x1bcok", "ok"),
        ("\x1b(0ok", "ok"),
        ("\x1b[12", ""),
        ("end\x1b", "end␛"),
        ("a\x00b\x07c\x7f", "a␀b␇c␡"),
        ("a\x80b\ud800c", "a\ufffdb\ufffdc"),
        ("a\nb\r\nc\rd", "a⏎b⏎c␍d"),
        ("user\u202etxt.exe", "user<U+202E>txt.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("👩\u200d🔧", "👩\u200d🔧"),
        ("[red]x[/red] [@click=app.quit]", "[red]x[/red] [@click=app.quit]"),
    ],
)
def test_what_is_shown_instead(raw: str, shown: str) -> None:
    assert clean_line(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[>4;2mkeys", "keys"),
        ("\x1b[?25lx", "x"),
        ("\x1b[" + "1;" * 100 + "mx", "x"),
        ("\x1b[31m\tx", "\x1b[31m        x"),
    ],
)
def test_colours_are_kept_when_asked(raw: str, shown: str) -> None:
    assert clean_line(raw, keep_colour=True) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\tx", "        x"),
        ("1234567\tx", "1234567 x"),
        ("12345678\tx", "12345678        x"),
        ("日本\tx", "日本    x"),
        ("e\u0301\tx", "e\u0301       x"),
    ],
)
def test_tabs_go_to_columns_of_eight(raw: str, shown: str) -> None:
    assert clean_line(raw) == shown


@pytest.mark.parametrize(
    ("line", "state"),
    [("plain", "plain"), ("10%\r20%\r30%", "30%"), ("10%\r20%\r", "20%"), ("done\r", "done"), ("\r\r", "")],
)
def test_a_rewritten_line_shows_its_last_state(line: str, state: str) -> None:
    assert collapse_carriage_returns(line) == state


def test_several_lines_keep_their_breaks_and_end_without_a_colour() -> None:
    assert clean_lines("10%\r20%\r\n\x1b[31mred\x07\n", keep_colour=True) == "20%\n\x1b[31mred␇\n\x1b[0m"
    assert clean_lines("a\x1b[31mb\x1b[0m\nc") == "ab\nc"


def test_it_takes_a_time_in_proportion_to_the_text() -> None:
    """Hostile input of 200 kB, each a known trap for backtracking, is done at once."""
    for hostile in ("\x1b]" * 100_000, "\x1b[" * 100_000, "\x1b[1" * 70_000, "\x1bP\x1b" * 70_000, "\x1b " * 100_000):
        clean_line(hostile, keep_colour=True)


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, core.text; print(*[m for m in ('textual', 'rich', 'unicodedata', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
