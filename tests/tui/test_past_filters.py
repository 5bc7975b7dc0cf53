"""Filters that were kept before come back with the arrow keys, and one can be saved by a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Pane
from tests.tui.harness import screen_text, staged
from tests.tui.scene import busy_snapshot

pytestmark = pytest.mark.long


async def test_the_arrows_bring_back_the_last_filters_and_what_was_typed(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    async with staged(busy_snapshot(), preferences_path=str(path)) as stage:
        bar = stage.dashboard.panes.boxes[Pane.PENDING].filter_bar
        for text in ("ffmpeg", "queue:media", "ffmpeg"):
            await stage.press("/", "ctrl+u")
            await stage.type(text)
            await stage.press("enter")
        assert json.loads(path.read_text())["recent_filters"] == ["ffmpeg", "queue:media"]
        await stage.press("escape", "/")
        await stage.type("exit")
        seen = []
        for key in ("up", "up", "up", "down", "down"):
            await stage.press(key)
            seen.append(bar.text)
        assert seen == ["ffmpeg", "queue:media", "queue:media", "ffmpeg", "exit"]
        await stage.press("up", "up")
        await stage.pilot.pause(0.15)
        assert stage.dashboard.panes.box.filter_text == "queue:media"


async def test_a_filter_is_saved_by_a_name_and_loses_it_with_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    preferences = Preferences(first_pane="pending", recent_filters=["rsync"], saved_filters={"films": "ffmpeg"})
    async with staged(busy_snapshot(), preferences=preferences, preferences_path=str(path)) as stage:
        await stage.press("&")
        assert any("there is no filter to save" in said for said in stage.toasts())
        await stage.press("/", "up", "up")
        assert stage.dashboard.panes.box.filter_bar.text == "ffmpeg"
        assert "films" in screen_text(stage.app)
        await stage.press("ctrl+u")
        await stage.type("yt-dlp")
        await stage.press("enter")
        await stage.press("&")
        await stage.type("tube")
        await stage.press("enter")
        assert json.loads(path.read_text())["saved_filters"] == {"films": "ffmpeg", "tube": "yt-dlp"}
        await stage.press("&")
        assert "tube" in screen_text(stage.app)
        await stage.press(*["backspace"] * 4, "enter")
        assert json.loads(path.read_text())["saved_filters"] == {"films": "ffmpeg"}
        await stage.press("&")
        await stage.press("x", "escape")
        assert json.loads(path.read_text())["saved_filters"] == {"films": "ffmpeg"}


async def test_what_is_typed_behind_the_slash_before_the_row_is_made_stands_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row is made a moment after the first picture; a key that is no text, too, waits for it."""
    monkeypatch.setattr("queuectl_tui.dashboard.HIDDEN_PARTS_S", 60.0)
    preferences = Preferences(first_pane="pending", recent_filters=["rsync"])
    async with staged(busy_snapshot(), preferences=preferences) as stage:
        bar = stage.dashboard.panes.box.filter_bar
        assert not bar.is_ready
        await stage.press("/", *"abc")
        assert bar.text == "abc"
    async with staged(busy_snapshot(), preferences=preferences) as stage:
        await stage.press("/", "up")
        assert stage.dashboard.panes.box.filter_bar.text == "rsync"
