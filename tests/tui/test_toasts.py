"""A toast is one line in the footer: it covers nothing, replaces the one before, and goes when its time is up."""

from __future__ import annotations

import re
from time import monotonic

import pytest

from queuectl_tui.snapshot import Pane
from queuectl_tui.toasts import LiveToasts, Toast, toast
from queuectl_tui.widgets.toast_line import ToastLine
from tests.tui.harness import Stage, counted_layouts, screen_text, staged
from tests.tui.scene import busy_snapshot

pytestmark = pytest.mark.long

SIZES = [(40, 12), (60, 18), (80, 24), (120, 40), (160, 50)]


def live(text: str, severity: str = "information", seconds: float = 600) -> Toast:
    return Toast(text, severity, monotonic() + seconds)  # type: ignore[arg-type]


async def given(stage: Stage, *toasts: Toast) -> None:
    """Show toasts for as long as they say."""
    for one in toasts:
        stage.dashboard.notify(one.text, severity=one.severity, timeout=one.left_s)
    await stage.pilot.pause()
    await stage.pilot.pause()


def test_a_toast_replaces_the_one_of_its_severity_and_comes_before_all() -> None:
    toasts = LiveToasts()
    toasts.add(live("gone", seconds=-1))
    assert toasts.newest() is None
    for one in (live("first"), live("wrong", "error"), live("second")):
        toasts.add(one)
        assert toasts.newest() == one
    toasts.add(live("third", seconds=-1))  # in the place of the second
    newest = toasts.newest()
    assert newest is not None
    assert newest.text == "wrong"


@pytest.mark.parametrize("size", SIZES)
async def test_a_toast_changes_the_last_line_of_the_screen_and_no_other(size: tuple[int, int]) -> None:
    """Not the lists, the end of the output, the chart or a question; and nothing is laid out."""
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.be_whole()
        await stage.press("4", "space", "space", "d")
        before = screen_text(stage.app).splitlines()
        with counted_layouts(stage.dashboard) as layouts:
            await given(stage, live("Everything resumed."))
        after = screen_text(stage.app).splitlines()
        assert after[:-1] == before[:-1]
        assert after[-1].rstrip().endswith("Everything resumed.")
        assert layouts == []


async def test_the_newest_toast_stands_alone_until_its_time_is_up() -> None:
    async with staged(busy_snapshot()) as stage:
        keys = stage.dashboard.footer.text
        await given(stage, live("one"), live("no room", "error"), live("two"))
        assert stage.dashboard.footer.text == f"{keys}two "
        await given(stage, live("three", seconds=0.05))
        for _ in range(1000):
            if stage.dashboard.footer.text.endswith("!! no room "):  # two was replaced
                break
            await stage.pilot.pause(0.01)
        assert stage.dashboard.footer.text == f"{keys}!! no room "


async def test_keys_give_way_to_a_toast_and_a_long_one_names_the_key_that_shows_all_of_it() -> None:
    async with staged(busy_snapshot(), size=(60, 18)) as stage:
        await given(stage, live("a sentence of some length for a small screen", "warning"))
        line = screen_text(stage.app).splitlines()[-1]
        assert "retry" not in line
        assert "! a sentence of some length for a small screen" in line
        await given(stage, live("a sentence that goes on " * 5))
        assert screen_text(stage.app).splitlines()[-1].rstrip().endswith("… m more")
        await stage.pilot.resize_terminal(140, 40)
        await stage.pilot.pause()
        assert screen_text(stage.app).splitlines()[-1].rstrip().endswith("that goes on")
        await stage.pilot.resize_terminal(60, 18)
        await stage.pilot.pause()
        await stage.pilot.click(stage.dashboard.footer, offset=(58, 0))
        await stage.pilot.pause()
        assert "a sentence that goes on a" in screen_text(stage.app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_toast_covers_no_form(size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.press("e")
        await stage.pilot.pause()
        await given(stage, live("job 7 was refused", "error"))
        line = stage.app.screen.query_one(ToastLine)
        form = stage.app.screen.query_one(".dialog")
        assert line.region.y == size[1] - 1
        assert form.region.bottom <= line.region.y
        assert screen_text(stage.app).splitlines()[-1].rstrip().endswith("!! job 7 was refused")
        await given(stage, live("gone", "error", seconds=-1))
        assert not line.display
        await stage.press("escape", "escape")
        assert "refused" not in stage.dashboard.footer.text


async def test_a_trouble_has_a_sign_in_the_log() -> None:
    async with staged(busy_snapshot()) as stage:
        toast(stage.dashboard, "done")
        toast(stage.dashboard, "late", "warning")
        toast(stage.dashboard, "no room", "error")
        await stage.press("m")
        shown = screen_text(stage.app)
        for sign, text in (("!!", "no room"), ("! ", "late"), ("  ", "done")):
            assert re.search(rf"│ {sign}  \d\d:\d\d:\d\d .* {text} ", shown), text


async def test_a_toast_leaves_the_keys_of_the_pane_as_they_were() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4")
        keys = stage.dashboard.footer.text
        await given(stage, live("said"))
        await given(stage, live("gone", seconds=-1))
        assert stage.dashboard.footer.text == keys
        assert stage.dashboard.panes.box.pane is Pane.DLQ
