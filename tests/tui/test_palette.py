"""The command palette: what a text finds, how a line is laid out, and that the chosen command is done."""

from __future__ import annotations

import pytest

from queuectl_tui.cells import width
from queuectl_tui.dialogs.command_palette import Command, CommandList, Palette, found_by, laid_out
from queuectl_tui.keymap import ACTIONS, alive, palette_actions
from tests.tui.harness import screen_text, staged
from tests.tui.scene import busy_snapshot


def _command(name: str, explanation: str = "", keys: str = "") -> Command:
    return Command(name, explanation, keys, lambda: None)


COMMANDS = [
    _command("Enqueue", "Add a job."),
    _command("Retry", "Replay a finished job."),
    _command("Retry all", "Replay all that match."),
    _command("Pause queue media", "Only this one."),
    _command("Queues", "Show the queues."),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["Enqueue", "Retry", "Retry all", "Pause queue media", "Queues"]),
        ("RETRY", ["Retry", "Retry all"]),
        ("queue", ["Queues", "Enqueue", "Pause queue media"]),
        ("media pause", ["Pause queue media"]),
        ("replay match", ["Retry all"]),
        ("pqm", ["Pause queue media"]),
        ("nothing of it", []),
    ],
)
def test_a_text_finds_by_the_start_of_a_name_then_its_words_then_the_explanation_then_letters(
    text: str, names: list[str]
) -> None:
    assert [command.name for command in found_by(text, COMMANDS)] == names


@pytest.mark.parametrize("cells", [20, 40, 76, 120])
@pytest.mark.parametrize(
    "command",
    [
        _command("Retry", "Replay a finished job; run a delayed one now.", "r"),
        _command("Stop worker 7 on a host with a long name", "", ""),
        _command("日本語の名前", "語" * 60, "Shift+Tab"),
    ],
)
def test_a_line_is_as_wide_as_the_list(command: Command, cells: int) -> None:
    parts = laid_out(command, min(24, cells // 4), cells)
    assert sum(map(width, parts)) == cells


def test_the_key_stands_at_the_right_and_the_explanation_has_the_room_between() -> None:
    assert "".join(laid_out(_command("Retry", "Replay a job.", "r"), 8, 30)) == " Retry     Replay a job.    r "
    assert "".join(laid_out(_command("Retry", "Replay a finished job.", "r"), 8, 26)) == " Retry     Replay a f…  r "
    assert "".join(laid_out(_command("Retry", "Replay a job.", "r"), 5, 15)) == " Retry       r "


@pytest.mark.parametrize("context", ["lists", "groups", "output", "detail", "queues", "workers"])
def test_every_action_of_a_place_is_in_the_palette_with_a_name_of_its_own(context: str) -> None:
    offered = palette_actions(ACTIONS, context)
    missing = {action.id for action in alive(ACTIONS, context)} - {action.id for action in offered}
    assert missing == {"palette", "stay"}
    assert len({action.name for action in offered}) == len(offered)


async def test_each_command_has_one_line_with_its_key() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", ":")
        (line,) = [line for line in screen_text(stage.app).splitlines() if "Replay a finished job" in line]
        assert "│ Retry  " in line
        assert "  r │" in line
        await stage.press("escape")
        assert stage.app.screen is stage.dashboard


async def test_a_dashboard_that_only_looks_offers_nothing_that_changes_the_queue() -> None:
    """Neither in the palette nor in the help."""
    async with staged(busy_snapshot(), is_read_only=True) as stage:
        await stage.press("4")
        for text in ("purge a finished", "pause queue", "stop worker"):
            await stage.press(":")
            await stage.type(text)
            assert "no command found" in screen_text(stage.app)
            await stage.press("escape")
        await stage.press("?")
        assert "Filter the pane" in screen_text(stage.app)
        assert "Purge a finished job" not in screen_text(stage.app)


async def test_the_arrows_choose_and_the_choice_is_done_where_the_focus_was() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", ":")
        await stage.type("mark")
        listed = stage.app.screen.query_one(CommandList)
        assert getattr(listed.current, "name", None) == "Mark"
        await stage.press("down", "down", "up")
        assert getattr(listed.current, "name", None) == "Mark all"
        await stage.press("up", "enter")
        assert stage.app.screen is stage.dashboard
        assert stage.dashboard.table.marks.count == 1


async def test_enter_does_nothing_while_nothing_is_found() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(":")
        await stage.type("no such thing")
        await stage.press("enter", "down", "up", "pagedown")
        assert "no command found" in screen_text(stage.app)
        assert isinstance(stage.app.screen, Palette)


async def test_a_click_does_what_it_hits() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(":")
        await stage.type("pause queue")
        listed = stage.app.screen.query_one(CommandList)
        await stage.pilot.click(listed, offset=(4, 1))
        await stage.press()
        assert stage.asked("pause") == [("default", True)]
