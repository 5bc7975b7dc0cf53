"""Keys that arrive in one burst, before the first of them has had its effect: each does what was meant, once."""

from __future__ import annotations

import pytest
from textual import events

from core.model import Job, NewJob
from queuectl_tui.dashboard import DashboardScreen
from queuectl_tui.dialogs.command_palette import Palette
from queuectl_tui.dialogs.dialog import Dialog
from queuectl_tui.dialogs.enqueue import EnqueueScreen
from queuectl_tui.removed_widgets import PastRemovedWidgets
from queuectl_tui.snapshot import JobDetail
from tests.tui.harness import Stage, staged
from tests.tui.scene import FixedOutput, busy_snapshot, detail_of, idle_snapshot

pytestmark = pytest.mark.long

SIZES = [(60, 18), (80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("opening", "burst"),
    [
        (("4", "E"), ("enter", "enter")),
        (("4", "E"), ("ctrl+s", "ctrl+s")),
        (("4", "E"), ("escape", "escape")),
        (("4", "y"), ("c", "c")),
        (("4", "y"), ("enter", "enter")),
        (("4", "y"), ("q", "escape")),
        (("?",), ("q", "q")),
        (("?", "x"), ("escape", "q")),
        ((":",), ("escape", "escape")),
        (("e", *"true"), ("enter", "enter")),
        (("e", *"true"), ("ctrl+s", "enter", "escape")),
        (("ctrl+q",), ("q", "escape")),
        (("ctrl+q",), ("l", "l")),
        (("4", "space", "space", "d"), ("y", "y")),
        (("4", "space", "space", "d"), ("escape", "n")),
        (("/",), ("enter", "enter")),
    ],
)
async def test_two_closing_keys_close_once(
    opening: tuple[str, ...], burst: tuple[str, ...], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was opened is closed, once, and the dashboard stays; without a pause before the burst and with one."""
    monkeypatch.setattr("os.path.isdir", lambda _: True)  # the scene's jobs run in a directory that is not here
    ways = [(*opening, *burst)], [opening, burst]
    played = 0
    while played < len(ways):
        async with staged(busy_snapshot(), size=size) as stage:
            stage.gateway.host.running_count = 1  # so that ctrl+q asks
            while played < len(ways) and stage.app.return_code is None:
                stage.gateway.asked.clear()
                for keys in ways[played]:
                    await stage.press(*keys)
                played += 1
                await _settled(stage)
                assert len(stage.asked("enqueue")) == (opening[0] == "e")
                assert len(stage.asked("edit")) == (opening[-1] == "E" and burst[0] != "escape")
                assert len(stage.asked("purge")) == (burst[0] == "y")


async def _settled(stage: Stage) -> None:
    """Wait until the dashboard is alone on the screen, or has ended."""
    for _ in range(500):
        if stage.app.return_code is not None or len(stage.app.screen_stack) == 1:
            return
        await stage.pilot.pause(0.01)
    raise AssertionError(f"{stage.app.screen_stack} stayed open")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["pagedown", "pageup", "down", "up", "enter", "ctrl+end", "home"])
async def test_the_palette_bears_keys_before_it_has_looked(key: str, size: tuple[int, int]) -> None:
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.press(":", "p", "a", key)
        await stage.press(":", "escape", ":", "a", key, key)
        assert isinstance(stage.app.screen, (DashboardScreen, Palette))


@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_each_key_of_a_burst_counts_in_the_output(is_wrapped: bool) -> None:
    """Two in one burst go as far as one after the other: matches, lines, pages and attempts."""
    for key in ("n", "N", "j", "k", "pagedown", "pageup", "ctrl+d", "ctrl+u", "[", "]"):
        places = []
        for presses in ([(key, key)], [(key,), (key,)]):
            async with staged(busy_snapshot(), size=(100, 24)) as stage:
                stage.gateway.detail_maker = _with_long_output
                await stage.press("4", "l")
                await stage.press("g")
                await stage.press("/", *"row", "enter")
                await stage.press(*("w" if is_wrapped else ""), *["pagedown"] * 6)
                for before in ["["] * (2 * (key == "]")):
                    await stage.press(before)
                for keys in presses:
                    await stage.press(*keys)
                view, request = stage.dashboard.panes.output_box.view, stage.dashboard.panes.shown.request
                assert request is not None
                places.append((view.matches.line, view.top_line, round(view.scroll_y, 3), request.number))
        assert places[0] == places[1], key


def _with_long_output(job: Job) -> JobDetail:
    detail = detail_of(job)
    lines = b"".join(b"row %d " % number + b"of many words " * 12 + b"\n" for number in range(400))
    return detail._replace(output=FixedOutput(detail.attempts[-1], lines))


async def test_two_enters_in_the_palette_do_the_command_once() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(":")
        await stage.type("pause queue media")
        await stage.pilot.pause(0.3)
        await stage.press("enter", "enter", "enter")
        await _settled(stage)
        await stage.pilot.pause(0.2)
        assert stage.asked("pause") == [("media", True)]


async def test_what_is_typed_while_the_form_opens_is_its_text() -> None:
    """The keys behind ``e`` come before the form is there; none is lost, none reaches the list behind it."""
    async with staged(idle_snapshot()) as stage:
        await stage.press("e", *"echo e")
        assert isinstance(stage.app.screen, EnqueueScreen)
        assert stage.app.screen.texts()["command"] == "echo e"


@pytest.mark.parametrize("submit", ["enter", "ctrl+s"])
@pytest.mark.parametrize("way", [(), ("tab",)])
async def test_what_is_typed_behind_the_key_that_submits_is_not_part_of_the_job(
    submit: str, way: tuple[str, ...]
) -> None:
    """Neither in the command nor in another field; and ctrl+s does not overtake the text before it."""
    async with staged(idle_snapshot()) as stage:
        await stage.press("e", *"true", *way, submit, *"4jj")
        ((job,),) = stage.asked("enqueue")
        assert isinstance(job, NewJob)
        assert (job.command, job.queue) == ("true", "default")


async def test_what_is_typed_behind_the_key_that_quits_answers_its_question() -> None:
    async with staged(busy_snapshot()) as stage:
        stage.gateway.host.running_count = 1
        await stage.press("q", "w")
        assert stage.gateway.host.stopped == ["wait"]


def _click(x: int, y: int) -> events.Click:
    return events.Click(None, x, y, 0, 0, 1, False, False, False, x, y)


async def test_a_click_beyond_the_palette_of_a_terminal_that_became_smaller_does_nothing() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(":")
        stage.app.screen.post_message(_click(500, 19))
        await stage.press("p")
        assert isinstance(stage.app.screen, Palette)


async def test_keys_typed_behind_the_one_that_opens_the_palette_search_in_it() -> None:
    """Text, then Enter, in one burst: what the whole text finds is done, not what a part of it found."""
    async with staged(busy_snapshot()) as stage:
        await stage.press(":", *"pause queue media", "enter")
        await _settled(stage)
        assert stage.asked("pause") == [("media", True)]


async def test_the_mouse_finds_no_widget_that_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed is still on the screen for a moment when it has no parent any more."""
    async with staged(busy_snapshot()) as stage:
        for kind in (DashboardScreen, Palette, Dialog):
            assert issubclass(kind, PastRemovedWidgets)
        footer = stage.dashboard.footer
        place = footer.region.x + 1, footer.region.y
        assert stage.dashboard.get_widget_and_offset_at(*place)[0] is footer
        with monkeypatch.context() as patched:
            patched.setattr(type(footer), "parent", None)
            assert stage.dashboard.get_widget_and_offset_at(*place) == (None, None)
