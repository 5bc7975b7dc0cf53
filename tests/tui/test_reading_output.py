"""Read an output: compare it with that of the attempt before."""

from __future__ import annotations

from pathlib import Path

import pytest

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
