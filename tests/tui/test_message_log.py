"""What was shown as a toast can be read later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from queuectl_tui.dialogs.message_list import MessagesScreen
from queuectl_tui.message_log import MAX_MESSAGES, LoggedMessage, MessageLog
from queuectl_tui.toasts import toast
from tests.tui.harness import screen_text, staged
from tests.tui.scene import NOW, busy_snapshot


def test_the_newest_message_comes_first_and_the_oldest_goes() -> None:
    log = MessageLog()
    for number in range(MAX_MESSAGES + 2):
        log.add(LoggedMessage(NOW + timedelta(seconds=number), str(number), "information"))
    texts = [message.text for message in log.newest_first()]
    assert (len(texts), texts[0], texts[-1]) == (MAX_MESSAGES, str(MAX_MESSAGES + 1), "2")


@pytest.mark.parametrize("closing", ["m", "q", "escape"])
@pytest.mark.parametrize("size", [(40, 12), (120, 40)])
async def test_m_shows_every_message_the_newest_first(closing: str, size: tuple[int, int]) -> None:
    """Also a long one whole, and text that looks like markup as it is."""
    async with staged(busy_snapshot(), size=size) as stage:
        toast(stage.dashboard, "Purged 17 jobs. z undoes it.")
        toast(stage.dashboard, "no room in [bold]here[/]", "error")
        await stage.press("m")
        assert isinstance(stage.app.screen, MessagesScreen)
        shown = screen_text(stage.app)
        assert 0 < shown.index("[bold]here[/]") < shown.index("Purged")
        await stage.press(closing)
        assert not isinstance(stage.app.screen, MessagesScreen)


async def test_without_a_message_the_log_says_so() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("m")
        assert "No messages yet." in screen_text(stage.app)


async def test_a_log_that_is_longer_than_the_screen_scrolls_with_the_keys_of_lists() -> None:
    async with staged(busy_snapshot(), size=(80, 24)) as stage:
        for number in range(60):
            toast(stage.dashboard, f"message {number:02}")
        await stage.press("m")
        assert "message 59" in screen_text(stage.app)
        await stage.press("pagedown", "pagedown", "j")
        assert "message 59" not in screen_text(stage.app).rpartition("\n")[0]  # the footer shows the newest
        await stage.press("pageup", "pageup", "k")
        assert "message 59" in screen_text(stage.app)
