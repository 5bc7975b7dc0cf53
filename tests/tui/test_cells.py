"""Measuring, clipping and filling texts in terminal cells."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from queuectl_tui.cells import clip, clip_middle, pad, pad_left

TEXTS = st.text(st.sampled_from("ab/ é日本語😀\u0301\u200d"), max_size=40)


def test_a_clipped_text_ends_in_an_ellipsis() -> None:
    assert clip("python etl.py", 13) == "python etl.py"
    assert clip("python etl.py", 8) == "python …"
    assert clip("python etl.py", 8, "..") == "python.."
    assert clip("日本語", 4) == "日…"
    assert clip("日本語", 0) == ""


def test_a_clipped_path_keeps_its_end() -> None:
    assert clip_middle("/usr/local/share/queuectl/queue.db", 20) == "/usr/l…ectl/queue.db"


@given(TEXTS, st.integers(0, 30))
@example("\u200d\u200da", 0)
def test_nothing_is_wider_than_its_room(text: str, cells: int) -> None:
    """Wide characters, joiners and combining marks are never cut in half."""
    assert cell_len(clip(text, cells)) <= cells
    assert cell_len(clip_middle(text, cells)) <= cells
    assert cell_len(pad(text, cells)) == cells
    assert cell_len(pad_left(text, cells)) == cells


@given(TEXTS)
def test_what_fits_is_left_alone(text: str) -> None:
    assert clip(text, cell_len(text)) == text
    assert clip_middle(text, cell_len(text)) == text
