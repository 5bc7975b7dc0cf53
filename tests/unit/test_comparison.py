"""Two outputs line by line: what is new, what is gone, and equal runs folded."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Attempt
from core.rules import comparison
from core.rules.comparison import Comparison, LineKind, compare

NUMBERED = [b"line %d" % number for number in range(100)]


def _text(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def _shown(before: bytes, after: bytes) -> list[str]:
    return [f"{line.kind.value}{line.text}" for line in compare(before, after)]


def test_equal_runs_are_folded_but_for_three_lines_at_a_difference() -> None:
    changed = [*NUMBERED[:50], b"else", b"more", *NUMBERED[51:]]
    assert _shown(_text(NUMBERED), _text(changed)) == [
        "@47 equal lines",
        *(" line 47", " line 48", " line 49"),
        *("-line 50", "+else", "+more"),
        *(" line 51", " line 52", " line 53"),
        "@46 equal lines",
    ]


def test_one_equal_line_is_shown_and_not_folded() -> None:
    """A note would take as much room as the line."""
    changed = [*NUMBERED[:4], b"else", *NUMBERED[5:12], b"else", *NUMBERED[13:16]]
    shown = _shown(_text(NUMBERED[:16]), _text(changed))
    assert not [line for line in shown if line.startswith("@")]
    assert [line[1:] for line in shown if line[0] in " +"] == [line.decode() for line in changed]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"same\n", b"same\n"),
        (b"same\n", b"same"),
        (b"\x1b[31msame\x1b[0m\n", b"same\n"),
        (b"10%\r50%\r100%\n", b"20%\r100%\n"),
        (b"one\r\ntwo\r\n", b"one\ntwo\n"),
    ],
)
def test_what_looks_the_same_is_the_same(before: bytes, after: bytes) -> None:
    """Colours, what a progress bar wrote over, and line ends make no difference."""
    assert compare(before, after) == []


def test_nothing_against_something_is_all_new() -> None:
    assert _shown(b"", b"a\nb\n") == ["+a", "+b"]
    assert _shown(b"a\nb\n", b"") == ["-a", "-b"]


def test_what_is_too_long_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MAX_LINES", 10)
    before, after = _text(NUMBERED[:5] + [b"a"] * 20), _text(NUMBERED[:5] + [b"b"] * 20)
    shown = _shown(before, after)
    assert shown[:4] == ["@2 equal lines", " line 2", " line 3", " line 4"]
    assert shown[4:-1] == ["-a"] * 10 + ["+b"] * 10
    assert shown[-1] == "@only 10 lines of each are compared from the first that differs"


def test_what_lies_beyond_the_bytes_that_are_read_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MAX_BYTES", 1 << 20)
    block = b"x" * (1 << 20)
    assert _shown(block + b"a", block + b"b") == ["@only the first 1 MiB of each are compared"]


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_a_comparison_holds_both_outputs(old: list[str], new: list[str]) -> None:
    """Without the lines of one sign, and with the folded ones counted, each output is there in full."""
    found = compare("\n".join(old).encode(), "\n".join(new).encode())
    if not found:
        assert old == new
        return
    for lines, kind in ((old, LineKind.REMOVED), (new, LineKind.ADDED)):
        folded = sum(int(line.text.split()[0]) for line in found if line.kind is LineKind.NOTE)
        kept = [line.text for line in found if line.kind in (LineKind.EQUAL, kind)]
        assert len(kept) + folded == len(lines)
        if not folded:
            assert kept == lines


def _attempt(number: int) -> Attempt:
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return Attempt(number, 1, number, 1, at, at, 1.0, None, 1, None, None, None, None)


def test_the_text_names_both_attempts_and_how_they_ended() -> None:
    found = Comparison(_attempt(2), _attempt(3), compare(b"a\n", b"b\n"))
    assert found.text(("exit 1", "exit 2"), is_coloured=False) == (
        "--- attempt 2: exit 1\n+++ attempt 3: exit 2\n-a\n+b\n"
    )
    assert "\x1b[31m-a\x1b[0m\n\x1b[32m+b\x1b[0m\n" in found.text(("", ""), is_coloured=True)
    same = Comparison(_attempt(2), _attempt(3), [])
    assert same.text(("exit 1", "exit 1"), is_coloured=True) == "Attempts 2 and 3 printed the same.\n"
