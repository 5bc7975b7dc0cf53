"""Random keys without pauses, while jobs run: no exception, and the dashboard can be left. The seed is in the name."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.model import NewJob
from core.queue import Queue
from queuectl_tui.app import QueuectlApp
from queuectl_tui.gateway.gateway import Gateway
from queuectl_tui.keymap import ACTIONS
from queuectl_tui.preferences import Preferences
from tests.tui.harness import press

pytestmark = pytest.mark.long

Size = tuple[int, int]

SIZES: tuple[Size, ...] = ((60, 18), (80, 24), (160, 50))
#: ``make fuzz`` presses 500 keys with each of 20 seeds at each size; the tests press less.
SEEDS = int(os.environ.get("QUEUECTL_FUZZ_SEEDS", "2"))
KEYS = int(os.environ.get("QUEUECTL_FUZZ_KEYS", "60"))
#: Not typed: what suspends the program, opens a pager or leaves.
_LEFT_OUT = {"ctrl+z", "o", "ctrl+q"}
_MORE = ["enter", "escape", "tab", "shift+tab", "backspace", "space", "left", "right", "home", "delete", "y", "n"]
_POOL = sorted({*(key for action in ACTIONS for key in action.keys), *_MORE, *"abcx179"} - _LEFT_OUT)
#: How many times what is open is closed, one at a time, before the dashboard is left.
_STEPS_BACK = 50


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_random_keys_in_bursts_raise_nothing(
    seed: int, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ctrl+s`` writes into the working directory, a temporary one; after a key that quits another one is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAGER", "true")
    monkeypatch.setattr("queuectl_tui.dialogs.copy_job.native_tool", lambda: None)
    dice = random.Random(f"{seed} {size}")
    left = KEYS
    with Queue(str(tmp_path / "queue.db")) as queue:
        queue.enqueue_many(
            NewJob(dice.choice(("echo a", "exit 3", "sleep 0.05", "sleep 1")), max_attempts=1) for _ in range(60)
        )
        while left > 0:
            left = await _session(queue, dice, left, size)


async def _session(queue: Queue, dice: random.Random, left: int, size: Size) -> int:
    """Press keys in bursts until ``left`` are pressed or one of them has quit; return how many are left.

    In the midst of one burst in ten the terminal gets another size.
    """
    gateway = Gateway(queue, slots=2)
    app = QueuectlApp(gateway, ACTIONS, Preferences())
    try:
        async with app.run_test(size=size) as pilot:
            while left > 0 and app.return_code is None:
                burst = min(left, dice.randint(1, 25))
                left -= burst
                keys = dice.choices(_POOL, k=burst)
                if dice.random() < 0.1:
                    for key in keys:
                        press(app, key)
                    await pilot.resize_terminal(*dice.choice([*SIZES, (20, 5)]))
                    keys = dice.choices(_POOL, k=5)
                for key in keys:
                    press(app, key)
                await pilot.pause()
            await _leave(app, pilot)
    finally:
        gateway.host.stop("leave")
        gateway.host.has_ended(10)
        gateway.close()
    return left


async def _leave(app: QueuectlApp, pilot: Pilot[int]) -> None:
    """Close what is open, step by step, and quit; fail when the keys that do so do not."""
    for _ in range(_STEPS_BACK):
        if app.return_code is not None:
            return
        if len(app.screen_stack) > 1:
            press(app, "escape")
        else:
            press(app, "ctrl+q")
            await pilot.pause()
            press(app, "l")
        await pilot.pause(0.05)
    raise AssertionError(f"{app.screen_stack} could not be left")
