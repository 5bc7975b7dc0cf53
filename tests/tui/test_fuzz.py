"""Random keys without pauses, while jobs run: no exception, and the dashboard can be left. The seed is in the name."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from textual import events
from textual.keys import _character_to_key

from core.model import NewJob
from core.queue import Queue
from queuectl_tui.app import QueuectlApp
from queuectl_tui.gateway.facade import Gateway
from queuectl_tui.keys import ACTIONS
from queuectl_tui.preferences import Preferences

SIZES = ((60, 18), (80, 24), (120, 40), (200, 60))
#: ``make fuzz`` runs 20 seeds of 500 keys; the tests run less.
SEEDS = int(os.environ.get("QUEUECTL_FUZZ_SEEDS", "4"))
KEYS = int(os.environ.get("QUEUECTL_FUZZ_KEYS", "150"))
#: Not typed: what suspends the program, opens a pager or leaves.
_LEFT_OUT = {"ctrl+z", "o", "ctrl+q"}
_MORE = ["enter", "escape", "tab", "shift+tab", "backspace", "space", "left", "right", "home", "delete", "y", "n"]
_POOL = sorted({*(key for action in ACTIONS for key in action.keys), *_MORE, *"abcx179"} - _LEFT_OUT)
_CHARACTERS = {"space": " ", "enter": "\r", "tab": "\t"}


def _press(app: QueuectlApp, key: str) -> None:
    is_character = len(key) == 1
    name = _character_to_key(key) if is_character else key
    app.post_message(events.Key(name, key if is_character else _CHARACTERS.get(key)))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_random_keys_in_bursts_raise_nothing(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ctrl+s`` writes into the working directory, a temporary one; after a key that quits another one is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAGER", "true")
    monkeypatch.setattr("queuectl_tui.screens.copying.native_tool", lambda: None)
    dice = random.Random(seed)
    left = KEYS
    with Queue(str(tmp_path / "queue.db")) as queue:
        queue.enqueue_many(
            NewJob(dice.choice(("echo a", "exit 3", "sleep 0.05", "sleep 1")), max_attempts=1) for _ in range(60)
        )
        while left > 0:
            left = await _session(queue, dice, left, SIZES[seed % len(SIZES)])


async def _session(queue: Queue, dice: random.Random, left: int, size: tuple[int, int]) -> int:
    """Press keys in bursts until ``left`` are pressed or one of them has quit; return how many are left."""
    gateway = Gateway(queue, slots=2)
    app = QueuectlApp(gateway, ACTIONS, Preferences())
    try:
        async with app.run_test(size=size) as pilot:
            while left > 0 and app.return_code is None:
                burst = min(left, dice.randint(1, 25))
                left -= burst
                for key in dice.choices(_POOL, k=burst):
                    _press(app, key)
                await pilot.pause()
    finally:
        gateway.host.stop("leave")
        gateway.host.has_ended(10)
        gateway.close()
    return left
