"""The program ends while something is being opened: at every step of the event loop, without a fault."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.harness import press, staged
from tests.tui.scene import busy_snapshot

pytestmark = pytest.mark.long

#: Steps of the event loop between the keys and the end. After the first three what was opened has its widgets.
STEPS = 5


@pytest.mark.parametrize(
    "keys",
    [(":",), (":", "p"), (":", "p", "enter"), ("?", "x"), ("e", "t"), ("4", "E"), ("4", "y"), ("ctrl+q",)],
    ids="-".join,
)
async def test_the_program_may_end_while_something_opens(keys: tuple[str, ...]) -> None:
    """What is mounted then gets no widgets any more, and must look for none."""
    for steps in range(STEPS):
        async with staged(busy_snapshot()) as stage:
            stage.gateway.host.running_count = 1  # so that ctrl+q asks
            for key in keys:
                press(stage.app, key)
            for _ in range(steps):
                await asyncio.sleep(0)
            stage.app.exit(0)
